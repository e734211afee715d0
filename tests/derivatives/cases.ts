/**
 * For every primitive, functions of float64 tensors that apply it, with the domain on which it is differentiable; or,
 * for a primitive without a derivative, functions through which no gradient may pass.
 */
import {
  abs,
  add,
  and,
  argmax,
  broadcastTo,
  cast,
  concat,
  convolve,
  cos,
  cumsum,
  div,
  equal,
  erf,
  exp,
  expm1,
  floor,
  gather,
  iota,
  key,
  less,
  lessEqual,
  log,
  log1p,
  matmul,
  max,
  maximum,
  minimum,
  mul,
  neg,
  not,
  or,
  pad,
  pow,
  randomBits,
  reshape,
  reverse,
  scan,
  scatterAdd,
  select,
  sigmoid,
  sign,
  sin,
  slice,
  sqrt,
  stopGradient,
  sub,
  sum,
  tanh,
  type Tensor,
  tensor,
  transpose,
} from "../../mod.ts";
import { type Attributes, type OperationName } from "../../src/internal.ts";
import { applyOne } from "../../src/operations/apply.ts";
import { elementwiseOperations } from "../../src/operations/elementwise.ts";
import { sizeOperation } from "../../src/operations/reduction.ts";
import { windowsOperation } from "../../src/operations/windows.ts";
import { sumsOfRows } from "./sums_cases.ts";
import { broadcastOperation } from "../../src/operations/structure.ts";

/**
 * Where inputs are drawn: `any` is -2…2, `positive` 0.3…2.3, `nonzero` either sign at least 0.3 from 0; `distinct` are
 * numbers within -2…2 of which no two, in all inputs
 * together, are nearer than 0.1, and none is nearer to a whole number.
 */
export type Domain = "any" | "positive" | "nonzero" | "distinct";

/** One way to apply a primitive. */
export interface DerivativeCase {
  readonly title: string;
  readonly shapes: readonly (readonly number[])[];
  readonly domain: Domain;
  readonly apply: (...inputs: Tensor[]) => Tensor;
}

type Unary = (x: Tensor) => Tensor;
type Binary = (a: Tensor, b: Tensor) => Tensor;

const shape = [2, 3];

const unary = (apply: Unary, domain: Domain = "any"): DerivativeCase[] => [
  { title: "a matrix", shapes: [shape], domain, apply },
  { title: "a scalar", shapes: [[]], domain, apply },
];

const binary = (apply: Binary, domain: Domain = "any"): DerivativeCase[] => [
  { title: "two matrices", shapes: [shape, shape], domain, apply },
  { title: "broadcasting both", shapes: [[2, 1], [3]], domain, apply },
  { title: "an operand with itself", shapes: [shape], domain, apply: (x) => apply(x, x) },
];

const one = (
  title: string,
  of: readonly number[],
  apply: Unary,
  domain: Domain = "any",
): DerivativeCase => ({ title, shapes: [of], domain, apply });

const two = (
  title: string,
  first: readonly number[],
  second: readonly number[],
  apply: Binary,
): DerivativeCase => ({ title, shapes: [first, second], domain: "any", apply });

const int = (values: readonly number[], of: readonly number[] = [values.length]) =>
  tensor(values, { shape: of, dtype: "int32" });

/** A product of two operands as they lie in memory: `left` and `right` say which are transposed. */
function product(left: boolean, right: boolean, batch: readonly number[] = []): DerivativeCase {
  const [m, k, n] = [2, 3, 4];
  return {
    title: `${left ? "transposed" : "plain"} by ${right ? "transposed" : "plain"}, batch [${batch}]`,
    shapes: [[...batch, ...(left ? [k, m] : [m, k])], [...batch, ...(right ? [n, k] : [k, n])]],
    domain: "any",
    apply: (a, b) => matmul(a, b, { transposeLeft: left, transposeRight: right }),
  };
}

const numeric = (x: Tensor) => cast(x, "float64");

