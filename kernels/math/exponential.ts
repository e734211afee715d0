/**
 * exp, expm1, sigmoid and tanh. Each reduces x to n·ln 2 + r by Cody and Waite's two-part ln 2 (W. J. Cody,
 * W. Waite, "Software Manual for the Elementary Functions", 1980, chapter 6), applies a minimax polynomial to
 * r, and builds 2ⁿ from its bits. The coefficients come from Remez's algorithm, rounded to f32 one by one.
 */
import { polynomial, powerOfTwo, powersOfTwo, reduceByLn2, sizeOf, withSign } from "./common.ts";
import {
  add,
  atLeast,
  atMost,
  define,
  div,
  floatOf,
  fma,
  lowBits,
  mul,
  named,
  number,
  orNan,
  rounded,
  sub,
  whole,
} from "./vocabulary.ts";

/** exp(r) for |r| <= ln 2 / 2, highest power first: relative error 3.2e-9. */
const EXP = [0.0013838897, 0.00836919248, 0.0416681021, 0.166665167, 0.49999994, 1, 1];
/** (exp(-r) - 1) / r. */
const EXP_OF_NEGATIVE = EXP.slice(0, -1).map((coefficient, i) => i % 2 === 0 ? coefficient : -coefficient);
/** (exp(r) - 1 - r) / r² for |r| <= ln 2 / 2: it adds 8.7e-8 to the relative error of expm1. */
const EXPM1 = [0.00134090544, 0.00836634077, 0.0416743271, 0.166665494, 0.5];
/**
 * (tanh(r)/r - 1) / r² as a polynomial in r², for |r| <= ln 2 / 4: near the minimax pair, whose error is
 * 5.5e-8, the pair with the least error after all roundings, 1.8e-7.
 */
const TANH = [0.130799219, -0.33330512];

/** exp, correct down to the smallest denormal; 0 below it, infinity above the largest float. */
export const exp = define(["x"], (x) => {
  const { n, r } = reduceByLn2(named("limited", atMost(atLeast(x, -104), 89)), 254);
  const [first, second] = powersOfTwo(n);
  return orNan(mul(mul(polynomial(r, EXP), first), second), x);
});

/**
 * exp(x) - 1 = 2·(h·p + (h - 1/2)), where p = exp(r) - 1, and h = 2ⁿ⁻¹ is finite even if 2ⁿ is not. A
 * denormal may lose its last bit.
 */
export const expm1 = define(["x"], (x) => {
  const { n, r } = reduceByLn2(named("limited", atMost(atLeast(x, -25), 89)), 126);
  const h = named("h", powerOfTwo(lowBits(n)));
  // h·r + (h - 1/2) first, which is exact where it cancels.
  const curved = mul(mul(r, r), polynomial(r, EXPM1));
  const half = named("half", fma(h, curved, fma(h, r, sub(h, number(0.5)))));
  return orNan(withSign(add(half, half), x), x);
});

/**
 * s / (s + exp(-r)) where x = n·ln 2 + r and s = 2ⁿ: its relative error stays small down to the smallest
 * denormal. Above 20 it is 1.
 */
export const sigmoid = define(["x"], (x) => {
  const { n, r } = reduceByLn2(named("limited", atMost(atLeast(x, -104), 20)), 254);
  const [first, second] = powersOfTwo(n);
  const s = named("s", mul(first, second));
  // Rounded, so that (q - 1)·r + 1 is not rewritten as q·r + (1 - r).
  const p = fma(rounded(polynomial(r, EXP_OF_NEGATIVE)), r, number(1));
  return orNan(div(s, add(p, s)), x);
});

/**
 * tanh of |x| = n·ln(2)/2 + r by the addition theorem: with t = tanh(r) and s = 2ⁿ it is
 * ((s - 1) + (s + 1)·t) / ((s + 1) + (s - 1)·t). A rational function of x alone, as in Eigen, takes fewer
 * operations, but rounds too often where tanh is near 1 (3e-7).
 */
export const tanh = define(["x"], (x) => {
  const size = named("size", atMost(sizeOf(x), 9.1));
  const n = named("n", whole(size, { scale: 2 * Math.LOG2E, bias: 127 }));
  // One constant is enough: the f32 next to ln 2 ends in three zero bits and is accurate to 2e-9, and as n
  // grows tanh becomes flat.
  const r = named("r", fma(floatOf(n), number(-Math.LN2 / 2), size));
  const z = named("z", mul(r, r));
  const t = named("t", fma(mul(z, r), polynomial(z, TANH), r));
  const s = named("s", powerOfTwo(lowBits(n)));
  const below = named("below", sub(s, number(1))), above = named("above", add(s, number(1)));
  return orNan(withSign(div(fma(t, above, below), fma(t, below, above)), x), x);
});
