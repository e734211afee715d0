/** The model that is served: it expects the next pressure of a pump, after those that it was told. */
import * as cf from "@cellfold/cellfold";
import { makePressure } from "../support/pump.ts";

/** One step of one session. */
export const input = cf.spec([1, null, 1]);

/** Trains it, in a second or two, on pressure that is made up. */
export async function trainPumpModel(): Promise<{ model: cf.Layer<cf.Tensor>; variables: cf.Variables }> {
  const model = cf.sequential([cf.gru({ units: 64, returnSequences: true }), cf.dense({ units: 1 })]);
  const { values } = makePressure(8_001, { seed: 1 });
  const cut = (from: number) => cf.tensor(values.slice(from, from + 8_000), { shape: [80, 100, 1] });
  const { variables } = await cf.fit(model, cf.init(model, cf.key(0), input), { x: cut(0), y: cut(1) }, {
    loss: "mse",
    optimizer: cf.adam({ learningRate: 0.01 }),
    batchSize: 16,
    epochs: 10,
    report: "none",
  });
  return { model, variables };
}
