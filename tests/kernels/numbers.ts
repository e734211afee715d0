/**
 * What every primitive makes of numbers that are none or nearly so: NaN of either sign, infinities, both zeros, denormals,
 * the ends of int32, axes without elements. The table is the definition: `numbers.test.ts` holds every backend to it,
 * and `docs/numbers.md` prints it. A primitive without a row does not compile.
 */
import {
  abs,
  add,
  and,
  argmax,
  broadcastTo,
  cast,
  concat,
  cos,
  cumsum,
  div,
  equal,
  erf,
  exp,
  expm1,
  floor,
  gather,
  type HostTensor,
  hostTensor,
  iota,
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
  transpose,
} from "../../mod.ts";
import { sizeAsTensor } from "../../src/internal.ts";
import { erf as erfOfDouble } from "../../kernels/reference/erf.ts";
import type { OperationName } from "../../src/program/types.ts";

/** An application of a primitive, or of few, to values of which each has an expected result. */
export interface Check {
  readonly fn: (...inputs: Tensor[]) => Tensor;
  readonly inputs: readonly HostTensor[];
  /** Every NaN is as good as another; a zero has its sign, and other numbers are within rounding. */
  readonly expected: readonly number[];
  /** The values of which the inputs are all pairs, the second one of a pair changing fastest. */
  readonly pairsOf?: HostTensor;
}

/** A primitive in the table. */
export interface Row {
  /** Results where the input is NaN, -∞, -0, 0, ∞; of the primitives that take one float. */
  readonly results?: readonly [number, number, number, number, number];
  /** What else there is to say. */
  readonly rule: string;
  readonly checks: readonly Check[];
}

/** The largest float32, the smallest normal one, the smallest at all, and one between these. */
export const LARGEST = (2 - 2 ** -23) * 2 ** 127, NORMAL = 2 ** -126, TINY = 2 ** -149, DENORMAL = 2 ** -130;
/** The ends of int32. */
const LEAST = -(2 ** 31), MOST = 2 ** 31 - 1;

/** The floats that are put into everything; the first NaN has no sign bit and the second one has. */
export const FLOATS: readonly number[] = [
  ...[NaN, NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 1.5, 100, -100, 1e30, -1e30],
  ...[LARGEST, -LARGEST, NORMAL, -NORMAL, DENORMAL, -DENORMAL, TINY, -TINY, 16777217, 2 ** 31, -(2 ** 31)],
];
const INTEGERS: readonly number[] = [0, 1, -1, 2, -2, 7, -7, 65536, MOST, LEAST, MOST - 1, LEAST + 1];

/** A float32 tensor; every second NaN gets a sign bit, which `Float32Array.of` may lose. */
export function floats(values: readonly number[], shape: readonly number[] = [values.length]): HostTensor {
  const data = Float32Array.from(values);
  const bits = new Uint32Array(data.buffer);
  let nans = 0;
  values.forEach((value, i) => {
    if (Number.isNaN(value)) bits[i] = nans++ % 2 === 0 ? 0x7fc00000 : 0xffc00001;
  });
  return hostTensor(data, shape);
}

function ints(values: readonly number[], shape: readonly number[] = [values.length]): HostTensor {
  return hostTensor(Int32Array.from(values), shape);
}

function bools(values: readonly number[], shape: readonly number[] = [values.length]): HostTensor {
  return hostTensor(Uint8Array.from(values), shape);
}

/** A check of a function of one tensor. */
function of(fn: (x: Tensor) => Tensor, input: HostTensor, expected: readonly number[]): Check {
  return { fn, inputs: [input], expected };
}

/** A check of a function of floats that is defined in float64. */
export function ofFloats(fn: (x: Tensor) => Tensor, definition: (x: number) => number): Check {
  return of(fn, floats(FLOATS), FLOATS.map((x) => definition(Math.fround(x))));
}

/** A function of one float: its five results, its definition in float64, and what else there is to say. */
function unary(
  fn: (x: Tensor) => Tensor,
  results: NonNullable<Row["results"]>,
  definition: (x: number) => number,
  rule = "",
  ...checks: readonly Check[]
): Row {
  const five = of(fn, floats([NaN, -Infinity, -0, 0, Infinity]), results);
  return { results, rule, checks: [five, ofFloats(fn, definition), ...checks] };
}

