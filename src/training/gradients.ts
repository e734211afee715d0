/**
 * Gradients of any size: shortened to a norm, or limited so that an optimizer may square them. A finite gradient whose
 * square overflows, or vanishes, is treated as one of ordinary size; one that is NaN or infinite stays visible.
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
  /** The largest size of each element of a gradient; default none. */
  readonly clipvalue?: number | null;
}

const LARGEST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

/**
 * Gradients no longer than `most`, together.
 *
 * The norm is that of the gradients over their largest element, so that no square overflows or vanishes: of gradients
 * of 1e20, whose squares no float32 holds, the shortened ones have the right length. Where one is NaN or infinite there
 * is no direction: all become NaN, which the next loss shows.
 */
function shorten(gradients: readonly Tensor[], most: number): Tensor[] {
  if (gradients.length === 0) return [];
  const largest = gradients.map((gradient) => max(abs(gradient))).reduce((a, b) => maximum(a, b));
  const scale = select(greater(largest, 0), largest, 1); // 0 and -∞: there is nothing to shorten
  const scaled = gradients.map((gradient) => div(gradient, scale));
  const relative = sqrt(scaled.map((gradient) => sum(square(gradient))).reduce((a, b) => add(a, b)));
  // How long the scaled ones are to be. Not a maximum, as NaN has to stay.
  const length = div(most, select(lessEqual(relative, 1), 1, relative));
  const fits = lessEqual(scale, length);
  return gradients.map((gradient, index) => select(fits, gradient, mul(scaled[index], length)));
}

/** The gradients, clipped as asked for. */
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
 * A gradient whose square is finite where the gradient is: limited to the root of the largest number. What divides by
 * the root of a mean of squares takes the same step at any such size, while with an infinite square it would never
 * take one again, in silence. Infinite and NaN stay as they are, and are seen in the weights.
 */
export function squarable(gradient: Tensor): Tensor {
  const largest = gradient.dtype === "float64" ? Number.MAX_VALUE : LARGEST_FLOAT32;
  const limit = Math.sqrt(largest) * (1 - 2 ** -20);
  return select(lessEqual(abs(gradient), largest), clip(gradient, { min: -limit, max: limit }), gradient);
}
