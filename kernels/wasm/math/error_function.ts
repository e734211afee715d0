/**
 * erf of f32x4: below 1 an odd polynomial, above it 1 - exp(-g) with a polynomial g for -ln(erfc), both by Remez's
 * algorithm. (The division in two is that of N. Juffa's erff, NVIDIA developer forum, 2013.)
 */
import { v128 } from "../assembler.ts";
import {
  bits,
  choose,
  constant,
  multipleOf,
  multiplyAdd,
  polynomial,
  SIGN,
  type VectorEmitter,
} from "./vector.ts";

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
/** -exp(-r) for |r| <= ln 2 / 2: error 1e-7, of what is at most a fifth of the result. */
const MINUS_EXP_OF_NEGATIVE = [0.008312520402, -0.04189015689, 0.1666711465, -0.499992315, 1, -1];

/** The error function. */
export const erf: VectorEmitter = (f, features) => {
  const x = f.local(v128), a = f.local(v128), z = f.local(v128), g = f.local(v128), r = f.local(v128);
  bits(f.tee(x), ~SIGN).op("v128.and").set(a);
  constant(f.get(a), 4).op("f32x4.pmin").tee(a).get(a).op("f32x4.mul").set(z); // erf(4) is 1 - 1.5e-8

  polynomial(f, features, a, ABOVE).set(g);
  const { shifted, n } = multipleOf(f, features, { x: g, scale: -Math.LOG2E, bias: 127 });
  constant(f.get(n), Math.LN2);
  multiplyAdd(f, features, () => f.get(g)).set(r);
  polynomial(f, features, r, MINUS_EXP_OF_NEGATIVE);
  f.get(shifted).i32(23).op("i32x4.shl");
  multiplyAdd(f, features, () => constant(f, 1));

  f.get(a);
  polynomial(f, features, z, BELOW);
  multiplyAdd(f, features, () => f.get(a));
  choose(constant(f.get(a), 1).op("f32x4.gt"), features);
  bits(f.get(x), SIGN).op("v128.and").op("v128.or");
};
