/** Functions over all primitives and awkward shapes, for comparing a backend with the reference. */
import {
  abs,
  add,
  and,
  argmax,
  averagePool,
  broadcastTo,
  cast,
  concat,
  convolve,
  convolveTransposed,
  cos,
  cumsum,
  div,
  einsum,
  equal,
  erf,
  exp,
  expm1,
  floor,
  foldIn,
  gather,
  iota,
  less,
  lessEqual,
  log,
  log1p,
  matmul,
  max,
  maximum,
  maxPool,
  mean,
  minimum,
  mul,
  neg,
  not,
  oneHot,
  or,
  pad,
  pow,
  randomBits,
  reshape,
  reverse,
  scatterAdd,
  select,
  sigmoid,
  sign,
  sin,
  slice,
  softmax,
  sqrt,
  stack,
  stopGradient,
  sub,
  sum,
  tanh,
  type Tensor,
  transpose,
  valueAndGrad,
  zeros,
} from "../../mod.ts";
import type { AgreementCase } from "./agreement_case.ts";
import { scans } from "./agreement_scans.ts";

const one = (
  name: string,
  fn: (x: Tensor) => unknown,
  ...shapes: readonly (readonly number[])[]
): AgreementCase[] =>
  (shapes.length > 0 ? shapes : [[], [1], [7], [4, 8], [3, 5], [2, 3, 5], [0, 3]]).map((shape) => ({
    name: `${name} [${shape}]`,
    fn,
    inputs: [shape],
  }));

const positive = (x: Tensor) => add(abs(x), 0.1);

const unary: AgreementCase[] = [
  ...one("neg", neg),
  ...one("abs", abs),
  ...one("sign", sign),
  ...one("floor", floor),
  ...one("exp", exp),
  ...one("expm1", expm1),
  ...one("log", (x) => log(positive(x))),
  ...one("log1p", (x) => log1p(positive(x))),
  ...one("sqrt", (x) => sqrt(positive(x))),
  ...one("sin", sin),
  ...one("cos", cos),
  ...one("tanh", tanh),
  ...one("sigmoid", sigmoid),
  ...one("erf", erf),
  ...one("stopGradient", stopGradient),
  ...one("cast to int and back", (x) => cast(cast(mul(x, 10), "int32"), "float32")),
  ...one("cast to bool and back", (x) => cast(cast(x, "bool"), "int32")),
  ...one("pow", (x) => pow(positive(x), 1.7)),
];

const pair = (name: string, fn: (a: Tensor, b: Tensor) => unknown): AgreementCase[] =>
  [[[5], [5]], [[4, 7], [7]], [[4, 1, 3], [2, 1]], [[], [6]], [[3, 8], [3, 8]]].map((inputs) => ({
    name: `${name} ${JSON.stringify(inputs)}`,
    fn: (a, b) => fn(a, b),
    inputs,
  }));

const binary: AgreementCase[] = [
  ...pair("add", add),
  ...pair("sub", sub),
  ...pair("mul", mul),
  ...pair("div", (a, b) => div(a, positive(b))),
  ...pair("maximum", maximum),
  ...pair("minimum", minimum),
  ...pair("equal", (a, b) => equal(floor(a), floor(b))),
  ...pair("less", less),
  ...pair("lessEqual", lessEqual),
  ...pair("logic", (a, b) => or(and(less(a, b), less(a, 0.5)), not(less(b, 0)))),
  ...pair("select", (a, b) => select(less(a, b), mul(a, 2), b)),
];

const filters = (shape: readonly number[]) =>
  mul(sub(reshape(iota([shape.reduce((a, b) => a * b)], { dtype: "float32" }), shape), 9), 0.125);

