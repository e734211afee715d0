/** Masks: which places of a value count. */
import { type Counts, nest, type Nested } from "./nested.ts";
import { Value } from "./types.ts";
import { type Extras, leavesOf, type Sample } from "./samples.ts";

/** Whether the place counts: a mask speaks of leading axes. */
export function countsAt(counts: Counts | undefined, index: readonly number[]): boolean {
  let found: Counts = counts ?? true;
  for (const i of index) {
    if (typeof found === "boolean") return found;
    found = found[i];
  }
  if (typeof found === "boolean") return found;
  throw new TypeError("the mask has more axes than the value");
}

/** The mask for another shape, where some of its leading axes have as many places: row-major, they are the same. */
export function keptCounts(counts: Counts | undefined, shape: readonly number[]): Counts | undefined {
  if (counts === undefined || typeof counts === "boolean") return counts;
  const places = (counts: Counts): boolean[] =>
    typeof counts === "boolean" ? [counts] : counts.flatMap(places);
  const given = places(counts);
  const rank =
    shape.findIndex((_, axis) => shape.slice(0, axis + 1).reduce((a, b) => a * b, 1) === given.length) + 1;
  if (rank === 0) return undefined;
  const again = (x: Nested): Counts => typeof x === "number" ? x === 1 : x.map(again);
  return again(nest(given.map(Number), shape.slice(0, rank)));
}

/** The mask of all leaves: a step counts where it counts for each of them. */
export function countsOfAll(values: readonly Value[]): readonly boolean[] | undefined {
  const given = values.flatMap(({ counts }) => Array.isArray(counts) ? [counts as readonly boolean[]] : []); // over time
  return given.length === 0 ? undefined : given[0].map((_, step) => given.every((counts) => counts[step]));
}

/** Whether the row as a whole counts; undefined where nothing says so. */
function rowCounts(sample: Sample): boolean | undefined {
  const given = leavesOf(sample).flatMap(({ counts }) => typeof counts === "boolean" ? [counts] : []);
  return given.length === 0 ? undefined : given.every((counts) => counts);
}

/** The mask of steps, all of them false in a row that does not count. */
export function ofRow(sample: Sample, counts: Counts | undefined): Counts | undefined {
  const row = rowCounts(sample);
  return row === undefined || counts === undefined ? counts ?? row : both(row, counts);
}

/** What is left of a mask where the axis of steps ends. */
export function ended(sample: Sample, { rows }: Extras): boolean | undefined {
  const counts = countsOfAll(leavesOf(sample));
  const row = rowCounts(sample);
  if (!rows || counts === undefined) return row;
  return counts.some((counts) => counts) && (row ?? true);
}

/** Whether any of the steps counts. */
export function anyCounts(counts: Counts): boolean {
  return typeof counts === "boolean" ? counts : counts.some(anyCounts);
}

/** A step counts where it counts in both; the one with fewer axes speaks of all that is within. */
export function both(a: Counts, b: Counts): Counts {
  if (typeof a === "boolean") return a ? b : none(b);
  if (typeof b === "boolean") return b ? a : none(a);
  return a.map((part, i) => both(part, b[i]));
}

/** The same where either may say nothing. */
export function inBoth(a: Counts | undefined, b: Counts | undefined): Counts | undefined {
  return a === undefined || b === undefined ? a ?? b : both(a, b);
}

export function none(counts: Counts): Counts {
  return typeof counts === "boolean" ? false : counts.map(none);
}

/** A step counts where it counts in any. */
export function either(a: Counts, b: Counts): Counts {
  if (typeof a === "boolean") return a ? mapCounts(b, () => true) : b;
  if (typeof b === "boolean") return b ? mapCounts(a, () => true) : a;
  return a.map((part, i) => either(part, b[i]));
}

function mapCounts(counts: Counts, fn: (counts: boolean) => boolean): Counts {
  return typeof counts === "boolean" ? fn(counts) : counts.map((part) => mapCounts(part, fn));
}