/** Primitives with a derivative. */
const differentiable = {
  neg: unary(neg),
  abs: unary(abs, "nonzero"),
  exp: unary(exp),
  expm1: unary(expm1),
  log: unary(log, "positive"),
  log1p: unary(log1p, "positive"),
  sqrt: unary(sqrt, "positive"),
  sin: unary(sin),
  cos: unary(cos),
  tanh: unary(tanh),
  sigmoid: unary(sigmoid),
  erf: unary(erf),
  cast: [
    // Another dtype would round: see the test of dtypes beside this table.
    one(
      "to the same dtype",
      shape,
      (x) => mul(applyOne(elementwiseOperations.cast, [x], { dtype: "float64" }), x),
    ),
  ],

  add: binary(add),
  sub: binary(sub),
  mul: binary(mul),
  div: binary(div, "nonzero"),
  pow: [
    ...binary(pow, "positive"),
    one("a whole power of any number", shape, (x) => pow(x, 3), "nonzero"),
    one("the square at 0 and elsewhere", shape, (x) => pow(mul(x, cast(less(0, x), "float64")), 3)),
  ],
  maximum: binary(maximum, "distinct").slice(0, 2),
  minimum: binary(minimum, "distinct").slice(0, 2),
  select: [
    {
      title: "by a comparison of its own inputs",
      shapes: [shape, shape],
      domain: "distinct",
      apply: (a, b) => select(less(a, b), mul(a, b), sub(a, b)),
    },
    {
      title: "broadcasting",
      shapes: [[3], [2, 1]],
      domain: "distinct",
      apply: (a, b) => select(less(0, a), a, b),
    },
  ],

  broadcast: [
    one("a new axis in front", [3], (x) => broadcastTo(x, [2, 3])),
    one("a scalar", [], (x) => broadcastTo(x, [2, 3])),
    one("growing sizes of 1", [1, 3, 1], (x) => broadcastTo(x, [2, 3, 2])),
    one("a size 1 that stays", [2, 1], (x) => broadcastTo(x, [3, 2, 1])),
    one(
      "axes that are not the last",
      [2, 1],
      (x) => applyOne(broadcastOperation, [x], { shape: [2, 3, 2], axes: [0, 2] }),
    ),
    one("to nothing", [1, 2], (x) => broadcastTo(x, [0, 2])),
    ...sumsOfRows,
  ],
  reshape: [
    one("a matrix to a vector", shape, (x) => reshape(x, [6])),
    one("a scalar to a matrix", [], (x) => reshape(x, [1, 1])),
  ],
  transpose: [
    one("a matrix", shape, (x) => transpose(x)),
    one("a rotation of three axes", [2, 3, 2], (x) => transpose(x, { permutation: [1, 2, 0] })),
  ],
  reverse: [
    one("one axis", shape, (x) => reverse(x, 1)),
    one("two axes", [2, 3, 2], (x) => reverse(x, [0, 2])),
  ],
  slice: [
    one("a part", [3, 4], (x) => slice(x, { start: [1, 0], size: [2, 3] })),
    one("every second and third", [5, 7], (x) => slice(x, { start: [0, 1], size: [3, 2], stride: [2, 3] })),
    one("nothing", [3, 4], (x) => slice(x, { start: [1, 0], size: [0, 4] })),
    one("from the end", [4], (x) => slice(x, { start: [-2], size: [2] })),
  ],
  windows: [
    one("overlapping", [2, 6], (x) => show(x, { axis: 1, size: 4, window: 3, stride: 1, dilation: 1 })),
    one("apart", [9], (x) => show(x, { axis: 0, size: 2, window: 3, stride: 5, dilation: 1 })),
    one("close", [2, 8, 2], (x) => show(x, { axis: 1, size: 3, window: 4, stride: 2, dilation: 1 })),
    one("with gaps", [8], (x) => show(x, { axis: 0, size: 2, window: 3, stride: 2, dilation: 2 })),
  ],
  convolve: [
    two("over one axis", [2, 6, 2], [3, 2, 3], (x, kernel) => convolve(x, kernel, { dilation: [2] })),
    two(
      "with strides",
      [1, 7, 6, 2],
      [3, 2, 2, 2],
      (x, kernel) => convolve(x, kernel, { strides: [2, 3], padding: "same" }),
    ),
    two(
      "with strides, in phases",
      [1, 5, 3, 8],
      [3, 2, 8, 1],
      (x, kernel) => convolve(x, kernel, { strides: [2, 2], dilation: [1, 2] }),
    ),
    two(
      "with strides that leave some places out",
      [1, 7, 8],
      [2, 8, 2],
      (x, kernel) => convolve(x, kernel, { strides: [2], dilation: [2] }),
    ),
    two(
      "in groups of many channels",
      [1, 4, 16],
      [2, 8, 4],
      (x, kernel) => convolve(x, kernel, { groups: 2 }),
    ),
    two(
      "by channel with strides",
      [2, 5, 4, 3],
      [2, 2, 1, 6],
      (x, kernel) => convolve(x, kernel, { groups: 3, strides: [2, 1] }),
    ),
    two("in groups", [2, 5, 4], [2, 2, 4], (x, kernel) => convolve(x, kernel, { groups: 2 })),
    two(
      "in groups with strides",
      [1, 6, 4],
      [3, 2, 2],
      (x, kernel) => convolve(x, kernel, { groups: 2, strides: [2] }),
    ),
  ],
  pad: [
    one("around", shape, (x) => pad(x, { low: [1, 0], high: [0, 2] })),
    one("between", shape, (x) => pad(x, { low: [0, 1], high: [1, 0], interior: [2, 1] })),
    one("around nothing", [0, 2], (x) => pad(x, { low: [1, 0], high: [1, 0], interior: [1, 1] })),
  ],
  concat: [
    {
      title: "three along the last axis",
      shapes: [[2, 1], [2, 3], [2, 2]],
      domain: "any",
      apply: (...xs) => concat(xs),
    },
    {
      title: "along the first",
      shapes: [[1, 2], [3, 2]],
      domain: "any",
      apply: (...xs) => concat(xs, { axis: 0 }),
    },
    one("a tensor with itself", shape, (x) => concat([x, x, x], { axis: 0 })),
  ],
  gather: [
    one("repeated rows", [3, 2], (x) => gather(x, int([2, 0, 2, 2]))),
    one("a table of indices, some outside", [3], (x) => gather(x, int([-1, 1, 3, 0], [2, 2]))),
  ],
  scatterAdd: [
    one("rows that meet", [4, 2], (x) => scatterAdd(int([1, 0, 1, 1]), x, { rows: 3 })),
    one("indices outside", [2, 2], (x) => scatterAdd(int([-5, 2, 7, 1], [2, 2]), x, { rows: 3 })),
  ],

  sum: [
    one("everything", shape, (x) => sum(x)),
    one("one axis", [2, 3, 2], (x) => sum(x, { axes: 1 })),
    one("two axes", [2, 3, 2], (x) => sum(x, { axes: [0, 2], keepDims: true })),
    one("no elements", [0, 3], (x) => sum(x, { axes: 0 })),
  ],
  max: [
    one("everything", shape, (x) => max(x), "distinct"),
    one("one axis", [2, 3, 2], (x) => max(x, { axes: 1 }), "distinct"),
    one("two axes", [2, 2, 2], (x) => max(x, { axes: [0, 2], keepDims: true }), "distinct"),
  ],
  cumsum: [
    one("the last axis", shape, (x) => cumsum(x)),
    one("another axis, from the end", [2, 3, 2], (x) => cumsum(x, { axis: 1, reverse: true })),
    one("without the element itself", [3, 2], (x) => cumsum(x, { axis: 0, exclusive: true })),
    one("no elements", [2, 0], (x) => cumsum(x)),
  ],

  matmul: [
    ...[false, true].flatMap((left) => [false, true].map((right) => product(left, right))),
    ...[false, true].flatMap((left) => [false, true].map((right) => product(left, right, [2]))),
    {
      title: "many rows by one matrix",
      shapes: [[2, 2, 3], [3, 2]],
      domain: "any",
      apply: (a, b) => matmul(a, b),
    },
    { title: "nothing between", shapes: [[2, 0], [0, 2]], domain: "any", apply: (a, b) => matmul(a, b) },
  ],

  scan: [
    {
      title: "a recurrence over a closed-over matrix",
      shapes: [[2, 2], [2, 3, 2], [2, 2]],
      domain: "any",
      apply: (initial, xs, w) => {
        const [outputs, last] = scan(
          (h: Tensor, x: Tensor) => {
            const next = tanh(add(matmul(h, w), x));
            return [mul(next, x), next];
          },
          initial,
          xs,
        );
        return add(sum(outputs, { axes: 1 }), last);
      },
    },
    {
      title: "scalars, reversed",
      shapes: [[], [4]],
      domain: "any",
      apply: (initial, xs) =>
        scan((h: Tensor, x: Tensor) => [mul(h, x), add(h, sin(x))], initial, xs, { reverse: true })[0],
    },
  ],
} satisfies Partial<Record<OperationName, readonly DerivativeCase[]>>;

