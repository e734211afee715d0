/** Addresses and loops: how emitted code reaches the elements of views. */
import { addDims, type Dim, multiplyDims, subtractDims } from "../../../src/tensor/dims.ts";
import { i32, type Local } from "../assembler.ts";
import type { Buffer, View } from "../../lowering/views.ts";
import { ELEMENT, type Extent, type KernelCode } from "./code.ts";

/** The parameters of a kernel's function: the rows to work on, then the index of each enclosing loop. */
export const BEGIN = 0, END = 1, FIRST_LOOP = 2;

/** The parameter types of a kernel's function inside `depth` loops. */
export function kernelParams(depth: number): (typeof i32)[] {
  return new Array(FIRST_LOOP + depth).fill(i32);
}

/** Pushes the byte address of the view's element at offset `offset` (in elements). */
export function pushBase(f: KernelCode, view: View, offset: Dim): void {
  f.address(view.buffer);
  if (offset !== 0) f.bytes(offset).op("i32.add");
  for (const { loop, stride } of view.loops) {
    if (stride !== 0) f.get(FIRST_LOOP + loop).bytes(stride).op("i32.mul").op("i32.add");
  }
}

/**
 * A new local with the address of the view's element at offset `offset` (in elements; default: its first).
 */
export function pointerTo(f: KernelCode, view: View, offset = view.offset): Local {
  return f.hold(() => pushBase(f, view, offset));
}

/** A pointer shared by several views: same buffer, strides and loops, offsets a fixed distance apart. */
export interface Pointer {
  readonly view: View;
  /** The least offset of the views, which the pointer includes. */
  readonly offset: Dim;
  readonly local: Local;
}

/** Pointers for views, and for each view its pointer and the bytes to add to it. */
export interface Pointers {
  readonly all: readonly Pointer[];
  readonly find: (view: View) => { readonly pointer: Pointer; readonly bytes: number };
}

/** The part of a size that is a number. */
function fixedPart(dim: Dim): number {
  return typeof dim === "number" ? dim : dim.terms[""] ?? 0;
}

/** Shares pointers among views and initializes them. */
export function makePointers(f: KernelCode, views: readonly View[]): Pointers {
  const keyOf = ({ buffer, strides, loops, offset }: View): string =>
    `${bufferNumber(buffer)} ${strides} ${loops.map(({ loop, stride }) => `${loop}:${stride}`)} ${
      subtractDims(offset, fixedPart(offset))
    }`;
  const numbers = new Map<Buffer, number>();
  const bufferNumber = (buffer: Buffer): number => {
    const known = numbers.get(buffer) ?? numbers.size;
    numbers.set(buffer, known);
    return known;
  };
  const least = new Map<string, View>();
  for (const view of views) {
    const key = keyOf(view);
    const known = least.get(key);
    if (!known || fixedPart(view.offset) < fixedPart(known.offset)) least.set(key, view);
  }
  const pointers = new Map<string, Pointer>();
  for (const [key, view] of least) {
    const { offset } = view;
    pointers.set(key, { view, offset, local: pointerTo(f, view, offset) });
  }
  return {
    all: [...pointers.values()],
    find: (view) => {
      const pointer = pointers.get(keyOf(view));
      if (!pointer) throw new Error("A view has no pointer");
      return { pointer, bytes: (fixedPart(view.offset) - fixedPart(pointer.offset)) * ELEMENT };
    },
  };
}

/** A pointer that moves along axes. */
export interface Moving {
  readonly local: Local;
  readonly strides: readonly Dim[];
}

/**
 * Loops over `dims` from the outermost, moving the pointers along; `write` is the innermost body. The
 * pointers are restored afterwards.
 */
export function loopOver(
  f: KernelCode,
  dims: readonly Extent[],
  moving: readonly Moving[],
  write: () => void,
): void {
  if (dims.length === 0) return write();
  const [dim, ...rest] = dims;
  const inner = moving.map(({ local, strides }) => ({ local, strides: strides.slice(1) }));
  if (dim === 1) return loopOver(f, rest, inner, write);
  const counter = f.local(i32);
  f.i32(0).set(counter);
  f.count(counter, dim, 1, () => {
    loopOver(f, rest, inner, write);
    for (const { local, strides } of moving) f.move(local, strides[0]);
  });
  if (dim === 0) return;
  for (const { local, strides } of moving) {
    if (typeof dim === "object" && "local" in dim) {
      if (strides[0] !== 0) {
        f.get(local).get(dim.local).bytes(strides[0]).op("i32.mul").op("i32.sub").set(local);
      }
    } else f.move(local, multiplyDims(multiplyDims(dim, strides[0]), -1));
  }
}

/** Loops over rows `[begin, end)` of the first axis and all of the others; runs once without axes. */
export function overRows(
  f: KernelCode,
  dims: readonly Dim[],
  moving: readonly Moving[],
  write: () => void,
): void {
  if (dims.length === 0) return write();
  for (const { local, strides } of moving) toRow(f, local, strides[0]);
  const row = f.local(i32);
  f.get(BEGIN).set(row);
  f.count(row, { local: END }, 1, () => {
    loopOver(
      f,
      dims.slice(1),
      moving.map(({ local, strides }) => ({ local, strides: strides.slice(1) })),
      write,
    );
    for (const { local, strides } of moving) f.move(local, strides[0]);
  });
}

/** Moves an address to row `begin`, rows being this many elements apart. */
export function toRow(f: KernelCode, address: Local, stride: Dim): void {
  if (stride !== 0) f.get(address).get(BEGIN).bytes(stride).op("i32.mul").op("i32.add").set(address);
}

/** The last index along an axis of this size. */
export function lastOf(size: Dim): Dim {
  return addDims(size, -1);
}
