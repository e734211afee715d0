/** Random windows, against loops over numbers. */
import {
  averagePool,
  compile,
  convolve,
  convolveTransposed,
  grad,
  host,
  key,
  maxPool,
  mul,
  normal,
  ones,
  spec,
  square,
  sum,
  type Tensor,
  tensor,
  toHost,
  toNested,
  zeros,
} from "@cellfold/cellfold";
import { fixedDim } from "@cellfold/cellfold/internal";
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import fc from "fast-check";
import { exampleCount } from "../support/examples.ts";
import { float64, numbersFrom } from "./finite_differences.ts";
import { convolved, sizesOf, slide, type Sliding } from "./naive_convolution.ts";

const RUNS = exampleCount(100);

const perAxis = (rank: number, least: number, most: number) =>
  fc.array(fc.integer({ min: least, max: most }), { minLength: rank, maxLength: rank });

/** A window over one to three axes that fits at least once. */
const slidings: fc.Arbitrary<Sliding> = fc.integer({ min: 1, max: 3 }).chain((rank) =>
  fc.record({
    spatial: perAxis(rank, 1, 6),
    window: perAxis(rank, 1, 3),
    strides: perAxis(rank, 1, 3),
    dilation: perAxis(rank, 1, 2),
    low: perAxis(rank, 0, 2),
    high: perAxis(rank, 0, 2),
  })
).filter((sliding) => sizesOf(sliding).every((size) => size > 0));

const channels = fc.record({
  batch: fc.integer({ min: 1, max: 2 }),
  groups: fc.integer({ min: 1, max: 3 }),
  each: fc.integer({ min: 1, max: 2 }),
  outEach: fc.integer({ min: 1, max: 2 }),
});

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);
const optionsOf = ({ strides, dilation, low, high }: Sliding) => ({
  strides,
  dilation,
  padding: { low, high },
});
const draw = (next: () => number, shape: readonly number[]) =>
  float64(Array.from({ length: product(shape) }, next), shape);
const numbers = (x: Tensor): readonly number[] => x.kind === "host" ? [...x.data].map(Number) : [];

function assertClose(actual: Tensor, expected: readonly number[]): void {
  const found = numbers(actual);
  assertEquals(found.length, expected.length);
  found.forEach((value, i) => assertAlmostEquals(value, expected[i], 1e-12));
}

Deno.test("convolve equals a loop for any windows, padding and groups", () => {
  fc.assert(
    fc.property(slidings, channels, fc.integer(), (sliding, { batch, groups, each, outEach }, seed) => {
      const next = numbersFrom(seed), [inner, outer] = [groups * each, groups * outEach];
      const x = draw(next, [batch, ...sliding.spatial, inner]);
      const kernel = draw(next, [...sliding.window, each, outer]);
      const y = convolve(x, kernel, { ...optionsOf(sliding), groups });
      assertEquals(y.shape, [batch, ...sizesOf(sliding), outer]);
      assertClose(y, convolved(numbers(x), numbers(kernel), { ...sliding, batch, inner, outer, groups }));
    }),
    { numRuns: RUNS },
  );
});

Deno.test("convolveTransposed is the adjoint of convolve", () => {
  fc.assert(
    fc.property(slidings, channels, fc.integer(), (sliding, { batch, groups, each, outEach }, seed) => {
      const next = numbersFrom(seed), [inner, outer] = [groups * each, groups * outEach];
      const x = draw(next, [batch, ...sliding.spatial, inner]);
      const kernel = draw(next, [...sliding.window, each, outer]);
      const options = { ...optionsOf(sliding), groups };
      const y = convolve(x, kernel, options);
      const c = draw(next, y.shape.map((dim) => fixedDim(dim)));
      // The adjoint has as many elements as the windows reach; those of x beyond are in none.
      const { window, strides, dilation, low, spatial } = sliding;
      const high = spatial.map((size, axis) =>
        (sizesOf(sliding)[axis] - 1) * strides[axis] + (window[axis] - 1) * dilation[axis] + 1 - low[axis] -
        size
      );
      const back = convolveTransposed(c, kernel, { ...options, padding: { low, high } });
      assertEquals(back.shape, x.shape);
      const [left, right] = [sum(mul(y, c)), sum(mul(x, back))].map((total) => numbers(total)[0]);
      assertAlmostEquals(left, right, 1e-11);
    }),
    { numRuns: RUNS },
  );
});

Deno.test("maxPool and averagePool equal a loop for any windows and padding", () => {
  fc.assert(
    fc.property(slidings, fc.boolean(), fc.integer(), (sliding, countPadding, seed) => {
      const x = draw(numbersFrom(seed), [1, ...sliding.spatial, 1]);
      const values = numbers(x);
      const places = product(sizesOf(sliding)), whole = product(sliding.window);
      const largest = new Array(places).fill(-Infinity), sums = new Array(places).fill(0);
      const counts = new Array(places).fill(0);
      slide(sliding, (out, _, at) => {
        if (at === undefined) return;
        largest[out] = Math.max(largest[out], values[at]);
        sums[out] += values[at];
        counts[out]++;
      });
      assertEquals(numbers(maxPool(x, sliding.window, optionsOf(sliding))), largest);
      const averages = averagePool(x, sliding.window, { ...optionsOf(sliding), countPadding });
      const expected = sums.map((total, i) => total / (countPadding ? whole : counts[i]));
      numbers(averages).forEach((value, i) =>
        Number.isNaN(expected[i])
          ? assert(Number.isNaN(value))
          : assertAlmostEquals(value, expected[i], 1e-12)
      );
    }),
    { numRuns: RUNS },
  );
});

