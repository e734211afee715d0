/** Draws are fixed by their keys; the bounds are five standard errors of what is measured. */
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import {
  bernoulli,
  foldIn,
  key,
  normal,
  randomBits,
  scan,
  splitKey,
  type Tensor,
  tensor,
  toNested,
  uniform,
  zeros,
} from "../../mod.ts";
import { dropoutMask, specOf } from "../../src/internal.ts";
import { valuesOf } from "./finite_differences.ts";

const COUNT = 100_000;
const seeds = [0, 1, 42, -7, 2 ** 40];

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
const moment = (values: readonly number[], power: number) => mean(values.map((x) => x ** power));

/** Fails unless the mean lies within five standard errors. */
function assertMean(values: readonly number[], expected: number, variance: number, what: string): void {
  assertAlmostEquals(mean(values), expected, 5 * Math.sqrt(variance / values.length));
  assert(values.length > 0, what);
}

/** Fails unless the correlation of two draws is within five standard errors of none. */
function assertUncorrelated(a: readonly number[], b: readonly number[]): void {
  const [ma, mb] = [mean(a), mean(b)];
  const covariance = mean(a.map((x, i) => (x - ma) * (b[i] - mb)));
  const scale = Math.sqrt(mean(a.map((x) => (x - ma) ** 2)) * mean(b.map((x) => (x - mb) ** 2)));
  assert(Math.abs(covariance / scale) < 5 / Math.sqrt(a.length), `the correlation is ${covariance / scale}`);
}

Deno.test("uniform has the moments of the uniform distribution and stays within its bounds", () => {
  for (const seed of seeds) {
    const values = valuesOf(uniform(key(seed), [COUNT]));
    assert(values.every((x) => x >= 0 && x < 1));
    assertMean(values, 1 / 2, 1 / 12, "mean");
    // The variance of (x - 1/2)² is 1/80 - 1/144.
    assertMean(values.map((x) => (x - 0.5) ** 2), 1 / 12, 1 / 80 - 1 / 144, "variance");
    const scaled = valuesOf(uniform(key(seed), [COUNT], { min: -3, max: -1 }));
    assert(scaled.every((x) => x >= -3 && x < -1));
    assertMean(scaled, -2, 4 / 12, "mean of the scaled");
  }
});

Deno.test("normal has the first four moments of the normal distribution", () => {
  for (const seed of seeds) {
    const values = valuesOf(normal(key(seed), [COUNT]));
    assert(values.every(Number.isFinite));
    // The variances of x, x², x³ and x⁴ are those of their moments: E[x²ᵏ] - E[xᵏ]².
    assertMean(values, 0, 1, "mean");
    assertAlmostEquals(moment(values, 2), 1, 5 * Math.sqrt((3 - 1) / COUNT));
    assertAlmostEquals(moment(values, 3), 0, 5 * Math.sqrt(15 / COUNT));
    assertAlmostEquals(moment(values, 4), 3, 5 * Math.sqrt((105 - 9) / COUNT));
    const scaled = valuesOf(normal(key(seed), [COUNT], { mean: 4, stddev: 0.5 }));
    assertMean(scaled, 4, 0.25, "mean of the scaled");
  }
});

Deno.test("bernoulli is true as often as asked, never at 0 and always at 1", () => {
  for (const probability of [0, 0.1, 0.5, 0.99, 1]) {
    const drawn = bernoulli(key(3), [COUNT], { probability });
    assertEquals(drawn.dtype, "bool");
    assertMean(valuesOf(drawn), probability, probability * (1 - probability), "frequency");
  }
  for (const probability of [-0.1, 1.1, NaN]) {
    assertThrows(() => bernoulli(key(0), [1], { probability }), RangeError, `the probability ${probability}`);
  }
});

Deno.test("a dropout mask keeps the mean", () => {
  const values = valuesOf(dropoutMask(key(5), [COUNT], { rate: 0.25 }));
  assertEquals([...new Set(values)].sort(), [0, Math.fround(1 / 0.75)]);
  assertMean(values, 1, 0.25 / 0.75, "mean");
  assertEquals(toNested(dropoutMask(key(5), [3], { rate: 0 })), [1, 1, 1]);
  assertThrows(() => dropoutMask(key(0), [1], { rate: 1 }), RangeError, "expected 0 to below 1");
});

Deno.test("every bit is set half of the time", () => {
  const bits = valuesOf(randomBits(key(9), [COUNT]));
  for (let bit = 0; bit < 32; bit++) assertMean(bits.map((x) => (x >>> bit) & 1), 1 / 2, 1 / 4, `bit ${bit}`);
});

Deno.test("the same key, counter and shape give the same draw; others give others", () => {
  const draw = (seed: number, counter = 0) => valuesOf(randomBits(key(seed), [64], { counter })).join();
  const draws = [0, 1, -1, 2 ** 32, 2 ** 53 - 1].flatMap((seed) => [0, 1, -1, 7].map((c) => draw(seed, c)));
  assertEquals(new Set(draws).size, draws.length);
  assertEquals(draw(5, 6), draw(5, 6));
  assertEquals(valuesOf(randomBits(key(0), [2, 3])), valuesOf(randomBits(key(0), [6])));
});

Deno.test("split keys are distinct, also over generations, and their draws are uncorrelated", () => {
  const root = key(11);
  const children = splitKey(root, 8);
  const grandchildren = children.flatMap((child) => splitKey(child, 8));
  const all = [root, ...children, ...grandchildren].map((k) => valuesOf(k).join());
  assertEquals(new Set(all).size, all.length);
  for (const child of children) assertEquals(specOf(child), { shape: [2], dtype: "int32" });
  const draws = [root, ...children.slice(0, 4)].map((k) => valuesOf(uniform(k, [COUNT / 10])));
  draws.forEach((a, i) => draws.slice(i + 1).forEach((b) => assertUncorrelated(a, b)));
});

Deno.test("keys folded with numbers are distinct and their draws uncorrelated", () => {
  const keys = Array.from({ length: 100 }, (_, step) => foldIn(key(2), step));
  assertEquals(new Set(keys.map((k) => valuesOf(k).join())).size, 100);
  assertUncorrelated(valuesOf(uniform(keys[0], [COUNT])), valuesOf(uniform(keys[1], [COUNT])));
});

Deno.test("a counter may be a tensor of the step, and gives what the number gives", () => {
  const step = (n: Tensor): [Tensor, Tensor] => [uniform(key(4), [3], { counter: n }), n];
  const [outputs] = scan(
    (n: Tensor, x: Tensor) => [step(x)[0], n],
    zeros([]),
    tensor([5, 6], { dtype: "int32" }),
  );
  const expected = [5, 6].map((counter) => valuesOf(uniform(key(4), [3], { counter })));
  // A step's [3] stacks as [3, time]: time is axis 1.
  assertEquals(toNested(outputs), [0, 1, 2].map((i) => expected.map((draw) => draw[i])));
});

Deno.test("what is no key or counter is refused", () => {
  assertThrows(
    () => uniform(tensor([1, 2]), [3]),
    TypeError,
    "the key is float32[2], expected int32[2]; make one with key(seed)",
  );
  assertThrows(() => uniform(tensor([1, 2, 3], { dtype: "int32" }), [3]), TypeError, "int32[3]");
  assertThrows(() => uniform(key(0), [3], { counter: tensor(1) }), TypeError, "the counter float32[]");
  for (const seed of [0.5, NaN, 2 ** 54]) assertThrows(() => key(seed), RangeError, `from ${seed}`);
});
