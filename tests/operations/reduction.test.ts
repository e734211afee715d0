import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  argmax,
  logSoftmax,
  logSumExp,
  max,
  mean,
  min,
  softmax,
  spec,
  stddev,
  sum,
  type Tensor,
  tensor,
  toNested,
  trace,
  variance,
  zeros,
} from "../../mod.ts";
import { runProgram } from "../../kernels/reference/mod.ts";
import { float64, numbersFrom, valuesOf } from "./finite_differences.ts";

const x = tensor([[1, 5, 3], [4, 2, 5]]);

/** Small tensors with some of their axes. */
const reduced = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }).chain((shape) =>
  fc.tuple(fc.constant(shape), fc.subarray(shape.map((_, axis) => axis)), fc.integer())
);

/** The values of `x` that are reduced into each element of the result. */
function groups(values: readonly number[], shape: readonly number[], axes: readonly number[]): number[][] {
  const result = new Map<number, number[]>();
  values.forEach((value, i) => {
    let at = 0;
    let rest = i;
    let stride = 1;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const index = rest % shape[axis];
      rest = Math.floor(rest / shape[axis]);
      if (axes.includes(axis)) continue;
      at += index * stride;
      stride *= shape[axis];
    }
    result.set(at, [...result.get(at) ?? [], value]);
  });
  return [...result].sort(([a], [b]) => a - b).map(([, group]) => group);
}

Deno.test("reductions over any axes are those of the elements that fall together", () => {
  fc.assert(fc.property(reduced, ([shape, axes, seed]) => {
    const next = numbersFrom(seed);
    const values = Array.from({ length: shape.reduce((a, b) => a * b, 1) }, next);
    const x = float64(values, shape);
    const total = (group: readonly number[]) => group.reduce((a, b) => a + b, 0);
    const average = (group: readonly number[]) => total(group) / group.length;
    const check = (actual: Tensor, expected: (group: readonly number[]) => number) => {
      assertEquals(actual.shape, shape.filter((_, axis) => !axes.includes(axis)));
      const wanted = groups(values, shape, axes).map(expected);
      // Sums of at most 81 numbers below 1, in another order.
      valuesOf(actual).forEach((value, i) => assertAlmostEquals(value, wanted[i], 81 * 81 * Number.EPSILON));
    };
    check(sum(x, { axes }), total);
    check(mean(x, { axes }), average);
    check(variance(x, { axes }), (group) => average(group.map((v) => (v - average(group)) ** 2)));
    check(max(x, { axes }), (group) => Math.max(...group));
    check(min(x, { axes }), (group) => Math.min(...group));
    assertEquals(sum(x, { axes, keepDims: true }).shape, shape.map((n, axis) => axes.includes(axis) ? 1 : n));
  }));
});

Deno.test("axes count from either end, default to all, and must be there, once", () => {
  assertEquals(toNested(sum(x)), 20);
  assertEquals(toNested(sum(x, { axes: -1 })), [9, 11]);
  assertEquals(toNested(sum(x, { axes: [] })), toNested(x));
  assertEquals(toNested(mean(x, { axes: 0, keepDims: true })), [[2.5, 3.5, 4]]);
  assertThrows(() => sum(x, { axes: 2 }), RangeError, "Cannot sum along axis 2: the tensor has 2 axes");
  assertThrows(() => mean(x, { axes: [0, -2] }), RangeError, "one is given twice");
  assertThrows(() => sum(tensor([true])), TypeError, "it takes numbers");
});

Deno.test("nothing sums to 0, has no mean, and -infinity as its largest", () => {
  assertEquals(toNested(sum(zeros([2, 0]), { axes: 1 })), [0, 0]);
  assertEquals(toNested(max(zeros([0]))), -Infinity);
  assertEquals(toNested(max(zeros([0], { dtype: "int32" }))), -2147483648);
  assertEquals(toNested(mean(zeros([0]))), NaN);
  assertEquals(sum(zeros([0, 3]), { axes: 1 }).shape, [0]);
});

Deno.test("float32 sums do not lose small terms", () => {
  // In float32 alone, 1 + 2^-25 is 1, however often.
  const values = tensor([1, ...new Array(2 ** 12).fill(2 ** -25)]);
  assertEquals(toNested(sum(values)), 1 + 2 ** -13);
});

Deno.test("argmax is the first of the largest", () => {
  assertEquals(toNested(argmax(x)), [1, 2]);
  assertEquals(toNested(argmax(x, { axis: 0 })), [1, 0, 1]);
  assertEquals(toNested(argmax(tensor([2, 7, 7]))), 1);
  assertEquals(argmax(x).dtype, "int32");
});

Deno.test("softmax sums to 1 and neither overflows nor underflows", () => {
  assertEquals(toNested(softmax(tensor([1000, 1000]))), [0.5, 0.5]);
  assertEquals(toNested(softmax(tensor([-1000, -1000]))), [0.5, 0.5]);
  assertEquals(toNested(softmax(tensor([[0, 0], [0, 0]]), { axis: 0 })), [[0.5, 0.5], [0.5, 0.5]]);
  assertEquals(toNested(logSumExp(tensor([1000, 1000], { dtype: "float64" }))), 1000 + Math.log(2));
  assertEquals(toNested(logSoftmax(tensor([0, -1000]))), [0, -1000]);
  assertEquals(logSumExp(x, { axis: 0 }).shape, [3]);
  assertEquals(logSumExp(x, { axis: 0, keepDims: true }).shape, [1, 3]);
});

Deno.test("the standard deviation is of the population", () => {
  assertEquals(toNested(stddev(tensor([1, 3]))), 1);
  assertEquals(toNested(variance(tensor([5]))), 0);
});

Deno.test("a mean over a symbolic size divides by what the size is when it runs", () => {
  const { program } = trace((x: Tensor) => mean(x, { axes: [0, 1] }), spec([null, null, 1]));
  for (const shape of [[2, 3, 1], [1, 1, 1], [4, 2, 1]]) {
    const values = tensor(Array.from({ length: shape[0] * shape[1] }, (_, i) => i), { shape });
    assertEquals(toNested(runProgram(program, [values])[0]), toNested(mean(values, { axes: [0, 1] })));
  }
});
