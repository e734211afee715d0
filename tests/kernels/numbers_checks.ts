/** What the table of special values is made of: checks of functions of one value and of all pairs of values. */
import { type HostTensor, hostTensor, type Tensor } from "../../mod.ts";

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
export const LEAST = -(2 ** 31), MOST = 2 ** 31 - 1;

/** The floats that are put into everything; the first NaN has no sign bit and the second one has. */
export const FLOATS: readonly number[] = [
  ...[NaN, NaN, Infinity, -Infinity, 0, -0, 1, -1, 0.5, -0.5, 2, -2, 3, -3, 1.5, 100, -100, 1e30, -1e30],
  ...[LARGEST, -LARGEST, NORMAL, -NORMAL, DENORMAL, -DENORMAL, TINY, -TINY, 16777217, 2 ** 31, -(2 ** 31)],
];
export const INTEGERS: readonly number[] = [0, 1, -1, 2, -2, 7, -7, 65536, MOST, LEAST, MOST - 1, LEAST + 1];

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

export function ints(values: readonly number[], shape: readonly number[] = [values.length]): HostTensor {
  return hostTensor(Int32Array.from(values), shape);
}

export function bools(values: readonly number[], shape: readonly number[] = [values.length]): HostTensor {
  return hostTensor(Uint8Array.from(values), shape);
}

/** A check of a function of one tensor. */
export function of(fn: (x: Tensor) => Tensor, input: HostTensor, expected: readonly number[]): Check {
  return { fn, inputs: [input], expected };
}

/** A check of a function of floats that is defined in float64. */
export function ofFloats(fn: (x: Tensor) => Tensor, definition: (x: number) => number): Check {
  return of(fn, floats(FLOATS), FLOATS.map((x) => definition(Math.fround(x))));
}

/** A function of one float: its five results, its definition in float64, and what else there is to say. */
export function unary(
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
export function pairs(values: readonly number[]): readonly [readonly number[], readonly number[]] {
  const all = values.flatMap((a) => values.map((b) => [a, b] as const));
  return [all.map(([a]) => a), all.map(([, b]) => b)];
}

export function binary(
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
export const ofIntegerPairs = (
  fn: (a: Tensor, b: Tensor) => Tensor,
  definition: (a: number, b: number) => number,
): Check => binary(fn, (a, b) => definition(a, b) | 0, INTEGERS, ints);
export const ofBoolPairs = (
  fn: (a: Tensor, b: Tensor) => Tensor,
  definition: (a: number, b: number) => number,
): Check => binary(fn, definition, [0, 1], bools);

export const ofIntegers = (fn: (x: Tensor) => Tensor, definition: (x: number) => number): Check =>
  of(fn, ints(INTEGERS), INTEGERS.map((x) => definition(x) | 0));

/** x^y as C99 (annex F.9.4.4) and IEEE 754 define it; JavaScript has NaN for 1^NaN and for (±1)^±∞. */
export function power(x: number, y: number): number {
  if (x === 1 || (x === -1 && !Number.isFinite(y) && !Number.isNaN(y))) return 1;
  return Math.pow(x, y);
}

export const sigmoidOfDouble = (x: number) =>
  x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x));

/** A check that elements are moved as they are: `order` has for each result the index of its element. */
export function moved(fn: (x: Tensor) => Tensor, shape: readonly number[], order: readonly number[]): Check {
  const values = [NaN, -0, Infinity, -Infinity, LARGEST, 1.5, NaN, 0, -NORMAL, 2, -3, 4];
  const given = values.slice(0, shape.reduce((a, b) => a * b, 1));
  return of(fn, floats(given, shape), order.map((i) => given[i]));
}

export const MOVES = "Moves elements as they are.";
