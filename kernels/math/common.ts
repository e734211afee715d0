/** Building blocks of several functions: polynomials, signs, the reduction by ln 2, powers of two. */
import {
  and,
  bitsOf,
  type Float,
  floatOf,
  fma,
  type Int,
  integer,
  lowBits,
  named,
  number,
  ofBits,
  or,
  rounded,
  shiftLeft,
  shiftRight,
  subInt,
  type Whole,
  whole,
} from "./vocabulary.ts";

/** The bits of 1, of infinity, and the sign bit. */
export const ONE = 0x3f800000, INFINITY = 0x7f800000, SIGN = 0x80000000;
/**
 * ln 2 in two parts (Cody and Waite): the first has 9 bits, so that its product with an exponent is exact.
 */
export const LN2_HIGH = 0.693359375, LN2_LOW = -2.12194440e-4;

/** The polynomial in x with these coefficients, highest power first (Horner's rule). */
export function polynomial(x: Float, [highest, ...rest]: readonly number[]): Float {
  return rest.reduce<Float>(
    (sum, coefficient) => named("p", fma(sum, x, number(coefficient))),
    number(highest),
  );
}

/** |x|. */
export function sizeOf(x: Float): Float {
  return ofBits(and(bitsOf(x), integer(~SIGN)));
}

/** `size`, which is positive or already has the sign of x, with the sign of x; -0 has one too. */
export function withSign(size: Float, x: Float): Float {
  return ofBits(or(bitsOf(size), and(bitsOf(x), integer(SIGN))));
}

/** x = n·ln 2 + r with |r| <= ln 2 / 2; n is biased. */
export function reduceByLn2(x: Float, bias: number): { readonly n: Whole; readonly r: Float } {
  const n = named("n", whole(x, { scale: Math.LOG2E, bias }));
  const first = rounded(fma(floatOf(n), number(-LN2_HIGH), x));
  return { n, r: named("r", fma(floatOf(n), number(-LN2_LOW), first)) };
}

/** 2ⁿ from n + 127 in the low bits. */
export function powerOfTwo(biased: Int): Float {
  return ofBits(shiftLeft(biased, 23));
}

/**
 * Two powers of two whose product is 2ⁿ, from n + 254 in the low bits: they are normal even if 2ⁿ is denormal
 * or too large. The first has the exponent n/2, rounded down.
 */
export function powersOfTwo(n: Whole): readonly [Float, Float] {
  const biased = named("biased", lowBits(n));
  const first = named("first", shiftLeft(shiftRight(biased, 1), 23));
  return [ofBits(first), ofBits(subInt(shiftLeft(biased, 23), first))];
}
