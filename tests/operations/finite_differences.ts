/**
 * Derivatives by differences, to hold those of the library against. Everything is in float64.
 *
 * The error of a central difference of step h has two parts: what the next odd derivative adds (h² f‴/6), which is
 * estimated by comparing steps h and 2h (their difference is three times as large), and rounding, at most a few
 * units in the last place of every number that is summed, divided by h.
 */
import { assert } from "@std/assert";
import { host, type Tensor, tensor } from "../../mod.ts";
import { mapLike, treeLeaves, zipLike } from "../../src/tree/tree.ts";

/** A power of two near the cube root of the float64 epsilon, where both parts of the error are least. */
export const STEP = 2 ** -17;

/** How many roundings of the largest number an evaluation may gather. */
const ROUNDINGS = 256;

/** A difference with a bound of its own error. */
export interface Difference {
  readonly value: number;
  readonly error: number;
}

/**
 * The derivative at 0 of a function of one number.
 *
 * @param scale The largest magnitude of what is summed on the way to the result.
 */
export function centralDifference(f: (x: number) => number, scale: number): Difference {
  const narrow = (f(STEP) - f(-STEP)) / (2 * STEP);
  const wide = (f(2 * STEP) - f(-2 * STEP)) / (4 * STEP);
  const rounding = ROUNDINGS * Number.EPSILON * (1 + scale) / STEP;
  return { value: narrow, error: Math.abs(narrow - wide) + rounding };
}

/** A float64 tensor of these values. */
export function float64(values: readonly number[], shape: readonly number[]): Tensor {
  return tensor(values, { shape, dtype: "float64" });
}

/** The values of a host tensor as a list. */
export function valuesOf(x: Tensor): number[] {
  return Array.from(host(x).data);
}

/** The sum over all elements of the product of two trees of host tensors of one structure. */
export function dot(a: unknown, b: unknown): number {
  const [left, right] = [treeLeaves<Tensor>(a), treeLeaves<Tensor>(b)];
  return left.reduce(
    (total, x, leaf) => valuesOf(x).reduce((sum, v, i) => sum + v * host(right[leaf]).data[i], total),
    0,
  );
}

/** `tree + step · direction`, leaf by leaf. */
export function moved<T>(tree: T, direction: T, step: number): T {
  return zipLike(tree, direction, (x: Tensor, v: Tensor) =>
    float64(
      valuesOf(x).map((value, i) => value + step * host(v).data[i]),
      host(x).shape,
    ));
}

/** The largest magnitude in a tree of host tensors. */
export function largest(tree: unknown): number {
  return Math.max(0, ...treeLeaves<Tensor>(tree).flatMap((x) => valuesOf(x).map(Math.abs)));
}

/** Fails unless `gradient` is that of `f` at `point`, seen along `direction`. */
export function assertGradientAlong<T>(
  f: (point: T) => number,
  point: T,
  gradient: T,
  direction: T,
  scale: number,
  what = "the gradient",
): void {
  const { value, error } = centralDifference((step) => f(moved(point, direction, step)), scale);
  const actual = dot(gradient, direction);
  assert(
    Math.abs(actual - value) <= error + 1e-12 * Math.abs(value),
    `${what} along a direction is ${actual}, by differences ${value} ± ${error}`,
  );
}

/** The numbers of a generator that is begun with `seed` (mulberry32), in -1…1. */
export function numbersFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  };
}

/** A tree like `tree` with random float64 values in -1…1. */
export function randomLike<T>(tree: T, seed: number): T {
  const next = numbersFrom(seed);
  return mapLike(tree, (x: Tensor) => float64(valuesOf(x).map(next), host(x).shape));
}
