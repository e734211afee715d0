/**
 * The primitive behind convolutions: what a window shows, times a kernel; and its adjoint, which is others of these.
 */
import type { Operation } from "../program/types.ts";
import { addDims, type Dim, floorDivideDims, multiplyDims, subtractDims } from "../tensor/dims.ts";
import { fixedSize, type Tensor } from "../tensor/tensor.ts";
import { applyOne } from "./apply.ts";
import { zeros } from "./creation.ts";
import { printSpecs, requireFloat, requireSameDType } from "./infer.ts";
import { concat, pad, reshape, reverse, slice, sliceAxis, transpose } from "./structure.ts";
import { convolveByGroups, isByGroups } from "./channel_windows.ts";
import { type Placed, spanOf } from "./windows.ts";

export const convolveOperation: Operation<"convolve"> = {
  name: "convolve",
  infer: ([x, kernel], { sizes, window, groups }) => {
    requireFloat("convolve", [x, kernel]);
    requireSameDType("convolve", [x, kernel]);
    const axes = sizes.length;
    const fits = kernel.shape.length === axes + 2 && x.shape.length === axes + 2 &&
      window.every((size, axis) => size === kernel.shape[axis]) &&
      x.shape[axes + 1] === multiplyDims(kernel.shape[axes], groups);
    if (!fits) {
      throw new TypeError(
        `Cannot convolve ${printSpecs([x, kernel])} in ${groups} groups: the shapes differ`,
      );
    }
    return [{ shape: [x.shape[0], ...sizes, kernel.shape[axes + 1]], dtype: x.dtype }];
  },
  isHeavy: true,
};

/** The attributes of a convolution by axis. */
export function placesOf(
  { sizes, window, strides, dilation }: Parameters<typeof convolveOperation.infer>[1],
): Placed[] {
  return sizes.map((size, axis) => ({
    size,
    window: window[axis],
    stride: strides[axis],
    dilation: dilation[axis],
  }));
}

/** The windows of a padded tensor `[batch, ...spatial, in]`, each times the kernel `[...window, in / groups, out]`. */
export function convolvePadded(x: Tensor, kernel: Tensor, axes: readonly Placed[], groups: number): Tensor {
  return applyOne(convolveOperation, [x, kernel], {
    sizes: axes.map(({ size }) => size),
    window: axes.map(({ window }) => window),
    strides: axes.map(({ stride }) => stride),
    dilation: axes.map(({ dilation }) => dilation),
    groups,
  });
}

/** Products with fewer columns, or fewer elements side by side in their rows, are not worth it. */
export const FEW_COLUMNS = 8;

/** More groups are products of a batch, as each product by itself is a piece of code. */
const MOST_APART = 16;

/**
 * Whether groups are convolutions of their own, which lay out their windows a few at a time, while products of a batch
 * need all of them at once. With few channels side by side, that is as fast.
 */
export function isApart(kernel: Tensor, groups: number): boolean {
  return groups > 1 && groups <= MOST_APART && fixedSize(kernel, kernel.shape.length - 2) >= FEW_COLUMNS;
}

/** The last axis of a tensor, of which each group has an equal part. */
export function partOf(x: Tensor, group: number, groups: number): Tensor {
  const axis = x.shape.length - 1, size = fixedSize(x, axis) / groups;
  return sliceAxis(x, axis, group * size, size);
}

/** The same as {@linkcode convolvePadded} in another form that is faster, if there is one. */
export function convolveInParts(
  x: Tensor,
  kernel: Tensor,
  axes: readonly Placed[],
  groups: number,
): Tensor | undefined {
  if (isByGroups(kernel, groups)) return convolveByGroups(x, kernel, axes, groups);
  if (!isApart(kernel, groups)) return undefined;
  const parts = Array.from(
    { length: groups },
    (_, group) => convolvePadded(partOf(x, group, groups), partOf(kernel, group, groups), axes, 1),
  );
  return concat(parts, { axis: -1 });
}

/** An axis of the result of the adjoint: its size, and how many elements before it are left out, or added if negative. */
export interface AdjointAxis extends Pick<Placed, "window" | "stride" | "dilation"> {
  readonly size: Dim;
  readonly low: number;
}

/** With more phases, each would be a small piece of work, and of code. */
export const MOST_PHASES = 4;

/** How many elements of the result of the adjoint lie between two that see the same places of the window. */
export function phasesOf(axes: readonly Pick<Placed, "stride">[]): number {
  return axes.reduce((phases, { stride }) => phases * stride, 1);
}

/**
 * The adjoint of a convolution with `kernel`, `[...window, out / groups, in]`: each element of the result sums what the
 * flipped kernel shows of the input with zeros between its elements and around it. If strides are short, no zeros are put
 * between elements: those of the result that see the same places of the window are a convolution of their own.
 */
export function adjointPadded(
  x: Tensor,
  kernel: Tensor,
  axes: readonly AdjointAxis[],
  groups: number,
): Tensor {
  const index = axes.findIndex(({ stride }) => stride > 1);
  return index < 0 || phasesOf(axes) > MOST_PHASES
    ? adjointAtOnce(x, kernel, axes, groups)
    : adjointInPhases(x, kernel, axes, groups, index);
}