/** Convolutions and pooling of `[batch, height, width, 4]`, with NaN and infinities among the elements. */
const WINDOWS: readonly { readonly name: string; readonly apply: (x: Tensor) => unknown }[] = [
  { name: "convolve in two axes", apply: (x) => convolve(x, filters([3, 2, 4, 5]), { padding: "same" }) },
  {
    name: "convolve with strides and dilation",
    apply: (x) => convolve(x, filters([2, 3, 4, 3]), { strides: [2, 1], dilation: [3, 2] }),
  },
  { name: "convolve in groups", apply: (x) => convolve(x, filters([2, 2, 2, 6]), { groups: 2 }) },
  {
    name: "convolve by channel",
    apply: (x) => convolve(x, filters([3, 3, 1, 8]), { groups: 4, strides: [1, 2] }),
  },
  {
    name: "convolveTransposed",
    apply: (x) => convolveTransposed(x, filters([3, 2, 2, 4]), { strides: [2, 3], padding: "same" }),
  },
  { name: "maxPool", apply: (x) => maxPool(x, [3, 2], { strides: [2, 2], padding: "same" }) },
  { name: "averagePool", apply: (x) => averagePool(x, [2, 3], { padding: { low: [1, 0], high: [0, 2] } }) },
  {
    name: "gradient of convolve",
    apply: (x) =>
      valueAndGrad((kernel: Tensor, x: Tensor) => sum(mul(convolve(x, kernel, { strides: [2, 1] }), 0.5)))(
        filters([2, 3, 4, 3]),
        x,
      ),
  },
  {
    name: "gradient of convolve by channel",
    apply: (x) =>
      valueAndGrad((kernel: Tensor, x: Tensor) =>
        sum(mul(convolve(x, kernel, { groups: 4, padding: "same" }), 0.5))
      )(filters([2, 3, 1, 4]), x),
  },
  {
    name: "gradient through convolve and maxPool",
    apply: (x) =>
      valueAndGrad((x: Tensor) => sum(mul(maxPool(convolve(x, filters([3, 3, 4, 2])), [2, 2]), 0.5)))(x),
  },
];

const structure: AgreementCase[] = [
  ...one("broadcast", (x) => broadcastTo(x, [3, 4, 5]), [5], [4, 1], [1, 4, 5], []),
  ...one("reshape", (x) => mul(reshape(transpose(x), [-1]), 2), [3, 4], [2, 3, 4]),
  ...one("transpose", (x) => add(transpose(x), 1), [3, 5], [2, 3, 4]),
  ...one("reverse", (x) => add(reverse(x, [0, -1]), 0.5), [4, 9], [2, 3, 5]),
  ...one("slice", (x) => mul(slice(x, { start: [1, 2], size: [2, 4], stride: [2, 2] }), 3), [5, 9]),
  ...one("pad", (x) => pad(x, { low: [1, 0], high: [2, 3], interior: [1, 2] }), [3, 4], [1, 1]),
  ...one("concat", (x) => concat([x, mul(x, 2), slice(x, { start: [0, 1], size: [3, 2] })]), [3, 5]),
  ...one("concat rows", (x) => concat([x, zeros([2, 5]), x], { axis: 0 }), [3, 5]),
  ...one("stack", (x) => stack([x, neg(x), x], { axis: 1 }), [3, 5]),
  ...one("outputs of every kind", (x) => [x, x, reshape(x, [-1]), zeros([2, 3]), transpose(x)], [3, 4]),
  ...one(
    "convolve",
    (x) => convolve(x, reshape(iota([3, 2, 4], { dtype: "float32" }), [3, 2, 4]), { padding: "same" }),
    [2, 5, 2],
  ),
  ...WINDOWS.map(({ name, apply }) => one(name, apply, [2, 7, 6, 4])).flat(),
];

const reductions: AgreementCase[] = [
  ...[[0], [1], [2], [0, 1], [1, 2], [0, 2], [0, 1, 2]].flatMap((axes) => [
    ...one(`sum ${axes}`, (x) => sum(x, { axes }), [3, 5, 7], [2, 17, 40], [1, 4, 4]),
    ...one(`max ${axes}`, (x) => max(x, { axes }), [3, 5, 7], [2, 17, 40]),
  ]),
  ...[[0], [1], [0, 1]].flatMap((axes) =>
    one(
      `sum of products ${axes}`,
      (x) => {
        const size = x.shape.with(1, Number(x.shape[1]) - 1);
        const [before, after] = [0, 1].map((start) => slice(x, { start: [0, start, 0], size }));
        return sum(mul(before, after), { axes });
      },
      [3, 5, 7],
      [2, 38, 21],
      [2, 2, 8],
    )
  ),
  ...one("sum of a transpose", (x) => sum(transpose(x), { axes: 0 }), [6, 9]),
  ...one("sum of nothing", (x) => sum(x, { axes: 0 }), [0, 5]),
  ...one("mean", (x) => mean(x), [7], [64, 100]),
  ...one("argmax", (x) => argmax(x), [7], [3, 5], [2, 3, 9]),
  ...one("argmax rows", (x) => argmax(x, { axis: 0 }), [6, 9]),
  ...[0, 1, 2].flatMap((axis) => one(`cumsum ${axis}`, (x) => cumsum(x, { axis }), [3, 5, 7], [2, 17, 40])),
  ...one(
    "cumsum of every kind",
    (x) =>
      [false, true].flatMap((exclusive) =>
        [false, true].map((reverse) => cumsum(x, { axis: 0, exclusive, reverse }))
      ),
    [7],
    [5, 9],
    [0, 3],
    [3, 0],
    [2500, 3],
  ),
  ...one("cumsum of one axis after the other", (x) => cumsum(cumsum(x), { axis: 0, reverse: true }), [6, 9]),
  ...one(
    "cumsum of a view, and a view of it",
    (x) => transpose(cumsum(reverse(transpose(x), 1), { axis: 0 })),
    [6, 9],
    [2, 4, 3],
  ),
  ...one("cumsum of a part", (x) => cumsum(slice(x, { start: [1, 2], size: [2, 4], stride: [2, 2] })), [
    5,
    9,
  ]),
  ...one("long cumsum", (x) => cumsum(x, { axis: 1, reverse: true }), [3, 2049, 2], [2, 1025]),
  ...one("cumsum of integers", (x) => cumsum(cast(mul(x, 10), "int32"), { axis: 0 }), [6, 9], [3000]),
  ...one("softmax", (x) => softmax(x), [3, 10], [2, 3, 5]),
  ...one("sum of integers", (x) => sum(cast(mul(x, 10), "int32"), { axes: 0 }), [6, 9]),
];

