/** The running sum along an axis. */
import { checkOptions } from "../option_names.ts";
import type { Operation } from "../program/types.ts";
import { checkTensor, type Tensor } from "../tensor/tensor.ts";
import { applyOne } from "./apply.ts";
import { requireNumber } from "./infer.ts";
import type { AxisOptions } from "./reduction.ts";
import { resolveAxis } from "./axes.ts";

export const cumsumOperation: Operation<"cumsum"> = {
  name: "cumsum",
  infer: ([x]) => {
    requireNumber("cumsum", [x]);
    return [x];
  },
};

/** How a running sum runs. */
export interface CumsumOptions extends AxisOptions {
  /** Each sum leaves out the element at its own place, so that the first one is 0; default false. */
  readonly exclusive?: boolean;
  /** Sums run from the last element to the first; default false. */
  readonly reverse?: boolean;
}

/**
 * The running sum along an axis (default: the last): at each place the sum of the elements up to it. Float sums keep what
 * rounding loses (Kahan, "Further remarks on reducing truncation errors", 1965), so that their error does not grow with
 * the length; int32 wraps.
 *
 * @param x float32, float64 or int32, of any shape with at least one axis; axes may be empty.
 * @returns The sums, of the shape and dtype of `x`.
 * @throws TypeError for bool; RangeError for an axis that `x` does not have.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { cumsum, tensor, toNested } from "@cellfold/cellfold";
 * const x = tensor([[1, 2, 3], [4, 5, 6]]);
 * assertEquals(toNested(cumsum(x)), [[1, 3, 6], [4, 9, 15]]);
 * assertEquals(toNested(cumsum(x, { axis: 0 })), [[1, 2, 3], [5, 7, 9]]);
 * assertEquals(toNested(cumsum(x, { exclusive: true, reverse: true })), [[5, 3, 0], [11, 6, 0]]);
 * ```
 */
export function cumsum(x: Tensor, options: CumsumOptions = {}): Tensor {
  checkTensor("cumsum", x);
  checkOptions("cumsum", options, ["axis", "exclusive", "reverse"]);
  const { exclusive = false, reverse = false } = options;
  const axis = resolveAxis(options.axis ?? -1, x.shape.length, "cumsum");
  return applyOne(cumsumOperation, [x], { axis, exclusive, reverse });
}
