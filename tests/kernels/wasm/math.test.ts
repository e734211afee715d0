/**
 * The vector functions against float64. The tolerance is the project's 2e-7 (1.7 units in the last place of a float
 * just above a power of two) and the spacing of the denormals, 2^-149, below which no float can tell.
 */
import { assert, assertEquals } from "@std/assert";
import { erf } from "../../../kernels/reference/erf.ts";
import { f32, hasRelaxedSimd, i32, ModuleBuilder } from "../../../kernels/wasm/assembler.ts";
import * as math from "../../../kernels/wasm/math.ts";
import { exampleCount } from "../../support/examples.ts";
import { power } from "../numbers_checks.ts";

const PAGES = 3 * exampleCount(64), COUNT = PAGES * 65536 / 12;
const SPACING = 2 ** -149, LARGEST = (2 - 2 ** -23) * 2 ** 127;
const SPECIAL = [
  ...[0, 1, 0.5, 2, 3, 2.5, 16777215, 16777216, 1e30, LARGEST, 2 ** -126, 2 ** -149, 1e-30, Infinity],
  ...[87.5, 88.7228, 88.73, 89, 103.9, 104, 1e4, NaN],
].flatMap((x) => [x, -x]);

interface Harness {
  /** The first operands, the second ones, the results. */
  readonly x: Float32Array<ArrayBuffer>;
  readonly y: Float32Array<ArrayBuffer>;
  readonly result: Float32Array<ArrayBuffer>;
  /** Applies the function to the first `count` operands. */
  readonly run: (count: number) => void;
}

/** A module that applies `emit` to arrays, with its constants within the loop or before it. */
function harness(emit: math.VectorEmitter, relaxed: boolean, held = true): Harness {
  const builder = new ModuleBuilder({ minimum: PAGES, maximum: PAGES, shared: false });
  const f = builder.addFunction("run", [i32]);
  const at = f.local(i32);
  const loop = () =>
    f.count(at, { local: 0 }, 16, () => {
      f.get(at).get(at).memory("v128.load");
      if (emit === math.vectorFunctions.pow) f.get(at).memory("v128.load", 4 * COUNT);
      emit(f, { relaxed, wide: false });
      f.memory("v128.store", 8 * COUNT);
    });
  if (held) math.withConstants(f, loop);
  else loop();
  builder.export(f);
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(builder.encode()), { env: { memory } });
  const run = exports.run as (bytes: number) => void; // as exported above
  const [x, y, result] = [0, 1, 2].map((part) =>
    new Float32Array(memory.buffer as ArrayBuffer, 4 * COUNT * part, COUNT) // not shared, as made above
  );
  return { x, y, result, run: (count) => run(4 * Math.ceil(count / 4) * 4) };
}

/** Numbers that look random, the same in each run. */
function scrambled(i: number): number {
  let bits = Math.imul(i ^ (i >>> 15), 0x2c1b3c6d);
  bits = Math.imul(bits ^ (bits >>> 12), 0x297a2d39);
  return (bits ^ (bits >>> 15)) >>> 0;
}

/** A float out of each of `COUNT` stretches of neighbors: every sign and exponent, denormals, NaNs. */
function fillAllExponents(x: Float32Array): void {
  const bits = new Uint32Array(x.buffer, x.byteOffset, x.length);
  const stretch = 2 ** 32 / x.length;
  for (let i = 0; i < x.length; i++) bits[i] = i * stretch + scrambled(i) % stretch;
}

function fillUniformly(x: Float32Array, low: number, high: number, seed = 0): void {
  for (let i = 0; i < x.length; i++) x[i] = low + (high - low) * scrambled(i + seed) / 2 ** 32;
}

interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
}