/** The elements `stride · j + phase` of the result of an adjoint along an axis. */
interface Phase extends Pick<AdjointAxis, "window" | "dilation" | "low"> {
  /** The places of the window that they see. */
  readonly first: number;
  readonly step: number;
}

function phaseOf({ window, stride, dilation, low }: AdjointAxis, phase: number): Phase {
  // Place q adds to the element `stride · i + dilation · q` of the whole result.
  const places = Array.from({ length: window }, (_, q) => q)
    .filter((q) => (phase + low - q * dilation) % stride === 0);
  const [first = 0, second = first + 1] = places;
  return {
    first,
    step: second - first,
    window: places.length,
    dilation: places.length < 2 ? 1 : (second - first) * dilation / stride,
    low: (phase + low - first * dilation) / stride,
  };
}

function adjointInPhases(
  x: Tensor,
  kernel: Tensor,
  axes: readonly AdjointAxis[],
  groups: number,
  index: number,
): Tensor {
  const axis = index + 1, rank = x.shape.length, { stride, size } = axes[index];
  const each = floorDivideDims(addDims(size, stride - 1), stride);
  const phases = Array.from({ length: stride }, (_, phase) => phaseOf(axes[index], phase));
  const seen = phases.filter(({ window }) => window > 0);
  // All phases see the same padded input.
  const low = Math.max(0, ...seen.map((phase) => spanOf(phase) - 1 - phase.low));
  const beyond = subtractDims(addDims(each, Math.max(...seen.map(({ low }) => low))), x.shape[axis]);
  const high = typeof beyond === "number" ? Math.max(beyond, 0) : beyond;
  const along = (amount: Dim) => x.shape.map((_, other) => other === axis ? amount : 0);
  const padded = pad(x, { low: along(low), high: along(high) });
  const sizes = axes.map(({ size }, other) => other === index ? each : size);
  const outer = multiplyDims(kernel.shape[rank - 2], groups);
  const parts = phases.map(({ first, step, ...phase }) => {
    if (phase.window === 0) return zeros([x.shape[0], ...sizes, outer], { dtype: x.dtype });
    const places = slice(kernel, {
      start: kernel.shape.map((_, other) => other === index ? first : 0),
      size: kernel.shape.with(index, phase.window),
      stride: kernel.shape.map((_, other) => other === index ? step : 1),
    });
    const own = { ...phase, low: phase.low + low, stride: 1, size: each };
    return adjointPadded(padded, places, axes.with(index, own), groups);
  });
  // Side by side along the next axis, they are in order along this one.
  const all = concat(parts, { axis: axis + 1 });
  const joined = reshape(
    all,
    [...x.shape.slice(0, 1), ...sizes, outer].with(axis, multiplyDims(each, stride)),
  );
  return sliceAxis(joined, axis, 0, size);
}

/** The adjoint as one convolution of the input with zeros between its elements. */
function adjointAtOnce(
  x: Tensor,
  kernel: Tensor,
  axes: readonly AdjointAxis[],
  groups: number,
): Tensor {
  const around = axes.map((axis, index): { readonly low: number; readonly high: Dim } => {
    const low = spanOf(axis) - 1 - axis.low;
    const covered = addDims(multiplyDims(addDims(x.shape[index + 1], -1), axis.stride), 1);
    return { low, high: subtractDims(addDims(axis.size, spanOf(axis) - 1 - low), covered) };
  });
  const spread = pad(x, {
    low: [0, ...around.map(({ low }) => Math.max(low, 0)), 0],
    high: [0, ...around.map(({ high }) => typeof high === "number" ? Math.max(high, 0) : high), 0],
    interior: [0, ...axes.map(({ stride }) => stride - 1), 0],
  });
  const cut = slice(spread, {
    start: [0, ...around.map(({ low }) => Math.max(-low, 0)), 0],
    size: [
      x.shape[0],
      ...axes.map((axis) => addDims(axis.size, spanOf(axis) - 1)),
      x.shape[x.shape.length - 1],
    ],
  });
  return convolvePadded(
    cut,
    adjointKernel(kernel, groups),
    axes.map((axis) => ({ ...axis, stride: 1 })),
    groups,
  );
}

/** `[...window, out / groups, in]` as the kernel of the adjoint, `[...window, in / groups, out]`, flipped. */
function adjointKernel(kernel: Tensor, groups: number): Tensor {
  const axes = kernel.shape.slice(0, -2).map((_, axis) => axis), rank = axes.length;
  const window = kernel.shape.slice(0, -2);
  const outer = fixedSize(kernel, rank), inner = fixedSize(kernel, rank + 1);
  const split = reshape(reverse(kernel, axes), [...window, outer, groups, inner / groups]);
  const turned = transpose(split, { permutation: [...axes, rank + 2, rank + 1, rank] });
  return reshape(turned, [...window, inner / groups, groups * outer]);
}
