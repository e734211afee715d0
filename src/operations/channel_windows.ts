/**
 * Convolutions in many groups of few channels, such as those of each channel by itself: their products have so few terms
 * or columns that sums over the places of the window, with vectors along the groups, are faster.
 */
import { multiplyDims, sizeOfShape } from "../tensor/dims.ts";
import { fixedSize, type Tensor } from "../tensor/tensor.ts";
import { add, mul } from "./elementwise.ts";
import { concat, expandDims, reshape, slice, sliceAxis, transpose } from "./structure.ts";
import { type Placed } from "./windows.ts";

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
