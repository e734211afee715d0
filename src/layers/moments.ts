/** Mean and variance of the elements that count, for the layers that normalize. */
import { cast, div, maximum, select, square, sub } from "../operations/elementwise.ts";
import { mean as meanOf } from "../operations/reduction.ts";
import { broadcastTo, sum } from "../operations/structure.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { widenedMask } from "./sequence.ts";

/** Moments of a tensor; reduced axes stay with size 1. */
export interface Moments {
  readonly mean: Tensor;
  /** The input without its mean. */
  readonly centered: Tensor;
  /** Of the population: divided by the number of elements. */
  readonly variance: Tensor;
  /** How many elements count; undefined if all do. */
  readonly count: Tensor | undefined;
}

/**
 * Mean and variance over `axes` of the elements that count; 0 if none does.
 *
 * @param mask bool, of the leading axes of `x`. Values where it is false, even NaN, affect neither the result
 *   nor the derivative.
 */
export function moments(x: Tensor, axes: readonly number[], mask?: Tensor): Moments {
  const isReduced = (_: unknown, axis: number) => axes.includes(axis);
  if (mask === undefined || !mask.shape.some(isReduced)) {
    const mean = meanOf(x, { axes, keepDims: true });
    const centered = sub(x, mean);
    return { mean, centered, variance: meanOf(square(centered), { axes, keepDims: true }), count: undefined };
  }
  const counted = broadcastTo(
    widenedMask(mask, x),
    x.shape.map((dim, axis) => axes.includes(axis) || axis < mask.shape.length ? dim : 1),
  );
  const count = sum(cast(counted, x.dtype), { axes, keepDims: true });
  const ofCounted = (y: Tensor) =>
    div(sum(select(counted, y, 0), { axes, keepDims: true }), maximum(count, 1));
  const mean = ofCounted(x);
  const centered = sub(x, mean);
  return { mean, centered, variance: ofCounted(square(select(counted, centered, 0))), count };
}
