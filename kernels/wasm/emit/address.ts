/** Addresses and loops: how emitted code reaches the elements of views. */
import { type FunctionBuilder, i32, type Local } from "../assembler.ts";
import type { Buffer, View } from "../../lowering/views.ts";

/** Bytes of an element in every arena. */
export const ELEMENT = 4;

/** Where buffers lie at run time. */
export interface Addresses {
  /** The byte address of a buffer with a fixed place. */
  readonly addressOf: (buffer: Buffer) => number;
  /** The byte address of a word that holds the address of an input or output of the call. */
  readonly slotOf: (buffer: Buffer) => number;
}

/** The parameters of a kernel's function: the rows to work on, then the index of each enclosing loop. */
export const BEGIN = 0, END = 1, FIRST_LOOP = 2;

/** The parameter types of a kernel's function inside `depth` loops. */
export function kernelParams(depth: number): (typeof i32)[] {
  return new Array(FIRST_LOOP + depth).fill(i32);
}

/** Pushes the byte address of the view's element at offset `offset` (in elements). */
export function pushBase(f: FunctionBuilder, view: View, offset: number, addresses: Addresses): void {
  const { storage } = view.buffer;
  const looked = storage.kind === "input" || storage.kind === "output";
  const bytes = offset * ELEMENT;
  if (looked) {
    f.i32(addresses.slotOf(view.buffer)).memory("i32.load");
    if (bytes !== 0) f.i32(bytes).op("i32.add");
  } else {
    f.i32(addresses.addressOf(view.buffer) + bytes);
  }
  for (const { loop, stride } of view.loops) {
    if (stride !== 0) f.get(FIRST_LOOP + loop).i32(stride * ELEMENT).op("i32.mul").op("i32.add");
  }
}

/**
 * A new local with the address of the view's element at offset `offset` (in elements; default: its first).
 */
export function pointerTo(f: FunctionBuilder, view: View, addresses: Addresses, offset = view.offset): Local {
  const local = f.local(i32);
  pushBase(f, view, offset, addresses);
  f.set(local);
  return local;
}

/** A pointer shared by several views: same buffer, strides and loops, different offsets. */
export interface Pointer {
  readonly view: View;
  /** The least offset of the views, which the pointer includes. */
  readonly offset: number;
  readonly local: Local;
}

/** Pointers for views, and for each view its pointer and the bytes to add to it. */
export interface Pointers {
  readonly all: readonly Pointer[];
  readonly find: (view: View) => { readonly pointer: Pointer; readonly bytes: number };
}

/** Shares pointers among views and initializes them. */
export function makePointers(f: FunctionBuilder, views: readonly View[], addresses: Addresses): Pointers {
  const keyOf = ({ buffer, strides, loops }: View): string =>
    `${bufferNumber(buffer)} ${strides} ${loops.map(({ loop, stride }) => `${loop}:${stride}`)}`;
  const numbers = new Map<Buffer, number>();
  const bufferNumber = (buffer: Buffer): number => {
    const known = numbers.get(buffer) ?? numbers.size;
    numbers.set(buffer, known);
    return known;
  };
  const least = new Map<string, { view: View; offset: number }>();
  for (const view of views) {
    const key = keyOf(view);
    const known = least.get(key);
    if (!known || view.offset < known.offset) least.set(key, { view, offset: view.offset });
  }
  const pointers = new Map<string, Pointer>();
  for (const [key, { view, offset }] of least) {
    pointers.set(key, { view, offset, local: pointerTo(f, view, addresses, offset) });
  }
  return {
    all: [...pointers.values()],
    find: (view) => {
      const pointer = pointers.get(keyOf(view));
      if (!pointer) throw new Error("A view has no pointer");
      return { pointer, bytes: (view.offset - pointer.offset) * ELEMENT };
    },
  };
}

/**
 * Loops over `dims` from the outermost, moving the pointers along; `write` is the innermost body. The
 * pointers are restored afterwards.
 */
export function loopOver(
  f: FunctionBuilder,
  dims: readonly number[],
  moving: readonly { readonly local: Local; readonly strides: readonly number[] }[],
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
    for (const { local, strides } of moving) {
      if (strides[0] !== 0) f.get(local).i32(strides[0] * ELEMENT).op("i32.add").set(local);
    }
  });
  if (dim > 0) {
    for (const { local, strides } of moving) {
      if (strides[0] !== 0) f.get(local).i32(-dim * strides[0] * ELEMENT).op("i32.add").set(local);
    }
  }
}
