/**
 * A cell of your own, trained, stored, loaded, and exported as ONNX, WebAssembly and C: each file predicts the same.
 *
 *     deno run --allow-read --allow-write --allow-run examples/own_cell/main.ts
 *
 * Takes about 8 seconds on two cores, and prints how far each file is from the model: not at all, or to 1e-6. The cell
 * is the minimal gated unit (Zhou et al., 2016), with one gate in place of a GRU's two. It learns the adding problem:
 * the sum of the two numbers of a sequence that are marked. The sequences are made up by a seeded generator. C is
 * compiled by `cc` where there is one, in a temporary folder that is removed. With `--picture FILE` it draws the states
 * of the cell; `--small` takes 3 seconds, on short sequences.
 */
import * as cf from "@cellfold/cellfold";
import { fromOnnx, toOnnx } from "@cellfold/cellfold/onnx";
import {
  decodeSafetensors,
  encodeSafetensors,
  loadCheckpoint,
  restoreTree,
  saveCheckpoint,
} from "@cellfold/cellfold/safetensors";
import { toC, toWasm } from "@cellfold/cellfold/standalone";
import { minimalGatedCell } from "./cell.ts";
import { runC } from "./run_c.ts";
import { makeSums } from "./sums.ts";
import { type ProgramOptions, programOptions, writePicture } from "../support/program.ts";
import { claim, largestDifference } from "../support/section.ts";

const UNITS = 32;

/** Runs the program; gives the mean squared error, and that of always saying the mean. */
export async function main(options: ProgramOptions = {}): Promise<{ loss: number; trivial: number }> {
  const { small = false, log = console.log } = options;
  const steps = small ? 8 : 24;
  const model = cf.sequential([cf.rnn(minimalGatedCell({ units: UNITS })), cf.dense({ units: 1 })]);
  const input = cf.spec([null, null, 2]);
  const unseen = makeSums(500, steps, 2);
  const trained = await cf.fit(
    model,
    cf.init(model, cf.key(0), input),
    makeSums(small ? 2000 : 8000, steps, 1),
    {
      loss: "mse",
      optimizer: cf.adam({ learningRate: 0.01 }),
      epochs: small ? 6 : 20,
      validation: unseen,
      report: options.log ? "none" : "auto",
    },
  );
  const { variables, optimizerState } = trained;
  const [loss, trivial] = [trained.history.val_loss.at(-1) ?? NaN, cf.item(cf.variance(unseen.y))];
  claim(
    log,
    loss < trivial / 4,
    `mean squared error ${loss.toFixed(4)}; always saying 1, ${trivial.toFixed(4)}`,
  );

  // What a WebAssembly file computes, to the bit.
  const exact = { device: { name: "wasm", threads: 1, relaxed: false }, batchSize: 500 } as const;
  const expected = await cf.predict(model, variables, unseen.x, exact);
  const compare = (what: string, got: cf.Tree<cf.Tensor>, most: number) => {
    const largest = largestDifference(expected, got);
    const words = largest === 0 ? "the same" : `differs by ${largest.toExponential(1)}`;
    claim(log, largest <= most, `${what}: ${words}`);
  };

  const checkpoint = saveCheckpoint({ model, variables, optimizerState });
  const loaded = loadCheckpoint(checkpoint, {
    cells: { minimalGatedCell: ({ units }) => minimalGatedCell({ units: Number(units) }) },
  });
  const again = await cf.predict(loaded.model, loaded.variables, unseen.x, exact);
  compare(`a checkpoint of ${checkpoint.length} bytes, loaded`, again, 0);

  const weights = encodeSafetensors(variables);
  const restored = restoreTree(cf.init(model, cf.key(1), input), decodeSafetensors(weights).tensors);
  const fromWeights = await cf.predict(model, restored, unseen.x, exact);
  compare(`safetensors of ${weights.length} bytes, loaded`, fromWeights, 0);

  const onnx = toOnnx(model, variables, { input });
  const imported = fromOnnx(onnx);
  const fromFile = await cf.predict(imported.model, imported.variables, unseen.x, exact);
  compare(`ONNX of ${onnx.length} bytes, read back`, fromFile, 1e-6);

  const { wasm, loader } = toWasm(model, variables, { input, name: "adder" });
  const { load } = await import(`data:text/javascript,${encodeURIComponent(loader)}`);
  const { data } = (await load(wasm))(unseen.x);
  const shape = expected.shape as readonly number[];
  compare(`WebAssembly of ${wasm.length} bytes, run by its loader`, cf.tensor(data, { shape }), 0);

  const c = toC(model, variables, { input, name: "adder" });
  const sums = await runC(c, unseen.x);
  if (sums) compare(`C of ${c.source.length} bytes, compiled and run`, cf.tensor(sums, { shape }), 1e-6);
  else log("  C is written, but not compiled: there is no cc");

  const [params] = variables.params as readonly cf.Tree<cf.Tensor>[]; // of the cell, then of the dense layer
  const layer = cf.rnn(minimalGatedCell({ units: UNITS }), { returnSequences: true });
  const states = await cf.predict(
    layer,
    { params, state: [] },
    cf.slice(unseen.x, { start: [0, 0, 0], size: [1, steps, 2] }),
  );
  await writePicture(options, ({ plotStates }) =>
    plotStates(states, {
      title: "States of a minimal gated unit, which adds the two marked numbers",
    }));
  return { loss, trivial };
}

if (import.meta.main) await main(programOptions(Deno.args));