/** All pairs of these values, as two lists. */
function pairs(values: readonly number[]): readonly [readonly number[], readonly number[]] {
  const all = values.flatMap((a) => values.map((b) => [a, b] as const));
  return [all.map(([a]) => a), all.map(([, b]) => b)];
}

function binary(
  fn: (a: Tensor, b: Tensor) => Tensor,
  definition: (a: number, b: number) => number,
  values: readonly number[],
  make: (values: readonly number[]) => HostTensor,
): Check {
  const [left, right] = pairs(values);
  const inputs = [make(left), make(right)];
  return {
    fn: (a, b) => fn(a, b),
    inputs,
    expected: left.map((_, i) => definition(inputs[0].data[i], inputs[1].data[i])),
    pairsOf: make(values),
  };
}

/** A check of a function of all pairs of floats, with its definition in float64. */
export const ofPairs = (
  fn: (a: Tensor, b: Tensor) => Tensor,
  definition: (a: number, b: number) => number,
): Check => binary(fn, definition, FLOATS, floats);
const ofIntegerPairs = (
  fn: (a: Tensor, b: Tensor) => Tensor,
  definition: (a: number, b: number) => number,
): Check => binary(fn, (a, b) => definition(a, b) | 0, INTEGERS, ints);
const ofBoolPairs = (
  fn: (a: Tensor, b: Tensor) => Tensor,
  definition: (a: number, b: number) => number,
): Check => binary(fn, definition, [0, 1], bools);

const ofIntegers = (fn: (x: Tensor) => Tensor, definition: (x: number) => number): Check =>
  of(fn, ints(INTEGERS), INTEGERS.map((x) => definition(x) | 0));

/** x^y as C99 (annex F.9.4.4) and IEEE 754 define it; JavaScript has NaN for 1^NaN and for (±1)^±∞. */
export function power(x: number, y: number): number {
  if (x === 1 || (x === -1 && !Number.isFinite(y) && !Number.isNaN(y))) return 1;
  return Math.pow(x, y);
}

const sigmoidOfDouble = (x: number) => x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));

/** A check that elements are moved as they are: `order` has for each result the index of its element. */
function moved(fn: (x: Tensor) => Tensor, shape: readonly number[], order: readonly number[]): Check {
  const values = [NaN, -0, Infinity, -Infinity, LARGEST, 1.5, NaN, 0, -NORMAL, 2, -3, 4];
  const given = values.slice(0, shape.reduce((a, b) => a * b, 1));
  return of(fn, floats(given, shape), order.map((i) => given[i]));
}

const MOVES = "Moves elements as they are.";

