/**
 * Sorting, composed of other operations: a bitonic network (Batcher, "Sorting networks and their applications",
 * 1968) as a scan over its stages, and for a few largest elements rounds of `argmax`. Pairs of a value and its
 * index are compared, so that equal elements keep their order. The elements themselves are read by index, so
 * that derivatives flow to those that were chosen.
 */
import { checkCount } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { fixedDim, multiplyDims, type Shape, sizeOfShape } from "../tensor/dims.ts";
import { checkTensor, type Tensor, tensor } from "../tensor/tensor.ts";
import { resolveAxis } from "./axes.ts";
import { full, zeros } from "./creation.ts";
import {
  add,
  and,
  cast,
  div,
  equal,
  greater,
  less,
  mul,
  not,
  notEqual,
  or,
  select,
  stopGradient,
  sub,
} from "./elementwise.ts";
import { gather, iota } from "./indexing.ts";
import { isFloat, requireNumber } from "./infer.ts";
import { argmax, type AxisOptions, max, sizeAsTensor } from "./reduction.ts";
import { foldFlat } from "./scan.ts";
import { concat, expandDims, reshape, sliceAxis, stack, transpose } from "./structure.ts";

/** Elements in order, and where they were. */
export type Sorted = {
  /** The elements, of the dtype that was given; derivatives flow through them. */
  readonly values: Tensor;
  /** int32, the place of each along the axis. */
  readonly indices: Tensor;
};

/** How elements are sorted. */
export interface SortOptions extends AxisOptions {
  /** From the largest to the smallest; default false. */
  readonly descending?: boolean;
}

/**
 * The elements in order along an axis (default: the last), from the smallest to the largest. Equal elements
 * keep their order, also with `descending`; NaN counts as larger than any number, as in `argmax`, and -0
 * equals 0.
 *
 * An axis of n elements is sorted in ⌈log₂(n)⌉² stages, each of which reads all of them: 100 for 1,000, 256 for
 * 50,000. For a few of the largest elements, `topK` is faster.
 *
 * @param x float32, float64 or int32; the size of the axis must be known, other sizes may be open.
 * @returns Two tensors of the shape of `x`.
 * @throws TypeError for bool; RangeError for an axis that `x` does not have, or whose size is open.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { sort, tensor, toNested } from "@cellfold/cellfold";
 * const { values, indices } = sort(tensor([3, 1, 2, 1]));
 * assertEquals(toNested(values), [1, 1, 2, 3]);
 * assertEquals(toNested(indices), [1, 3, 2, 0]);
 * ```
 */
export function sort(x: Tensor, options: SortOptions = {}): Sorted {
  checkTensor("sort", x);
  checkOptions("sort", options, ["axis", "descending"]);
  requireNumber("sort", [x]);
  const axis = resolveAxis(options.axis ?? -1, x.shape.length, "sort");
  const size = fixedDim(x.shape[axis], "An axis to sort along");
  return alongAxis(x, axis, (rows) => sortedPlaces(rows, size, options.descending ?? false));
}

/**
 * The `k` largest elements along an axis (default: the last), from the largest on, as `sort` with `descending`
 * orders them: of equal elements the first, NaN before all numbers.
 *
 * For n elements it costs one pass, and a few over 2·√(n·k) of them for each of the `k`. From ⌈log₂(n)⌉² on, they
 * are sorted.
 *
 * @param x float32, float64 or int32; the size of the axis must be known, other sizes may be open.
 * @param options `k`: how many, from 1 to the size of the axis.
 * @returns Two tensors of the shape of `x`, but with `k` elements along the axis.
 * @throws TypeError for bool; RangeError for a `k` above the size of the axis, or an axis that `x` does not
 *   have or whose size is open.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { tensor, toNested, topK } from "@cellfold/cellfold";
 * const { values, indices } = topK(tensor([[3, 1, 2], [4, 6, 6]]), { k: 2 });
 * assertEquals(toNested(values), [[3, 2], [6, 6]]);
 * assertEquals(toNested(indices), [[0, 2], [1, 2]]);
 * ```
 */