/** The error in units of the tolerance; infinity where an exceptional value or the sign is wrong. */
function errorOf(actual: number, expected: number, { relative, absolute }: Tolerance): number {
  if (Number.isNaN(expected)) return Number.isNaN(actual) ? 0 : Infinity;
  const size = Math.abs(expected);
  if (size > LARGEST && !Number.isFinite(actual)) {
    return Math.sign(actual) === Math.sign(expected) ? 0 : Infinity;
  }
  if (expected === 0) {
    return absolute > SPACING || Object.is(actual, expected) ? Math.abs(actual) / absolute : Infinity;
  }
  const wrongSign = size > absolute && Math.sign(actual) !== Math.sign(expected);
  // A NaN is not smaller than anything either.
  const error = Math.abs(actual - Math.min(LARGEST, Math.max(-LARGEST, expected))) /
    (relative * size + absolute);
  return wrongSign || !(error < Infinity) ? Infinity : error;
}

function check(
  { x, result, run }: Harness,
  count: number,
  { name, expected, tolerance }: {
    name: string;
    expected: (x: number, i: number) => number;
    tolerance: Tolerance;
  },
): void {
  run(count);
  let worst = 0, at = 0;
  for (let i = 0; i < count; i++) {
    const error = errorOf(result[i], expected(x[i], i), tolerance);
    if (error > worst) [worst, at] = [error, i];
  }
  assert(
    worst <= 1,
    `${name} of ${x[at]} gives ${result[at]}, not ${expected(x[at], at)}: ${worst} times the tolerance`,
  );
}

/** Plain SIMD always; relaxed SIMD where the engine has it, else the test is ignored and says so by its name. */
function testBoth(name: string, test: (relaxed: boolean) => void): void {
  Deno.test(`${name}, plain SIMD`, () => test(false));
  const relaxed = hasRelaxedSimd();
  Deno.test({
    name: `${name}, relaxed SIMD${relaxed ? "" : " (this engine has none)"}`,
    ignore: !relaxed,
    fn: () => test(true),
  });
}

const EXACT: Tolerance = { relative: 2e-7, absolute: SPACING };

function sigmoid(x: number): number {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));
}

const FUNCTIONS: readonly {
  readonly name: "exp" | "expm1" | "log" | "log1p" | "tanh" | "sigmoid" | "erf";
  readonly definition: (x: number) => number;
  /** Where the function is swept closely. */
  readonly ranges: readonly (readonly [number, number])[];
}[] = [
  { name: "exp", definition: Math.exp, ranges: [[-1, 1], [-105, 90]] },
  { name: "expm1", definition: Math.expm1, ranges: [[-2, 2], [-20, 90]] },
  { name: "log", definition: Math.log, ranges: [[0.5, 2], [0, 100]] },
  { name: "log1p", definition: Math.log1p, ranges: [[-1, 1], [1, 100]] },
  { name: "tanh", definition: Math.tanh, ranges: [[-1, 1], [-10, 10]] },
  { name: "sigmoid", definition: sigmoid, ranges: [[-1, 1], [-20, 20], [-105, 20]] },
  { name: "erf", definition: erf, ranges: [[-1.5, 1.5], [-4.5, 4.5]] },
];

for (const { name, definition: expected, ranges } of FUNCTIONS) {
  testBoth(`${name} is good to 2e-7 over all exponents, closely where it bends`, (relaxed) => {
    const each = harness(math.vectorFunctions[name], relaxed);
    fillAllExponents(each.x);
    check(each, COUNT, { name, expected, tolerance: EXACT });
    for (const [low, high] of ranges) {
      fillUniformly(each.x, low, high);
      check(each, COUNT, { name, expected, tolerance: EXACT });
    }
    each.x.set(SPECIAL);
    check(each, SPECIAL.length, { name, expected, tolerance: EXACT });
  });
}

