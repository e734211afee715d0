/**
 * How far the functions of a backend are from the truth, in units in the last place of float32: over floats of every sign
 * and exponent, denormals included, and closely where a function bends. The truth is float64.
 *
 * `deno run -A tests/kernels/accuracy.ts` prints the figures of docs/numbers.md.
 */
import {
  cos,
  div,
  erf,
  exp,
  expm1,
  host,
  hostTensor,
  log,
  log1p,
  pow,
  sigmoid,
  sin,
  sqrt,
  tanh,
  type Tensor,
  trace,
} from "../../mod.ts";
import type { Backend } from "../../kernels/backend.ts";
import { erf as erfOfDouble } from "../../kernels/reference/erf.ts";
import { reference } from "../../kernels/reference/mod.ts";
import { createWasm } from "../../kernels/wasm/mod.ts";
import { createNative } from "../../kernels/native/mod.ts";
import { createWebGpu } from "../../kernels/webgpu/mod.ts";
import { power } from "./numbers_checks.ts";

/** A function with its definition. */
export interface Measured {
  readonly fn: (x: Tensor, y: Tensor) => Tensor;
  readonly definition: (x: number, y: number) => number;
  /** Stretches that are swept closely, of the first operand and the second one. */
  readonly ranges: readonly (readonly [low: number, high: number, low2?: number, high2?: number])[];
  /** The most units in the last place that a result may be off, on each backend. */
  readonly bound: number;
}

const sigmoidOfDouble = (x: number) => x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));

/** The functions; `bound` is what docs/numbers.md promises. */
export const measured = {
  div: { fn: div, definition: (x, y) => x / y, ranges: [[1, 2, 1, 2], [-10, 10, -10, 10]], bound: 2.5 },
  sqrt: { fn: sqrt, definition: Math.sqrt, ranges: [[1, 4], [0, 1e6]], bound: 2.5 },
  exp: { fn: exp, definition: Math.exp, ranges: [[-1, 1], [-105, 90]], bound: 2 },
  expm1: { fn: expm1, definition: Math.expm1, ranges: [[-2, 2], [-20, 90], [-0.01, 0.01]], bound: 4 },
  log: { fn: log, definition: Math.log, ranges: [[0.5, 2], [0, 100], [0.99, 1.01]], bound: 2 },
  log1p: {
    fn: log1p,
    definition: Math.log1p,
    ranges: [[-1, 1], [1, 100], [-0.01, 0.01], [-1, -0.99]],
    bound: 2,
  },
  tanh: { fn: tanh, definition: Math.tanh, ranges: [[-1, 1], [-10, 10]], bound: 3 },
  sigmoid: { fn: sigmoid, definition: sigmoidOfDouble, ranges: [[-1, 1], [-20, 20], [-105, 20]], bound: 3 },
  erf: { fn: erf, definition: erfOfDouble, ranges: [[-1.5, 1.5], [-4.5, 4.5]], bound: 2 },
  sin: { fn: sin, definition: Math.sin, ranges: [[-1, 1], [-10, 10], [-1e4, 1e4], [1e6, 2e9]], bound: 2 },
  cos: { fn: cos, definition: Math.cos, ranges: [[-1, 1], [-10, 10], [-1e4, 1e4], [1e6, 2e9]], bound: 2 },
  pow: {
    fn: pow,
    definition: power,
    ranges: [[0, 4, -70, 70], [0.7, 1.42, -256, 256], [0.999, 1.001, -1e5, 1e5], [0, 1e4, -3, 3], [
      0,
      10,
      2,
      2,
    ]],
    bound: 2,
  },
} satisfies Record<string, Measured>;

/** Numbers that look random, the same in each run. */
export function scrambled(i: number): number {
  let bits = Math.imul(i ^ (i >>> 15), 0x2c1b3c6d);
  bits = Math.imul(bits ^ (bits >>> 12), 0x297a2d39);
  return (bits ^ (bits >>> 15)) >>> 0;
}

/** Floats of every sign and exponent, evenly among their bits. */
function allExponents(count: number, seed: number): Float32Array<ArrayBuffer> {
  const step = 2 ** 32 / count;
  return new Float32Array(
    Uint32Array.from({ length: count }, (_, i) => i * step + scrambled(i + seed) % step).buffer,
  );
}