export function topK(x: Tensor, options: AxisOptions & { readonly k: number }): Sorted {
  checkTensor("topK", x);
  checkOptions("topK", options, ["k", "axis"]);
  requireNumber("topK", [x]);
  const axis = resolveAxis(options.axis ?? -1, x.shape.length, "topK");
  const size = fixedDim(x.shape[axis], "An axis to find the largest along");
  const { k } = options;
  checkCount(`find the largest of ${size} elements`, k, "k", 1, size);
  return alongAxis(
    x,
    axis,
    (rows) =>
      k <= bitsOf(size) ** 2
        ? largestPlaces(rows, size, k)
        : sliceAxis(sortedPlaces(rows, size, true), 1, 0, k),
  );
}

/** Chooses among the elements along an axis: `places` gives those to take, `[rows, count]`, from `[rows, size]`. */
function alongAxis(x: Tensor, axis: number, places: (rows: Tensor) => Tensor): Sorted {
  const others = x.shape.map((_, other) => other).filter((other) => other !== axis);
  const lanes = others.map((other) => x.shape[other]);
  const rows = reshape(transpose(x, { permutation: [...others, axis] }), [sizeOfShape(lanes), x.shape[axis]]);
  const chosen = places(stopGradient(rows));
  const permutation = x.shape.map((_, other) => other === axis ? others.length : others.indexOf(other));
  const back = (t: Tensor) => transpose(reshape(t, [...lanes, t.shape[1]]), { permutation });
  return { values: back(taken(rows, chosen)), indices: back(chosen) };
}

/** For each row, its elements (`[rows, size, ...rest]`) at these places (`[rows, count]`). */
function taken(x: Tensor, places: Tensor): Tensor {
  const [rows, size, ...rest] = x.shape;
  const start = mul(iota([rows, 1], { axis: 0 }), sizeAsTensor(size, "int32"));
  return gather(reshape(x, [multiplyDims(rows, size), ...rest]), add(start, places));
}

/** How many places a network for `size` elements has: the next power of two, as its logarithm. */
function bitsOf(size: number): number {
  return Math.ceil(Math.log2(Math.max(size, 1)));
}

/**
 * The stages of the network as Stone arranges them ("Parallel processing with the perfect shuffle", 1971): each
 * compares the two halves and interleaves them, so that all stages move data alike. That rotates the bits of
 * every place; after as many stages as there are bits, a round, all are where they were. In round r, bits above
 * r only move, and bit r + 1 of the place says in which direction the others are compared.
 */
function stagesOf(bits: number): { readonly compares: Tensor; readonly directions: Tensor } {
  const stages = Array.from({ length: bits ** 2 }, (_, stage) => {
    const round = Math.floor(stage / bits), moved = stage % bits;
    const isLast = round === bits - 1; // one block in one direction
    // A factor that moves the bit to that of the sign.
    return {
      compares: bits - 1 - moved <= round ? 1 : 0,
      direction: isLast ? 0 : 2 ** (31 - (round + 1 + moved) % bits) | 0,
    };
  });
  return {
    compares: wholes(stages.map(({ compares }) => compares)),
    directions: wholes(stages.map(({ direction }) => direction)),
  };
}

/** The places (`[rows, size]`) of the elements of each row in order. */
function sortedPlaces(rows: Tensor, size: number, descending: boolean): Tensor {
  const bits = bitsOf(size);
  if (bits === 0) return iota(rows.shape);
  const width = 2 ** bits, half = width / 2;
  const initial = padded(transpose(rows), { size, width, descending });
  const { compares, directions } = stagesOf(bits);
  const pair = reshape(iota([half]), [half, 1]);
  const { carries: [, sorted] } = foldFlat(
    [initial.values, initial.indices],
    [compares, directions],
    ([values, indices], [compares, direction]) => {
      const halves = (t: Tensor) => [sliceAxis(t, 0, 0, half), sliceAxis(t, 0, half, half)] as const;
      const [a, b] = halves(values), [i, j] = halves(indices);
      const isBefore = descending ? greater(a, b) : less(a, b);
      const isFirst = or(isBefore, and(equal(a, b), less(i, j)));
      const isBackward = less(mul(pair, direction), 0);
      const swaps = and(not(differ(isFirst, isBackward)), equal(compares, 1));
      const interleaved = (a: Tensor, b: Tensor) =>
        reshape(stack([select(swaps, b, a), select(swaps, a, b)], { axis: 1 }), values.shape);
      return { carries: [interleaved(a, b), interleaved(i, j)], outputs: [], result: undefined };
    },
    { length: bits ** 2, reverse: false, recompute: false },
  );
  const places = transpose(sliceAxis(sorted, 0, 0, size));
  return descending
    ? select(less(places, 0), add(places, size), places)
    : select(less(places, size), places, sub(places, size));
}

