/**
 * Convolution, composed of pad, slice, concat and matmul: each position of the window is a strided slice of
 * the input, and all slices together are multiplied by the kernel at once. The derivative follows from
 * theirs.
 *
 * The slices take the memory of the input times the number of window positions.
 */
import { checkCount, checkList } from "../describe.ts";
import { unknownName } from "../known_names.ts";
import { checkOptions } from "../option_names.ts";
import { type Dim, printShape, type Shape, subtractDims } from "../tensor/dims.ts";
import { checkTensor, fixedSize, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { matmul } from "./matmul.ts";
import { concat, pad, reshape, slice } from "./structure.ts";

/** How a window moves over its input. */
export interface ConvolutionOptions {
  /** Per spatial axis, how far the window moves; default 1. */
  readonly strides?: readonly number[];
  /**
   * `valid` (default): the window stays inside. `same`: zero padding that keeps the size with stride 1
   * (otherwise ⌈size/stride⌉); if the amount is odd, the extra zero comes after.
   */
  readonly padding?: "valid" | "same";
  /** Per spatial axis, the spacing of the window's positions; default 1. */
  readonly dilation?: readonly number[];
}

/** One spatial axis of a convolution. */
interface AxisPlan {
  readonly size: Dim;
  readonly low: Dim;
  readonly high: Dim;
}

/** The size of the output along an axis, and the zero padding of the input. */
function planAxis(input: Dim, window: number, stride: number, dilation: number, same: boolean): AxisPlan {
  const span = (window - 1) * dilation + 1;
  if (stride === 1) {
    if (!same) return { size: subtractDims(input, span - 1), low: 0, high: 0 };
    const low = Math.floor((span - 1) / 2);
    return { size: input, low, high: span - 1 - low };
  }
  if (typeof input !== "number") {
    throw new RangeError(`it moves by ${stride} along an axis of size ${input}, which must be fixed`);
  }
  if (!same) return { size: Math.floor((input - span) / stride) + 1, low: 0, high: 0 };
  const size = Math.ceil(input / stride);
  const total = Math.max((size - 1) * stride + span - input, 0);
  return { size, low: Math.floor(total / 2), high: total - Math.floor(total / 2) };
}

function plan(
  spatial: Shape,
  window: readonly number[],
  { strides, padding = "valid", dilation }: ConvolutionOptions,
): AxisPlan[] {
  if (padding !== "valid" && padding !== "same") {
    throw unknownName("padding", padding, ["valid", "same"]);
  }
  for (const [name, list] of [["strides", strides], ["dilation", dilation]] as const) {
    if (list === undefined) continue;
    checkList("convolve", list, name, `an array of ${spatial.length} whole numbers`);
    for (const number of list) checkCount("convolve", number, name);
  }
  const fail = (why: string) =>
    new RangeError(
      `Cannot convolve the spatial sizes ${printShape(spatial)} with a window ${printShape(window)}: ${why}`,
    );
  return spatial.map((input, axis) => {
    let planned;
    try {
      planned = planAxis(
        input,
        window[axis],
        strides?.[axis] ?? 1,
        dilation?.[axis] ?? 1,
        padding === "same",
      );
    } catch (error) {
      throw fail((error as Error).message); // planAxis throws nothing else
    }
    if (typeof planned.size === "number" && planned.size < 1) throw fail("the window is larger");
    return planned;
  });
}

/** The spatial sizes of the result of {@linkcode convolve}, from those of the input and of the window. */
export function convolvedSizes(
  spatial: Shape,
  window: readonly number[],
  options: ConvolutionOptions = {},
): Shape {
  return plan(spatial, window, options).map(({ size }) => size);
}

/** All positions of a window, the last axis running fastest. */
function positions(window: readonly number[]): number[][] {
  return window.reduce<number[][]>(
    (before, size) => before.flatMap((head) => Array.from({ length: size }, (_, i) => [...head, i])),
    [[]],
  );
}

/**
 * Cross-correlation, which this field calls convolution, over any number of spatial axes.
 *
 * @param x `[batch, ...spatial, in]`; spatial sizes may be symbolic if the stride is 1.
 * @param kernel `[...window, in, out]`.
 * @returns `[batch, ...spatial, out]`.
 * @throws TypeError if the ranks or numbers of channels do not fit; RangeError if the window is larger than
 * the input.
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
  checkTensor("convolve", x);
  checkTensor("convolve", kernel, "kernel");
  checkOptions("convolve", options, ["strides", "padding", "dilation"]);
  const rank = x.shape.length;
  if (kernel.shape.length !== rank || rank < 3 || x.shape[rank - 1] !== kernel.shape[rank - 2]) {
    throw new TypeError(
      `Cannot convolve ${printSpec(x)} with ${printSpec(kernel)}: ` +
        `expected [batch, ...spatial, in] and [...window, in, out]`,
    );
  }
  const window = kernel.shape.slice(0, -2).map((_, axis) => fixedSize(kernel, axis));
  const axes = plan(x.shape.slice(1, -1), window, options);
  const padded = pad(x, {
    low: [0, ...axes.map(({ low }) => low), 0],
    high: [0, ...axes.map(({ high }) => high), 0],
  });
  const slices = positions(window).map((position) => shifted(padded, position, axes, options));
  const inner = fixedSize(kernel, rank - 2) * slices.length;
  return matmul(concat(slices), reshape(kernel, [inner, kernel.shape[rank - 1]]));
}

/** What one position of the window reads, for every placement of the window. */
function shifted(
  padded: Tensor,
  position: readonly number[],
  axes: readonly AxisPlan[],
  { strides, dilation }: ConvolutionOptions,
): Tensor {
  const [batch, channels] = ends(padded);
  return slice(padded, {
    start: [0, ...position.map((at, axis) => at * (dilation?.[axis] ?? 1)), 0],
    size: [batch, ...axes.map(({ size }) => size), channels],
    stride: [1, ...axes.map((_, axis) => strides?.[axis] ?? 1), 1],
  });
}

function ends({ shape }: Spec): [Dim, Dim] {
  return [shape[0], shape[shape.length - 1]];
}
