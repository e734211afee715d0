/**
 * x^y of f32x4 as C99 has it, in f64 two lanes at a time: 2^(y·log2|x|) needs more of log2|x| than the 24 bits
 * of f32. log2 is a polynomial in s = (m - 1)/(m + 1), as in fdlibm's e_pow.c (Sun Microsystems, 1993).
 */
import { type FunctionBuilder, type Local, v128 } from "../assembler.ts";
import type { Features } from "../features.ts";
import {
  bits,
  choose,
  constant,
  double,
  doubleBits,
  doubleOp as op,
  SIGN,
  upperLanes,
  type VectorEmitter,
} from "./vector.ts";

/** log2(m)/s in s² for m from √½ to √2, and 2^r for |r| <= 1/2, highest power first: relative errors 7e-10, 3e-9. */
const LOG2 = [0.4317376182720082, 0.5767143196401631, 0.9617988482100198, 2.8853900797883227];
const EXP2 = [
  0.00015594687361969255,
  0.0013406644351399235,
  0.009617692950976435,
  0.05550310549978349,
  0.24022652783019982,
  0.6931472149685707,
  1,
];
/** The bits of √½ as f64, and what lies between them and those of 1. */
const SQRT_HALF = 0x3fe6a09e667f3bcdn, TO_ONE = 0x3ff0000000000000n - SQRT_HALF;
const MANTISSA = 0x000fffffffffffffn, TWO_TO_52 = 0x4330000000000000n;
/** Adding it rounds a small f64 to an integer n, and leaves n + 1023 in its low bits. */
const ROUNDING = 1.5 * 2 ** 52 + 1023;

function polynomial(f: FunctionBuilder, x: Local, coefficients: readonly number[]): FunctionBuilder {
  const [highest, ...rest] = coefficients;
  double(f, highest);
  for (const coefficient of rest) op(double(op(f.get(x), "f64x2.mul"), coefficient), "f64x2.add");
  return f;
}

/** Pushes log2 of the positive normal f64 in x. */
function log2(f: FunctionBuilder, x: Local): FunctionBuilder {
  const shifted = f.local(v128), m = f.local(v128), s = f.local(v128), z = f.local(v128);
  op(doubleBits(f.get(x), TO_ONE), "i64x2.add").set(shifted);
  op(doubleBits(doubleBits(f.get(shifted), MANTISSA).op("v128.and"), SQRT_HALF), "i64x2.add").set(m);
  op(double(f.get(m), 1), "f64x2.sub");
  op(op(double(f.get(m), 1), "f64x2.add"), "f64x2.div").set(s);
  op(f.get(s).get(s), "f64x2.mul").set(z);
  op(polynomial(f, z, LOG2).get(s), "f64x2.mul");
  // The exponent as the low bits of 2⁵², which is then taken off.
  doubleBits(op(f.get(shifted).i32(52), "i64x2.shr_u"), TWO_TO_52).op("v128.or");
  return op(op(double(f, 2 ** 52 + 1023), "f64x2.sub"), "f64x2.add");
}

/** Replaces the f64x2 on the stack by 2 to it, too large or too small for f32 where it is beyond f32's range. */
function exp2(f: FunctionBuilder): FunctionBuilder {
  const p = f.local(v128), shifted = f.local(v128), r = f.local(v128);
  op(double(f.set(p).get(p), -200), "f64x2.pmax").set(p);
  op(double(f.get(p), 200), "f64x2.pmin").tee(p);
  op(double(f, ROUNDING), "f64x2.add").set(shifted);
  op(f.get(p), "f64x2.sub", () => op(double(f.get(shifted), ROUNDING), "f64x2.sub")).set(r);
  return op(polynomial(f, r, EXP2), "f64x2.mul", () => op(f.get(shifted).i32(52), "i64x2.shl"));
}

/** Pushes |x|^y of the lower two lanes as the lower two lanes, for x positive and finite. */
function powerOfLowerLanes(f: FunctionBuilder, x: Local, y: Local): FunctionBuilder {
  const wide = f.local(v128);
  op(f.get(x), "f64x2.promote_low_f32x4").set(wide);
  op(log2(f, wide), "f64x2.mul", () => op(f.get(y), "f64x2.promote_low_f32x4"));
  return op(exp2(f), "f32x4.demote_f64x2_zero");
}

/** Pushes a mask of the lanes in which x is an integer; infinities are. */
function isInteger(f: FunctionBuilder, x: Local): FunctionBuilder {
  return f.get(x).op("f32x4.floor").get(x).op("f32x4.eq");
}

/** x^y; takes x and y from the stack, y on top. */
export const pow: VectorEmitter = (f, features) => {
  const x = f.local(v128), y = f.local(v128), a = f.local(v128), result = f.local(v128);
  bits(f.set(y).tee(x), ~SIGN).op("v128.and").set(a);
  powerOfLowerLanes(f, a, y);
  powerOfLowerLanes(f, upperLanes(f, a), upperLanes(f, y));
  f.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]).set(result);
  powerOfZeroOrInfinity(f, features, { a, y, result });
  powerOfNegative(f, { x, y, result });
  // NaN gives NaN, but an exponent of 0 gives 1 whatever the base, as a base of 1 does; and of -1 if y is infinite.
  f.get(result).get(x).get(x).op("f32x4.ne").op("v128.or").set(result);
  constant(f, 1).get(result);
  constant(f.get(y), 0).op("f32x4.eq");
  constant(f.get(x), 1).op("f32x4.eq").op("v128.or");
  constant(f.get(a), 1).op("f32x4.eq");
  bits(f.get(y), ~SIGN).op("v128.and");
  constant(f, Infinity).op("f32x4.eq").op("v128.and").op("v128.or");
  choose(f, features);
};

/** Where a is 0 or infinite, the result is a, or 1/a for negative exponents, and NaN with the exponent. */
function powerOfZeroOrInfinity(
  f: FunctionBuilder,
  features: Features,
  { a, y, result }: { readonly a: Local; readonly y: Local; readonly result: Local },
): void {
  constant(f, 1).get(a).op("f32x4.div").get(a);
  choose(constant(f.get(y), 0).op("f32x4.lt"), features);
  f.get(y).get(y).op("f32x4.ne").op("v128.or");
  f.get(result);
  constant(f.get(a), 0).op("f32x4.eq");
  constant(f.get(a), Infinity).op("f32x4.eq").op("v128.or");
  choose(f, features).set(result);
}

/** Where x is negative, odd exponents give the result its sign; others than integers NaN, unless x is infinite. */
function powerOfNegative(
  f: FunctionBuilder,
  { x, y, result }: { readonly x: Local; readonly y: Local; readonly result: Local },
): void {
  const integer = f.local(v128), half = f.local(v128);
  isInteger(f, y).set(integer);
  constant(f.get(y), 0.5).op("f32x4.mul").set(half);
  // An integer whose half is none is odd; all large floats are even.
  bits(f.get(x).get(integer), SIGN).op("v128.and").op("v128.and");
  isInteger(f, half).op("v128.andnot").get(result).op("v128.xor").set(result);
  constant(f.get(x), 0).op("f32x4.lt");
  constant(f.get(x), -Infinity).op("f32x4.gt").op("v128.and");
  f.get(integer).op("v128.andnot").get(result).op("v128.or").set(result);
}
