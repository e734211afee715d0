/** Pooling: the largest element or the mean of what a window shows, channel by channel. */
import { checkOptions } from "../option_names.ts";
import { addDims, floorDivideDims, type Shape } from "../tensor/dims.ts";
import { checkTensor, printSpec, type Tensor } from "../tensor/tensor.ts";
import { full, ones } from "./creation.ts";
import { div } from "./elementwise.ts";
import { isFloat } from "./infer.ts";
import { max } from "./reduction.ts";
import { concat, pad, sum } from "./structure.ts";
import {
  allWindows,
  type AxisWindow,
  checkPerAxis,
  checkWindow,
  type MovingWindowOptions,
  padFor,
  planWindows,
  spanOf,
  windowOptionNames,
} from "./windows.ts";

/** How a window of pooling moves over its input. */
export interface PoolingOptions extends MovingWindowOptions {
  /** Per spatial axis, how far the window moves; default: its size, so that windows do not overlap. */
  readonly strides?: readonly number[];
  /**
   * Whether a last window that reaches beyond the end counts as well, unless it begins there (PyTorch's `ceil_mode`);
   * default false. Not with the padding `same`.
   */
  readonly ceil?: boolean;
}

/** The options of {@linkcode averagePool}. */
export interface AveragePoolingOptions extends PoolingOptions {
  /** Whether padding counts as zeros in the mean; default false: the mean is that of the elements of the input. */
  readonly countPadding?: boolean;
}

/** The windows of a pooling, and how many elements there are to its last one beyond the padding, per axis. */
interface Pooling {
  readonly axes: readonly AxisWindow[];
  readonly beyond: readonly number[];
}

function planPooling(what: string, x: Tensor, window: readonly number[], options: PoolingOptions): Pooling {
  const { ceil = false, strides = window } = options;
  const rank = x.shape.length - 2;
  if (rank < 1) throw new TypeError(`Cannot ${what} ${printSpec(x)}: expected [batch, ...spatial, channels]`);
  checkPerAxis(what, window, "the window", rank);
  checkWindow(what, rank, options);
  if (ceil && options.padding === "same") {
    throw new RangeError(`Cannot ${what}: ceil goes with the padding "valid" or amounts, not with "same"`);
  }
  const spatial = x.shape.slice(1, -1);
  if (!ceil) {
    return {
      axes: planWindows(what, spatial, window, { ...options, strides }),
      beyond: spatial.map(() => 0),
    };
  }
  const { padding, dilation } = options;
  const amounts = typeof padding === "object" ? padding : undefined;
  const axes = spatial.map((input, axis): AxisWindow => {
    const along = { window: window[axis], stride: strides[axis], dilation: dilation?.[axis] ?? 1 };
    const [low, high] = [amounts?.low[axis] ?? 0, amounts?.high[axis] ?? 0];
    // Whichever comes first: the window that reaches the end, or the last one that begins before it.
    const reach = Math.min(high - spanOf(along) + along.stride, 0);
    const size = floorDivideDims(addDims(addDims(input, low + reach), along.stride - 1), along.stride);
    return { ...along, size, low, high };
  });
  return { axes, beyond: axes.map(({ stride }) => stride - 1) };
}

/**
 * The largest element that a window shows, channel by channel; NaN if it shows one. Equal largest elements share the
 * derivative, as for `max`.
 *
 * @param x `[batch, ...spatial, channels]`, numbers; spatial sizes may be open.
 * @param window The size of the window, per spatial axis. What it shows outside of the input does not count.
 * @returns `[batch, ...spatial, channels]`.
 * @throws TypeError if the ranks do not fit; RangeError if the window is larger than the input, at run time if its size
 * is known only then.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { maxPool, tensor, toNested } from "@cellfold/cellfold";
 * const x = tensor([1, 4, 2, 3, 5], { shape: [1, 5, 1] });
 * assertEquals(toNested(maxPool(x, [2])), [[[4], [3]]]);
 * ```
 */
export function maxPool(x: Tensor, window: readonly number[], options: PoolingOptions = {}): Tensor {
  checkTensor("maxPool", x);
  checkOptions("maxPool", options, [...windowOptionNames, "ceil"]);
  const { axes, beyond } = planPooling("maxPool", x, window, options);
  const least = x.dtype === "int32" ? -(2 ** 31) : -Infinity;
  const surrounded = axes.reduce((inside, { low, high }, index) => {
    const axis = index + 1;
    const around = [low, addDims(high, beyond[index])].map((size) =>
      size === 0
        ? []
        : [full(inside.shape.map((dim, i) => i === axis ? size : dim), least, { dtype: x.dtype })]
    );
    return concat([...around[0], inside, ...around[1]], { axis });
  }, x);
  return max(allWindows(surrounded, axes), { axes: axes.map((_, index) => 2 + 2 * index) });
}

/**
 * The mean of what a window shows, channel by channel.
 *
 * @param x `[batch, ...spatial, channels]`, float; spatial sizes may be open.
 * @param window The size of the window, per spatial axis.
 * @returns `[batch, ...spatial, channels]`.
 * @throws TypeError if the ranks do not fit or `x` is no float; RangeError if the window is larger than the input, at
 * run time if its size is known only then.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { averagePool, tensor, toNested } from "@cellfold/cellfold";
 * const x = tensor([1, 3, 5], { shape: [1, 3, 1] });
 * assertEquals(toNested(averagePool(x, [2], { strides: [2], padding: "same" })), [[[2], [5]]]);
 * ```
 */
export function averagePool(
  x: Tensor,
  window: readonly number[],
  options: AveragePoolingOptions = {},
): Tensor {
  checkTensor("averagePool", x);
  checkOptions("averagePool", options, [...windowOptionNames, "ceil", "countPadding"]);
  if (!isFloat(x)) {
    throw new TypeError(
      `Cannot compute averagePool of ${printSpec(x)}: it takes floats; use cast(x, "float32")`,
    );
  }
  const { axes, beyond } = planPooling("averagePool", x, window, options);
  const summed = (values: Tensor) =>
    sum(allWindows(beyondPadded(values, beyond), axes), { axes: axes.map((_, index) => 2 + 2 * index) });
  const total = summed(padFor(x, axes));
  const whole = window.reduce((product, size) => product * size, 1);
  const isPadded = axes.some(({ low, high }) => low !== 0 || high !== 0);
  if (beyond.every((count) => count === 0) && (options.countPadding || !isPadded)) return div(total, whole);
  // How many elements each window shows that count.
  const { dtype } = x;
  const counted: Shape = axes.map(({ low, high }, index) =>
    options.countPadding ? addDims(x.shape[index + 1], addDims(low, high)) : x.shape[index + 1]
  );
  const inside = ones([1, ...counted, 1], { dtype });
  return div(total, summed(options.countPadding ? inside : padFor(inside, axes)));
}

/** With zeros after all that counts. */
function beyondPadded(x: Tensor, beyond: readonly number[]): Tensor {
  return pad(x, { low: x.shape.map(() => 0), high: [0, ...beyond, 0] });
}
