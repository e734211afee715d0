/** Medians, slopes, and the form in which figures are kept. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { bestEntries, type Entry, entryOf, type Measurement } from "../../benches/support/measurements.ts";
import { median, slope } from "../../benches/support/statistics.ts";

Deno.test("the median is the middle one, or the mean of the middle two", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([10, 1, 2, 3]), 2.5);
  assertEquals(median([7]), 7);
  assertThrows(() => median([]), RangeError);
});

Deno.test("the median leaves its values in their order", () => {
  const values = [3, 1, 2];
  median(values);
  assertEquals(values, [3, 1, 2]);
});

Deno.test("the slope is that of the line with the least squares", () => {
  assertEquals(slope([[0, 5], [10, 25], [20, 45]]), 2);
  assertEquals(slope([[1, 4], [2, 4]]), 0);
  // By hand: means 1 and 2; (−1)(−1) + 0·(−1) + 1·2 = 3 over 2.
  assertEquals(slope([[0, 1], [1, 1], [2, 4]]), 1.5);
  assertThrows(() => slope([[1, 2]]), RangeError);
  assertThrows(() => slope([[1, 2], [1, 3]]), RangeError);
});

const measured: Measurement = { workload: "guide/train", subject: "cellfold", threads: 2, times: [4, 2, 3] };

Deno.test("an entry has exactly these keys, and values only where something else was measured", () => {
  assertEquals(entryOf(measured), {
    workload: "guide/train",
    subject: "cellfold",
    threads: 2,
    medianMs: 3,
    minMs: 2,
  });
  assertEquals(Object.keys(entryOf({ ...measured, values: {} })), [
    "workload",
    "subject",
    "threads",
    "medianMs",
    "minMs",
  ]);
  assertEquals(entryOf({ ...measured, values: { bytes: 1 } }).values, { bytes: 1 });
});

Deno.test("of a subject the better number of threads is kept, per workload", () => {
  const entry = (workload: string, threads: number, medianMs: number): Entry => ({
    workload,
    subject: "jax",
    threads,
    medianMs,
    minMs: medianMs,
  });
  const best = bestEntries([entry("a", 1, 5), entry("a", 2, 4), entry("b", 1, 1), entry("b", 2, 3)]);
  assertEquals(best.map(({ workload, threads }) => [workload, threads]), [["a", 2], ["b", 1]]);
  assert(JSON.parse(JSON.stringify(best)).length === 2);
});
