/**
 * The primitive behind convolutions: what a window shows, times a kernel. Its derivatives are another one of these, or
 * products over all windows.
 */
import type { Operation } from "../program/types.ts";
import { addDims, type Dim, multiplyDims, type Shape, sizeOfShape, subtractDims } from "../tensor/dims.ts";
import { fixedSize, type Tensor } from "../tensor/tensor.ts";
import { applyOne } from "./apply.ts";
import { printSpecs, requireFloat, requireSameDType } from "./infer.ts";
import { matmul } from "./matmul.ts";
import { pad, reshape, reverse, slice, transpose } from "./structure.ts";
import { allWindows, allWindowsAdjoint, type Placed, spanOf } from "./windows.ts";

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
  derivative: ({ inputs: [x, kernel], cotangents: [c], wanted, attributes }) => {
    if (!c) return [undefined, undefined];
    const axes = placesOf(attributes), { groups } = attributes;
    return [
      wanted[0] ? derivativeOfInput(x, kernel, c, axes, groups) : undefined,
      wanted[1] ? derivativeOfKernel(x, kernel, c, axes, groups) : undefined,
    ];
  },
  isHeavy: true,
};

/** The attributes by axis. */
function placesOf(
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

/** The terms of a group that a window has. */
function termsOf(kernel: Tensor, axes: readonly Placed[]): number {
  return axes.reduce((terms, { window }) => terms * window, fixedSize(kernel, axes.length));
}

/** The order `[batch, size, …, window, …, channels]` of the axes of all windows, which come in pairs. */
function placesFirst(axes: readonly unknown[]): number[] {
  const places = axes.map((_, index) => 1 + 2 * index);
  return [0, ...places, ...places.map((axis) => axis + 1), 1 + 2 * axes.length];
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

/** The kernel's is a sum over all windows. */
function derivativeOfKernel(
  x: Tensor,
  kernel: Tensor,
  c: Tensor,
  axes: readonly Placed[],
  groups: number,
): Tensor {
  const windows = windowMatrix(x, kernel, axes, groups);
  const product = matmul(windows, columnsOf(c, groups), { transposeLeft: true });
  return reshape(groups === 1 ? product : transpose(product, { permutation: [1, 0, 2] }), kernel.shape);
}

/** Products with fewer columns are not worth it. */
const FEW_COLUMNS = 8;

/**
 * The input's is a convolution with the flipped kernel. With strides, that would multiply the zeros between the elements
 * of the cotangent; with few channels, its products would have few columns, and with far fewer than the cotangent has, its
 * windows would be much larger than those of the input: instead, what each window has is added up.
 */
function derivativeOfInput(
  x: Tensor,
  kernel: Tensor,
  c: Tensor,
  axes: readonly Placed[],
  groups: number,
): Tensor {
  const inner = fixedSize(kernel, axes.length);
  const outer = fixedSize(kernel, axes.length + 1);
  if (axes.every(({ stride }) => stride === 1) && inner >= FEW_COLUMNS && 2 * inner >= outer) {
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

/** An axis of the result of the adjoint: its size, and how many elements before it are left out, or added if negative. */
export interface AdjointAxis extends Pick<Placed, "window" | "stride" | "dilation"> {
  readonly size: Dim;
  readonly low: number;
}

/**
 * The adjoint of a convolution with `kernel`, `[...window, out / groups, in]`: each element of the result sums what the
 * flipped kernel shows of the input with zeros between its elements and around it.
 */
export function adjointPadded(
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
