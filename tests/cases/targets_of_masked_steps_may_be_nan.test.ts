/** Nothing was measured at steps that are padding: training on NaN there is training on any number there. */
import {
  dense,
  fit,
  getWeights,
  host,
  init,
  key,
  lstm,
  masking,
  sequential,
  sgd,
  tensor,
} from "@cellfold/cellfold";
import { assert, assertEquals } from "@std/assert";

Deno.test("fit: NaN as the target of a masked step changes neither losses nor weights", async () => {
  const model = sequential([masking(), lstm({ units: 4, returnSequences: true }), dense({ units: 1 })]);
  const x = tensor([[[1, 2], [3, 4], [0, 0]], [[1, 1], [2, 2], [3, 3]]]);
  const variables = init(model, key(0), x);
  const trainOn = async (missing: number) => {
    const y = tensor([[[1], [2], [missing]], [[0], [1], [2]]]);
    const optimizer = sgd({ learningRate: 0.1 });
    const result = await fit(model, variables, { x, y }, {
      loss: "mse",
      optimizer,
      epochs: 3,
      report: "none",
    });
    const weights = getWeights(result.variables).map(({ path, tensor }) => [path, [...host(tensor).data]]);
    return { losses: result.history.loss, weights };
  };
  const expected = await trainOn(0);
  assert(expected.losses.every(Number.isFinite) && expected.losses[2] < expected.losses[0]);
  for (const missing of [NaN, Infinity]) assertEquals(await trainOn(missing), expected);
});