function wholes(values: readonly number[]): Tensor {
  return tensor(values, { dtype: "int32" });
}

/** Whether exactly one of two bools holds. */
function differ(a: Tensor, b: Tensor): Tensor {
  return notEqual(cast(a, "int32"), cast(b, "int32"));
}

/**
 * Values and indices (`[width, rows]`) whose comparison gives the order: NaN becomes an infinity with an index
 * that puts it beyond those that are there, and what is added up to a power of two comes last.
 */
function padded(
  x: Tensor,
  { size, width, descending }: {
    readonly size: number;
    readonly width: number;
    readonly descending: boolean;
  },
) {
  const places = iota(x.shape, { axis: 0 });
  const isNumber = isFloat(x) ? equal(x, x) : undefined;
  const values = isNumber ? select(isNumber, x, Infinity) : x;
  const indices = isNumber ? select(isNumber, places, add(places, descending ? -size : size)) : places;
  if (width === size) return { values, indices };
  const last = isFloat(x) ? (descending ? -Infinity : Infinity) : descending ? -(2 ** 31) : 2 ** 31 - 1;
  const added: Shape = [width - size, x.shape[1]];
  return {
    values: concat([values, full(added, last, { dtype: x.dtype })], { axis: 0 }),
    indices: concat([indices, full(added, 2 * size, { dtype: "int32" })], { axis: 0 }),
  };
}

/** The fewest elements that are worth being cut into blocks. */
const FEWEST_IN_BLOCKS = 512;

/**
 * The places (`[rows, k]`) of the `k` largest elements of each row. They lie in the `k` blocks with the largest
 * maxima, as the maximum of each of these comes before everything in other blocks, so only those are searched.
 */
function largestPlaces(rows: Tensor, size: number, k: number): Tensor {
  const width = Math.ceil(Math.sqrt(size / k));
  const count = Math.ceil(size / width);
  if (size < FEWEST_IN_BLOCKS || count < 2 * k || width < 4) return largestByRounds(rows, size, k);
  const added = count * width - size;
  const last = full([rows.shape[0], added], leastOf(rows), { dtype: rows.dtype });
  const blocks = reshape(added === 0 ? rows : concat([rows, last]), [rows.shape[0], count, width]);
  const best = largestByRounds(max(blocks, { axes: 2 }), count, k);
  const chosen = taken(best, sortedPlaces(best, k, false)); // as they were, so that equal elements keep their order
  const candidates = reshape(taken(blocks, chosen), [rows.shape[0], k * width]);
  const found = largestByRounds(candidates, k * width, k);
  const block = div(found, width);
  return add(mul(taken(chosen, block), width), sub(found, mul(block, width)));
}

/** The same by rounds of `argmax`. */
function largestByRounds(rows: Tensor, size: number, k: number): Tensor {
  const least = leastOf(rows);
  const places = iota([1, size]);
  const { outputs: [found] } = foldFlat(
    [zeros(rows.shape, { dtype: "bool" })],
    [],
    ([isTaken]) => {
      const rest = select(isTaken, least, rows);
      // Where only the least is left, it is found by what was not taken, as what was taken looks like it.
      const isLeast = equal(max(rest, { axes: 1 }), least);
      const byOrder = argmax(cast(not(isTaken), "int32"), { axis: 1 });
      const index = select(isLeast, byOrder, argmax(rest, { axis: 1 }));
      return {
        carries: [or(isTaken, equal(places, expandDims(index, 1)))],
        outputs: [index],
        result: undefined,
      };
    },
    { length: k, reverse: false, recompute: false },
  );
  return found;
}

function leastOf({ dtype }: Tensor): number {
  return dtype === "int32" ? -(2 ** 31) : -Infinity;
}