/** Primitives without one: the gradient of these functions is zero. */
const constant = {
  constant: [one("alone", shape, () => tensor([1, 2], { dtype: "float64" }))],
  iota: [one("alone", shape, () => iota([3], { dtype: "float64" }))],
  size: [one("alone", shape, () => applyOne(sizeOperation, [], { dim: 3, dtype: "float64" }))],
  randomBits: [
    one(
      "with a counter from the input",
      [],
      (x) => numeric(randomBits(key(1), [3], { counter: cast(x, "int32") })),
    ),
  ],
  sign: unary(sign, "distinct"),
  floor: unary(floor, "distinct"),
  stopGradient: unary(stopGradient),
  not: unary((x) => numeric(not(less(x, 0))), "distinct"),
  and: unary((x) => numeric(and(less(x, 1), less(-1, x))), "distinct"),
  or: unary((x) => numeric(or(less(x, -1), less(1, x))), "distinct"),
  equal: unary((x) => numeric(equal(x, x)), "distinct"),
  less: unary((x) => numeric(less(x, 0)), "distinct"),
  lessEqual: unary((x) => numeric(lessEqual(x, 0)), "distinct"),
  argmax: [one("the last axis", shape, (x) => numeric(argmax(x)), "distinct")],
} satisfies Partial<Record<OperationName, readonly DerivativeCase[]>>;

const show = (x: Tensor, attributes: Attributes["windows"]) => applyOne(windowsOperation, [x], attributes);

/** Every primitive: a compile error here means that one was added and has no test of its derivative. */
export const derivativeCases: {
  readonly [Name in OperationName]: {
    readonly differentiable: boolean;
    readonly cases: readonly DerivativeCase[];
  };
} = {
  ...withKind(differentiable, true),
  ...withKind(constant, false),
};

function withKind<Name extends OperationName>(
  table: Readonly<Record<Name, readonly DerivativeCase[]>>,
  differentiable: boolean,
): Record<Name, { readonly differentiable: boolean; readonly cases: readonly DerivativeCase[] }> {
  const entries = Object.entries<readonly DerivativeCase[]>(table);
  return Object.fromEntries(
    entries.map(([name, cases]) => [name, { differentiable, cases }]),
  ) as ReturnType<typeof withKind<Name>>; // the same names
}
