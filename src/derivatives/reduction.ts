/** The derivatives of reductions and of running sums. */
import { applyOne } from "../operations/apply.ts";
import { cumsumOperation } from "../operations/cumsum.ts";
import { cast, div, equal, mul } from "../operations/elementwise.ts";
import { broadcastOperation, sum } from "../operations/structure.ts";
import type { Spec, Tensor } from "../tensor/tensor.ts";
import type { Derivatives } from "./rule.ts";

/** `reduced` repeated along the axes of `x` that were reduced. */
function spread(reduced: Tensor, x: Spec, axes: readonly number[]): Tensor {
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  return applyOne(broadcastOperation, [reduced], { shape: x.shape, axes: kept });
}

export const reduction: Derivatives<"sum" | "max" | "argmax" | "size" | "cumsum"> = {
  sum: ({ inputs: [x], cotangents: [c], attributes: { axes } }) => [c && spread(c, x, axes)],
  // Equal largest elements share the cotangent.
  max: ({ inputs: [x], outputs: [y], cotangents: [c], attributes: { axes } }) => {
    if (!c) return [undefined];
    const largest = cast(equal(x, spread(y, x, axes)), x.dtype);
    return [mul(largest, spread(div(c, sum(largest, { axes })), x, axes))];
  },
  argmax: undefined,
  size: undefined,
  // An element has a part in the sums from it on: their cotangents are summed from the other end.
  cumsum: ({ cotangents: [c], attributes }) => [
    c && applyOne(cumsumOperation, [c], { ...attributes, reverse: !attributes.reverse }),
  ],
};