/** The table. */
export const numbers: { readonly [K in OperationName]: Row } = {
  constant: {
    rule: "Holds every value as it is.",
    checks: [
      of((x) => concat([x, floats([NaN, -0, -Infinity, NORMAL])]), floats([1]), [
        1,
        NaN,
        -0,
        -Infinity,
        NORMAL,
      ]),
    ],
  },
  iota: {
    rule: "Without elements where a size is 0.",
    checks: [
      of((x) => add(iota([3], { dtype: "float32" }), x), floats([-0, 1, NaN]), [0, 2, NaN]),
      of((x) => add(sum(iota([0, 3], { dtype: "float32" }), { axes: 0 }), x), floats([0, 1, 2]), [0, 1, 2]),
    ],
  },
  size: {
    rule: "float32 rounds sizes above 2²⁴ to even.",
    checks: [of((x) => add(x, sizeAsTensor(7)), floats([NaN, 1]), [NaN, 8])],
  },
  randomBits: {
    rule: "Any bits are a key.",
    checks: [of(
      (key) => randomBits(key, [4]),
      ints([LEAST, -1]),
      [-273408187, -1683880121, 1855153869, -1193651618],
    )],
  },

  neg: {
    ...unary(
      neg,
      [NaN, Infinity, 0, -0, -Infinity],
      (x) => -x,
      "int32: wraps, -(-2³¹) is -2³¹.",
      ofIntegers(neg, (x) => -x),
    ),
  },
  abs: unary(
    abs,
    [NaN, Infinity, 0, 0, Infinity],
    Math.abs,
    "int32: wraps, of -2³¹ it is -2³¹.",
    ofIntegers(abs, Math.abs),
  ),
  sign: unary(sign, [NaN, -1, -0, 0, 1], Math.sign, "", ofIntegers(sign, Math.sign)),
  floor: unary(floor, [NaN, -Infinity, -0, 0, Infinity], Math.floor),
  exp: unary(exp, [NaN, 0, 1, 1, Infinity], Math.exp),
  expm1: unary(expm1, [NaN, -1, -0, 0, Infinity], Math.expm1),
  log: unary(log, [NaN, NaN, -Infinity, -Infinity, Infinity], Math.log, "NaN below 0."),
  log1p: unary(log1p, [NaN, NaN, -0, 0, Infinity], Math.log1p, "-∞ at -1, NaN below."),
  sqrt: unary(sqrt, [NaN, NaN, -0, 0, Infinity], Math.sqrt, "NaN below 0."),
  sin: unary(sin, [NaN, NaN, -0, 0, NaN], Math.sin, "Of the float as it is, however large."),
  cos: unary(cos, [NaN, NaN, 1, 1, NaN], Math.cos, "Of the float as it is, however large."),
  tanh: unary(tanh, [NaN, -1, -0, 0, 1], Math.tanh),
  sigmoid: unary(sigmoid, [NaN, 0, 0.5, 0.5, 1], sigmoidOfDouble),
  erf: unary(erf, [NaN, -1, -0, 0, 1], erfOfDouble),
  not: { rule: "", checks: [of((x) => not(x), bools([0, 1]), [1, 0])] },
  cast: {
    rule:
      "Float to int32: towards zero, the nearest end beyond the range, NaN is 0. Anything to bool: `x ≠ 0`, so that " +
      "NaN and denormals are true and -0 is false. int32 to float: to the nearest float.",
    checks: [
      ofFloats((x) => cast(x, "int32"), (x) => Math.max(LEAST, Math.min(MOST, x)) | 0),
      of((x) => cast(x, "int32"), floats([-1.9, 1.9, 2147483520, -2147483648, 2147483648, -3e9]), [
        ...[-1, 1, 2147483520, LEAST, MOST, LEAST],
      ]),
      ofFloats((x) => cast(x, "bool"), (x) => x === 0 ? 0 : 1),
      of((x) => cast(x, "bool"), ints(INTEGERS), INTEGERS.map((x) => x === 0 ? 0 : 1)),
      of((x) => cast(x, "float32"), ints(INTEGERS), INTEGERS.map(Math.fround)),
      of((x) => cast(x, "float32"), bools([0, 1]), [0, 1]),
      of((x) => cast(x, "int32"), bools([0, 1]), [0, 1]),
    ],
  },
  stopGradient: { rule: "The input as it is.", checks: [ofFloats(stopGradient, (x) => x)] },

  add: {
    rule: "IEEE 754: ∞ - ∞ is NaN. int32 wraps.",
    checks: [ofPairs(add, (a, b) => a + b), ofIntegerPairs(add, (a, b) => a + b)],
  },
  sub: {
    rule: "IEEE 754: ∞ - ∞ is NaN. int32 wraps.",
    checks: [ofPairs(sub, (a, b) => a - b), ofIntegerPairs(sub, (a, b) => a - b)],
  },
  mul: {
    rule: "IEEE 754: 0 · ∞ is NaN. int32 wraps.",
    checks: [ofPairs(mul, (a, b) => a * b), ofIntegerPairs(mul, Math.imul)],
  },
  div: {
    rule: "IEEE 754: 0/0 and ∞/∞ are NaN, x/0 is ±∞. int32: towards zero; by 0 is 0; -2³¹/-1 wraps to -2³¹.",
    checks: [ofPairs(div, (a, b) => a / b), ofIntegerPairs(div, (a, b) => a / b)],
  },
  pow: {
    rule:
      "C99: 1 for an exponent of ±0 and for a base of 1, NaN or not; (-1)^±∞ is 1; else NaN with either, and for a " +
      "negative finite base with an exponent that is not whole; 0 and ∞ as the limits are, negative for -0 and -∞ to " +
      "an odd power.",
    checks: [ofPairs(pow, power)],
  },
  maximum: {
    rule: "NaN where either is; maximum(-0, 0) is 0.",
    checks: [ofPairs(maximum, Math.max), ofIntegerPairs(maximum, Math.max)],
  },
  minimum: {
    rule: "NaN where either is; minimum(-0, 0) is -0.",
    checks: [ofPairs(minimum, Math.min), ofIntegerPairs(minimum, Math.min)],
  },
  equal: {
    rule: "NaN equals nothing; -0 equals 0.",
    checks: [
      ofPairs(equal, (a, b) => Number(a === b)),
      ofIntegerPairs(equal, (a, b) => Number(a === b)),
      ofBoolPairs(equal, (a, b) => Number(a === b)),
    ],
  },
  less: {
    rule: "False with NaN; -0 is not less than 0.",
    checks: [ofPairs(less, (a, b) => Number(a < b)), ofIntegerPairs(less, (a, b) => Number(a < b))],
  },
  lessEqual: {
    rule: "False with NaN.",
    checks: [
      ofPairs(lessEqual, (a, b) => Number(a <= b)),
      ofIntegerPairs(lessEqual, (a, b) => Number(a <= b)),
    ],
  },
  and: { rule: "", checks: [ofBoolPairs(and, (a, b) => a & b)] },
  or: { rule: "", checks: [ofBoolPairs(or, (a, b) => a | b)] },
  select: {
    rule: "What is not chosen does not matter, NaN or not.",
    checks: [
      {
        fn: (c, a, b) => select(c, a, b),
        inputs: [bools([0, 1, 0, 1]), floats([NaN, NaN, NaN, 1]), floats([-0, 2, NaN, NaN])],
        expected: [-0, NaN, NaN, 1],
      },
      of((x) => select(less(x, 0), x, NaN), floats([-1, 1, NaN]), [-1, NaN, NaN]),
    ],
  },

  broadcast: { rule: MOVES, checks: [moved((x) => broadcastTo(x, [2, 4]), [4], [0, 1, 2, 3, 0, 1, 2, 3])] },
  reshape: { rule: MOVES, checks: [moved((x) => reshape(transpose(x), [6]), [2, 3], [0, 3, 1, 4, 2, 5])] },
  transpose: { rule: MOVES, checks: [moved((x) => transpose(x), [3, 2], [0, 2, 4, 1, 3, 5])] },
  reverse: { rule: MOVES, checks: [moved((x) => reverse(x, 0), [7], [6, 5, 4, 3, 2, 1, 0])] },
  slice: {
    rule: MOVES,
    checks: [moved((x) => slice(x, { start: [1], size: [3], stride: [2] }), [7], [1, 3, 5])],
  },
  pad: {
    rule: `${MOVES} What is added is 0.`,
    checks: [
      of((x) => pad(x, { low: [1], high: [1], interior: [1] }), floats([NaN, -0]), [0, NaN, 0, -0, 0]),
      of((x) => pad(x, { low: [2], high: [1] }), floats([]), [0, 0, 0]),
    ],
  },
  concat: {
    rule: MOVES,
    checks: [moved((x) => concat([x, x], { axis: 0 }), [4], [0, 1, 2, 3, 0, 1, 2, 3])],
  },
  gather: {
    rule: `${MOVES} Indices outside take the nearest row; rows of nothing are refused, unless none is taken.`,
    checks: [
      {
        fn: (table, indices) => gather(table, indices),
        inputs: [floats([NaN, -0, Infinity]), ints([LEAST, -1, 1, 2, 3, MOST])],
        expected: [NaN, NaN, -0, Infinity, Infinity, Infinity],
      },
      {
        fn: (table, indices) => gather(table, indices),
        inputs: [floats([], [0, 2]), ints([])],
        expected: [],
      },
      {
        fn: (table, indices) => gather(table, indices),
        inputs: [floats([], [3, 0]), ints([5])],
        expected: [],
      },
    ],
  },
  scatterAdd: {
    rule:
      "Adds as `add` does; indices outside take the nearest row; updates of no rows are refused, unless there are none.",
    checks: [
      {
        fn: (indices, updates) => scatterAdd(indices, updates, { rows: 3 }),
        inputs: [ints([MOST, 0, LEAST, 1]), floats([NaN, Infinity, 1, LARGEST])],
        expected: [Infinity, LARGEST, NaN],
      },
      {
        fn: (indices, updates) => scatterAdd(indices, updates, { rows: 1 }), // enough terms that rounding errors are kept
        inputs: [ints(Array(40).fill(0)), floats([LARGEST, LARGEST, LARGEST, ...Array(37).fill(1)])],
        expected: [Infinity],
      },
      {
        fn: (indices, updates) => scatterAdd(indices, updates, { rows: 2 }),
        inputs: [ints([]), floats([])],
        expected: [0, 0],
      },
      {
        fn: (indices, updates) => scatterAdd(indices, updates, { rows: 0 }),
        inputs: [ints([]), floats([])],
        expected: [],
      },
    ],
  },

  sum: {
    rule: "NaN with NaN or with both infinities; 0 where an axis is empty. int32 wraps.",
    checks: [
      of(
        (x) => sum(x, { axes: 1 }),
        floats([1, NaN, 2, Infinity, 1, 2, Infinity, -Infinity, 0, -Infinity, LARGEST, 1], [4, 3]),
        [NaN, Infinity, NaN, -Infinity],
      ),
      of(
        (x) => sum(x, { axes: 0 }),
        floats([1, Infinity, Infinity, -1e30, NaN, 1, -Infinity, 1], [2, 4]),
        [NaN, Infinity, NaN, -1e30],
      ),
      of((x) => sum(x, { axes: 0 }), floats([], [0, 3]), [0, 0, 0]),
      of((x) => sum(x), floats([], [0, 3]), [0]),
      of((x) => sum(x), ints([MOST, 1]), [LEAST]),
      of((x) => sum(x, { axes: 0 }), ints([], [0, 2]), [0, 0]),
    ],
  },
  max: {
    rule: "NaN with NaN; -∞ (int32: -2³¹) where an axis is empty.",
    checks: [
      of(
        (x) => max(x, { axes: 1 }),
        floats([1, NaN, 2, NaN, 1, 9, 3, Infinity, 0, -Infinity, -LARGEST, -1e30], [4, 3]),
        [NaN, NaN, Infinity, -1e30],
      ),
      of((x) => max(x, { axes: 0 }), floats([1, NaN, -0, -Infinity, NaN, 5, 0, -Infinity], [2, 4]), [
        ...[NaN, NaN, 0, -Infinity],
      ]),
      of((x) => max(x), floats([NaN, NaN, ...Array(40).fill(1)]), [NaN]),
      of((x) => max(x), floats([...Array(41).fill(1), NaN]), [NaN]),
      of((x) => max(x, { axes: 0 }), floats([], [0, 2]), [-Infinity, -Infinity]),
      of((x) => max(x, { axes: 0 }), ints([], [0, 2]), [LEAST, LEAST]),
      of((x) => max(x), ints([LEAST, -5]), [-5]),
    ],
  },
  argmax: {
    rule: "The first NaN, else the first of the largest; an empty axis is refused.",
    checks: [
      of(
        (x) => argmax(x),
        floats([1, NaN, 3, NaN, 9, NaN, 3, 3, 1, -Infinity, -Infinity, NaN, NaN, NaN, 1], [5, 3]),
        [1, 0, 0, 2, 0],
      ),
      of((x) => argmax(x, { axis: 0 }), floats([1, -Infinity, -0, NaN, 5, -Infinity, 0, 1], [2, 4]), [
        1,
        0,
        0,
        0,
      ]),
      of((x) => argmax(x), floats([TINY, NORMAL, 0, -TINY, -NORMAL, -Infinity], [2, 3]), [1, 0]),
      of((x) => argmax(x), ints([LEAST, LEAST, MOST, MOST], [2, 2]), [0, 0]),
      of((x) => argmax(x), floats([], [0, 3]), []),
    ],
  },
  cumsum: {
    rule:
      "Adds as `add` does, beginning with 0: after a NaN all sums are NaN; after an infinity or an overflow they are infinite, or NaN from where ∞ meets -∞. int32 wraps.",
    checks: [
      ...[1, 0].map((axis) => {
        const lines = [
          { x: [1, NaN, 2, Infinity], sums: [1, NaN, NaN, NaN] },
          { x: [1, Infinity, 2, Infinity], sums: [1, Infinity, Infinity, Infinity] },
          { x: [-Infinity, 1, Infinity, 1], sums: [-Infinity, -Infinity, NaN, NaN] },
          { x: [LARGEST, LARGEST, -LARGEST, 1], sums: [LARGEST, Infinity, Infinity, Infinity] },
          { x: [-0, -0, 0, -1], sums: [0, 0, 0, -1] },
        ];
        const laid = (lists: readonly (readonly number[])[]) =>
          axis === 1 ? lists.flat() : lists[0].flatMap((_, i) => lists.map((list) => list[i]));
        return of(
          (x) => cumsum(x, { axis }),
          floats(laid(lines.map(({ x }) => x)), axis === 1 ? [5, 4] : [4, 5]),
          laid(lines.map(({ sums }) => sums)),
        );
      }),
      of(
        (x) => cumsum(x, { exclusive: true, reverse: true }),
        floats([NaN, 1, Infinity, 2, LARGEST, -1, LARGEST, LARGEST], [2, 4]),
        [Infinity, Infinity, 2, 0, Infinity, Infinity, LARGEST, 0],
      ),
      of((x) => cumsum(x), ints([MOST, 1, 1]), [MOST, LEAST, LEAST + 1]),
      of((x) => cumsum(x, { axis: 0 }), floats([], [0, 3]), []),
      of((x) => cumsum(x), floats([], [0, 3]), []),
    ],
  },
  matmul: {
    rule:
      "Products and sums as `mul` and `add`: NaN and ∞ beside 0 are not lost; 0 where the common axis is empty.",
    checks: [
      {
        fn: (a, b) => matmul(a, b),
        inputs: [floats([NaN, 1, Infinity, 1, 0, 1], [3, 2]), floats([0, 1, 1, 0], [2, 2])],
        expected: [NaN, NaN, NaN, Infinity, 1, 0],
      },
      {
        fn: (a, b) => matmul(a, b),
        inputs: [floats([0, 1, 0, 0], [2, 2]), floats([NaN, Infinity, 1, 1], [2, 2])],
        expected: [NaN, NaN, NaN, NaN],
      },
      {
        fn: (a, b) => matmul(a, b),
        inputs: [floats([], [2, 0]), floats([], [0, 2])],
        expected: [0, 0, 0, 0],
      },
    ],
  },
  scan: {
    rule: "As its body; without steps the carries are as they were.",
    checks: [
      {
        fn: (h, x) => scan((h: Tensor, x: Tensor) => [mul(h, x), maximum(h, x)] as const, h, x)[1],
        inputs: [floats([NaN, -Infinity, 1], [3]), floats([1, 2, 1, NaN, -0, -0], [3, 2])],
        expected: [NaN, NaN, 1],
      },
      {
        fn: (h, x) => scan((h: Tensor, x: Tensor) => [h, mul(h, x)] as const, h, x)[1],
        inputs: [floats([NaN, -0]), floats([], [2, 0])],
        expected: [NaN, -0],
      },
    ],
  },
};

