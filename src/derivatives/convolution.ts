/**
 * The derivatives of convolutions, which are others of these, products over all windows, or sums by groups, and of
 * windows.
 */
import { isByGroups } from "../operations/channel_windows.ts";
import { mul } from "../operations/elementwise.ts";
import { matmul } from "../operations/matmul.ts";
import { concat, expandDims, pad, reshape, sliceAxis, sum, transpose } from "../operations/structure.ts";
import {
  adjointPadded,
  FEW_COLUMNS,
  isApart,
  MOST_PHASES,
  partOf,
  phasesOf,
  placesOf,
} from "../operations/window_products.ts";
import { allWindows, type Placed, placesFirst } from "../operations/windows.ts";
import { addDims, type Dim, multiplyDims, type Shape, sizeOfShape, subtractDims } from "../tensor/dims.ts";
import { fixedSize, type Tensor } from "../tensor/tensor.ts";
import { addCotangents } from "./cotangents.ts";
import type { Derivatives } from "./rule.ts";

export const convolutions: Derivatives<"convolve" | "windows"> = {
  convolve: ({ inputs: [x, kernel], cotangents: [c], wanted, attributes }) => {
    if (!c) return [undefined, undefined];
    const axes = placesOf(attributes), { groups } = attributes;
    return [
      wanted[0] ? derivativeOfInput(x, kernel, c, axes, groups) : undefined,
      wanted[1] ? derivativeOfKernel(x, kernel, c, axes, groups) : undefined,
    ];
  },
  windows: ({ inputs: [x], cotangents: [c], attributes }) => [c && overlapAdd(c, x.shape, attributes)],
};

/** The terms of a group that a window has. */
function termsOf(kernel: Tensor, axes: readonly Placed[]): number {
  return axes.reduce((terms, { window }) => terms * window, fixedSize(kernel, axes.length));
}

/** All windows of a padded tensor as a matrix, `[places, terms]`; for several groups one each, `[groups, …]`. */
function windowMatrix(x: Tensor, kernel: Tensor, axes: readonly Placed[], groups: number): Tensor {
  const sorted = transpose(allWindows(x, axes), { permutation: placesFirst(axes) });
  const rows = sizeOfShape([x.shape[0], ...axes.map(({ size }) => size)]);
  const terms = termsOf(kernel, axes), inner = fixedSize(kernel, axes.length);
  if (groups === 1) return reshape(sorted, [rows, terms]);
  const rank = sorted.shape.length;
  const split = reshape(sorted, [...sorted.shape.slice(0, -1), groups, inner]);
  const order = [rank - 1, ...sorted.shape.slice(0, -1).map((_, axis) => axis), rank];
  return reshape(transpose(split, { permutation: order }), [groups, rows, terms]);
}

/** `[…, columns]` as a matrix, or one for each group. */
function columnsOf(x: Tensor, groups: number): Tensor {
  const rows = sizeOfShape(x.shape.slice(0, -1)), columns = x.shape[x.shape.length - 1];
  if (groups === 1) return reshape(x, [rows, columns]);
  return transpose(reshape(x, [rows, groups, Number(columns) / groups]), { permutation: [1, 0, 2] }); // of a kernel
}

/** The derivative of {@linkcode allWindows}: at each element of a tensor of this shape, the sum over all windows. */
function allWindowsAdjoint(c: Tensor, axes: readonly Placed[], shape: Shape): Tensor {
  return axes.reduceRight((sums, placed, index) => {
    const axis = 1 + 2 * index;
    return overlapAdd(sums, sums.shape.toSpliced(axis, 2, shape[index + 1]), { ...placed, axis });
  }, c);
}

/**
 * The derivative of windows: the sum, at each element, of what windows have there. Where windows are close together, as
 * many pieces as a window has strides are added; each consists of neighboring windows without overlap.
 */
