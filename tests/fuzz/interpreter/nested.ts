/**
 * Numbers in nested arrays, and arithmetic that can be made inexact. Nothing here knows of tensors, batches or masks
 * of the library.
 */
import type { Random } from "../random.ts";

/** A number, or arrays of them of one shape. */
export type Nested = number | readonly Nested[];

/** Whether steps count, in arrays of the shape of the time axes. */
export type Counts = boolean | readonly Counts[];

/** A tree of nested arrays; what is a list of tensors in the library is an object with the keys 0, 1, … here. */
export type NestedTree = Nested | { readonly [name: string]: NestedTree };

/** Whether a tree is one nested array. */
export function isNested(tree: NestedTree): tree is Nested {
  return typeof tree === "number" || Array.isArray(tree);
}

export function mapArrays(tree: NestedTree, fn: (x: Nested) => Nested): NestedTree {
  if (isNested(tree)) return fn(tree);
  return Object.fromEntries(Object.entries(tree).map(([name, part]) => [name, mapArrays(part, fn)]));
}

/**
 * The relative error that a rounded operation gets in an inexact run: float32 rounds by 2^-24, and the elementary
 * functions of the backends are off by some units in the last place, so 2^-21 is what any of them may be off by.
 */
const ROUNDING = 2 ** -21;

let noise: Random | undefined;

/**
 * Runs `run` with an error in the result of every operation, drawn by `random`: how far its result is from the exact
 * one says how badly conditioned the computation is, whatever it is (the stochastic arithmetic of Vignes, 1974).
 */
export function inexactly<T>(random: Random, run: () => T): T {
  noise = random;
  try {
    return run();
  } finally {
    noise = undefined;
  }
}

/** What float32 rounds to infinity: half a unit in the last place beyond its largest number. */
const OVERFLOW = 2 ** 128 - 2 ** 103;

/** What float32 rounds to 0: half of its smallest number; and its smallest number with all digits. */
const UNDERFLOW = 2 ** -150, NORMAL = 2 ** -126;

/**
 * The result of an operation: beyond float32's range an infinity or 0, and as an inexact machine would have it, which
 * may take numbers without all digits for 0.
 */
export function rounded(x: number): number {
  const near = noise ? x * (1 + ROUNDING * (2 * noise.next() - 1)) : x;
  const size = Math.abs(near);
  if (size <= (noise ? NORMAL : UNDERFLOW)) return near * 0;
  if (size < OVERFLOW || Number.isNaN(size)) return near;
  overflowed = true;
  return Math.sign(near) * Infinity;
}

let overflowed = false;

/** Whether a number on the way leaves what float32 has. */
export function overflows(run: () => unknown): boolean {
  overflowed = false;
  run();
  return overflowed;
}

export function list(x: Nested): readonly Nested[] {
  if (typeof x === "number") throw new TypeError("expected an array, got a number");
  return x;
}

/** An array of numbers. */
export function vector(x: Nested): readonly number[] {
  return list(x) as readonly number[]; // the caller knows the rank
}

export function matrix(x: Nested): readonly (readonly number[])[] {
  return list(x) as readonly (readonly number[])[]; // the caller knows the rank
}

export function shapeOf(x: Nested): number[] {
  return typeof x === "number" ? [] : [x.length, ...(x.length === 0 ? [] : shapeOf(x[0]))];
}

export function mapNested(fn: (...values: number[]) => number, ...xs: readonly Nested[]): Nested {
  const [first] = xs;
  if (typeof first === "number") return rounded(fn(...xs as readonly number[])); // all have one shape
  if (xs.some((x) => list(x).length !== first.length)) throw new RangeError("arrays of several shapes");
  return first.map((_, index) => mapNested(fn, ...xs.map((x) => list(x)[index])));
}

/** The innermost arrays, each replaced by what `fn` makes of it. */
export function mapVectors(x: Nested, fn: (v: readonly number[]) => Nested): Nested {
  const items = list(x);
  if (items.length === 0 || typeof items[0] === "number") return fn(vector(x));
  return items.map((item) => mapVectors(item, fn));
}

export function flat(x: Nested): number[] {
  return typeof x === "number" ? [x] : x.flatMap(flat);
}

/** Nested arrays of a shape, filled in row-major order. */
export function fill(shape: readonly number[], next: (index: readonly number[]) => number): Nested {
  const build = (index: readonly number[]): Nested =>
    index.length === shape.length
      ? next(index)
      : Array.from({ length: shape[index.length] }, (_, i) => build([...index, i]));
  return build([]);
}

/** The numbers of a list in nested arrays of a shape. */
export function nest(values: ArrayLike<number>, shape: readonly number[]): Nested {
  let next = 0;
  return fill(shape, () => Number(values[next++]));
}

export function at(x: Nested, index: readonly number[]): number {
  let found = x;
  for (const i of index) found = list(found)[i];
  return found as number; // the index has as many entries as the shape
}

export function zerosLike(x: Nested): Nested {
  return typeof x === "number" ? 0 : x.map(zerosLike);
}

export function sum(values: readonly number[]): number {
  return values.reduce((total, value) => rounded(total + value), 0);
}

/** Joined along the last axis. */
export function joined(a: Nested, b: Nested): Nested {
  const [as, bs] = [list(a), list(b)];
  return typeof as[0] === "number" ? [...as, ...bs] : as.map((part, i) => joined(part, bs[i]));
}

/** Row times matrix. */
export function times(v: readonly number[], m: readonly (readonly number[])[]): number[] {
  const columns = m[0]?.length ?? 0;
  return Array.from({ length: columns }, (_, j) => sum(v.map((value, i) => rounded(value * m[i][j]))));
}

export function plus(...vectors: readonly (readonly number[])[]): number[] {
  return vectors[0].map((_, i) => sum(vectors.map((v) => v[i])));
}

/** `count` parts of equal size. */
export function parts(v: readonly number[], count: number): number[][] {
  const size = v.length / count;
  return Array.from({ length: count }, (_, i) => v.slice(i * size, (i + 1) * size));
}
