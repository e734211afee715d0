/** One epoch of training a model that was read. */
import { evaluate, fit } from "../../../src/training/mod.ts";
import type { Layer, Variables } from "../../../src/layers/mod.ts";
import { key } from "../../../src/operations/random.ts";
import { type Tensor, tensor } from "../../../src/tensor/tensor.ts";
import type { Tree } from "../../../src/tree/tree.ts";

/** The loss before and after a few epochs on three samples with the classes 0, 1 and 2. */
export async function lossOf(
  { model, variables }: { readonly model: Layer; readonly variables: Variables },
  x: Tree<Tensor>,
): Promise<readonly [number, number]> {
  const data = { x, y: tensor([0, 1, 2], { dtype: "int32" }) };
  const options = { loss: "sparseCategoricalCrossentropy", device: "reference" } as const;
  const before = await evaluate(model, variables, data, options);
  const trained = await fit(model, variables, data, {
    ...options,
    optimizer: "adam",
    epochs: 15,
    key: key(1),
  });
  const after = await evaluate(model, trained.variables, data, options);
  return [Number(before.loss), Number(after.loss)];
}
