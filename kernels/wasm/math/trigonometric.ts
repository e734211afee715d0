/**
 * sin and cos of f32x4: x is n·π/2 + r with π/2 in three parts, the first two of few enough bits for their products
 * with n < 2¹³ to be exact (W. J. Cody, W. Waite, "Software Manual for the Elementary Functions", 1980, chapter 8).
 *
 * Good to 2e-7 in relation, plus 2^-34 (6e-11) near the zeros, for |x| <= 10,000. Beyond, the error grows as that of x
 * itself, to about |x|·1e-7; from 2²² on the results, though between -1.1 and 1.1, say nothing.
 */
import { type FunctionBuilder, v128 } from "../assembler.ts";
import type { Features } from "../features.ts";
import {
  bits,
  choose,
  constant,
  multipleOf,
  multiplyAdd,
  polynomial,
  SIGN,
  subtractMultiple,
  type VectorEmitter,
} from "./vector.ts";

/** π/2 by 8, 11 and 24 bits. */
const FIRST = 1.5703125, SECOND = 4.837512969970703e-4, THIRD = 7.549789954891882e-8;
/** (sin(r)/r - 1) / r² and (cos(r) - 1 + r²/2) / r⁴ in r² for |r| <= π/4: relative errors 4.0e-9 and 1.2e-10. */
const SIN = [-0.000195180954, 0.00833218824, -0.166666552];
const COS = [2.44323273e-05, -0.00138873095, 0.0416666456];

/** Quadrant 0 of sin is that of cos one quadrant further on. */
function sineOf(f: FunctionBuilder, features: Features, quadrants: 0 | 1): void {
  const x = f.local(v128), a = f.local(v128), z = f.local(v128), sine = f.local(v128), cosine = f.local(v128);
  bits(f.tee(x), ~SIGN).op("v128.and").set(a);
  const { shifted, n } = multipleOf(f, features, { x: a, scale: 2 / Math.PI, bias: quadrants });
  const partly = subtractMultiple(f, features, { x: a, n, high: -FIRST, low: -SECOND });
  const r = f.local(v128);
  constant(f.get(n), -THIRD);
  multiplyAdd(f, features, () => f.get(partly)).set(r);
  // Larger remainders come from arguments without a fraction only; they must not leave the polynomials' range.
  constant(f.get(r), -0.8).op("f32x4.pmax").set(r);
  constant(f.get(r), 0.8).op("f32x4.pmin").tee(r).get(r).op("f32x4.mul").tee(z);

  f.get(r).op("f32x4.mul");
  polynomial(f, features, z, SIN);
  multiplyAdd(f, features, () => f.get(r)).set(sine);
  f.get(z).get(z).op("f32x4.mul");
  polynomial(f, features, z, COS);
  multiplyAdd(f, features, () => {
    constant(f.get(z), -0.5);
    multiplyAdd(f, features, () => constant(f, 1));
  }).set(cosine);

  f.get(cosine).get(sine);
  choose(f.get(shifted).i32(31).op("i32x4.shl").i32(31).op("i32x4.shr_s"), features);
  f.get(shifted).i32(30).op("i32x4.shl");
  if (quadrants === 0) f.get(x).op("v128.xor");
  bits(f, SIGN).op("v128.and").op("v128.xor");
}

/** The sine of radians. */
export const sin: VectorEmitter = (f, features) => sineOf(f, features, 0);
/** The cosine of radians. */
export const cos: VectorEmitter = (f, features) => sineOf(f, features, 1);
