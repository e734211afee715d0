/**
 * Quantization, and products of quantized values. They compute with whole numbers as floats (../quantized.ts): what they
 * give is what integer arithmetic gives, and derivatives pass.
 */
import {
  add,
  cast,
  clip,
  div,
  equal,
  maximum,
  minimum,
  mul,
  neg,
  select,
  sigmoid,
  stopGradient,
  sub,
} from "../../../../src/operations/elementwise.ts";
import { resolveActivation } from "../../../../src/operations/activations.ts";
import { leakyReluOf } from "../activations.ts";
import { max, min } from "../../../../src/operations/reduction.ts";
import { sliceAxis } from "../../../../src/operations/structure.ts";
import { printSpec, type Tensor } from "../../../../src/tensor/tensor.ts";
import { attribute, axisOf, type Node } from "../node.ts";
import { type Call, given, type Inputs, type Operator, type Operators } from "../operator.ts";
import { type Blocks, dequantized, quantized, type Range, rangeOf, spread, zeroOf } from "../quantized.ts";
import { floatsOf, type OnnxValue, valueOf, wholeFloatsOf, wholeValue } from "../values.ts";
import { product } from "./matrix.ts";
import { roundToEven } from "./rounding.ts";

/** The axis and the size of blocks of a node. */
function blocksOf(node: Node, rank: number): Blocks {
  const size = attribute(node, "block_size", "int") ?? 0;
  if (!(Number.isInteger(size) && size >= 0)) {
    throw new RangeError(`its block_size is ${size}, expected 0 or more`);
  }
  const axis = attribute(node, "axis", "int") ?? 1;
  // Without axes there is one scale, and the default axis names none.
  return { axis: axis >= rank && size === 0 ? axis : axisOf(axis, rank), size };
}

/** The range of what a node quantizes to: the type of its zero point, or what it says. */
export function outputRange(node: Node, call: Call): Range {
  return rangeOf(call.elementTypeOf(node.outputs[0]));
}

function quantize(node: Node, inputs: Inputs, call: Call): OnnxValue {
  const x = numbersOf(given(inputs, 0));
  const blocks = blocksOf(node, x.shape.length);
  const scale = spread(cast(floatsOf(given(inputs, 1)), x.dtype), x, blocks, "scale");
  const zero = zeroOf(inputs[2]);
  return quantized(x, scale, zero ? spread(zero, x, blocks, "zero point") : 0, outputRange(node, call));
}

/** Floats, or int32 as such. */
function numbersOf(value: OnnxValue): Tensor {
  return value.kind === "sizes" || value.integers || value.base.dtype === "int32"
    ? wholeFloatsOf(value)
    : floatsOf(value);
}

function dequantize(node: Node, inputs: Inputs): OnnxValue {
  const q = wholeFloatsOf(given(inputs, 0));
  const blocks = blocksOf(node, q.shape.length);
  const scale = floatsOf(given(inputs, 1));
  const zero = zeroOf(inputs[2]);
  const wide = (part: Tensor, what: string) => spread(cast(part, scale.dtype), q, blocks, what);
  return valueOf(
    dequantized(cast(q, scale.dtype), wide(scale, "scale"), zero && wide(zero, "zero point")),
  );
}

/** Quantizes to uint8, by a scale and a zero point that the values themselves determine. */
function quantizeDynamically(inputs: Inputs): OnnxValue[] {
  const x = floatsOf(given(inputs, 0));
  const range = rangeOf("uint8");
  const values = stopGradient(x);
  const [low, high] = [minimum(min(values), 0), maximum(max(values), 0)];
  const step = div(sub(high, low), range.max - range.min);
  const scale = select(equal(step, 0), 1, step); // of zeros, as in onnxruntime
  const zero = clip(roundToEven(neg(div(low, scale))), range);
  return [quantized(x, scale, zero, range), valueOf(scale), wholeValue(zero)];
}

/** The operand of a product of whole numbers, less its zero point: one number, or one for each row or column. */
function operand(value: OnnxValue, zero: OnnxValue | undefined, along: "row" | "column"): Tensor {
  const q = wholeFloatsOf(value);
  return zero ? sub(q, ofRows(wholeFloatsOf(zero), q, along, "zero point")) : q;
}

/** A scale or zero point that may be one for each row of a left operand or each column of a right one. */
function ofRows(part: Tensor, x: Tensor, along: "row" | "column", what: string): Tensor {
  const rank = x.shape.length;
  const axis = along === "row" ? rank - 2 : rank - 1;
  if (part.shape.length <= 1) return spread(part, x, { axis: Math.max(axis, 0), size: 0 }, what);
  const fits = part.shape.length === rank &&
    part.shape.every((dim, other) =>
      other === rank - (along === "row" ? 1 : 2) ? dim === 1 : dim === x.shape[other]
    );
  if (fits) return part;
  throw new TypeError(
    `its ${what} is ${printSpec(part)} for ${printSpec(x)}, expected one for each ${along}`,
  );
}

/** So many products of two bytes, less their zero points, have a sum that float32 holds: 2^24. */
const MOST_TERMS = 256;

/** From so many on, int32 may not hold it either. */
const TOO_MANY_TERMS = 2 ** 15;

