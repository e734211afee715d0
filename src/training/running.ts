/**
 * Sums over any number of batches in float32 with little loss of precision: they are added in pairs, like a
 * binary counter. Level j holds the sum of 2^j batches; a batch goes to the first empty level, together with
 * all levels below it. So n batches cost log n roundings instead of n, no compiler can optimize this away as
 * it may a compensated sum, and the levels are added in float64 on the host.
 */
import { add, and, cast, equal, less, or, select } from "../operations/elementwise.ts";
import { iota } from "../operations/indexing.ts";
import { min } from "../operations/reduction.ts";
import { expandDims, reshape, sum } from "../operations/structure.ts";
import { zeros } from "../operations/creation.ts";
import type { Shape } from "../tensor/dims.ts";
import { checkTensor, printSpec, type Tensor } from "../tensor/tensor.ts";

/**
 * The sums of a metric by name: float32 `[24, ...]`, sums of 1, 2, 4… batches. A custom metric may keep any tensors.
 */
export interface MetricState {
  /** One sum, in levels. */
  readonly [name: string]: Tensor;
}

/** 2^24 batches; further ones are added to the last level. */
const LEVELS = 24;

/** Empty sums of these shapes; by default the total and the count of a mean. */
export function initSums(shapes: Readonly<Record<string, Shape>> = { total: [], count: [] }): MetricState {
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, zeros([LEVELS, ...shape])]));
}

/** `x` with axes of size 1 up to a rank. */
function widened(x: Tensor, rank: number): Tensor {
  return reshape(x, [...x.shape, ...Array<number>(rank - x.shape.length).fill(1)]);
}

/** The sums including one more batch. Pure, traceable. */
export function addToSums(sums: MetricState, batch: Readonly<Record<string, Tensor>>): MetricState {
  const level = iota([LEVELS]);
  const below = less(expandDims(level, 0), expandDims(level, 1)); // [level, those below it]
  const empty = Object.values(sums).map((levels) => {
    const isZero = cast(equal(levels, 0), "int32");
    const axes = levels.shape.map((_, axis) => axis).slice(1);
    return cast(axes.length === 0 ? isZero : min(isZero, { axes }), "bool");
  }).reduce(and);
  const belowEmpty = sum(select(below, cast(expandDims(empty, 0), "float32"), 0), { axes: 1 });
  const carried = equal(belowEmpty, 0); // all levels below are full and are merged into this one
  const landing = and(carried, or(empty, equal(level, LEVELS - 1)));
  const next = (levels: Tensor, batch: Tensor) => {
    const rank = levels.shape.length;
    const lower = sum(select(widened(below, rank + 1), expandDims(levels, 0), 0), { axes: 1 });
    const carry = add(cast(batch, "float32"), lower);
    return select(widened(landing, rank), add(levels, carry), select(widened(carried, rank), 0, levels));
  };
  return Object.fromEntries(Object.entries(sums).map(([name, levels]) => [name, next(levels, batch[name])]));
}

/** The sums of a name in float64; they are on the host. */
export function readSum(sums: MetricState, name: string): Float64Array {
  const levels = sums[name];
  checkTensor("a running mean", levels, "a sum in its state");
  if (levels.kind !== "host") {
    throw new TypeError(
      `Cannot read the running ${printSpec(levels)}: bring it to the host first with await toHost(state)`,
    );
  }
  const { data } = levels;
  const totals = new Float64Array(data.length / Math.max(levels.shape[0], 1));
  for (let index = 0; index < data.length; index++) totals[index % totals.length] += data[index];
  return totals;
}

/** The mean of everything seen; 0 if nothing counted. */
export function meanOfSums(sums: MetricState): number {
  const [[total], [count]] = [readSum(sums, "total"), readSum(sums, "count")];
  return count === 0 ? 0 : total / count;
}
