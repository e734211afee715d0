/**
 * Windows that move along the axes of a tensor: where they are, what is added around the tensor for them, and the
 * primitive that shows a tensor as its windows. Convolutions and pooling are built on them.
 */
import { checkCount, checkList, describeValue } from "../describe.ts";
import { unknownName } from "../known_names.ts";
import type { Operation } from "../program/types.ts";
import { requireWindows } from "../program/ranges.ts";
import {
  addDims,
  type Dim,
  floorDivideDims,
  multiplyDims,
  printShape,
  type Shape,
  subtractDims,
} from "../tensor/dims.ts";
import { printSpec, type Tensor } from "../tensor/tensor.ts";
import { applyOne } from "./apply.ts";
import { pad } from "./structure.ts";

/** What is added around a tensor, per spatial axis. */
export interface ExplicitPadding {
  /** Before the first element. */
  readonly low: readonly number[];
  /** After the last element. */
  readonly high: readonly number[];
}

/** How a window moves over its input. */
export interface MovingWindowOptions {
  /** Per spatial axis, how far the window moves; default 1. */
  readonly strides?: readonly number[];
  /**
   * `valid` (default): the window stays inside. `same`: padding that keeps the size with stride 1
   * (otherwise ⌈size/stride⌉); if the amount is odd, the extra element comes after. Or the amounts themselves.
   */
  readonly padding?: "valid" | "same" | ExplicitPadding;
  /** Per spatial axis, the spacing of the window's positions; default 1. */
  readonly dilation?: readonly number[];
}

/** The names of {@linkcode MovingWindowOptions}. */
export const windowOptionNames: readonly (keyof MovingWindowOptions)[] = ["strides", "padding", "dilation"];

/** A window along one spatial axis. */
export interface AxisWindow {
  /** Its positions. */
  readonly window: number;
  readonly stride: number;
  readonly dilation: number;
  /** How often it is placed. */
  readonly size: Dim;
  /** What is added before and after. */
  readonly low: Dim;
  readonly high: Dim;
}

/** The elements from the first position of a window to the last. */
export function spanOf({ window, dilation }: Pick<AxisWindow, "window" | "dilation">): number {
  return (window - 1) * dilation + 1;
}

/** Throws unless these are one number per spatial axis. */
export function checkPerAxis(what: string, list: unknown, name: string, axes: number, least = 1): void {
  const expected = `an array of ${axes} whole numbers`;
  checkList(what, list, name, expected);
  if (list.length !== axes) {
    throw new RangeError(
      `Cannot ${what}: ${name} has ${list.length} numbers, expected one for each of ${axes} axes`,
    );
  }
  for (const number of list) checkCount(what, number, name, least);
}

/** Throws unless the options of a window are valid; explicit amounts are from `least`. */
export function checkWindow(
  what: string,
  axes: number,
  { strides, padding = "valid", dilation }: MovingWindowOptions,
  least = 0,
): void {
  for (const [name, list] of [["strides", strides], ["dilation", dilation]] as const) {
    if (list !== undefined) checkPerAxis(what, list, name, axes);
  }
  if (typeof padding === "object" && padding !== null) {
    for (const side of ["low", "high"] as const) {
      checkPerAxis(what, padding[side], `padding.${side}`, axes, least);
    }
  } else if (padding !== "valid" && padding !== "same") {
    if (typeof padding === "string") throw unknownName("padding", padding, ["valid", "same"]);
    throw new TypeError(
      `Cannot ${what}: padding is ${describeValue(padding)}, expected "valid", "same" or { low, high }`,
    );
  }
}

/** The windows along spatial axes of these sizes. The options were checked. */
export function planWindows(
  what: string,
  spatial: Shape,
  window: readonly number[],
  { strides, padding = "valid", dilation }: MovingWindowOptions,
): AxisWindow[] {
  return spatial.map((input, axis) => {
    const along = { window: window[axis], stride: strides?.[axis] ?? 1, dilation: dilation?.[axis] ?? 1 };
    const fail = (why: string) =>
      new RangeError(
        `Cannot ${what} the spatial sizes ${printShape(spatial)} with a window ${printShape(window)}: ${why}`,
      );
    const { stride } = along, span = spanOf(along);
    let [low, high]: [Dim, Dim] = [0, 0], size: Dim;
    if (padding === "same") {
      size = floorDivideDims(addDims(input, stride - 1), stride);
      const total = subtractDims(addDims(multiplyDims(addDims(size, -1), stride), span), input);
      // The last window may end before the end of the axis if it is shorter than a stride.
      if (typeof total !== "number" && span > 1 && span < stride) {
        throw fail(
          `it moves by ${stride}, more than its ${span} elements, along an axis of size ${input}, which must be fixed ` +
            `for the padding "same"`,
        );
      }
      const added = typeof total === "number" ? Math.max(total, 0) : span === 1 ? 0 : total;
      low = floorDivideDims(added, 2);
      high = subtractDims(added, low);
    } else {
      if (padding !== "valid") [low, high] = [padding.low[axis], padding.high[axis]];
      const inside = addDims(addDims(input, low), subtractDims(high, span));
      size = addDims(floorDivideDims(inside, stride), 1);
    }
    if (typeof size === "number" && size < 1) throw fail("the window is larger");
    return { ...along, size, low, high };
  });
}

/** `x` with zeros around its spatial axes, of which the first is axis 1. */
export function padFor(x: Tensor, axes: readonly AxisWindow[]): Tensor {
  return pad(x, {
    low: [0, ...axes.map(({ low }) => low), 0],
    high: [0, ...axes.map(({ high }) => high), 0],
  });
}

export const windowsOperation: Operation<"windows"> = {
  name: "windows",
  isCheap: true,
  infer: ([x], attributes) => {
    const { axis, size, window } = attributes;
    if (typeof x.shape[axis] === "number" && typeof size === "number") {
      requireWindows({ inputs: [x], attributes }, {});
    }
    if (axis >= x.shape.length) {
      throw new RangeError(`Cannot show windows of ${printSpec(x)} along axis ${axis}`);
    }
    return [{ shape: [...x.shape.slice(0, axis), size, window, ...x.shape.slice(axis + 1)], dtype: x.dtype }];
  },
  movedAxis: ({ axis, attributes }) =>
    axis === attributes.axis ? undefined : axis < attributes.axis ? axis : axis + 1,
};

/** Places along one axis of a padded tensor. */
export type Placed = Pick<AxisWindow, "window" | "stride" | "dilation" | "size">;

/**
 * The windows along an axis, which becomes two: the places of the window, and the positions in it. No element is
 * copied.
 */
export function windowsAlong(x: Tensor, axis: number, { window, stride, dilation, size }: Placed): Tensor {
  return applyOne(windowsOperation, [x], { axis, size, window, stride, dilation });
}

/**
 * The windows along all spatial axes of a padded tensor:
 * `[batch, ...spatial, rest]` becomes `[batch, size, window, size, window, …, rest]`.
 */
export function allWindows(x: Tensor, axes: readonly Placed[]): Tensor {
  return axes.reduce((windows, placed, index) => windowsAlong(windows, 1 + 2 * index, placed), x);
}

/** The order `[batch, size, …, window, …, channels]` of the axes of all windows, which come in pairs. */
export function placesFirst(axes: readonly unknown[]): number[] {
  const places = axes.map((_, index) => 1 + 2 * index);
  return [0, ...places, ...places.map((axis) => axis + 1), 1 + 2 * axes.length];
}