function overlapAdd(
  c: Tensor,
  shape: Shape,
  { axis, size, window, stride, dilation }: Placed & { readonly axis: number },
): Tensor {
  const isDense = dilation === 1 && stride > 1;
  const width = isDense ? stride : 1;
  const put = (list: Shape, at: Dim) => list.map((dim, i) => i === axis ? at : dim);
  let total: Tensor | undefined;
  for (let first = 0; first < window; first += width) {
    const wide = Math.min(width, window - first);
    const piece = sliceAxis(c, axis + 1, first, wide);
    // One position of every window, or a stride of it: what lies beyond it up to the next window is zero.
    const gap = isDense ? stride - wide : 0;
    const spread = pad(piece, {
      low: c.shape.map(() => 0),
      high: c.shape.map((_, i) => i === axis + 1 ? gap : 0),
    });
    const flat = reshape(spread, [
      ...shape.slice(0, axis),
      multiplyDims(size, width),
      ...shape.slice(axis + 1),
    ]);
    const cut = gap === 0 ? flat : sliceAxis(flat, axis, 0, addDims(multiplyDims(size, width), -gap));
    const interior = isDense ? 0 : stride - 1;
    const covered = addDims(multiplyDims(addDims(cut.shape[axis], -1), interior + 1), 1);
    const start = first * dilation;
    const placed = pad(cut, {
      low: put(shape.map(() => 0), start),
      high: put(shape.map(() => 0), subtractDims(shape[axis], addDims(covered, start))),
      interior: shape.map((_, i) => i === axis ? interior : 0),
    });
    total = addCotangents(total, placed);
  }
  return total as Tensor; // a window has at least one position
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

/** The kernel's, if the convolution is a sum over the places of the window. */
function kernelDerivativeByGroups(
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

/** The kernel's is a sum over all windows. */
function derivativeOfKernel(
  x: Tensor,
  kernel: Tensor,
  c: Tensor,
  axes: readonly Placed[],
  groups: number,
): Tensor {
  if (isByGroups(kernel, groups)) return kernelDerivativeByGroups(x, kernel, c, axes, groups);
  if (isApart(kernel, groups)) {
    const parts = Array.from({ length: groups }, (_, group) => {
      const own = partOf(kernel, group, groups);
      return derivativeOfKernel(partOf(x, group, groups), own, partOf(c, group, groups), axes, 1);
    });
    return concat(parts, { axis: -1 });
  }
  const windows = windowMatrix(x, kernel, axes, groups);
  const product = matmul(windows, columnsOf(c, groups), { transposeLeft: true });
  return reshape(groups === 1 ? product : transpose(product, { permutation: [1, 0, 2] }), kernel.shape);
}

/**
 * The input's is a convolution with the flipped kernel, or several with parts of it. With long strides, it would multiply
 * the zeros between the elements of the cotangent; with few channels, its products would have few columns, and with far
 * fewer than the cotangent has, its windows would be much larger than those of the input: instead, what each window has is
 * added up.
 */
function derivativeOfInput(
  x: Tensor,
  kernel: Tensor,
  c: Tensor,
  axes: readonly Placed[],
  groups: number,
): Tensor {
  const inner = fixedSize(kernel, axes.length);
  const outer = fixedSize(kernel, axes.length + 1) / groups;
  const phases = phasesOf(axes), overlaps = axes.some(({ window, stride }) => window > stride);
  const isClose = phases === 1 || phases <= MOST_PHASES && overlaps;
  const isProduct = isClose && inner >= FEW_COLUMNS && 2 * inner >= outer;
  if (isProduct || isByGroups(kernel, groups)) {
    return adjointPadded(
      c,
      kernel,
      axes.map((axis, index) => ({ ...axis, size: x.shape[index + 1], low: 0 })),
      groups,
    );
  }
  const terms = termsOf(kernel, axes);
  const matrix = columnsOf(reshape(kernel, [terms, -1]), groups);
  const products = matmul(columnsOf(c, groups), matrix, { transposeRight: true });
  const sizes: Shape = [x.shape[0], ...axes.map(({ size }) => size), ...axes.map(({ window }) => window)];
  const rank = sizes.length;
  const sorted = groups === 1 ? reshape(products, [...sizes, inner]) : reshape(
    transpose(reshape(products, [groups, ...sizes, inner]), {
      permutation: [...sizes.map((_, axis) => axis + 1), 0, rank + 1],
    }),
    [...sizes, groups * inner],
  );
  const order = placesFirst(axes);
  const paired = transpose(sorted, { permutation: order.map((_, axis) => order.indexOf(axis)) });
  return allWindowsAdjoint(paired, axes, x.shape);
}
