/**
 * Quantization: whole numbers that stand for floats, `x = (q - zeroPoint) · scale` (the documentation of ONNX's
 * QuantizeLinear). What is quantized is kept as floats, through which derivatives pass as if nothing had been rounded (the
 * straight-through estimator: Bengio et al., "Estimating or propagating gradients through stochastic neurons", 2013).
 */
import { add, clip, div, mul, stopGradient, sub } from "../../../src/operations/elementwise.ts";
import { broadcastTo, expandDims, reshape, sliceAxis } from "../../../src/operations/structure.ts";
import { fixedDim, printShape } from "../../../src/tensor/dims.ts";
import { printSpec, type Tensor } from "../../../src/tensor/tensor.ts";
import type { ElementType } from "../tensors.ts";
import { roundToEven } from "./operators/rounding.ts";
import { type OnnxValue, type TensorValue, wholeFloatsOf, wholeValue } from "./values.ts";

/** The range of a type that floats are quantized to. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

const RANGES: { readonly [Type in ElementType]?: Range } = {
  int8: { min: -128, max: 127 },
  uint8: { min: 0, max: 255 },
  int16: { min: -32768, max: 32767 },
  uint16: { min: 0, max: 65535 },
};

/** The range of an element type; throws if nothing is quantized to it. */
export function rangeOf(type: ElementType | undefined): Range {
  const range = type && RANGES[type];
  if (range) return range;
  throw new TypeError(
    `it quantizes to ${type ?? "a type that is not known"}, expected ${Object.keys(RANGES).join(", ")}`,
  );
}

/** Where the scales and zero points of a tensor lie, if there are several. */
export interface Blocks {
  readonly axis: number;
  /** Elements along the axis that share a scale, where scales have the rank of the tensor; 0 if they do not. */
  readonly size: number;
}

/**
 * A scale or a zero point broadcast against the tensor that it belongs to.
 *
 * @throws TypeError for a shape that is neither one number, nor one for each index along the axis, nor one for each block.
 */
export function spread(part: Tensor, x: Tensor, { axis, size }: Blocks, what: string): Tensor {
  const { shape } = part;
  const rank = x.shape.length;
  if (size > 0 && shape.length === rank) {
    const length = fixedDim(x.shape[axis], "An axis that is quantized in blocks");
    const fits = shape.every((dim, other) =>
      dim === (other === axis ? Math.ceil(length / size) : x.shape[other])
    );
    if (fits) {
      const repeated = shape.flatMap((dim, other) => other === axis ? [dim, size] : [dim]);
      const long = shape.map((dim, other) => other === axis ? Number(dim) * size : dim);
      return sliceAxis(reshape(broadcastTo(expandDims(part, axis + 1), repeated), long), axis, 0, length);
    }
  } else if (size === 0) {
    if (shape.length === 0 || (shape.length === 1 && shape[0] === 1)) return reshape(part, []);
    if (shape.length === 1 && axis < rank && shape[0] === x.shape[axis]) {
      return reshape(part, x.shape.map((dim, other) => other === axis ? dim : 1));
    }
  }
  throw new TypeError(
    `its ${what} is ${printSpec(part)}, expected one number` +
      (size > 0
        ? `, or as many axes as ${printShape(x.shape)} with one for ${size} elements of axis ${axis}`
        : axis < rank
        ? `, or ${x.shape[axis]} of them, one for each index of axis ${axis} of ${printShape(x.shape)}`
        : ""),
  );
}

/** Floats as whole numbers of a range. `scale` and `zero` broadcast against `x`. */
export function quantized(x: Tensor, scale: Tensor, zero: Tensor | number, { min, max }: Range): TensorValue {
  const exact = div(x, scale);
  const whole = clipped(add(roundToEven(stopGradient(exact)), zero), min, max);
  // No derivative beyond the range. Within it, the difference is exact and so is its sum, which is whole.
  const inside = clipped(add(exact, zero), min, max);
  return wholeValue(add(inside, stopGradient(sub(whole, inside))));
}

function clipped(x: Tensor, min: number, max: number): Tensor {
  return clip(x, { min, max });
}

/** The floats that whole numbers stand for. */
export function dequantized(q: Tensor, scale: Tensor, zero: Tensor | number | undefined): Tensor {
  return mul(zero === undefined ? q : sub(q, zero), scale);
}

/** A zero point as floats; undefined if there is none. */
export function zeroOf(value: OnnxValue | undefined): Tensor | undefined {
  return value && wholeFloatsOf(value);
}
