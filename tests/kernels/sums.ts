/**
 * Holds sums of every kind, running ones too, to their value in float64: the error is at most 1e-6 of the sum of the magnitudes, whatever
 * the length. Equal terms are the hardest, as a running sum rounds them all the same way.
 */
import { assert } from "@std/assert";
import {
  cumsum,
  grad,
  host,
  hostTensor,
  matmul,
  mean,
  reverse,
  scan,
  sum,
  type Tensor,
  trace,
  transpose,
} from "../../mod.ts";
import type { Backend } from "../../kernels/backend.ts";
import { scatterAdd } from "../../src/operations/indexing.ts";
import { runPasses } from "../../src/passes/mod.ts";
import { numbersFrom } from "../operations/finite_differences.ts";

const MOST = 1e-6;

/** A function of one tensor, and for each element of its result which elements of the tensor it sums. */
interface SumCase {
  readonly name: string;
  readonly shape: readonly number[];
  readonly fn: (x: Tensor) => Tensor;
  readonly target: (index: readonly number[]) => number;
  readonly scale?: number;
}

/** A sum over axes; `target` is where an element is added. */
function over(shape: readonly number[], axes: readonly number[], fn?: (x: Tensor) => Tensor): SumCase {
  return {
    name: `the sum over ${axes} of [${shape}]${fn ? ", seen otherwise" : ""}`,
    shape,
    fn: fn ?? ((x) => sum(x, { axes: [...axes] })),
    target: (index) => index.reduce((to, at, axis) => axes.includes(axis) ? to : to * shape[axis] + at, 0),
  };
}

/** At both sides of where blocks, and blocks of blocks, begin, in every layout. */
const LENGTHS = [1, 3, 4, 15, 16, 17, 33, 63, 65, 129, 257, 1000, 4097];

function casesUpTo(longest: number): SumCase[] {
  const columns = (length: number): SumCase[] => [over([length, 7], [0]), over([length, 37], [0])];
  return [
    ...LENGTHS.flatMap((length) => [over([3, length], [1]), ...columns(length)]),
    ...LENGTHS.filter((length) => length < 300).flatMap((length) => [
      over([2, length, 5], [1]),
      over([4, length, 3], [0, 1]),
      over([length, 2, 6], [0, 2]),
      over([5, 3, length], [0, 2]),
      over([length, 3], [0], (x) => sum(transpose(x), { axes: 1 })),
      over([2, length, 9], [1], (x) => sum(reverse(x, [1]), { axes: 1 })),
    ]),
    over([longest], [0]),
    over([longest / 10, 10], [0, 1]),
    over([longest / 4, 4], [0]),
    { ...over([longest], [0]), name: `the mean of ${longest}`, fn: (x) => mean(x), scale: 1 / longest },
    {
      ...over([longest / 10, 2], [0]),
      name: `rows of one index, of ${longest / 10}`,
      fn: (x) => scatterAdd(hostTensor(new Int32Array(longest / 10), [longest / 10]), x, { rows: 1 }),
    },
    ...[513, 2047, 2049, 4500, longest / 8].map((k): SumCase => ({
      ...over([k, 3], [0]),
      name: `products of ${k} terms`,
      fn: (x) => matmul(hostTensor(new Float32Array(2 * k).fill(1), [2, k]), x),
      target: ([, column]) => column,
    })),
    ...[513, 2049, 6400].map((k): SumCase => ({
      ...over([k, 3], [0]),
      name: `products of ${k} terms, both by columns`,
      fn: (x) => matmul(x, hostTensor(new Float32Array(2 * k).fill(1), [k, 2]), { transposeLeft: true }),
      target: ([, column]) => 2 * column,
    })),
    {
      name: "the gradient of a weight, over batch and time",
      shape: [20, 50, 4],
      fn: (x) =>
        grad((w: Tensor) => {
          const [outputs] = scan(
            (n: Tensor, at: Tensor) => [matmul(at, w), n],
            hostTensor(new Float32Array(1), [1]),
            x,
          );
          return sum(outputs);
        })(hostTensor(new Float32Array(8).fill(1), [4, 2])),
      target: ([, , feature]) => 2 * feature,
    },
  ];
}

const FILLS: readonly { readonly name: string; readonly value: (draw: () => number) => number }[] = [
  { name: "0.1", value: () => 0.1 },
  { name: "0.7", value: () => 0.7 },
  { name: "numbers of one sign", value: (draw) => 0.5 + draw() / 4 },
  { name: "numbers of both signs", value: (draw) => draw() },
];

