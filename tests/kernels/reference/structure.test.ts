import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { symbol } from "../../../src/tensor/dims.ts";
import type { DType } from "../../../src/tensor/tensor.ts";
import { evaluate } from "../../../kernels/reference/mod.ts";
import { apply, at, counting, flat, fromIndices, list, shapes } from "./helpers.ts";

const dtypes = fc.constantFrom<DType>("float32", "int32", "float64");

Deno.test("broadcast: the element at an index is the input's at the mapped axes", () => {
  const cases = shapes.chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      kept: fc.tuple(...shape.map(() => fc.boolean())),
      grown: fc.tuple(...shape.map(() => fc.boolean())),
      dtype: dtypes,
    })
  );
  fc.assert(fc.property(cases, ({ shape, kept, grown, dtype }) => {
    const axes = shape.map((_, axis) => axis).filter((axis) => kept[axis]);
    const input = counting(axes.map((axis) => grown[axis] ? 1 : shape[axis]), dtype);
    const expected = fromIndices(
      shape,
      dtype,
      (index) => at(input, axes.map((axis) => grown[axis] ? 0 : index[axis])),
    );
    assertEquals(apply("broadcast", [input], shape, dtype, { shape, axes }), expected);
  }));
});

Deno.test("transpose: output axis i is input axis permutation[i]", () => {
  const cases = shapes.chain((shape) =>
    fc.tuple(
      fc.constant(shape),
      fc.shuffledSubarray(shape.map((_, axis) => axis), { minLength: shape.length }),
      dtypes,
    )
  );
  fc.assert(fc.property(cases, ([shape, permutation, dtype]) => {
    const input = counting(shape, dtype);
    const outputShape = permutation.map((axis) => shape[axis]);
    const expected = fromIndices(outputShape, dtype, (index) => {
      const from: number[] = [];
      permutation.forEach((axis, i) => from[axis] = index[i]);
      return at(input, from);
    });
    assertEquals(apply("transpose", [input], outputShape, dtype, { permutation }), expected);
  }));
});

Deno.test("reverse flips the given axes", () => {
  const cases = shapes.chain((shape) =>
    fc.tuple(fc.constant(shape), fc.subarray(shape.map((_, axis) => axis)))
  );
  fc.assert(fc.property(cases, ([shape, axes]) => {
    const input = counting(shape);
    const expected = fromIndices(
      shape,
      "float32",
      (index) => at(input, index.map((i, axis) => axes.includes(axis) ? shape[axis] - 1 - i : i)),
    );
    assertEquals(apply("reverse", [input], shape, "float32", { axes }), expected);
  }));
});

/** Per axis: start or low, size, stride or interior + 1, elements left over. */
const windows = fc.array(
  fc.record({
    low: fc.integer({ min: 0, max: 2 }),
    size: fc.integer({ min: 0, max: 3 }),
    stride: fc.integer({ min: 1, max: 3 }),
    high: fc.integer({ min: 0, max: 2 }),
  }),
  { maxLength: 3 },
);

Deno.test("slice takes every stride-th element from start", () => {
  fc.assert(fc.property(windows, (axes) => {
    const spans = axes.map(({ size, stride }) => size === 0 ? 0 : (size - 1) * stride + 1);
    const input = counting(axes.map(({ low, high }, axis) => low + spans[axis] + high));
    const size = axes.map((axis) => axis.size);
    const start = axes.map(({ low }) => low);
    const stride = axes.map((axis) => axis.stride);
    const expected = fromIndices(
      size,
      "float32",
      (index) => at(input, index.map((i, axis) => start[axis] + i * stride[axis])),
    );
    assertEquals(apply("slice", [input], size, "float32", { start, size, stride }), expected);
  }));
});

Deno.test("pad puts zeros before, after and between", () => {
  fc.assert(fc.property(windows, (axes) => {
    const input = counting(axes.map(({ size }) => size));
    const low = axes.map((axis) => axis.low);
    const high = axes.map((axis) => axis.high);
    const interior = axes.map(({ stride }) => stride - 1);
    const shape = axes.map(({ size, stride }, axis) =>
      low[axis] + (size === 0 ? 0 : (size - 1) * stride + 1) + high[axis]
    );
    const expected = fromIndices(shape, "float32", (index) => {
      const from = index.map((i, axis) => (i - low[axis]) / axes[axis].stride);
      const inside = from.every((i, axis) => Number.isInteger(i) && i >= 0 && i < input.shape[axis]);
      return inside ? at(input, from) : 0;
    });
    assertEquals(apply("pad", [input], shape, "float32", { low, high, interior }), expected);
  }));
});

Deno.test("concat joins its inputs along the axis", () => {
  const cases = fc.tuple(
    shapes.filter((shape) => shape.length > 0),
    fc.nat(),
    fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 4 }),
  );
  fc.assert(fc.property(cases, ([shape, anyAxis, sizes]) => {
    const axis = anyAxis % shape.length;
    const withSize = (size: number) => shape.map((dim, other) => other === axis ? size : dim);
    const inputs = sizes.map((size, i) =>
      fromIndices(withSize(size), "float32", (_, flatIndex) => 1000 * i + flatIndex)
    );
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const expected = fromIndices(withSize(total), "float32", (index) => {
      let [input, i] = [0, index[axis]];
      while (i >= sizes[input]) i -= sizes[input++];
      return at(inputs[input], index.map((own, other) => other === axis ? i : own));
    });
    assertEquals(apply("concat", inputs, withSize(total), "float32", { axis }), expected);
  }));
});

Deno.test("iota counts along its axis; size and constant give what they hold; reshape keeps the order", () => {
  const shape = [2, 3, 2];
  assertEquals(
    apply("iota", [], shape, "int32", { shape, axis: 1, dtype: "int32" }),
    fromIndices(shape, "int32", (index) => index[1]),
  );
  const value = flat([1, 2, 3], [3]);
  assertEquals(apply("constant", [], [3], "float32", { value }), value);
  assertEquals(list(apply("reshape", [counting([2, 3])], [3, 2], "float32", { shape: [3, 2] })), [
    1,
    2,
    3,
    4,
    5,
    6,
  ]);
  const time = symbol("time");
  const size = evaluate(
    { operation: { name: "size" }, attributes: { dim: time, dtype: "float32" } },
    [],
    [{ shape: [], dtype: "float32" }],
    { time: 7 },
  );
  assertEquals(list(size[0]), [7]);
});

Deno.test("sizes in attributes are evaluated, and what does not fit is refused", () => {
  const time = symbol("time");
  const slice = (start: number) =>
    evaluate(
      { operation: { name: "slice" }, attributes: { start: [start], size: [time], stride: [1] } },
      [counting([4])],
      [{ shape: [time], dtype: "float32" }],
      { time: 3 },
    );
  assertEquals(list(slice(1)[0]), [2, 3, 4]);
  assertThrows(() => slice(2), RangeError, "axis 0");
  const padding = { low: [-1], high: [0], interior: [0] };
  assertThrows(() => apply("pad", [counting([4])], [3], "float32", padding), RangeError, "-1 zeros");
});
