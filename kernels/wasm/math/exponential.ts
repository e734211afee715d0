/**
 * exp, expm1, sigmoid and tanh of f32x4. Each reduces x to n·ln 2 + r by Cody and Waite's two-part ln 2 (W. J. Cody,
 * W. Waite, "Software Manual for the Elementary Functions", 1980, chapter 6), has a minimax polynomial for r, and
 * builds 2ⁿ out of its bits. The coefficients come from Remez's algorithm, rounded to f32 one by one.
 *
 * `pmin(x, c)` and `pmax(x, c)` give x where x is NaN, so that the clamps let NaN through; they are one instruction
 * where `min` and `max` are several.
 */
import { type FunctionBuilder, type Local, v128 } from "../assembler.ts";
import {
  bits,
  constant,
  LN2_HIGH,
  LN2_LOW,
  multipleOf,
  multiplyAdd,
  polynomial,
  SIGN,
  subtractMultiple,
  type VectorEmitter,
} from "./vector.ts";

/** exp(r) for |r| <= ln 2 / 2, highest power first: relative error 3.2e-9. */
const EXP = [0.0013838897, 0.00836919248, 0.0416681021, 0.166665167, 0.49999994, 1, 1];
const EXP_OF_NEGATIVE = EXP.map((coefficient, i) => i % 2 === 0 ? coefficient : -coefficient);
/** (exp(r) - 1 - r) / r² for |r| <= ln 2 / 2: what it adds to the relative error of expm1 is 8.7e-8. */
const EXPM1 = [0.00134090544, 0.00836634077, 0.0416743271, 0.166665494, 0.5];
/**
 * (tanh(r)/r - 1) / r² as a polynomial in r², for |r| <= ln 2 / 4: of the pairs around the minimax one, whose error is
 * 5.5e-8, the one that is best after all roundings, 1.8e-7.
 */
const TANH = [0.130799219, -0.33330512];

/** Clamps the vector on the stack into a new local. */
function clamp(f: FunctionBuilder, low: number, high: number): Local {
  const x = f.local(v128);
  constant(f.set(x).get(x), low).op("f32x4.pmax");
  constant(f, high).op("f32x4.pmin").set(x);
  return x;
}

/**
 * Two powers of two whose product is 2ⁿ, out of n + 254 in the low bits of `shifted`: they are normal where 2ⁿ may be
 * denormal or too large. The first is of n/2, rounded down.
 */
function powersOfTwo(f: FunctionBuilder, shifted: Local): readonly [Local, Local] {
  const first = f.local(v128), second = f.local(v128);
  f.get(shifted).i32(1).op("i32x4.shr_u").i32(23).op("i32x4.shl").set(first);
  f.get(shifted).i32(23).op("i32x4.shl").get(first).op("i32x4.sub").set(second);
  return [first, second];
}

/** exp, correctly down to the smallest denormal; 0 below it, infinity above the largest float. */
export const exp: VectorEmitter = (f, features) => {
  const x = clamp(f, -104, 89);
  const { shifted, n } = multipleOf(f, features, { x, scale: Math.LOG2E, bias: 254 });
  const r = subtractMultiple(f, features, { x, n, high: -LN2_HIGH, low: -LN2_LOW });
  const [first, second] = powersOfTwo(f, shifted);
  polynomial(f, features, r, EXP).get(first).op("f32x4.mul").get(second).op("f32x4.mul");
};

/**
 * exp(x) - 1 = 2·(h·p + (h - 1/2)), where p = exp(r) - 1 and h = 2ⁿ⁻¹ is finite also where 2ⁿ is not.
 * A denormal may lose its last bit.
 */
export const expm1: VectorEmitter = (f, features) => {
  const x = clamp(f, -25, 89);
  const { shifted, n } = multipleOf(f, features, { x, scale: Math.LOG2E, bias: 126 });
  const r = subtractMultiple(f, features, { x, n, high: -LN2_HIGH, low: -LN2_LOW });
  const half = f.local(v128), result = f.local(v128);
  f.get(r).get(r).op("f32x4.mul");
  polynomial(f, features, r, EXPM1).op("f32x4.mul");
  // h·r + (h - 1/2) first, which is exact where it cancels.
  f.get(shifted).i32(23).op("i32x4.shl").tee(half);
  multiplyAdd(f, features, () => {
    f.get(half).get(r);
    multiplyAdd(f, features, () => constant(f.get(half), 0.5).op("f32x4.sub"));
  });
  f.tee(result).get(result).op("f32x4.add");
  bits(f.get(x), SIGN).op("v128.and").op("v128.or"); // -0 gives -0
};

/**
 * s / (s + exp(-r)) where x = n·ln 2 + r and s = 2ⁿ: exact in relation also where it is small, to the smallest
 * denormal, and never divided by what overflowed.
 */
export const sigmoid: VectorEmitter = (f, features) => {
  const x = clamp(f, -104, 88);
  const { shifted, n } = multipleOf(f, features, { x, scale: Math.LOG2E, bias: 254 });
  const r = subtractMultiple(f, features, { x, n, high: -LN2_HIGH, low: -LN2_LOW });
  const [first, second] = powersOfTwo(f, shifted);
  const power = f.local(v128);
  f.get(first).get(second).op("f32x4.mul").tee(power);
  polynomial(f, features, r, EXP_OF_NEGATIVE).get(power).op("f32x4.add").op("f32x4.div");
};

/**
 * tanh of |x| = n·ln(2)/2 + r by the addition theorem: with t = tanh(r) and s = 2ⁿ it is
 * ((s - 1) + (s + 1)·t) / ((s + 1) + (s - 1)·t). A rational function of x alone, as in Eigen, takes fewer operations,
 * but rounds too often where tanh is near 1 (3e-7).
 */
export const tanh: VectorEmitter = (f, features) => {
  const x = f.local(v128), a = f.local(v128), r = f.local(v128), z = f.local(v128), t = f.local(v128);
  bits(f.tee(x), ~SIGN).op("v128.and").set(a);
  constant(f.get(a), 9.1).op("f32x4.pmin").set(a);
  const { shifted, n } = multipleOf(f, features, { x: a, scale: 2 * Math.LOG2E, bias: 127 });
  // One constant will do: the f32 next to ln 2 ends in three zero bits and is good to 2e-9, and as n grows tanh
  // becomes flat.
  constant(f.get(n), -Math.LN2 / 2);
  multiplyAdd(f, features, () => f.get(a)).tee(r).get(r).op("f32x4.mul").tee(z);
  f.get(r).op("f32x4.mul");
  polynomial(f, features, z, TANH);
  multiplyAdd(f, features, () => f.get(r)).set(t);
  const above = f.local(v128), below = f.local(v128);
  f.get(shifted).i32(23).op("i32x4.shl").tee(above);
  constant(f, 1).op("f32x4.sub").set(below);
  constant(f.get(above), 1).op("f32x4.add").set(above);
  f.get(above).get(t);
  multiplyAdd(f, features, () => f.get(below));
  f.get(below).get(t);
  multiplyAdd(f, features, () => f.get(above)).op("f32x4.div");
  bits(f.get(x), SIGN).op("v128.and").op("v128.or");
};
