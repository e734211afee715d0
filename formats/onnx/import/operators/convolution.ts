/** ONNX's Conv and ConvTranspose, as convolutions with channels last. */
import { add } from "../../../../src/operations/elementwise.ts";
import { convolve, convolveTransposed } from "../../../../src/operations/convolution.ts";
import { transpose } from "../../../../src/operations/structure.ts";
import type { Dim } from "../../../../src/tensor/dims.ts";
import { fixedSize, printSpec, type Tensor } from "../../../../src/tensor/tensor.ts";
import { attribute, type Node } from "../node.ts";
import { given, type Inputs, type Operator, type Operators } from "../operator.ts";
import { floatsOf, type OnnxValue } from "../values.ts";
import {
  channelsFirst,
  channelsLast,
  checkKernelShape,
  type NodeWindow,
  paddingOf,
  perAxis,
  windowAttributes,
  windowOf,
} from "./windows.ts";

/** The operands of a node: `x` with channels last, and its weights as they are. */
interface Operands {
  readonly x: Tensor;
  readonly weights: Tensor;
  readonly space: readonly Dim[];
  readonly kernel: readonly number[];
  readonly window: NodeWindow;
  readonly groups: number;
}

function operandsOf(node: Node, inputs: Inputs): Operands {
  floatsOf(given(inputs, 0));
  const x = channelsLast(given(inputs, 0)), weights = floatsOf(given(inputs, 1));
  const axes = x.shape.length - 2;
  if (weights.shape.length !== axes + 2) {
    throw new TypeError(`its kernel is ${printSpec(weights)}, expected ${axes + 2} axes, as its input has`);
  }
  const kernel = weights.shape.slice(2).map((_, axis) => fixedSize(weights, axis + 2));
  checkKernelShape(node, kernel);
  const groups = attribute(node, "group", "int") ?? 1;
  return { x, weights, space: x.shape.slice(1, -1), kernel, window: windowOf(node, axes), groups };
}

/** The result with its bias, if there is one. */
function withBias(y: Tensor, inputs: Inputs): OnnxValue {
  const bias = inputs[2] && floatsOf(inputs[2]);
  const channels = y.shape[y.shape.length - 1];
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== channels)) {
    throw new TypeError(`its bias is ${printSpec(bias)}, expected a number for each of ${channels} channels`);
  }
  return channelsFirst(bias ? add(y, bias) : y);
}

/** A Conv node: `[batch, channels, ...space]` with its kernel `[out, in / groups, ...window]`, and a bias. */
export function convolved(node: Node, inputs: Inputs): OnnxValue {
  const { x, weights, space, kernel, window, groups } = operandsOf(node, inputs);
  // [out, in / groups, ...window]
  const turned = transpose(weights, { permutation: [...kernel.map((_, axis) => axis + 2), 1, 0] });
  const { strides, dilation } = window;
  const y = convolve(x, turned, { strides, dilation, groups, padding: paddingOf(window, space, kernel) });
  return withBias(y, inputs);
}

function convolvedTransposed(node: Node, inputs: Inputs): OnnxValue {
  const { x, weights, space, kernel, window, groups } = operandsOf(node, inputs);
  const { strides, dilation, same, pads } = window;
  const axes = kernel.length;
  const more = perAxis(node, "output_padding", axes) ?? kernel.map(() => 0);
  const stated = outputShape(node, axes);
  const cut = kernel.map((size, axis): readonly [number, number] => {
    const rest = (size - 1) * dilation[axis] + 1 - strides[axis]; // beyond `size · stride`
    if (!same && !stated) return [pads.low[axis], pads.high[axis] - more[axis]];
    const input = space[axis];
    if (stated && typeof input !== "number") {
      throw new RangeError(`its output_shape needs a fixed size of axis ${axis + 2}, not ${input}`);
    }
    const total = stated
      ? Number(input) * strides[axis] + rest + more[axis] - stated[axis] // a number, as just checked
      : Math.max(rest + more[axis], 0);
    const [less, other] = [Math.floor(total / 2), total - Math.floor(total / 2)];
    const [low, high] = same === "upper" ? [less, other] : [other, less];
    return [low, high - more[axis]];
  });
  // [in, out / groups, ...window]
  const turned = transpose(weights, { permutation: [...kernel.map((_, axis) => axis + 2), 1, 0] });
  const padding = { low: cut.map(([low]) => low), high: cut.map(([, high]) => high) };
  return withBias(convolveTransposed(x, turned, { strides, dilation, groups, padding }), inputs);
}

/** The spatial sizes of `output_shape`, which older files give with batch and channels. */
function outputShape(node: Node, axes: number): readonly number[] | undefined {
  const sizes = attribute(node, "output_shape", "ints");
  return sizes === undefined || sizes.length === 0
    ? undefined
    : sizes.length === axes + 2
    ? sizes.slice(2)
    : perAxis(node, "output_shape", axes);
}

const operator = (
  attributes: readonly string[],
  compute: (node: Node, inputs: Inputs) => OnnxValue,
): Operator => ({
  attributes: [...windowAttributes, "group", ...attributes],
  inputs: [2, 3],
  compute: (node, inputs) => [compute(node, inputs)],
});

/** The operators of this file. */
export const convolutionOperators: Operators = {
  Conv: operator([], convolved),
  ConvTranspose: operator(["output_padding", "output_shape"], convolvedTransposed),
};
