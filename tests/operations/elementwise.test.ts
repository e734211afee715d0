import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  add,
  and,
  cast,
  clip,
  div,
  equal,
  exp,
  floor,
  greater,
  greaterEqual,
  less,
  lessEqual,
  matmul,
  maximum,
  minimum,
  mul,
  neg,
  not,
  notEqual,
  or,
  pow,
  select,
  sigmoid,
  sign,
  spec,
  sub,
  tanh,
  type Tensor,
  tensor,
  toNested,
  trace,
  zeros,
} from "../../mod.ts";
import { printSpec } from "../../src/internal.ts";
import { float64, numbersFrom, valuesOf } from "./finite_differences.ts";

const ints = (values: number[]) => tensor(values, { dtype: "int32" });
const bools = (...values: boolean[]) => tensor(values);

/** Two or three shapes that broadcast: some axes of a common one, from the last on, some of them 1. */
const shapes = fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 }).chain((common) =>
  fc.array(
    fc.tuple(fc.nat(common.length), fc.array(fc.boolean(), { minLength: 4, maxLength: 4 })).map((
      [drop, ones],
    ) => common.map((size, axis) => ones[axis] ? 1 : size).slice(drop)),
    { minLength: 2, maxLength: 3 },
  )
);

/** The element of `x` at an index of the broadcast shape, by NumPy's rule. */
function elementAt(x: Tensor, index: readonly number[]): number {
  const offset = index.length - x.shape.length;
  return valuesOf(
    x,
  )[x.shape.reduce<number>((at, dim, axis) => at * Number(dim) + (dim === 1 ? 0 : index[axis + offset]), 0)];
}

Deno.test("operands broadcast by NumPy's rules", () => {
  fc.assert(fc.property(shapes, fc.integer(), (given, seed) => {
    const next = numbersFrom(seed);
    const [a, b, c = b] = given.map((shape) =>
      float64(Array.from({ length: shape.reduce((p, q) => p * q, 1) }, next), shape)
    );
    const rank = Math.max(...given.map((shape) => shape.length));
    const result = (operands: Tensor[], actual: Tensor, compute: (...values: number[]) => number) => {
      const wanted = Array.from({ length: rank }, (_, axis) => {
        const sizes = operands.map(({ shape }) => Number(shape[axis - rank + shape.length] ?? 1));
        return sizes.find((size) => size !== 1) ?? 1;
      }).slice(rank - Math.max(...operands.map(({ shape }) => shape.length)));
      assertEquals(actual.shape, wanted);
      valuesOf(actual).forEach((value, i) => {
        const index: number[] = [];
        for (let axis = wanted.length - 1, rest = i; axis >= 0; axis--) {
          index.unshift(rest % wanted[axis]);
          rest = Math.floor(rest / wanted[axis]);
        }
        assertEquals(value, compute(...operands.map((operand) => elementAt(operand, index))));
      });
    };
    result([a, b], sub(a, b), (x, y) => x - y);
    result([a, b, c], select(less(a, 0), b, c), (x, y, z) => x < 0 ? y : z);
    result([b, a], maximum(b, a), Math.max);
  }));
});

Deno.test("sizes that do not broadcast are refused with both shapes and the axis", () => {
  assertThrows(
    () => add(zeros([2, 3]), zeros([4, 1, 2])),
    TypeError,
    "Cannot compute add of float32[2, 3] and float32[4, 1, 2]: the sizes 3 and 2 do not broadcast at axis -1",
  );
  assertThrows(() => add(zeros([0]), zeros([2])), TypeError, "the sizes 0 and 2");
  assertThrows(
    () => trace((a: Tensor, b: Tensor) => add(a, b), spec([null]), spec(["rows"])),
    TypeError,
    "the sizes batch and rows do not broadcast",
  );
});

Deno.test("a number takes the dtype of the other operand", () => {
  assertEquals(printSpec(add(1, float64([1], [1]))), "float64[1]");
  assertEquals(printSpec(mul(ints([2]), 3)), "int32[1]");
  assertEquals(printSpec(add(1, 2)), "float32[]");
  assertEquals(printSpec(select(bools(true), 1, ints([2]))), "int32[1]");
  assertThrows(() => mul(ints([2]), 0.5), RangeError, "current value is 0.5");
});

