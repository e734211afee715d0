/** Pooling of windows, and over all of space: every axis behind the channels. */
import { averagePool, maxPool, type PoolingOptions } from "../../../../src/operations/pooling.ts";
import { max, mean } from "../../../../src/operations/reduction.ts";
import { printSpec, type Tensor } from "../../../../src/tensor/tensor.ts";
import { flag, type Node } from "../node.ts";
import { given, type Operator, type Operators } from "../operator.ts";
import { floatsOf, valueOf } from "../values.ts";
import { channelsFirst, channelsLast, paddingOf, perAxis, windowAttributes, windowOf } from "./windows.ts";

function ofWindows(
  attributes: readonly string[],
  pool: (x: Tensor, window: readonly number[], options: PoolingOptions, node: Node) => Tensor,
): Operator {
  return {
    attributes: [...windowAttributes, "ceil_mode", ...attributes],
    inputs: [1, 1],
    compute: (node, inputs) => {
      const x = channelsLast(given(inputs, 0));
      const window = perAxis(node, "kernel_shape", x.shape.length - 2);
      if (!window) throw new TypeError("it has no kernel_shape, which it needs");
      const how = windowOf(node, window.length), { strides, dilation } = how;
      const padding = paddingOf(how, x.shape.slice(1, -1), window);
      const ceil = !how.same && flag(node, "ceil_mode", false);
      return [channelsFirst(pool(x, window, { strides, dilation, padding, ceil }, node))];
    },
  };
}

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
  // The order of storage is that of the second output, the indices, which is not supported.
  MaxPool: ofWindows(["storage_order"], (x, window, options) => maxPool(x, window, options)),
  AveragePool: ofWindows(
    ["count_include_pad"],
    (x, window, options, node) =>
      averagePool(x, window, { ...options, countPadding: flag(node, "count_include_pad", false) }),
  ),
  GlobalAveragePool: overSpace(mean),
  GlobalMaxPool: overSpace(max),
};
