import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { threefry2x32 } from "../../../src/tensor/threefry.ts";
import type { DType, HostTensor } from "../../../src/tensor/tensor.ts";
import { apply, at, counting, flat, fromIndices, list, shapes } from "./helpers.ts";

const reductions = shapes.chain((shape) =>
  fc.record({
    input: fc.constant(shape).chain((shape) =>
      fc.array(fc.integer({ min: -99, max: 99 }), { minLength: 256, maxLength: 256 }).map((values) => ({
        shape,
        values: values.slice(0, shape.reduce((size, dim) => size * dim, 1)),
      }))
    ),
    axes: fc.subarray(shape.map((_, axis) => axis)),
    dtype: fc.constantFrom<DType>("float32", "float64", "int32"),
  })
);

/** Reduces by visiting every element of the input: the definition. */
function reduced(
  input: HostTensor,
  axes: readonly number[],
  first: number,
  combine: (a: number, b: number) => number,
): HostTensor {
  const shape = input.shape.filter((_, axis) => !axes.includes(axis));
  const result = fromIndices(shape, input.dtype, () => first);
  fromIndices(input.shape, input.dtype, (index) => {
    const kept = index.filter((_, axis) => !axes.includes(axis));
    const place = kept.reduce((offset, i, axis) => offset * shape[axis] + i, 0);
    result.data[place] = combine(result.data[place], at(input, index));
    return 0;
  });
  return result;
}

Deno.test("sum and max over any axes, empty ones included", () => {
  fc.assert(fc.property(reductions, ({ input: { shape, values }, axes, dtype }) => {
    const input = flat(values, shape, dtype);
    const sum = reduced(input, axes, 0, (a, b) => a + b); // whole numbers: exact in any order
    assertEquals(apply("sum", [input], sum.shape, dtype, { axes }), sum);
    const largest = reduced(input, axes, dtype === "int32" ? -2147483648 : -Infinity, Math.max);
    assertEquals(apply("max", [input], largest.shape, dtype, { axes }), largest);
  }));
});

Deno.test("a float32 sum is rounded once, an int32 sum wraps, and max propagates NaN", () => {
  const tenths = flat(new Array(1000).fill(0.1), [1000]);
  assertEquals(list(apply("sum", [tenths], [], "float32", { axes: [0] })), [
    Math.fround(1000 * Math.fround(0.1)),
  ]);
  const large = flat([2147483647, 1, 5], [3], "int32");
  assertEquals(list(apply("sum", [large], [], "int32", { axes: [0] })), [-2147483643]);
  const withNaN = flat([1, NaN, 3, 4, 5, 6], [2, 3]);
  assertEquals(list(apply("max", [withNaN], [2], "float32", { axes: [1] })), [NaN, 6]);
});

Deno.test("argmax gives the first largest along its axis", () => {
  fc.assert(fc.property(
    fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 24, maxLength: 24 }),
    fc.integer({ min: 0, max: 2 }),
    (values, axis) => {
      const input = flat(values, [2, 3, 4]);
      const shape = input.shape.filter((_, other) => other !== axis);
      const expected = fromIndices(shape, "int32", (index) => {
        const along = Array.from(
          { length: input.shape[axis] },
          (_, i) => at(input, [...index.slice(0, axis), i, ...index.slice(axis)]),
        );
        return along.indexOf(Math.max(...along));
      });
      assertEquals(apply("argmax", [input], shape, "int32", { axis }), expected);
    },
  ));
  assertEquals(list(apply("argmax", [flat([1, NaN, 5, NaN], [4])], [], "int32", { axis: 0 })), [1]);
});

const matrixSizes = fc.record({
  leading: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 2 }),
  m: fc.integer({ min: 0, max: 5 }),
  k: fc.integer({ min: 0, max: 9 }),
  n: fc.integer({ min: 0, max: 5 }),
  transposeLeft: fc.boolean(),
  transposeRight: fc.boolean(),
  dtype: fc.constantFrom<DType>("float32", "float64", "int32"),
});

Deno.test("matmul is the sum over k, for every layout and dtype", () => {
  fc.assert(
    fc.property(matrixSizes, ({ leading, m, k, n, transposeLeft, transposeRight, dtype }) => {
      const matrix = (rows: number, columns: number, transposed: boolean, step: number) =>
        fromIndices(
          [...leading, ...(transposed ? [columns, rows] : [rows, columns])],
          dtype,
          (_, i) => (i * step) % 17 - 8,
        );
      const left = matrix(m, k, transposeLeft, 5);
      const right = matrix(k, n, transposeRight, 7);
      const expected = fromIndices([...leading, m, n], dtype, (index) => {
        const [batch, [i, j]] = [index.slice(0, -2), index.slice(-2)];
        let sum = 0;
        for (let p = 0; p < k; p++) {
          sum += at(left, [...batch, ...(transposeLeft ? [p, i] : [i, p])]) *
            at(right, [...batch, ...(transposeRight ? [j, p] : [p, j])]);
        }
        return sum;
      });
      const attributes = { transposeLeft, transposeRight };
      assertEquals(apply("matmul", [left, right], expected.shape, dtype, attributes), expected);
    }),
    { numRuns: 300 },
  );
});

Deno.test("an int32 product wraps", () => {
  const a = flat([65536, 1], [1, 2], "int32");
  const b = flat([65536, 3], [2, 1], "int32");
  const attributes = { transposeLeft: false, transposeRight: false };
  assertEquals(list(apply("matmul", [a, b], [1, 1], "int32", attributes)), [3]);
});

Deno.test("randomBits: element i is word i & 1 of the block (i >> 1, counter)", () => {
  const [key, counter] = [flat([7, -9], [2], "int32"), flat([41], [], "int32")];
  const expected = [0, 1, 2].flatMap((block) => threefry2x32(7, -9, block, 41)).slice(0, 5);
  assertEquals(list(apply("randomBits", [key, counter], [5], "int32", { shape: [5] })), expected);
});

Deno.test("gather takes rows, clamping indices into range", () => {
  const rows = counting([3, 2]);
  const indices = flat([0, 2, -5, 9], [2, 2], "int32");
  const taken = apply("gather", [rows, indices], [2, 2, 2], "float32", {});
  assertEquals(list(taken), [1, 2, 5, 6, 1, 2, 5, 6]);
});

Deno.test("scatterAdd is the adjoint of gather: <gather(x), u> = <x, scatterAdd(u)>", () => {
  const numbers = (length: number) =>
    fc.array(fc.integer({ min: -9, max: 9 }), { minLength: length, maxLength: length });
  fc.assert(fc.property(
    numbers(6),
    numbers(10),
    fc.array(fc.integer({ min: -2, max: 5 }), { minLength: 5, maxLength: 5 }),
    (x, u, index) => {
      const [rows, updates] = [flat(x, [3, 2]), flat(u, [5, 2])];
      const indices = flat(index, [5], "int32");
      const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, v, i) => sum + v * b[i], 0);
      const gathered = apply("gather", [rows, indices], [5, 2], "float32", {});
      const scattered = apply("scatterAdd", [indices, updates], [3, 2], "float32", { rows: 3 });
      assert(dot(list(gathered), u) === dot(x, list(scattered)));
    },
  ));
});

Deno.test("indexing a tensor without rows is refused", () => {
  const none = counting([0, 2]);
  const indices = flat([0], [1], "int32");
  assertThrows(() => apply("gather", [none, indices], [1, 2], "float32", {}), RangeError, "no rows");
});
