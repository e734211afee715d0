/** Convolution and its adjoint over any number of spatial axes, with channels last. */
import { checkCount } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { addDims, checkShape, multiplyDims, printShape, type Shape } from "../tensor/dims.ts";
import { checkTensor, fixedSize, printSpec, type Tensor } from "../tensor/tensor.ts";
import { type AdjointAxis, adjointPadded, convolvePadded } from "./window_products.ts";
import {
  checkPerAxis,
  checkWindow,
  type MovingWindowOptions,
  padFor,
  planWindows,
  spanOf,
  windowOptionNames,
} from "./windows.ts";

/** How a window moves over its input, and what it is multiplied with. */
export interface ConvolutionOptions extends MovingWindowOptions {
  /**
   * Into how many groups the channels are divided: those of the output see only those of their own group of the
   * input; default 1.
   */
  readonly groups?: number;
}

/** The options of {@linkcode convolveTransposed}. */
export interface TransposedConvolutionOptions
  extends Pick<ConvolutionOptions, "strides" | "dilation" | "groups"> {
  /**
   * What is cut off the full result, of `(size - 1) · stride + span` elements along an axis. `valid` (default): nothing,
   * with zeros up to `size · stride` if the window is shorter than its stride. `same`: all but `size · stride`. Or the
   * amounts themselves; negative ones add zeros.
   */
  readonly padding?: MovingWindowOptions["padding"];
}

/**
 * The spatial sizes of the result of {@linkcode convolve}, from those of the input and of the window.
 *
 * @throws RangeError if the window is larger than the input.
 */
export function convolvedSizes(
  spatial: Shape,
  window: readonly number[],
  options: MovingWindowOptions = {},
): Shape {
  checkOptions("convolvedSizes", options, windowOptionNames);
  checkShape("convolve", spatial, "the spatial sizes");
  checkPerAxis("convolve", window, "the window", spatial.length);
  checkWindow("convolve", spatial.length, options);
  return planWindows("convolve", spatial, window, options).map(({ size }) => size);
}

/** The window of a kernel, after a check that both operands fit. */
function windowOf(what: string, x: Tensor, kernel: Tensor, groups: number, isTransposed: boolean): number[] {
  checkTensor(what, x);
  checkTensor(what, kernel, "kernel");
  checkCount(what, groups, "groups");
  const rank = x.shape.length;
  const [channels, inner, outer] = [x.shape[rank - 1], ...kernel.shape.slice(-2)];
  const fits = kernel.shape.length === rank && rank >= 3 &&
    (isTransposed ? channels === outer : channels === multiplyDims(inner, groups));
  const isWhole = [channels, outer].every((count) => typeof count === "number" && count % groups === 0);
  if (!fits || groups > 1 && !isWhole) {
    const inGroups = groups === 1 ? "" : ` in ${groups} groups`;
    const of = groups === 1 ? "" : " / groups";
    throw new TypeError(
      `Cannot ${what} ${printSpec(x)} with ${
        printSpec(kernel)
      }${inGroups}: expected [batch, ...spatial, in] and ` +
        (isTransposed ? `[...window, out${of}, in]` : `[...window, in${of}, out]`),
    );
  }
  return kernel.shape.slice(0, -2).map((_, axis) => fixedSize(kernel, axis));
}

/**
 * Cross-correlation, which this field calls convolution, over any number of spatial axes:
 * `y[b, p, o] = Σ x[b, p · stride + q · dilation - low, i] · kernel[q, i, o]`, summed over the places q of the window
 * and the channels i of the group of o.
 *
 * @param x `[batch, ...spatial, in]`, float; spatial sizes may be open.
 * @param kernel `[...window, in / groups, out]`, of the same dtype.
 * @returns `[batch, ...spatial, out]`.
 * @throws TypeError if the ranks or numbers of channels do not fit; RangeError if the window is larger than
 * the input, at run time if its size is known only then.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { convolve, tensor, toNested } from "@cellfold/cellfold";
 * const x = tensor([1, 2, 3, 4], { shape: [1, 4, 1] });
 * const y = convolve(x, tensor([1, 1], { shape: [2, 1, 1] }));
 * assertEquals(toNested(y), [[[3], [5], [7]]]);
 * ```
 */
export function convolve(x: Tensor, kernel: Tensor, options: ConvolutionOptions = {}): Tensor {
  checkOptions("convolve", options, [...windowOptionNames, "groups"]);
  const { groups = 1 } = options;
  const window = windowOf("convolve", x, kernel, groups, false);
  checkWindow("convolve", window.length, options);
  const axes = planWindows("convolve", x.shape.slice(1, -1), window, options);
  return convolvePadded(padFor(x, axes), kernel, axes, groups);
}

/**
 * The adjoint of a convolution, also called its transpose or deconvolution: each element of the input adds the kernel,
 * multiplied by it, to the result. It is the derivative of {@linkcode convolve} with respect to its input, for the same
 * kernel and options.
 *
 * @param x `[batch, ...spatial, in]`, float; spatial sizes may be open.
 * @param kernel `[...window, out / groups, in]`, of the same dtype, as Keras's Conv2DTranspose has it.
 * @returns `[batch, ...spatial, out]`.
 * @throws TypeError if the ranks or numbers of channels do not fit; RangeError if nothing would be left.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { convolveTransposed, tensor, toNested } from "@cellfold/cellfold";
 * const x = tensor([1, 2], { shape: [1, 2, 1] });
 * const y = convolveTransposed(x, tensor([1, 10, 100], { shape: [3, 1, 1] }), { strides: [2] });
 * assertEquals(toNested(y), [[[1], [10], [102], [20], [200]]]);
 * ```
 */
export function convolveTransposed(
  x: Tensor,
  kernel: Tensor,
  options: TransposedConvolutionOptions = {},
): Tensor {
  const what = "convolve transposed";
  checkOptions("convolveTransposed", options, [...windowOptionNames, "groups"]);
  const { groups = 1, strides, dilation, padding = "valid" } = options;
  const window = windowOf(what, x, kernel, groups, true);
  checkWindow(what, window.length, options, -Infinity);
  const axes = x.shape.slice(1, -1).map((input, axis): AdjointAxis => {
    const stride = strides?.[axis] ?? 1;
    const along = { window: window[axis], dilation: dilation?.[axis] ?? 1 };
    const rest = spanOf(along) - stride; // beyond `input · stride`
    const [low, high] = padding === "valid"
      ? [0, Math.min(rest, 0)]
      : padding === "same"
      ? [Math.floor(Math.max(rest, 0) / 2), rest - Math.floor(Math.max(rest, 0) / 2)]
      : [padding.low[axis], padding.high[axis]];
    const size = addDims(multiplyDims(input, stride), rest - low - high);
    if (typeof size === "number" && size < 1) {
      throw new RangeError(
        `Cannot ${what} the spatial sizes ${printShape(x.shape.slice(1, -1))} with a window ${
          printShape(window)
        }: ` +
          `nothing is left along axis ${axis + 1} if ${low} and ${high} elements are cut off`,
      );
    }
    return { ...along, stride, size, low };
  });
  return adjointPadded(x, kernel, axes, groups);
}