for (const name of ["sin", "cos"] as const) {
  const expected = Math[name];

  testBoth(`${name} is good to 2e-7 of every float, near its zeros too`, (relaxed) => {
    const each = harness(math.vectorFunctions[name], relaxed);
    for (const limit of [1, 10, 1e4, 2 ** 20, 2 ** 21, 4e9]) {
      fillUniformly(each.x, -limit, limit);
      check(each, COUNT, { name, expected, tolerance: EXACT });
    }
    fillAllExponents(each.x);
    check(each, COUNT, { name, expected, tolerance: EXACT });
    // The floats next to multiples of π/2, where most digits cancel.
    for (let i = 0; i < COUNT; i++) each.x[i] = (i + 1) * Math.PI / 2 * 2 ** (i % 8 * 4);
    check(each, COUNT, { name, expected, tolerance: EXACT });
    // On both sides of where digits are counted otherwise, and large lanes beside small ones and NaN.
    const near = [
      2 ** 20,
      2 ** 20 - 0.125,
      2 ** 20 + 0.125,
      16367173 * 2 ** 72,
      1e22,
      0,
      -0,
      NaN,
      1,
      5e8,
      Infinity,
    ];
    each.x.set([...SPECIAL, ...near, ...near.map((x) => -x)]);
    check(each, SPECIAL.length + 2 * near.length, { name, expected, tolerance: EXACT });
  });
}

testBoth("pow is good to 2e-7", (relaxed) => {
  const each = harness(math.vectorFunctions.pow, relaxed);
  const { x, y } = each;
  const task = {
    name: "pow",
    expected: (base: number, i: number) => power(base, y[i]),
    tolerance: EXACT,
  };
  fillUniformly(x, 0, 4);
  fillUniformly(y, -70, 70, COUNT);
  check(each, COUNT, task);
  fillUniformly(x, 0.999, 1.001);
  fillUniformly(y, -1e5, 1e5, COUNT);
  check(each, COUNT, task);
  fillUniformly(x, -10, 10);
  for (let i = 0; i < COUNT; i++) y[i] = scrambled(i) % 81 - 40;
  check(each, COUNT, task);
  fillAllExponents(x);
  fillAllExponents(y);
  for (let i = 0; i < COUNT; i++) y[i] = y[scrambled(i) % COUNT];
  check(each, COUNT, task);
  fillUniformly(y, -1, 1);
  check(each, COUNT, task);
});

testBoth("pow has the special values of C99, signs included", (relaxed) => {
  const { x, y, result, run } = harness(math.vectorFunctions.pow, relaxed);
  const pairs = SPECIAL.flatMap((base) => SPECIAL.map((exponent) => [base, exponent] as const));
  pairs.forEach(([base, exponent], i) => {
    x[i] = base;
    y[i] = exponent;
  });
  run(pairs.length);
  for (let i = 0; i < pairs.length; i++) {
    const error = errorOf(result[i], power(x[i], y[i]), EXACT);
    assert(error <= 1, `${x[i]} to ${y[i]} gives ${result[i]}, not ${power(x[i], y[i])}`);
  }
});

testBoth("constants give the same bits within the loop and before it", (relaxed) => {
  for (const name of ["exp", "tanh", "log1p", "erf", "sin", "pow"] as const) {
    const [held, inline] = [true, false].map((hold) => harness(math.vectorFunctions[name], relaxed, hold));
    for (const { x, y } of [held, inline]) {
      fillUniformly(x, -5, 5);
      fillUniformly(y, -5, 5, COUNT);
    }
    held.run(1024);
    inline.run(1024);
    assertEquals(held.result.subarray(0, 1024), inline.result.subarray(0, 1024), name);
  }
});

Deno.test("withConstants sets a constant once, and within itself does nothing more", () => {
  const builder = new ModuleBuilder({ minimum: 1, maximum: 1, shared: false });
  const f = builder.addFunction("twice", [], [f32]);
  f.f32(1).op("drop");
  math.withConstants(
    f,
    () => math.withConstants(f, () => math.constant(math.constant(f, 2), 2).op("f32x4.add")),
  );
  f.lane("f32x4.extract_lane", 3);
  builder.export(f);
  assertEquals(f.locals.length, 1);
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1 });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(builder.encode()), { env: { memory } });
  assertEquals((exports.twice as () => number)(), 4); // as exported above
});
