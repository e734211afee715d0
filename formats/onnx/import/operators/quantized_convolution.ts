/** Convolutions of whole numbers: those of the floats that stand for them. */
import { cast, mul, sub } from "../../../../src/operations/elementwise.ts";
import { reshape } from "../../../../src/operations/structure.ts";
import { printSpec, type Tensor } from "../../../../src/tensor/tensor.ts";
import type { Node } from "../node.ts";
import { type Call, given, type Inputs, type Operators } from "../operator.ts";
import { type Blocks, dequantized, quantized, spread, zeroOf } from "../quantized.ts";
import { floatsOf, type OnnxValue, tensorOf, type TensorValue, valueOf, wholeFloatsOf } from "../values.ts";
import { convolved } from "./convolution.ts";
import { outputRange } from "./quantization.ts";
import { windowAttributes } from "./windows.ts";

/** One number for the input; for the kernel, whose first axis are the channels of the output, one for each of them. */
const OF_INPUT: Blocks = { axis: Infinity, size: 0 };
const OF_KERNEL: Blocks = { axis: 0, size: 0 };

/** An operand less its zero point, so that the zeros of a padding are those of the floats. */
function operand(value: OnnxValue, zero: OnnxValue | undefined, blocks: Blocks): Tensor {
  const q = wholeFloatsOf(value);
  const offset = zeroOf(zero);
  return offset ? sub(q, spread(offset, q, blocks, "zero point")) : q;
}

/** The sums of products of whole numbers, as floats; int32 is exact while float32 is, which holds below 2^24. */
function integerConvolved(node: Node, inputs: Inputs): OnnxValue {
  const x = operand(given(inputs, 0), inputs[2], OF_INPUT);
  const kernel = operand(given(inputs, 1), inputs[3], OF_KERNEL);
  const sums = convolved(node, [valueOf(x), valueOf(kernel)]) as TensorValue; // as it makes no sizes
  return { ...sums, integers: () => cast(sums.base, "int32") };
}

/** A convolution of quantized tensors, quantized again; the bias has the product of both scales. */
function quantizedConvolved(node: Node, inputs: Inputs, call: Call): OnnxValue {
  const [x, xScale, xZero, kernel, kernelScale, kernelZero, scale, zero] = [0, 1, 2, 3, 4, 5, 6, 7].map((
    index,
  ) => given(inputs, index));
  const [input, weights] = [wholeFloatsOf(x), wholeFloatsOf(kernel)];
  const inputScale = spread(floatsOf(xScale), input, OF_INPUT, "scale");
  const weightScale = spread(floatsOf(kernelScale), weights, OF_KERNEL, "scale");
  const floats = [
    dequantized(input, inputScale, spread(wholeFloatsOf(xZero), input, OF_INPUT, "zero point")),
    dequantized(weights, weightScale, spread(wholeFloatsOf(kernelZero), weights, OF_KERNEL, "zero point")),
  ];
  const bias = inputs[8] && biasOf(wholeFloatsOf(inputs[8]), mul(inputScale, weightScale));
  const exact = tensorOf(convolved(node, [...floats.map(valueOf), ...bias ? [valueOf(bias)] : []]));
  return quantized(
    exact,
    spread(floatsOf(scale), exact, OF_INPUT, "scale"),
    spread(wholeFloatsOf(zero), exact, OF_INPUT, "zero point"),
    outputRange(node, call),
  );
}

/** The floats of a bias, one for each channel of the output, as a scale that broadcasts against the kernel has them. */
function biasOf(whole: Tensor, scale: Tensor): Tensor {
  if (whole.shape.length !== 1) throw new TypeError(`its bias is ${printSpec(whole)}, expected one axis`);
  return mul(whole, scale.shape.length === 0 ? scale : reshape(scale, [scale.shape[0]]));
}

/** The operators of this file. */
export const quantizedConvolutionOperators: Operators = {
  ConvInteger: {
    attributes: [...windowAttributes, "group"],
    inputs: [2, 4],
    compute: (node, inputs) => [integerConvolved(node, inputs)],
  },
  QLinearConv: {
    attributes: [...windowAttributes, "group"],
    inputs: [8, 9],
    compute: (node, inputs, call) => [quantizedConvolved(node, inputs, call)],
  },
};
