/**
 * erf: below 1 an odd polynomial, above it 1 - exp(-g) with a polynomial g for -ln(erfc), both by Remez's
 * algorithm. (The division in two is that of N. Juffa's erff, NVIDIA developer forum, 2013.)
 */
import { polynomial, powerOfTwo, sizeOf, withSign } from "./common.ts";
import {
  atMost,
  choose,
  define,
  floatOf,
  fma,
  less,
  lowBits,
  mul,
  named,
  number,
  orNan,
  whole,
} from "./vocabulary.ts";

/** erf(a)/a - 1 in a², for a <= 1, highest power first: relative error 1.4e-9. */
const BELOW = [
  7.80690389e-05,
  -0.00079978531,
  0.0051871622,
  -0.0268533472,
  0.112835787,
  -0.37612626,
  0.128379166,
];
/** -ln(erfc(a)) for 1 <= a <= 4: relative error of erf 1.1e-9. */
const ABOVE = [
  -0.000187608326,
  0.00296013337,
  -0.0218896773,
  0.10321822,
  0.63801223,
  1.12717164,
  0.000320576364,
];
/** -exp(-r) for |r| <= ln 2 / 2: error 1e-7, of a term that is at most a fifth of the result. */
const MINUS_EXP_OF_NEGATIVE = [0.008312520402, -0.04189015689, 0.1666711465, -0.499992315, 1, -1];

/** The error function. */
export const erf = define(["x"], (x) => {
  const size = named("size", atMost(sizeOf(x), 4)); // erf(4) is 1 - 1.5e-8
  const z = named("z", mul(size, size));
  const g = named("g", polynomial(size, ABOVE));
  const n = named("n", whole(g, { scale: -Math.LOG2E, bias: 127 }));
  const r = named("r", fma(floatOf(n), number(Math.LN2), g));
  const above = named("above", fma(polynomial(r, MINUS_EXP_OF_NEGATIVE), powerOfTwo(lowBits(n)), number(1)));
  const below = named("below", fma(polynomial(z, BELOW), size, size));
  return orNan(withSign(choose(less(number(1), size), above, below), x), x);
});
