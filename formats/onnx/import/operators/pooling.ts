/** Pooling over all of space: every axis behind the channels. */
import { max, mean } from "../../../../src/operations/reduction.ts";
import { printSpec, type Tensor } from "../../../../src/tensor/tensor.ts";
import { given, type Operator, type Operators } from "../operator.ts";
import { floatsOf, valueOf } from "../values.ts";

function overSpace(
  reduce: (x: Tensor, options: { readonly axes: readonly number[]; readonly keepDims: true }) => Tensor,
): Operator {
  return {
    attributes: [],
    inputs: [1, 1],
    compute: (_, inputs) => {
      const x = floatsOf(given(inputs, 0));
      if (x.shape.length < 2) {
        throw new TypeError(`it pools ${printSpec(x)}, expected batch, channels and space`);
      }
      const axes = x.shape.map((_, axis) => axis).slice(2);
      return [valueOf(axes.length === 0 ? x : reduce(x, { axes, keepDims: true }))];
    },
  };
}

/** The operators of this file. */
export const poolingOperators: Operators = {
  GlobalAveragePool: overSpace(mean),
  GlobalMaxPool: overSpace(max),
};
