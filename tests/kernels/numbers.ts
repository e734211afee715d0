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
import { applyOne } from "../../src/operations/apply.ts";
import { windowsOperation } from "../../src/operations/windows.ts";
import { erf as erfOfDouble } from "../../kernels/reference/erf.ts";
import type { OperationName } from "../../src/program/types.ts";
import {
  bools,
  floats,
  INTEGERS,
  ints,
  LARGEST,
  LEAST,
  MOST,
  moved,
  MOVES,
  NORMAL,
  of,
  ofBoolPairs,
  ofFloats,
  ofIntegerPairs,
  ofIntegers,
  ofPairs,
  power,
  type Row,
  sigmoidOfDouble,
  TINY,
  unary,
} from "./numbers_checks.ts";

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
  windows: {
    rule: MOVES,
    checks: [
      moved(
        (x) =>
          reshape(applyOne(windowsOperation, [x], { axis: 0, size: 2, window: 3, stride: 2, dilation: 1 }), [
            6,
          ]),
        [5],
        [0, 1, 2, 2, 3, 4],
      ),
    ],
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
  convolve: {
    rule: "As `matmul`, of what each window shows.",
    checks: [
      {
        fn: (x, kernel) => convolve(x, kernel),
        inputs: [floats([NaN, 1, 2, Infinity], [1, 4, 1]), floats([1, 0], [2, 1, 1])],
        expected: [NaN, 1, NaN],
      },
      {
        fn: (x, kernel) => convolve(x, kernel, { padding: "same", strides: [2] }),
        inputs: [floats([1, 2, 3], [1, 3, 1]), floats([1, NaN], [2, 1, 1])],
        expected: [NaN, NaN],
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
