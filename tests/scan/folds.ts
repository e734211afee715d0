/** What the properties of scan have in common: losses of a fold, random options, and trees that must be equal. */
import { exampleCount } from "../support/examples.ts";
import { assert } from "@std/assert";
import fc from "fast-check";
import {
  add,
  type Cell,
  host,
  type HostTensor,
  mul,
  type ScanOptions,
  sum,
  type Tensor,
  tensor,
} from "../../mod.ts";
import { fixedDim, sliceAxis, specOf } from "../../src/internal.ts";
import { checkSameStructure, flattenTree, mapTree, printPath, treeLeaves } from "../../src/tree/tree.ts";
import { largest, numbersFrom, randomLike, valuesOf } from "../operations/finite_differences.ts";
import { cellOf, type Example, type Point, type State, stateOf } from "./random_cells.ts";

/** A way to fold a cell: `scan` with some options, or what it should equal. */
export type Fold = <S, I, O>(cell: Cell<S, I, O>, state: S, inputs: I) => [O, S];

/** The outputs and the final state of an example. */
export function run(example: Example, { parameters, state, inputs }: Point, fold: Fold): [unknown, State] {
  return fold(cellOf(example, parameters), stateOf(example, state), inputs);
}

/** The sum of all outputs and final floats, each times a fixed random number: every one has its own cotangent. */
export function lossOf(example: Example, fold: Fold): (point: Point) => Tensor {
  return (point) => {
    const [outputs, final] = run(example, point, fold);
    return weighted([outputs, final.floats], example.seed + 1);
  };
}

/** The sum of all elements of a tree, each times a fixed random number. */
export function weighted(tree: unknown, seed: number): Tensor {
  const terms = treeLeaves<Tensor>(tree).map((leaf, index) => {
    const shape = leaf.shape.map((dim) => fixedDim(dim));
    const next = numbersFrom(seed + 31 * index);
    const numbers = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next);
    return sum(mul(leaf, tensor(numbers, { shape, dtype: leaf.dtype })));
  });
  return terms.reduce((a, b) => add(a, b));
}

/** How much is summed in the loss of an example, for the bound of rounding. */
export function scaleOf(result: unknown): number {
  const floats = treeLeaves<Tensor>(result).filter(({ dtype }) => dtype === "float64");
  return floats.reduce((count, x) => count + valuesOf(x).length, 0) * largest(floats);
}

/** Options of a scan, as data. */
export interface RandomOptions {
  readonly reverse: boolean;
  readonly maskSeed: number | undefined;
  readonly resetsSeed: number | undefined;
  readonly maskedOutput: "previous" | "zero";
  readonly checkpointEvery: number | undefined;
}

/** Any options. */
export const anyOptions: fc.Arbitrary<RandomOptions> = fc.record({
  reverse: fc.boolean(),
  maskSeed: fc.option(fc.integer(), { nil: undefined }),
  resetsSeed: fc.option(fc.integer(), { nil: undefined }),
  maskedOutput: fc.constantFrom("previous", "zero"),
  checkpointEvery: fc.option(fc.integer({ min: 1, max: 7 }), { nil: undefined }),
});

/** The options that random ones stand for. */
export function optionsOf(
  { maskSeed, resetsSeed, ...options }: RandomOptions,
  { batch, time }: Example,
): ScanOptions {
  return {
    ...options,
    mask: maskSeed === undefined ? undefined : maskFrom(maskSeed, batch, time),
    resets: resetsSeed === undefined ? undefined : resetsFrom(resetsSeed, batch, time),
  };
}

/** bool `[batch, time]` in which about a third of the steps are masked. */
export function maskFrom(seed: number, batch: number, time: number): HostTensor {
  const next = numbersFrom(seed);
  return tensor(Array.from({ length: batch * time }, () => next() > -0.4 ? 1 : 0), {
    shape: [batch, time],
    dtype: "bool",
  });
}

/** bool `[batch, time]` in which a new sequence begins at about a third of the steps. */
export function resetsFrom(seed: number, batch: number, time: number): HostTensor {
  const { data, shape, dtype } = maskFrom(seed + 1, batch, time);
  return tensor(Array.from(data, (counts) => 1 - counts), { shape, dtype });
}

/** One row of a batch, as a batch of one. */
export function rowOf(tree: unknown, row: number): unknown {
  return mapTree(tree, (x: Tensor) => sliceAxis(x, 0, row, 1));
}

/** `steps` steps of a tree of sequences. */
export function stepsOf(tree: unknown, from: number, steps: number): unknown {
  return mapTree(tree, (x: Tensor) => sliceAxis(x, 1, from, steps));
}

/**
 * Fails unless both trees have one structure and, leaf by leaf, one spec and the same numbers but for rounding: the
 * same sums in another order differ by a few units in the last place each, and steps pass that on.
 */
export function assertTreesClose(actual: unknown, expected: unknown, what = "the trees"): void {
  checkSameStructure(actual, expected, { first: "actual", second: "expected" });
  const { leaves, paths } = flattenTree<Tensor>(actual);
  const others = treeLeaves<Tensor>(expected);
  const floats = others.filter(({ dtype }) => dtype !== "int32" && dtype !== "bool");
  const tolerance = 2 ** 16 * Number.EPSILON * (1 + largest(floats));
  leaves.forEach((leaf, index) => {
    const other = others[index];
    const where = `${what} at ${printPath(paths[index])}`;
    assert(
      JSON.stringify(specOf(leaf)) === JSON.stringify(specOf(other)),
      `${where}: ${leaf.dtype} ${leaf.shape}`,
    );
    host(leaf).data.forEach((value, i) => {
      const wanted = host(other).data[i];
      assert(Math.abs(value - wanted) <= tolerance, `${where}[${i}] is ${value}, expected ${wanted}`);
    });
  });
}

/** A random direction in the space of a point. */
export function directionFrom(point: Point, seed: number): Point {
  return randomLike(point, seed);
}

const RUNS = exampleCount(200);

/** A test that `check` passes for many random values. */
export function property<Values extends [unknown, ...unknown[]]>(
  name: string,
  arbitraries: { [K in keyof Values]: fc.Arbitrary<Values[K]> },
  check: (...values: Values) => void,
): void {
  Deno.test(name, () => {
    fc.assert(fc.property<Values>(...arbitraries, check), { numRuns: RUNS });
  });
}
