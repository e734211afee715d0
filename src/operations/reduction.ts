/** Reductions beyond the plain sum, and what is built from them: mean, softmax and related functions. */
import { checkOptions } from "../option_names.ts";
import { requireElements } from "../program/empty.ts";
import type { Operation } from "../program/types.ts";
import { checkDim, type Dim, sizeOfShape } from "../tensor/dims.ts";
import { checkTensor, type DType, type Tensor, tensor } from "../tensor/tensor.ts";
import { applyOne } from "./apply.ts";
import {
  add,
  clip,
  div,
  equal,
  exp,
  log,
  neg,
  select,
  sqrt,
  square,
  stopGradient,
  sub,
} from "./elementwise.ts";
import { requireNumber } from "./infer.ts";
import { withLogits } from "./logits.ts";
import { keepReduced, sum } from "./structure.ts";
import { reduceOptionNames, type ReduceOptions, resolveAxes, resolveAxis } from "./axes.ts";

export const maxOperation: Operation<"max"> = {
  name: "max",
  infer: ([x], { axes }) => {
    requireNumber("max", [x]);
    return [{ shape: x.shape.filter((_, axis) => !axes.includes(axis)), dtype: x.dtype }];
  },
};

export const argmaxOperation: Operation<"argmax"> = {
  name: "argmax",
  infer: ([x], { axis }) => {
    requireNumber("argmax", [x]);
    requireElements(x.shape, axis);
    return [{ shape: x.shape.filter((_, other) => other !== axis), dtype: "int32" }];
  },
};

export const sizeOperation: Operation<"size"> = {
  name: "size",
  isCheap: true,
  infer: (_, { dtype }) => [{ shape: [], dtype }],
};

/** A size as a scalar tensor, even if it is known only at run time. */
export function sizeAsTensor(dim: Dim, dtype: DType = "float32"): Tensor {
  checkDim("make a tensor of a size", dim);
  return typeof dim === "number" ? tensor(dim, { dtype }) : applyOne(sizeOperation, [], { dim, dtype });
}

/** The axis that a function of vectors works along. */
export interface AxisOptions {
  /** Default: the last. */
  readonly axis?: number;
}

/** The largest over `axes` (default all); equal largest elements share the derivative. */
export function max(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkTensor("max", x);
  checkOptions("max", options, reduceOptionNames);
  const axes = resolveAxes(options.axes, x.shape.length, "max");
  const reduced = axes.length === 0 ? x : applyOne(maxOperation, [x], { axes });
  return keepReduced(reduced, x, axes, options.keepDims);
}

/** The smallest over `axes` (default all). */
export function min(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkTensor("min", x);
  return neg(max(neg(x), options));
}

/**
 * The int32 index of the first largest element along an axis (default: the last); of the first NaN, if there
 * is one.
 *
 * @throws RangeError if the axis is empty; at run time if its size is known only then.
 */
export function argmax(x: Tensor, options: AxisOptions = {}): Tensor {
  checkTensor("argmax", x);
  checkOptions("argmax", options, ["axis"]);
  return applyOne(argmaxOperation, [x], { axis: resolveAxis(options.axis ?? -1, x.shape.length, "argmax") });
}

/** The mean over `axes` (default all). */
export function mean(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkTensor("mean", x);
  checkOptions("mean", options, reduceOptionNames);
  const axes = resolveAxes(options.axes, x.shape.length, "mean");
  const count = sizeOfShape(axes.map((axis) => x.shape[axis]));
  return div(sum(x, options), sizeAsTensor(count, x.dtype));
}

/** The population variance over `axes` (default all). */
export function variance(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkTensor("variance", x);
  return mean(square(sub(x, mean(x, { ...options, keepDims: true }))), options);
}

/** The population standard deviation over `axes` (default all). */
export function stddev(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkTensor("stddev", x);
  return sqrt(variance(x, options));
}

/** The largest float32. */
export const LARGEST = 3.4028234663852886e38;

/**
 * `log(sum(exp(x)))` along an axis (default: the last), without overflow; -∞ if all elements are -∞, with a
 * derivative of 0.
 */
export function logSumExp(
  x: Tensor,
  options: { readonly axis?: number; readonly keepDims?: boolean } = {},
): Tensor {
  checkTensor("logSumExp", x);
  checkOptions("logSumExp", options, ["axis", "keepDims"]);
  const axes = resolveAxis(options.axis ?? -1, x.shape.length, "logSumExp");
  // Kept finite, so that infinities stay infinities instead of becoming NaN.
  const largest = clip(stopGradient(max(x, { axes, keepDims: true })), { min: -LARGEST, max: LARGEST });
  const total = sum(exp(sub(x, largest)), { axes, keepDims: true });
  // For -∞ alone: the logarithm of 0 would have a derivative of 0 · ∞.
  const isNothing = equal(total, 0);
  const shifted = select(isNothing, -Infinity, log(select(isNothing, 1, total)));
  const result = add(shifted, largest);
  return options.keepDims ? result : sum(result, { axes });
}

/**
 * `exp(x) / sum(exp(x))` along an axis (default: the last). It remembers `x`, so that a crossentropy computes
 * with the logits if the class axis is the last of its prediction.
 */
export function softmax(x: Tensor, options: AxisOptions = {}): Tensor {
  checkTensor("softmax", x);
  checkOptions("softmax", options, ["axis"]);
  const axes = resolveAxis(options.axis ?? -1, x.shape.length, "softmax");
  const powers = exp(sub(x, stopGradient(max(x, { axes, keepDims: true }))));
  return withLogits(div(powers, sum(powers, { axes, keepDims: true })), x, "softmax", axes);
}

/**
 * Logits minus their maximum along an axis, and the logarithm of the sum of their exponentials (the axis kept):
 * apart, as added to a large maximum the logarithm would lose its digits.
 */
export function shiftedLogits(
  logits: Tensor,
  axes: number,
): { readonly shifted: Tensor; readonly logSum: Tensor } {
  const shifted = sub(logits, stopGradient(max(logits, { axes, keepDims: true })));
  return { shifted, logSum: log(sum(exp(shifted), { axes, keepDims: true })) };
}

/** `log(softmax(x))` along an axis (default: the last), without overflow and exact for large `x`. */
export function logSoftmax(x: Tensor, options: AxisOptions = {}): Tensor {
  checkTensor("logSoftmax", x);
  checkOptions("logSoftmax", options, ["axis"]);
  const { shifted, logSum } = shiftedLogits(x, resolveAxis(options.axis ?? -1, x.shape.length, "logSoftmax"));
  return sub(shifted, logSum);
}
