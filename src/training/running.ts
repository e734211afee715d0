/**
 * Sums over any number of batches in float32 with little loss of precision: they are added in pairs, like a
 * binary counter. Level j holds the sum of 2^j batches; a batch goes to the first empty level, together with
 * all levels below it. So n batches cost log n roundings instead of n, no compiler can optimize this away as
 * it may a compensated sum, and the levels are added in float64 on the host.
 */
import { add, and, cast, equal, less, or, select } from "../operations/elementwise.ts";
import { iota } from "../operations/indexing.ts";
import { expandDims, sum } from "../operations/structure.ts";
import { zeros } from "../operations/creation.ts";
import { checkTensor, printSpec, type Tensor, type Values } from "../tensor/tensor.ts";

/**
 * The sums of a metric: float32 `[24]` each, sums of 1, 2, 4… batches. A custom metric may keep tensors of
 * other shapes under these names.
 */
export interface MetricState {
  /** The weighted sum of the values. */
  readonly total: Tensor;
  /** The sum of the weights, or the number of values. */
  readonly count: Tensor;
}

/** 2^24 batches; further ones are added to the last level. */
const LEVELS = 24;

/** Empty sums. */
export function initSums(): MetricState {
  return { total: zeros([LEVELS]), count: zeros([LEVELS]) };
}

/** The sums including one more batch, given as scalars. Pure, traceable. */
export function addToSums(
  { total, count }: MetricState,
  batchTotal: Tensor,
  batchCount: Tensor,
): MetricState {
  const level = iota([LEVELS]);
  const below = less(expandDims(level, 0), expandDims(level, 1)); // [level, those below it]
  const empty = and(equal(total, 0), equal(count, 0));
  const belowEmpty = sum(select(below, cast(expandDims(empty, 0), "float32"), 0), { axes: 1 });
  const carried = equal(belowEmpty, 0); // all levels below are full and are merged into this one
  const landing = and(carried, or(empty, equal(level, LEVELS - 1)));
  const next = (sums: Tensor, batch: Tensor) => {
    const carry = add(cast(batch, "float32"), sum(select(below, expandDims(sums, 0), 0), { axes: 1 }));
    return select(landing, add(sums, carry), select(carried, 0, sums));
  };
  return { total: next(total, batchTotal), count: next(count, batchCount) };
}

/** Total and count in float64; the sums are on the host. */
export function readSums({ total, count }: MetricState): { readonly total: number; readonly count: number } {
  return { total: totalOnHost(total), count: totalOnHost(count) };
}

/** The mean of everything seen; 0 if nothing counted. */
export function meanOfSums(sums: MetricState): number {
  const { total, count } = readSums(sums);
  return count === 0 ? 0 : total / count;
}

function totalOnHost(levels: Tensor): number {
  checkTensor("a running mean", levels, "a sum in its state");
  if (levels.kind === "host") return sumOf(levels.data);
  throw new TypeError(
    `Cannot read the running ${printSpec(levels)}: bring it to the host first with await toHost(state)`,
  );
}

function sumOf(values: Values): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
