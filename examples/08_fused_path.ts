/**
 * One path for every cell: what an `lstm` layer runs is what the compiler makes of a cell, so the same cell in `rnn`,
 * other activations, masks or a cell of one's own lose nothing. The main example (`mnist.ts`) in small.
 */
import {
  accuracy,
  batchNormalization,
  compile,
  dense,
  fit,
  getWeights,
  init,
  key,
  type Layer,
  layerNormLstmCell,
  lstm,
  lstmCell,
  predict,
  rnn,
  sequential,
  setWeights,
  sgd,
  sparseCategoricalCrossentropy,
  spec,
  type Tensor,
  tensor,
  type Variables,
} from "@cellfold/cellfold";
import { generatedDigits } from "./support/generated_digits.ts";
import { claim, largestDifference, type Log } from "./support/section.ts";

const digitModel = (recurrent: Layer) => sequential([recurrent, batchNormalization(), dense({ units: 10 })]);

/** How many scans the compiled prediction of a layer holds. */
function scansIn(layer: Layer): number {
  const input = spec([null, 28, 28]);
  using compiled = compile((variables: Variables, x: Tensor) =>
    layer.apply(variables, x, { training: false }).output
  );
  const { equations } = compiled.program(init(layer, key(0), input), input);
  return equations.filter(({ operation }) => operation.name === "scan").length;
}

/** Runs the section. */
export async function main(log: Log = console.log): Promise<void> {
  const input = spec([null, 28, 28]);
  const { images: x, labels: y } = generatedDigits(tensor([28, 1], { dtype: "int32" }), 128);
  const options = {
    loss: sparseCategoricalCrossentropy({ fromLogits: true }),
    optimizer: sgd({ learningRate: 0.01 }),
    metrics: [accuracy()],
    batchSize: 64,
    report: log,
  };

  const layerModel = digitModel(lstm({ units: 64 }));
  const trained = await fit(layerModel, init(layerModel, key(0), input), { x, y }, options);

  const cellModel = digitModel(rnn(lstmCell({ units: 64 })));
  const copied = setWeights(
    init(cellModel, key(1), input),
    getWeights(trained.variables).map(({ tensor }) => tensor),
  );
  const difference = largestDifference(
    await predict(layerModel, trained.variables, x),
    await predict(cellModel, copied, x),
  );
  claim(log, difference === 0, "with the weights of the lstm layer, rnn(lstmCell) predicts exactly the same");
  await fit(cellModel, copied, { x, y }, options);

  const layers = {
    "lstm": lstm({ units: 64 }),
    "rnn(lstmCell)": rnn(lstmCell({ units: 64 })),
    "lstm with relu and without bias": lstm({ units: 64, activation: "relu", useBias: false }),
    "rnn(layerNormLstmCell)": rnn(layerNormLstmCell({ units: 64 })),
  };
  for (const [name, layer] of Object.entries(layers)) {
    claim(log, await scansIn(layer) === 1, `${name} compiles to one fold`);
  }
}

if (import.meta.main) await main();