Deno.test("dtypes never change in silence", () => {
  const x = tensor([1, 2]);
  const refuse = (run: () => unknown, part: string) => assertThrows(run, TypeError, part);
  refuse(() => add(x, ints([1, 2])), "float32[2] and int32[2]: the dtypes differ; use cast(x, dtype)");
  refuse(() => equal(x, float64([1, 2], [2])), "the dtypes differ");
  refuse(() => select(bools(true, false), x, ints([1, 2])), "the dtypes differ");
  refuse(() => select(x, x, x), "it takes bool; compare first, as in less(x, 0)");
  refuse(() => exp(ints([1])), 'it takes floats; use cast(x, "float32")');
  refuse(() => tanh(bools(true)), "it takes floats");
  refuse(() => pow(ints([1]), 2), "it takes floats");
  refuse(() => matmul(cast(zeros([2, 2]), "int32"), zeros([2, 2])), "it takes floats");
  refuse(() => neg(bools(true)), "it takes numbers");
  refuse(() => less(bools(true), bools(false)), "it takes numbers");
  refuse(() => and(bools(true), x), "it takes bool");
  refuse(() => not(x), "it takes bool");
});

Deno.test("comparisons and logic", () => {
  const [a, b] = [tensor([1, 2, 3, NaN]), tensor([2, 2, 2, NaN])];
  const table = [less, lessEqual, equal, notEqual, greater, greaterEqual].map((compare) =>
    toNested(compare(a, b))
  );
  assertEquals(table, [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 1, 1], [0, 0, 1, 0], [0, 1, 1, 0]]);
  const [p, q] = [bools(true, true, false, false), bools(true, false, true, false)];
  assertEquals([and(p, q), or(p, q), not(p), equal(p, q)].map(toNested), [
    [1, 0, 0, 0],
    [1, 1, 1, 0],
    [0, 0, 1, 1],
    [1, 0, 0, 1],
  ]);
});

Deno.test("int32 wraps, divides towards zero, and gives 0 by 0", () => {
  assertEquals(toNested(add(ints([2147483647, -2147483648]), ints([1, -1]))), [-2147483648, 2147483647]);
  assertEquals(toNested(mul(ints([65537]), 65537)), [131073]);
  assertEquals(toNested(div(ints([7, -7, 7, 5]), ints([2, 2, -2, 0]))), [3, -3, -3, 0]);
});

Deno.test("casts truncate, saturate, and count what is not 0 as true", () => {
  assertEquals(toNested(cast(tensor([1.9, -1.9, 3e9, -3e9, NaN]), "int32")), [
    1,
    -1,
    2147483647,
    -2147483648,
    0,
  ]);
  assertEquals(toNested(cast(tensor([0, -0, 0.1, NaN]), "bool")), [0, 0, 1, 1]);
  assertEquals(toNested(cast(bools(true, false), "float32")), [1, 0]);
  const x = tensor([1]);
  assertEquals(cast(x, "float32"), x);
});

Deno.test("NaN and infinities pass as IEEE 754 has them", () => {
  const x = tensor([NaN, Infinity, -Infinity, 0]);
  assertEquals(toNested(maximum(x, 0)), [NaN, Infinity, 0, 0]);
  assertEquals(toNested(minimum(0, x)), [NaN, 0, -Infinity, 0]);
  assertEquals(toNested(sigmoid(x)), [NaN, 1, 0, 0.5]);
  assertEquals(toNested(tanh(x)), [NaN, 1, -1, 0]);
  assertEquals(toNested(div(1, x)), [NaN, 0, -0, Infinity]);
  assertEquals(toNested(select(equal(x, x), x, 7)), [7, Infinity, -Infinity, 0]);
  assertEquals(toNested(sign(tensor([-2, 0, 5]))), [-1, 0, 1]);
  assertEquals(toNested(floor(tensor([-1.5, 1.5]))), [-2, 1]);
});

Deno.test("clip limits to both sides and refuses an empty interval", () => {
  assertEquals(toNested(clip(tensor([-2, 0.5, 2]), { min: -1, max: 1 })), [-1, 0.5, 1]);
  assertThrows(
    () => clip(tensor([1]), { min: 1, max: 0 }),
    RangeError,
    "to 1…0: expected two numbers, the lower one first",
  );
  assertThrows(() => clip(tensor([1]), { min: NaN, max: 0 }), RangeError, "to NaN…0");
});

Deno.test("results never share memory with operands", () => {
  const x = tensor([1, 2]);
  for (const y of [add(x, 0), neg(neg(x)), mul(x, 1), maximum(x, x), select(bools(true, true), x, 0)]) {
    assertEquals(new Set([x, y].map((t) => t.kind === "host" && t.data.buffer)).size, 2);
  }
});
