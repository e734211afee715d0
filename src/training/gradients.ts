/**
 * Gradients of any magnitude: clipped to a norm, or limited so that an optimizer can square them. A finite
 * gradient whose square overflows or underflows is treated like one of ordinary size; NaN and infinity stay
 * visible.
 */
import {
  abs,
  add,
  clip,
  div,
  greater,
  lessEqual,
  maximum,
  mul,
  select,
  sqrt,
  square,
} from "../operations/elementwise.ts";
import { max } from "../operations/reduction.ts";
import { sum } from "../operations/structure.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** The three ways of clipping gradients, of which at most one may be given. */
export interface ClippingOptions {
  /** The largest norm of the gradient of each parameter; default none. */
  readonly clipnorm?: number | null;
  /** The largest norm of all gradients together; default none. */
  readonly globalClipnorm?: number | null;
  /** The largest magnitude of each element of a gradient; default none. */
  readonly clipvalue?: number | null;
}

const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

/**
 * Scales gradients so that their joint norm is at most `most`.
 *
 * The norm is computed from the gradients divided by their largest element, so that no square overflows or
 * underflows: even gradients of 1e20, whose squares exceed float32, are clipped to the right length. If one
 * is NaN or infinite there is no direction: all become NaN, which the next loss shows.
 */
function shorten(gradients: readonly Tensor[], most: number): Tensor[] {
  if (gradients.length === 0) return [];
  const largest = gradients.map((gradient) => max(abs(gradient))).reduce((a, b) => maximum(a, b));
  const scale = select(greater(largest, 0), largest, 1); // 0 and -∞: nothing needs clipping
  const scaled = gradients.map((gradient) => div(gradient, scale));
  const relative = sqrt(scaled.map((gradient) => sum(square(gradient))).reduce((a, b) => add(a, b)));
  // The target norm of the scaled gradients. Not a maximum, as NaN must remain.
  const length = div(most, select(lessEqual(relative, 1), 1, relative));
  const fits = lessEqual(scale, length);
  return gradients.map((gradient, index) => select(fits, gradient, mul(scaled[index], length)));
}

/** The gradients, clipped as requested. */
export function clipGradients(gradients: readonly Tensor[], options: ClippingOptions): readonly Tensor[] {
  const { clipnorm, globalClipnorm, clipvalue } = options;
  if (typeof clipnorm === "number") return gradients.flatMap((gradient) => shorten([gradient], clipnorm));
  if (typeof globalClipnorm === "number") return shorten(gradients, globalClipnorm);
  if (typeof clipvalue === "number") {
    return gradients.map((gradient) => clip(gradient, { min: -clipvalue, max: clipvalue }));
  }
  return gradients;
}

/**
 * A gradient whose square is finite if the gradient is: limited to the square root of the largest number. An
 * optimizer that divides by the root of a mean of squares takes the same step at any such magnitude, while
 * after an infinite square it would silently never take a step again. Infinity and NaN are kept, and show in
 * the weights.
 */
export function squarable(gradient: Tensor): Tensor {
  const largest = gradient.dtype === "float64" ? Number.MAX_VALUE : LARGEST_FLOAT32;
  const limit = Math.sqrt(largest) * (1 - 2 ** -20);
  return select(lessEqual(abs(gradient), largest), clip(gradient, { min: -limit, max: limit }), gradient);
}