/** Tests of a backend with sums and running sums of up to `longest` terms, which 40 divides. */
export function testSums(name: string, backend: Backend, ignore: boolean, longest: number): void {
  Deno.test({
    name: `sum, mean, matmul, scatterAdd: on ${name} no error grows with the length`,
    ignore,
    // Workers and a device outlive a test.
    sanitizeResources: false,
    sanitizeOps: false,
    async fn() {
      for (const each of casesUpTo(longest)) {
        const program = runPasses(
          trace(each.fn, hostTensor(new Float32Array(sizeOf(each.shape)), each.shape)).program,
        );
        using compiled = await backend.compile(program, { donate: [false], keep: [false] });
        for (const fill of FILLS) {
          const seed = each.name.length;
          const draw = numbersFrom(seed);
          const x = Float32Array.from({ length: sizeOf(each.shape) }, () => fill.value(draw));
          const [result] = await compiled.run([hostTensor(x, each.shape)]);
          check(each, x, host(result).data, `${each.name} of ${fill.name} on ${name}, seed ${seed}`);
        }
      }
    },
  });
  Deno.test({
    name: `cumsum: on ${name} no error grows with the length`,
    ignore,
    sanitizeResources: false,
    sanitizeOps: false,
    fn: () => testRunningSums(name, backend, longest),
  });
}

/** Running sums along an axis, in every layout. */
function runningCasesUpTo(longest: number): { readonly shape: readonly number[]; readonly axis: number }[] {
  return [
    ...LENGTHS.flatMap((length) => [
      { shape: [3, length], axis: 1 },
      { shape: [length, 9], axis: 0 },
      { shape: [2, length, 5], axis: 1 },
    ]),
    { shape: [longest], axis: 0 },
    { shape: [2, longest / 4], axis: 1 },
  ];
}

async function testRunningSums(name: string, backend: Backend, longest: number): Promise<void> {
  for (const { shape, axis } of runningCasesUpTo(longest)) {
    for (const reverse of [false, true]) {
      const { program } = trace(
        (x: Tensor) => cumsum(x, { axis, reverse }),
        hostTensor(new Float32Array(sizeOf(shape)), shape),
      );
      using compiled = await backend.compile(program, { donate: [false], keep: [false] });
      for (const fill of FILLS) {
        const seed = shape[axis];
        const draw = numbersFrom(seed);
        const x = Float32Array.from({ length: sizeOf(shape) }, () => fill.value(draw));
        const [result] = await compiled.run([hostTensor(x, shape)]);
        const what =
          `cumsum of [${shape}] along ${axis}, reverse ${reverse}, of ${fill.name} on ${name}, seed ${seed}`;
        checkRunning(x, host(result).data, { shape, axis, reverse, what });
      }
    }
  }
}

function checkRunning(
  x: Float32Array,
  got: ArrayLike<number>,
  { shape, axis, reverse, what }: {
    readonly shape: readonly number[];
    readonly axis: number;
    readonly reverse: boolean;
    readonly what: string;
  },
): void {
  const length = shape[axis], stride = sizeOf(shape.slice(axis + 1));
  const sums = new Float64Array(x.length), magnitudes = new Float64Array(x.length);
  x.forEach((_, i) => {
    const at = reverse ? x.length - 1 - i : i;
    const place = Math.floor(at / stride) % length;
    const before = reverse ? at + stride : at - stride;
    const isFirst = place === (reverse ? length - 1 : 0);
    sums[at] = x[at] + (isFirst ? 0 : sums[before]);
    magnitudes[at] = Math.abs(x[at]) + (isFirst ? 0 : magnitudes[before]);
    const error = Math.abs(got[at] - sums[at]) / magnitudes[at];
    if (!(error <= MOST)) {
      throw new Error(`${what}: element ${at} is ${got[at]}, not ${sums[at]}; the error is ${error}`);
    }
  });
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((size, dim) => size * dim, 1);
}

function check(
  { shape, target, scale = 1 }: SumCase,
  x: Float32Array,
  got: ArrayLike<number>,
  what: string,
): void {
  const sums = new Float64Array(got.length), magnitudes = new Float64Array(got.length);
  const index = shape.map(() => 0);
  for (const value of x) {
    const to = target(index);
    sums[to] += value * scale;
    magnitudes[to] += Math.abs(value) * scale;
    for (let axis = shape.length - 1; axis >= 0 && ++index[axis] === shape[axis]; axis--) index[axis] = 0;
  }
  sums.forEach((want, at) => {
    if (magnitudes[at] === 0) return; // nothing was said of it
    const error = Math.abs(got[at] - want) / magnitudes[at];
    assert(error <= MOST, `${what}: element ${at} is ${got[at]}, not ${want}; the error is ${error}`);
  });
}