/** A product of whole numbers; its int32 is exact if int32 holds it. */
function integerProduct(a: Tensor, b: Tensor): OnnxValue {
  const whole = product(a, b);
  const terms = a.shape[a.shape.length - 1];
  if (typeof terms !== "number" || terms <= MOST_TERMS || terms > TOO_MANY_TERMS) return wholeValue(whole);
  const rows = Math.max(b.shape.length - 2, 0);
  return wholeValue(whole, () =>
    Array.from({ length: Math.ceil(terms / MOST_TERMS) }, (_, index) => {
      const start = index * MOST_TERMS, size = Math.min(MOST_TERMS, terms - start);
      const part = product(sliceAxis(a, a.shape.length - 1, start, size), sliceAxis(b, rows, start, size));
      return cast(part, "int32");
    }).reduce((sum, part) => add(sum, part)));
}

/** A product of quantized matrices, quantized again. */
function quantizedProduct(node: Node, inputs: Inputs, call: Call): OnnxValue {
  const [a, aScale, aZero, b, bScale, bZero] = [0, 1, 2, 3, 4, 5].map((index) => given(inputs, index));
  const [left, right] = [operand(a, aZero, "row"), operand(b, bZero, "column")];
  const exact = product(
    mul(left, ofRows(floatsOf(aScale), left, "row", "scale")),
    mul(right, ofRows(floatsOf(bScale), right, "column", "scale")),
  );
  return requantized(exact, inputs, 6, node, call);
}

/** A function of one quantized tensor: input, scale, zero point, and those of the output. */
function quantizedUnary(
  compute: (x: Tensor, node: Node) => Tensor,
  attributes: readonly string[] = [],
): Operator {
  return {
    attributes,
    inputs: [5, 5],
    compute: (node, inputs, call) => {
      const result = compute(floatsAt(inputs, 0), node);
      return [requantized(result, inputs, 3, node, call)];
    },
  };
}

/** The same of two: each with scale and zero point, then those of the output. */
function quantizedBinary(compute: (a: Tensor, b: Tensor) => Tensor): Operator {
  return {
    attributes: [],
    inputs: [8, 8],
    compute: (node, inputs, call) => {
      const result = compute(floatsAt(inputs, 0), floatsAt(inputs, 3));
      return [requantized(result, inputs, 6, node, call)];
    },
  };
}

/** The floats of the quantized input at `index`, whose scale and zero point follow it; there is one of each. */
function floatsAt(inputs: Inputs, index: number): Tensor {
  const q = wholeFloatsOf(given(inputs, index));
  const one = (part: Tensor, what: string) => spread(part, q, { axis: q.shape.length, size: 0 }, what);
  const zero = zeroOf(inputs[index + 2]);
  return dequantized(q, one(floatsOf(given(inputs, index + 1)), "scale"), zero && one(zero, "zero point"));
}

/** Floats quantized by the scale at `index` and the zero point behind it. */
function requantized(x: Tensor, inputs: Inputs, index: number, node: Node, call: Call): OnnxValue {
  const one = (part: Tensor, what: string) => spread(part, x, { axis: x.shape.length, size: 0 }, what);
  const zero = zeroOf(inputs[index + 1]);
  const scale = one(floatsOf(given(inputs, index)), "scale");
  return quantized(x, scale, zero ? one(zero, "zero point") : 0, outputRange(node, call));
}

const quantizeLinear = {
  attributes: ["axis", "block_size", "output_dtype", "precision", "saturate"],
  inputs: [2, 3],
  compute: (node: Node, inputs: Inputs, call: Call) => [quantize(node, inputs, call)],
} as const;

const dequantizeLinear = {
  attributes: ["axis", "block_size", "output_dtype"],
  inputs: [2, 3],
  compute: (node: Node, inputs: Inputs) => [dequantize(node, inputs)],
} as const;

/** The operators of this file. */
export const quantizationOperators: Operators = {
  QuantizeLinear: quantizeLinear,
  DequantizeLinear: dequantizeLinear,
  "com.microsoft.QuantizeLinear": quantizeLinear,
  "com.microsoft.DequantizeLinear": dequantizeLinear,
  DynamicQuantizeLinear: {
    attributes: [],
    inputs: [1, 1],
    outputs: 3,
    compute: (_, inputs) => quantizeDynamically(inputs),
  },
  MatMulInteger: {
    attributes: [],
    inputs: [2, 4],
    compute: (_, inputs) => [
      integerProduct(
        operand(given(inputs, 0), inputs[2], "row"),
        operand(given(inputs, 1), inputs[3], "column"),
      ),
    ],
  },
  "com.microsoft.QLinearAdd": quantizedBinary(add),
  "com.microsoft.QLinearMul": quantizedBinary(mul),
  "com.microsoft.QLinearSigmoid": quantizedUnary(sigmoid),
  "com.microsoft.QLinearLeakyRelu": quantizedUnary(
    (x, node) => resolveActivation(leakyReluOf(attribute(node, "alpha", "float") ?? 0.01))(x),
    ["alpha"],
  ),
  QLinearMatMul: {
    attributes: [],
    inputs: [8, 8],
    compute: (node, inputs, call) => [quantizedProduct(node, inputs, call)],
  },
};
