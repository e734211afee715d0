/**
 * A short run that is made to be killed: everything that draws random numbers or holds state takes part. It
 * writes checkpoints into the directory given, goes on from what is there, and prints its result.
 *
 * `deno run -A tests/training/interrupted/run.ts <directory> [device]`
 */
import {
  adam,
  batchNormalization,
  type Callback,
  checkpoint,
  csvLog,
  dense,
  type Device,
  dropout,
  earlyStopping,
  fit,
  init,
  key,
  lstm,
  normal,
  predict,
  reduceLrOnPlateau,
  sequential,
  treeLeaves,
} from "@cellfold/cellfold";
import type { HostTensor } from "@cellfold/cellfold";

const model = sequential([
  lstm({ units: 6, returnSequences: true, dropout: 0.2 }),
  dropout({ rate: 0.3 }),
  lstm({ units: 4, recurrentDropout: 0.2 }),
  batchNormalization(),
  dense({ units: 1 }),
]);

const data = { x: normal(key(1), [44, 5, 3]), y: normal(key(2), [44, 1]) };

/** The run in the directory, from where it is. */
export async function run(directory: string, device: Device): Promise<string> {
  const slowly: Callback = { onBatchEnd: () => new Promise((resolve) => setTimeout(resolve, 2)) }; // time to be killed in
  const trained = await fit(model, init(model, key(0), data.x), data, {
    loss: "mse",
    metrics: ["mae"],
    optimizer: adam({ learningRate: 0.01 }),
    batchSize: 8,
    epochs: 12,
    validation: { split: 0.2 },
    callbacks: [
      checkpoint({ directory, every: { steps: 2 } }),
      reduceLrOnPlateau({ patience: 1, factor: 0.5 }),
      earlyStopping({ patience: 8, restoreBestWeights: true }),
      csvLog({ file: `${directory}/log.csv` }),
      slowly,
    ],
    resume: { directory, optional: true },
    report: "none",
    device,
  });
  const output = await predict(model, trained.variables, data.x, { device });
  const valuesOf = (tree: unknown) => treeLeaves<HostTensor>(tree).map(({ data }) => [...data]);
  return JSON.stringify({
    variables: valuesOf([trained.variables.params, trained.variables.state]),
    optimizer: valuesOf(trained.optimizerState),
    history: trained.history,
    stopped: trained.stopped,
    output: [...output.data],
    log: await Deno.readTextFile(`${directory}/log.csv`),
  });
}

if (import.meta.main) {
  const [directory, device = "wasm"] = Deno.args;
  console.log(await run(directory, JSON.parse(device.startsWith("{") ? device : JSON.stringify(device))));
}
