/**
 * Convolutions in many groups of few channels, such as those of each channel by itself: their products have so few terms
 * or columns that sums over the places of the window, with vectors along the groups, are faster.
 */
import { multiplyDims, sizeOfShape } from "../tensor/dims.ts";
import { fixedSize, type Tensor } from "../tensor/tensor.ts";
import { add, mul } from "./elementwise.ts";
import { concat, expandDims, reshape, slice, sliceAxis, sum, transpose } from "./structure.ts";
import { allWindows, type Placed, placesFirst } from "./windows.ts";

/** Products of the channels of a group up to which its convolution is a sum over the places of the window. */
const FEW_PRODUCTS = 8;

/** Whether a convolution with a kernel `[...window, in / groups, out]` is such a sum. */
export function isByGroups(kernel: Pick<Tensor, "shape">, groups: number): boolean {
  const [inner, outer] = kernel.shape.slice(-2).map(Number); // a kernel has fixed sizes
  return groups > 1 && inner * outer / groups <= FEW_PRODUCTS;
}

/** `[...window, in / groups, out]` as vectors of all groups, by place of the window, channel in and channel out. */
function kernelByGroups(kernel: Tensor, groups: number): (place: number, i: number, o: number) => Tensor {
  const rank = kernel.shape.length - 2;
  const inner = fixedSize(kernel, rank), outer = fixedSize(kernel, rank + 1) / groups;
  const places = sizeOfShape(kernel.shape.slice(0, rank));
  const split = reshape(kernel, [multiplyDims(places, inner), groups, outer]);
  // A copy if there is more than one, so that the groups lie side by side.
  const rows = reshape(transpose(split, { permutation: [0, 2, 1] }), [-1, groups]);
  return (place, i, o) => reshape(sliceAxis(rows, 0, (place * inner + i) * outer + o, 1), [groups]);
}

/** `[batch, ..., groups · parts]` as one tensor `[batch, ..., groups]` for each part, whose elements lie side by side. */
function byGroups(x: Tensor, groups: number): Tensor[] {
  const rank = x.shape.length, parts = fixedSize(x, rank - 1) / groups;
  if (parts === 1) return [x];
  const split = reshape(x, [...x.shape.slice(0, -1), groups, parts]);
  const turned = transpose(split, { permutation: [rank, ...x.shape.map((_, axis) => axis)] });
  const rows = reshape(turned, [multiplyDims(parts, x.shape[0]), ...x.shape.slice(1, -1), groups]);
  return Array.from(
    { length: parts },
    (_, part) => sliceAxis(rows, 0, multiplyDims(part, x.shape[0]), x.shape[0]),
  );
}

/** All places of a window, the last axis running fastest. */
function positionsOf(axes: readonly Placed[]): number[][] {
  return axes.reduce<number[][]>(
    (before, { window }) => before.flatMap((head) => Array.from({ length: window }, (_, i) => [...head, i])),
    [[]],
  );
}

/** The convolution of a padded tensor `[batch, ...spatial, in]`: a sum of what the window shows at its places. */
export function convolveByGroups(
  x: Tensor,
  kernel: Tensor,
  axes: readonly Placed[],
  groups: number,
): Tensor {
  const factor = kernelByGroups(kernel, groups), rank = axes.length + 1;
  const inner = fixedSize(kernel, axes.length), outer = fixedSize(kernel, rank) / groups;
  const sizes = [x.shape[0], ...axes.map(({ size }) => size)];
  const shown = positionsOf(axes).map((place) =>
    Array.from({ length: inner }, (_, i) =>
      slice(x, {
        start: [0, ...place.map((at, axis) => at * axes[axis].dilation), i],
        size: [...sizes, groups],
        stride: [1, ...axes.map(({ stride }) => stride), inner],
      }))
  );
  const results = Array.from({ length: outer }, (_, o) =>
    shown
      .flatMap((channels, place) => channels.map((channel, i) => mul(channel, factor(place, i, o))))
      .reduce((total, term) => add(total, term)));
  if (outer === 1) return results[0];
  return reshape(concat(results.map((result) => expandDims(result, -1)), { axis: -1 }), [
    ...sizes,
    groups * outer,
  ]);
}

/** The derivative of {@linkcode convolveByGroups} with respect to its kernel, for a cotangent of its result. */
export function kernelDerivativeByGroups(
  x: Tensor,
  kernel: Tensor,
  c: Tensor,
  axes: readonly Placed[],
  groups: number,
): Tensor {
  const rank = axes.length, order = placesFirst(axes);
  const cotangents = byGroups(c, groups);
  const rows = byGroups(x, groups).map((channel) => {
    const windows = transpose(allWindows(channel, axes), { permutation: order });
    const parts = cotangents.map((cotangent) => {
      const same = reshape(cotangent, [...cotangent.shape.slice(0, -1), ...axes.map(() => 1), groups]);
      // First along one axis, whose elements stay in the nearest cache for all places of the window.
      const lines = sum(mul(windows, same), { axes: [rank] });
      return expandDims(sum(lines, { axes: Array.from({ length: rank }, (_, axis) => axis) }), -1);
    });
    return expandDims(concat(parts, { axis: -1 }), rank);
  });
  return reshape(concat(rows, { axis: rank }), kernel.shape);
}
