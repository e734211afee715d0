/**
 * Views: how the elements of a value lie in a buffer. Broadcast, slice, windows, transpose, reverse and most
 * reshapes are views and cost nothing; kernels read and write through them. Sizes, strides and offsets count elements
 * (4 bytes); where they depend on a size that is known only at a call, they are polynomials of it.
 */
import {
  addDims,
  type Bindings,
  type Dim,
  divideDims,
  multiplyDims,
  type Shape,
} from "../../src/tensor/dims.ts";
import type { Attributes } from "../../src/program/types.ts";
import type { DType, HostTensor } from "../../src/tensor/tensor.ts";
import { rowMajor, sizeOf } from "../shapes.ts";

/** Where a buffer's memory comes from. */
export type BufferStorage =
  /** Planned into the executable's arena. */
  | { readonly kind: "arena" }
  /** The memory of an input or output, whose address is looked up at every call. */
  | { readonly kind: "input" | "output"; readonly index: number }
  /** Filled once, when the executable is created; one that depends on open sizes, when these are known. */
  | { readonly kind: "constant"; readonly value: HostTensor | ((bindings: Bindings) => HostTensor) };

/** A piece of memory; compared by identity. */
export interface Buffer {
  /** Its contents, for reports. */
  readonly name: string;
  readonly size: Dim;
  readonly storage: BufferStorage;
}

/** An offset that grows with the index of an enclosing loop over time (0 is the outermost loop). */
export interface LoopStride {
  readonly loop: number;
  readonly stride: Dim;
}

/** A value in memory. */
export interface View {
  readonly buffer: Buffer;
  readonly dtype: DType;
  readonly shape: Shape;
  /** 0 if an axis repeats one element. */
  readonly strides: Shape;
  readonly offset: Dim;
  readonly loops: readonly LoopStride[];
  /** What the offset grows by with the number of the share of a kernel's work, of which each has its own place. */
  readonly share?: Dim;
}

/** Where a value is: in memory, or known at compile time. */
export type Located = { readonly view: View } | Constant;

/** A number that depends on open sizes. */
export type OpenNumber = (bindings: Bindings) => number;

/** A value whose elements are all the same and known at compile time, or as soon as the open sizes are. */
export interface Constant {
  readonly constant: number | OpenNumber;
  readonly dtype: DType;
}

/** All of a buffer as a row-major tensor. */
export function viewOf(buffer: Buffer, shape: Shape, dtype: DType): View {
  return { buffer, dtype, shape, strides: rowMajor(shape), offset: 0, loops: [] };
}

/** Repeats a view along new axes or axes of size 1. */
export function broadcastView(view: View, shape: Shape, axes: readonly number[]): View {
  const strides = shape.map((dim, axis) => {
    const from = axes.indexOf(axis);
    return from < 0 || (view.shape[from] === 1 && dim !== 1) ? 0 : view.strides[from];
  });
  return { ...view, shape, strides };
}

/** Part of a view. */
export function sliceView(
  view: View,
  start: Shape,
  size: Shape,
  stride: readonly number[],
): View {
  return {
    ...view,
    shape: size,
    strides: view.strides.map((step, axis) => multiplyDims(step, stride[axis])),
    offset: view.strides.reduce(
      (offset, step, axis) => addDims(offset, multiplyDims(step, start[axis])),
      view.offset,
    ),
  };
}

/** The places of a window along an axis: views of overlapping elements, which only are read. */
export function windowsView(
  view: View,
  { axis, size, window, stride, dilation }: Attributes["windows"],
): View {
  const step = view.strides[axis];
  return {
    ...view,
    shape: [...view.shape.slice(0, axis), size, window, ...view.shape.slice(axis + 1)],
    strides: [
      ...view.strides.slice(0, axis),
      multiplyDims(step, stride),
      multiplyDims(step, dilation),
      ...view.strides.slice(axis + 1),
    ],
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
    strides: view.strides.map((step, axis) => axes.includes(axis) ? multiplyDims(step, -1) : step),
    offset: axes.reduce(
      (offset, axis) => addDims(offset, multiplyDims(view.strides[axis], addDims(view.shape[axis], -1))),
      view.offset,
    ),
  };
}

/** The same elements in another shape, or undefined if that needs a copy. */
export function reshapeView(view: View, shape: Shape): View | undefined {
  if (sizeOf(shape) === 0) return { ...view, shape, strides: rowMajor(shape) };
  const from = view.shape.flatMap((dim, axis) => dim === 1 ? [] : [{ dim, stride: view.strides[axis] }]);
  const strides: Dim[] = new Array(shape.length).fill(0);
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
      const isShorter = isPart(source, target);
      if (isShorter && sourceEnd < from.length) source = multiplyDims(source, from[sourceEnd++].dim);
      else if (!isShorter && targetEnd < shape.length) target = multiplyDims(target, shape[targetEnd++]);
      else return undefined; // sizes of different symbols, which only a call can compare
    }
    for (let i = at; i + 1 < sourceEnd; i++) {
      if (from[i].stride !== multiplyDims(from[i + 1].stride, from[i + 1].dim)) return undefined;
    }
    let stride: Dim = from[sourceEnd - 1].stride;
    for (let i = targetEnd - 1; i >= axis; i--) {
      strides[i] = shape[i] === 1 ? 0 : stride;
      stride = multiplyDims(stride, shape[i]);
    }
    at = sourceEnd;
    axis = targetEnd;
  }
  return { ...view, shape, strides };
}

/** Whether a product of sizes should grow to become equal to another one: that is a multiple of it, or larger. */
function isPart(a: Dim, b: Dim): boolean {
  if (typeof a === "number" && typeof b === "number") return a < b;
  return divideDims(b, a) !== undefined || (typeof a === "number" && divideDims(a, b) === undefined);
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

/** Whether two views move alike with the loops around them. */
export function sameLoops({ loops: a }: View, { loops: b }: View): boolean {
  return a.length === b.length &&
    a.every(({ loop, stride }, i) => loop === b[i].loop && stride === b[i].stride);
}

/** Merges adjacent axes along which all strides are contiguous; the first `fixed` axes stay. */
export function collapse(
  shape: Shape,
  strides: readonly Shape[],
  fixed: number,
): { readonly shape: Dim[]; readonly strides: Dim[][] } {
  const dims = [...shape];
  const all = strides.map((list) => [...list]);
  for (let axis = dims.length - 1; axis > fixed; axis--) {
    const runsOn = all.every((list) =>
      list[axis - 1] === multiplyDims(list[axis], dims[axis]) || dims[axis - 1] === 1
    ) ||
      dims[axis] === 1;
    if (!runsOn) continue;
    if (dims[axis] !== 1) { for (const list of all) list[axis - 1] = list[axis]; }
    dims[axis - 1] = multiplyDims(dims[axis - 1], dims[axis]);
    dims.splice(axis, 1);
    for (const list of all) list.splice(axis, 1);
  }
  return { shape: dims, strides: all };
}