/** The rows of the tables in docs/numbers.md, as cells of text: primitives of one float, and others. */
export function pageRows(): { readonly ofFloat: string[][]; readonly others: string[][] } {
  const text = (value: number) =>
    Number.isNaN(value) ? "NaN" : Object.is(value, -0) ? "-0" : String(value).replace("Infinity", "∞");
  const rows = Object.entries(numbers).map(([name, { results, rule }]) => ({
    results,
    cells: [`\`${name}\``, ...(results ?? []).map(text), rule],
  }));
  return {
    ofFloat: rows.filter(({ results }) => results).map(({ cells }) => cells),
    others: rows.filter(({ results, cells }) => !results && cells[1] !== "").map(({ cells }) => cells),
  };
}

/**
 * What compilers for graphics processors like to make other than it is written, since they may assume that there is
 * neither NaN nor infinity: functions of the same pairs of floats.
 */
export const compositions: Readonly<
  Record<
    string,
    readonly [
      fn: (a: Tensor, b: Tensor) => Tensor,
      definition: (a: number, b: number) => number,
    ]
  >
> = {
  "a - a": [(a) => sub(a, a), (a) => a - a],
  "a / a": [(a) => div(a, a), (a) => a / a],
  "a · 0": [(a) => mul(a, 0), (a) => a * 0],
  "0 · a": [(a) => mul(0, a), (a) => 0 * a],
  "a · 0 + b": [(a, b) => add(mul(a, 0), b), (a, b) => a * 0 + b],
  "a + -a": [(a) => add(a, neg(a)), (a) => a - a],
  "(a + b) - a": [(a, b) => sub(add(a, b), a), (a, b) => Math.fround(a + b) - a],
  "(a - b) + b": [(a, b) => add(sub(a, b), b), (a, b) => Math.fround(a - b) + b],
  "1 / 0 - a": [(a) => sub(div(1, 0), a), (a) => Infinity - a],
  "a / 0": [(a) => div(a, 0), (a) => a / 0],
  "a / -0": [(a) => div(a, -0), (a) => a / -0],
  "0 / a": [(a) => div(0, a), (a) => 0 / a],
  "a · 1e30 · 1e30": [
    (a) => mul(mul(a, 1e30), 1e30),
    (a) => Math.fround(a * Math.fround(1e30)) * Math.fround(1e30),
  ],
  "(a + 2²⁴) - 2²⁴": [(a) => sub(add(a, 2 ** 24), 2 ** 24), (a) => Math.fround(a + 2 ** 24) - 2 ** 24],
  "a · [b > 0]": [(a, b) => mul(a, cast(less(0, b), "float32")), (a, b) => a * Number(b > 0)],
  "a · [b > 0] + b · (1 - [b > 0])": [
    (a, b) => {
      const c = cast(less(0, b), "float32");
      return add(mul(a, c), mul(b, sub(1, c)));
    },
    (a, b) => a * Number(b > 0) + b * (1 - Number(b > 0)),
  ],
  "not a < b": [(a, b) => cast(not(less(a, b)), "float32"), (a, b) => Number(!(a < b))],
  "not a ≤ b": [(a, b) => cast(not(lessEqual(a, b)), "float32"), (a, b) => Number(!(a <= b))],
  "not a = b": [(a, b) => cast(not(equal(a, b)), "float32"), (a, b) => Number(a !== b)],
  "a = a": [(a) => cast(equal(a, a), "float32"), (a) => Number(a === a)],
  "a ≤ a": [(a) => cast(lessEqual(a, a), "float32"), (a) => Number(a <= a)],
  "a < b ? a : b": [(a, b) => select(less(a, b), a, b), (a, b) => a < b ? a : b],
  "a < b ? b : a": [(a, b) => select(less(a, b), b, a), (a, b) => a < b ? b : a],
  "a limited to 0…1": [(a) => minimum(maximum(a, 0), 1), (a) => Math.min(Math.max(a, 0), 1)],
  "√(a²)": [(a) => sqrt(mul(a, a)), (a) => Math.sqrt(Math.fround(a * a))],
  "√a · √a": [(a) => mul(sqrt(a), sqrt(a)), (a) => Math.fround(Math.sqrt(a)) ** 2],
  "1 / (1 / a)": [(a) => div(1, div(1, a)), (a) => 1 / Math.fround(1 / a)],
  "(a · b) / b": [(a, b) => div(mul(a, b), b), (a, b) => Math.fround(a * b) / b],
  "a · b - a · |b|": [
    (a, b) => sub(mul(a, b), mul(a, abs(b))),
    (a, b) => Math.fround(a * b) - Math.fround(a * Math.abs(b)),
  ],
  "a · b - a · b": [(a, b) => sub(mul(a, b), mul(a, b)), (a, b) => Math.fround(a * b) - Math.fround(a * b)],
  "log(e^a)": [(a) => log(exp(a)), (a) => Math.log(Math.fround(Math.exp(a)))],
  "|a| = ∞": [(a) => cast(equal(abs(a), Infinity), "float32"), (a) => Number(Math.abs(a) === Infinity)],
  "a < ∞": [(a) => cast(less(a, Infinity), "float32"), (a) => Number(a < Infinity)],
};