const product = (
  name: string,
  fn: (a: Tensor, b: Tensor) => unknown,
  a: readonly number[],
  b: readonly number[],
): AgreementCase => ({
  name: `${name} [${a}] [${b}]`,
  fn: (x, y) => fn(x, y),
  inputs: [a, b],
});

const products: AgreementCase[] = [
  ...[[1, 1, 1], [3, 5, 7], [1, 64, 33], [13, 17, 9], [64, 28, 40], [6, 0, 5]].flatMap(([m, k, n]) => [
    product("matmul", (a, b) => matmul(a, b), [m, k], [k, n]),
    product("matmul left transposed", (a, b) => matmul(a, b, { transposeLeft: true }), [k, m], [k, n]),
    product("matmul right transposed", (a, b) => matmul(a, b, { transposeRight: true }), [m, k], [n, k]),
    product("matmul both transposed", (a, b) => matmul(a, b, { transposeLeft: true, transposeRight: true }), [
      k,
      m,
    ], [n, k]),
  ]),
  product("long sums", (a, b) => matmul(a, b, { transposeLeft: true }), [1500, 30], [1500, 21]),
  product("batched", (a, b) => matmul(a, b), [2, 3, 4, 5], [2, 3, 5, 6]),
  product("einsum", (a, b) => einsum("bij,ijkl->bkl", a, b), [3, 2, 4], [2, 4, 5, 3]),
  product("einsum batched", (a, b) => einsum("bij,bkj->bik", a, b), [3, 2, 4], [3, 5, 4]),
  {
    name: "matmul in halves, with addends",
    fn: (a, turned, b, rows, bias) => [
      add(add(matmul(a, b), rows), bias),
      add(matmul(turned, b, { transposeLeft: true }), bias),
    ],
    inputs: [[7, 300], [300, 2], [300, 290], [7, 290], [290]],
  },
  product("sum of a product", (a, b) => sum(matmul(tanh(a), b), { axes: 0 }), [9, 5], [5, 8]),
];

const indexing: AgreementCase[] = [
  { name: "gather", fn: (table, indices) => gather(table, indices), inputs: [[6, 5], ["int32", 3, 4]] },
  { name: "gather scalars", fn: (table, indices) => gather(table, indices), inputs: [[6], ["int32", 9]] },
  {
    name: "gather blocks",
    fn: (table, indices) => gather(transpose(table, { permutation: [0, 2, 1] }), indices),
    inputs: [[6, 2, 5], ["int32", 3]],
  },
  {
    name: "scatterAdd",
    fn: (indices, updates) => scatterAdd(indices, updates, { rows: 6 }),
    inputs: [["int32", 3, 4], [3, 4, 5]],
  },
  { name: "oneHot", fn: (indices) => oneHot(indices, 5), inputs: [["int32", 7]] },
  {
    name: "integers",
    fn: (a, b) => [add(a, b), mul(a, b), sub(a, b), div(a, b), maximum(a, b), less(a, b), abs(a), sign(a)],
    inputs: [["int32", 11], ["int32", 11]],
  },
  {
    name: "bools",
    fn: (a, b) => [and(a, b), or(a, not(b)), equal(a, b), cast(a, "float32")],
    inputs: [["bool", 11], ["bool", 11]],
  },
  {
    name: "randomBits",
    fn: (key) => [randomBits(key, [13]), randomBits(foldIn(key, 7), [3, 8], { counter: 5 })],
    inputs: [["int32", 2]],
  },
];

/** Every case. */
export const agreementCases: readonly AgreementCase[] = [
  ...unary,
  ...binary,
  ...structure,
  ...reductions,
  ...products,
  ...indexing,
  ...scans,
];
