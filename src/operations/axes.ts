/** Axes as they are given, and the options of everything that reduces them. */
import { quoted } from "../quoted.ts";

/** An axis from the front (0 is the first) or from the back (-1 is the last). */
export function resolveAxis(axis: number, rank: number, what: string): number {
  const resolved = !Number.isInteger(axis) ? NaN : axis < 0 ? axis + rank : axis;
  if (!(resolved >= 0 && resolved < rank)) {
    throw new RangeError(`Cannot ${what} along axis ${quoted(axis)}: the tensor has ${rank} axes`);
  }
  return resolved;
}

/** Axes given as one, several or none (all), resolved and sorted. */
export function resolveAxes(
  axes: number | readonly number[] | undefined,
  rank: number,
  what: string,
): number[] {
  if (axes === undefined) return Array.from({ length: rank }, (_, axis) => axis);
  const list = Array.isArray(axes) ? axes as readonly number[] : [axes as number];
  const resolved = [...new Set(list.map((axis) => resolveAxis(axis, rank, what)))].sort((a, b) => a - b);
  if (resolved.length !== list.length) {
    throw new RangeError(`Cannot ${what} along axes [${list}]: one is given twice`);
  }
  return resolved;
}

/** Options of a reduction. */
export interface ReduceOptions {
  /** The axes to reduce; default all. */
  readonly axes?: number | readonly number[];
  /** Whether reduced axes are kept, with size 1; default false. */
  readonly keepDims?: boolean;
}

/** The names of `ReduceOptions`. */
export const reduceOptionNames: readonly string[] = ["axes", "keepDims"];
