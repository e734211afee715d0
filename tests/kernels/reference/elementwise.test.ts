import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import type { DType } from "../../../src/tensor/tensor.ts";
import type { None } from "../../../src/program/elementwise.ts";
import type { OperationName } from "../../../src/program/types.ts";
import type { Attributes } from "../../../src/program/types.ts";
import { apply, flat, list } from "./helpers.ts";

type Plain = { [K in OperationName]: Attributes[K] extends None ? K : never }[OperationName];
const NONE: None = {};

function run(
  name: Plain,
  inputs: readonly (readonly number[])[],
  dtype: DType,
  result: DType = dtype,
): number[] {
  const tensors = inputs.map((values) => flat(values, [values.length], dtype));
  return list(apply(name, tensors, [inputs[0].length], result, NONE));
}

Deno.test("unary float operations are those of mathematics", () => {
  const x = [-2.5, -1, -0.25, 0, 1e-9, 0.5, 1, 3];
  const definitions: [Plain, (x: number) => number][] = [
    ["neg", (x) => -x],
    ["abs", Math.abs],
    ["sign", Math.sign],
    ["floor", Math.floor],
    ["exp", Math.exp],
    ["expm1", Math.expm1],
    ["log", Math.log],
    ["log1p", Math.log1p],
    ["sqrt", Math.sqrt],
    ["sin", Math.sin],
    ["cos", Math.cos],
    ["tanh", Math.tanh],
  ];
  for (const [name, definition] of definitions) {
    assertEquals(run(name, [x], "float64"), x.map(definition), name);
    assertEquals(
      run(name, [x], "float32"),
      x.map((value) => Math.fround(definition(Math.fround(value)))),
      `${name} rounds its result once`,
    );
  }
});

Deno.test("erf agrees with values of the C library to 1e-15, and is odd and bounded", () => {
  const known: [number, number][] = [
    [1e-300, 1.1283791670955126e-300],
    [1e-10, 1.1283791670955126e-10],
    [0.1, 0.1124629160182849],
    [0.46875, 0.49261347321793797],
    [0.47, 0.4937450508860821],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [1.5, 0.9661051464753108],
    [2, 0.9953222650189527],
    [2.5, 0.999593047982555],
    [3, 0.9999779095030014],
    [3.9999, 0.9999999845700388],
    [4, 0.9999999845827421],
    [4.5, 0.9999999998033839],
    [5, 0.9999999999984626],
    [5.9, 0.9999999999999999],
    [-0.3, -0.3286267594591274],
    [-1.25, -0.9229001282564582],
    [-6, -1.0],
  ];
  const values = run("erf", [known.map(([x]) => x)], "float64");
  known.forEach(([x, expected], i) => {
    assert(Math.abs(values[i] - expected) <= 1e-15 * Math.abs(expected), `erf(${x}) = ${values[i]}`);
  });
  assertEquals(run("erf", [[0, Infinity, -Infinity, NaN]], "float64"), [0, 1, -1, NaN]);
});

Deno.test("erf follows its Taylor series where that converges quickly", () => {
  fc.assert(fc.property(fc.double({ min: -2, max: 2, noNaN: true }), (x) => {
    let [term, series] = [x, x];
    for (let n = 1; n < 60; n++) {
      term *= -x * x / n;
      series += term / (2 * n + 1);
    }
    // terms reach 4^4/4! before they shrink: their rounding is at most about 60 * 11 * 2^-53
    const [value] = run("erf", [[x]], "float64");
    assert(Math.abs(value - 2 / Math.sqrt(Math.PI) * series) <= 1e-13 * Math.max(Math.abs(x), 1e-300));
  }));
});

Deno.test("sigmoid neither overflows nor loses its tails", () => {
  assertEquals(run("sigmoid", [[0, 1000, -1000, Infinity, -Infinity, NaN]], "float64"), [
    0.5,
    1,
    0,
    1,
    0,
    NaN,
  ]);
  const [tail] = run("sigmoid", [[-700]], "float64");
  assert(Math.abs(tail / Math.exp(-700) - 1) < 1e-15);
});