function uniformly(count: number, low: number, high: number, seed: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length: count }, (_, i) => low + (high - low) * scrambled(i + seed) / 2 ** 32);
}

/** The distance of two numbers in spacings of float32 at the second one; infinite where one alone is NaN or infinite. */
export function unitsApart(actual: number, truth: number): number {
  if (Number.isNaN(actual) && Number.isNaN(truth)) return 0;
  // Infinity, where the truth is nearly too large, counts as the float after the largest.
  const finite = (x: number) => Math.max(-(2 ** 128), Math.min(2 ** 128, x));
  const size = Math.abs(finite(truth));
  const exponent = size === 0 ? -126 : Math.max(-126, Math.floor(Math.log2(size)));
  const apart = Math.abs(finite(actual) - finite(truth)) / 2 ** (exponent - 23);
  return Number.isNaN(apart) ? Infinity : apart;
}

/** The largest error, and where it is. */
export interface Worst {
  readonly units: number;
  readonly at: readonly [number, number];
  readonly actual: number;
}

/** Operands in so many pairs: of every sign and exponent, closely in the ranges. */
export function operandsFor(
  ranges: Measured["ranges"],
  count: number,
): (readonly [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>])[] {
  return [
    [
      allExponents(count, 0),
      allExponents(count, 77).toSorted((a, b) => scrambled(a * 1e6) - scrambled(b * 1e6)),
    ],
    [allExponents(count, 1), uniformly(count, -1, 1, 5)],
    [uniformly(count, -10, 10, 3), Float32Array.from({ length: count }, (_, i) => scrambled(i) % 81 - 40)],
    ...ranges.map(([low, high, low2 = 1, high2 = 1]) =>
      [uniformly(count, low, high, 0), uniformly(count, low2, high2, count)] as const
    ),
  ];
}

/** The worst of the results for these operands. */
export function worstOf(
  definition: Measured["definition"],
  [x, y]: readonly [Float32Array, Float32Array],
  results: ArrayLike<number>,
): Worst {
  let worst: Worst = { units: 0, at: [0, 0], actual: 0 };
  for (let i = 0; i < x.length; i++) {
    const truth = definition(x[i], y[i]);
    // A unit is at least 2⁻²⁴ of the truth: most results need not be looked at more closely. NaN does.
    if (Math.abs(results[i] - truth) <= worst.units * Math.abs(truth) * 2 ** -24) continue;
    const units = unitsApart(results[i], truth);
    if (units > worst.units) worst = { units, at: [x[i], y[i]], actual: results[i] };
  }
  return worst;
}

/** Measures a function with so many numbers in each stretch. */
export async function measure(
  backend: Backend,
  { fn, definition, ranges }: Measured,
  count: number,
): Promise<Worst> {
  let worst: Worst = { units: 0, at: [0, 0], actual: 0 };
  const spec = hostTensor(new Float32Array(count), [count]);
  const { program } = trace(fn as (...args: never[]) => unknown, spec, spec);
  using compiled = await backend.compile(program, { donate: [false, false], keep: [false] });
  for (const [x, y] of operandsFor(ranges, count)) {
    const [result] = await compiled.run([hostTensor(x, [count]), hostTensor(y, [count])]);
    const each = worstOf(definition, [x, y], host(result).data);
    if (each.units > worst.units) worst = each;
  }
  return worst;
}

if (import.meta.main) {
  const backends: readonly (readonly [string, Backend])[] = [
    ["reference", reference],
    ["wasm, relaxed", createWasm({ threads: 1, relaxed: true })],
    ["wasm, plain", createWasm({ threads: 1, relaxed: false })],
    ["native", createNative({ threads: 1 })],
    ["webgpu", createWebGpu()],
  ];
  const count = Number(Deno.args[0] ?? 1 << 20);
  for (const [name, each] of Object.entries(measured)) {
    for (
      const [backend, { units, at, actual }] of await Promise.all(
        backends.map(async ([name, backend]) => [name, await measure(backend, each, count)] as const),
      )
    ) {
      console.log(
        `${name.padEnd(8)} ${backend.padEnd(14)} ${units.toFixed(2).padStart(8)} at ${
          at.join(", ")
        }: ${actual}, not ${each.definition(...at)}`,
      );
    }
  }
}
