/**
 * Views: how the elements of a value lie in a buffer. Broadcast, slice, transpose, reverse and most reshapes
 * are views and cost nothing; kernels read and write through them. Sizes, strides and offsets count elements
 * (4 bytes).
 */
import type { DType, HostTensor } from "../../src/tensor/tensor.ts";
import { rowMajor, sizeOf } from "../shapes.ts";

/** Where a buffer's memory comes from. */
export type BufferStorage =
  /** Planned into the executable's arena. */
  | { readonly kind: "arena" }
  /** The memory of an input or output, whose address is looked up at every call. */
  | { readonly kind: "input" | "output"; readonly index: number }
  /** Filled once, when the executable is created. */
  | { readonly kind: "constant"; readonly value: HostTensor };

/** A piece of memory; compared by identity. */
export interface Buffer {
  /** Its contents, for reports. */
  readonly name: string;
  readonly size: number;
  readonly storage: BufferStorage;
}

/** An offset that grows with the index of an enclosing loop over time (0 is the outermost loop). */
export interface LoopStride {
  readonly loop: number;
  readonly stride: number;
}

/** A value in memory. */
export interface View {
  readonly buffer: Buffer;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** 0 if an axis repeats one element. */
  readonly strides: readonly number[];
  readonly offset: number;
  readonly loops: readonly LoopStride[];
}

/** Where a value is: in memory, or known at compile time. */
export type Located = { readonly view: View } | Constant;

/** A value whose elements are all the same and known at compile time. */
export interface Constant {
  readonly constant: number;
  readonly dtype: DType;
}

/** All of a buffer as a row-major tensor. */
export function viewOf(buffer: Buffer, shape: readonly number[], dtype: DType): View {
  return { buffer, dtype, shape, strides: rowMajor(shape), offset: 0, loops: [] };
}

/** Repeats a view along new axes or axes of size 1. */
export function broadcastView(view: View, shape: readonly number[], axes: readonly number[]): View {
  const strides = shape.map((dim, axis) => {
    const from = axes.indexOf(axis);
    return from < 0 || (view.shape[from] === 1 && dim !== 1) ? 0 : view.strides[from];
  });
  return { ...view, shape, strides };
}

/** Part of a view. */
export function sliceView(
  view: View,
  start: readonly number[],
  size: readonly number[],
  stride: readonly number[],
): View {
  return {
    ...view,
    shape: size,
    strides: view.strides.map((step, axis) => step * stride[axis]),
    offset: view.strides.reduce((offset, step, axis) => offset + step * start[axis], view.offset),
  };
}

/** Axes in another order. */
export function transposeView(view: View, permutation: readonly number[]): View {
  return {
    ...view,
    shape: permutation.map((axis) => view.shape[axis]),
    strides: permutation.map((axis) => view.strides[axis]),
  };
}

/** Axes flipped. */
export function reverseView(view: View, axes: readonly number[]): View {
  if (sizeOf(view.shape) === 0) return view;
  return {
    ...view,
    strides: view.strides.map((step, axis) => axes.includes(axis) ? -step : step),
    offset: axes.reduce((offset, axis) => offset + view.strides[axis] * (view.shape[axis] - 1), view.offset),
  };
}

/** The same elements in another shape, or undefined if that needs a copy. */
export function reshapeView(view: View, shape: readonly number[]): View | undefined {
  if (sizeOf(shape) === 0) return { ...view, shape, strides: rowMajor(shape) };
  const from = view.shape.flatMap((dim, axis) => dim === 1 ? [] : [{ dim, stride: view.strides[axis] }]);
  const strides: number[] = new Array(shape.length).fill(0);
  let at = 0;
  for (let axis = 0; axis < shape.length;) {
    if (shape[axis] === 1) {
      axis++;
      continue;
    }
    // The shortest runs of axes on both sides with equal sizes.
    let source = from[at].dim, sourceEnd = at + 1;
    let target = shape[axis], targetEnd = axis + 1;
    while (source !== target) {
      if (source < target) source *= from[sourceEnd++].dim;
      else target *= shape[targetEnd++];
    }
    for (let i = at; i + 1 < sourceEnd; i++) {
      if (from[i].stride !== from[i + 1].stride * from[i + 1].dim) return undefined;
    }
    let stride = from[sourceEnd - 1].stride;
    for (let i = targetEnd - 1; i >= axis; i--) {
      strides[i] = shape[i] === 1 ? 0 : stride;
      stride *= shape[i];
    }
    at = sourceEnd;
    axis = targetEnd;
  }
  return { ...view, shape, strides };
}

/** One step of a sequence along `axis`, at the index of an enclosing loop. */
export function stepView(view: View, axis: number, loop: number): View {
  return {
    ...view,
    shape: view.shape.filter((_, other) => other !== axis),
    strides: view.strides.filter((_, other) => other !== axis),
    loops: [...view.loops, { loop, stride: view.strides[axis] }],
  };
}

/** Merges adjacent axes along which all strides are contiguous; the first `fixed` axes stay. */
export function collapse(
  shape: readonly number[],
  strides: readonly (readonly number[])[],
  fixed: number,
): { readonly shape: number[]; readonly strides: number[][] } {
  const dims = [...shape];
  const all = strides.map((list) => [...list]);
  for (let axis = dims.length - 1; axis > fixed; axis--) {
    const runsOn = all.every((list) => list[axis - 1] === list[axis] * dims[axis] || dims[axis - 1] === 1) ||
      dims[axis] === 1;
    if (!runsOn) continue;
    if (dims[axis] !== 1) { for (const list of all) list[axis - 1] = list[axis]; }
    dims[axis - 1] *= dims[axis];
    dims.splice(axis, 1);
    for (const list of all) list.splice(axis, 1);
  }
  return { shape: dims, strides: all };
}