Deno.test("max and min propagate NaN from either side", () => {
  assertEquals(run("maximum", [[NaN, 1, 2, -Infinity], [1, NaN, 3, -5]], "float32"), [NaN, NaN, 3, -5]);
  assertEquals(run("minimum", [[NaN, 1, 2, Infinity], [1, NaN, 3, -5]], "float32"), [NaN, NaN, 2, -5]);
});

Deno.test("comparisons are IEEE: NaN is unequal to and not less than anything", () => {
  const operands = [[1, 2, NaN, NaN, -0, Infinity], [2, 1, NaN, 0, 0, Infinity]];
  assertEquals(run("less", operands, "float32", "bool"), [1, 0, 0, 0, 0, 0]);
  assertEquals(run("lessEqual", operands, "float32", "bool"), [1, 0, 0, 0, 1, 1]);
  assertEquals(run("equal", operands, "float32", "bool"), [0, 0, 0, 0, 1, 1]);
});

Deno.test("float arithmetic", () => {
  const [a, b] = [[6, -3, 0.5, 1], [4, 2, 0.25, 0]];
  assertEquals(run("add", [a, b], "float32"), [10, -1, 0.75, 1]);
  assertEquals(run("sub", [a, b], "float32"), [2, -5, 0.25, 1]);
  assertEquals(run("mul", [a, b], "float32"), [24, -6, 0.125, 0]);
  assertEquals(run("div", [a, b], "float32"), [1.5, -1.5, 2, Infinity]);
  assertEquals(run("pow", [a, b], "float64"), [1296, 9, Math.pow(0.5, 0.25), 1]);
});

Deno.test("int32 arithmetic wraps, and division goes towards zero and never throws", () => {
  const wrap = (exact: bigint) => Number(BigInt.asIntN(32, exact));
  const int32 = fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, 2147483647, -2147483648));
  fc.assert(fc.property(int32, int32, (a, b) => {
    const [x, y] = [BigInt(a), BigInt(b)];
    assertEquals(run("add", [[a], [b]], "int32"), [wrap(x + y)]);
    assertEquals(run("sub", [[a], [b]], "int32"), [wrap(x - y)]);
    assertEquals(run("mul", [[a], [b]], "int32"), [wrap(x * y)]);
    assertEquals(run("div", [[a], [b]], "int32"), [b === 0 ? 0 : wrap(x / y)]);
    assertEquals(run("neg", [[a]], "int32"), [wrap(-x)]);
    assertEquals(run("abs", [[a]], "int32"), [wrap(x < 0n ? -x : x)]);
  }));
});

Deno.test("logic and select", () => {
  const [a, b] = [[0, 0, 1, 1], [0, 1, 0, 1]];
  assertEquals(run("and", [a, b], "bool"), [0, 0, 0, 1]);
  assertEquals(run("or", [a, b], "bool"), [0, 1, 1, 1]);
  assertEquals(run("not", [a], "bool"), [1, 1, 0, 0]);
  const selected = apply(
    "select",
    [flat(a, [4], "bool"), flat([1, 2, 3, 4], [4]), flat([-1, NaN, -3, NaN], [4])],
    [4],
    "float32",
    {},
  );
  assertEquals(list(selected), [-1, NaN, 3, 4]);
});

Deno.test("cast truncates and saturates to int32, and compares with 0 to bool", () => {
  const cast = (values: number[], from: DType, dtype: DType) =>
    list(apply("cast", [flat(values, [values.length], from)], [values.length], dtype, { dtype }));
  assertEquals(cast([1.9, -1.9, NaN, 1e20, -Infinity, -0.5], "float32", "int32"), [
    1,
    -1,
    0,
    2147483647,
    -2147483648,
    0,
  ]);
  assertEquals(cast([0, -0, 0.1, NaN, -3], "float32", "bool"), [0, 0, 1, 1, 1]);
  assertEquals(cast([0, 256, -1], "int32", "bool"), [0, 1, 1]);
  assertEquals(cast([0, 1], "bool", "float32"), [0, 1]);
  assertEquals(cast([0, 1], "bool", "int32"), [0, 1]);
  assertEquals(cast([0.1], "float64", "float32"), [Math.fround(0.1)]);
  assertEquals(cast([16777217], "int32", "float32"), [16777216]);
});