Deno.test("with `ceil`, a last window that reaches beyond the end counts unless it begins there", () => {
  const x = float64([1, 2, 3, 4, 5], [1, 5, 1]);
  assertEquals(numbers(maxPool(x, [2], { ceil: true })), [2, 4, 5]);
  assertEquals(numbers(maxPool(x, [2])), [2, 4]);
  assertEquals(numbers(averagePool(x, [2], { ceil: true })), [1.5, 3.5, 5]);
  assertEquals(numbers(averagePool(x, [1], { strides: [3], ceil: true })), [1, 4]);
  // AvgPool1d(3, 2, padding=1, ceil_mode=True) of PyTorch: the last window shows 4 and one element of padding.
  const padding = { low: [1], high: [1] };
  const four = float64([1, 2, 3, 4], [1, 4, 1]);
  assertEquals(
    numbers(averagePool(four, [3], { strides: [2], padding, ceil: true, countPadding: true })),
    [1, 3, 2],
  );
});

Deno.test("one compiled function takes all lengths", async () => {
  const kernel = ones([3, 1, 1]);
  const windows = (x: Tensor) => [
    convolve(x, kernel, { strides: [2], padding: "same" }),
    convolve(x, kernel, { strides: [3], padding: { low: [2], high: [1] } }),
    maxPool(x, [3], { strides: [2] }),
    averagePool(x, [2], { strides: [3], ceil: true }),
    convolveTransposed(x, kernel, { strides: [2], padding: "same" }),
  ];
  const compiled = compile(windows, { specs: [spec([null, null, 1])] });
  for (const length of [3, 4, 5, 8]) {
    const x = tensor(Array.from({ length }, (_, i) => i), { shape: [1, length, 1] });
    const found = await Promise.all((await compiled(x)).map((each) => toHost(each)));
    assertEquals(found.map((each) => toNested(each)), windows(x).map((each) => toNested(each)));
  }
  await assertRejects(
    async () => await compiled(ones([1, 2, 1])),
    RangeError,
    "Cannot move a window of 3 elements along axis 1: it has 2 here",
  );
});

Deno.test("one compiled gradient of convolutions takes all lengths", async () => {
  const cases = [
    { channels: 8, kernel: [5, 8, 4], options: { strides: [2], padding: "same" } },
    { channels: 8, kernel: [5, 8, 4], options: { strides: [4], padding: "same" } },
    { channels: 8, kernel: [4, 8, 4], options: { strides: [3], dilation: [2] } },
    { channels: 16, kernel: [3, 8, 16], options: { groups: 2, padding: "same" } },
    { channels: 9, kernel: [3, 1, 9], options: { groups: 9, padding: { low: [2], high: [0] } } },
    { channels: 9, kernel: [3, 1, 18], options: { groups: 9, strides: [2] } },
  ] as const;
  for (const { channels, kernel: window, options } of cases) {
    const { padding: _, ...transposed } = { padding: undefined, ...options };
    const kernel = normal(key(1), window);
    const fn = (x: Tensor) => {
      const gradients = grad(([x, kernel]: readonly Tensor[]) => sum(square(convolve(x, kernel, options))))([
        x,
        kernel,
      ]);
      const back = convolveTransposed(convolve(x, kernel, options), kernel, transposed);
      return [...gradients, back];
    };
    const compiled = compile(fn, { specs: [spec([null, null, channels])] });
    for (const length of [10, 11, 12, 17]) {
      const x = normal(key(length), [2, length, channels]);
      const found = await Promise.all((await compiled(x)).map((each) => toHost(each)));
      fn(x).forEach((wanted, index) => {
        assertEquals(found[index].shape, wanted.shape);
        host(wanted).data.forEach((value, i) =>
          assertAlmostEquals(Number(host(found[index]).data[i]), Number(value), 1e-3)
        );
      });
    }
  }
});

Deno.test("what pooling cannot do is said", () => {
  const x = zeros([1, 4, 1]);
  assertThrows(
    () => maxPool(x, [2, 2]),
    RangeError,
    "the window has 2 numbers, expected one for each of 1 axes",
  );
  assertThrows(() => maxPool(x, [5]), RangeError, "the window is larger");
  assertThrows(() => maxPool(x, [2], { padding: "same", ceil: true }), RangeError, "ceil goes with");
  assertThrows(() => averagePool(zeros([1, 4, 1], { dtype: "int32" }), [2]), TypeError, "it takes floats");
});
