/**
 * sin and cos of f32x4: x is n·π/2 + r. Up to 2²⁰ n·π/2 is taken off in f64, π/2 being in two parts of which the first
 * has few enough bits for its product with n to be exact (W. J. Cody, W. Waite, "Software Manual for the Elementary
 * Functions", 1980, chapter 8). Beyond, lane by lane, the significand is multiplied by those digits of 2/π that matter
 * (M. Payne, R. Hanek, "Radian Reduction for Trigonometric Functions", SIGNUM Newsletter 18, 1983). So r is as exact as
 * a float can be, near the zeros too, and the results are good to 2e-7 in relation, of every float.
 */
import { type FunctionBuilder, i32, i64, type Local, v128 } from "../assembler.ts";
import type { Features } from "../features.ts";
import {
  bits,
  choose,
  constant,
  double,
  doubleOp,
  multiplyAdd,
  polynomial,
  SIGN,
  upperLanes,
  type VectorEmitter,
} from "./vector.ts";

/** π/2 in f64: the first part has 33 bits, so that its product with n < 2²⁰ is exact. */
const FIRST = 1.57079632673412561417, SECOND = 6.07710050630396597660e-11;
/** The largest number that is reduced in f64. */
const NEAR = 2 ** 20;
/** Adding it rounds a small f64 to an integer, which then stands in its low bits. */
const ROUNDING = 1.5 * 2 ** 52;
/** 32 zeros, then the digits of 2/π, in 32 bits each. */
const TWO_OVER_PI = [
  ...[0, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab],
];
/** (sin(r)/r - 1) / r² and (cos(r) - 1 + r²/2) / r⁴ in r² for |r| <= π/4: relative errors 4.0e-9 and 1.2e-10. */
const SIN = [-0.000195180954, 0.00833218824, -0.166666552];
const COS = [2.44323273e-05, -0.00138873095, 0.0416666456];

/** n in its low bits, and r. */
interface Reduced {
  readonly n: Local;
  readonly r: Local;
}

/** Pushes r of the lower two lanes of a in the lower two lanes; `n` becomes the integer in two lanes of 64 bits. */
function reduceLowerLanes(f: FunctionBuilder, a: Local, n: Local): FunctionBuilder {
  const wide = f.local(v128), whole = f.local(v128);
  doubleOp(f.get(a), "f64x2.promote_low_f32x4").set(wide);
  doubleOp(double(f.get(wide), 2 / Math.PI), "f64x2.mul");
  doubleOp(double(f, ROUNDING), "f64x2.add").tee(n);
  doubleOp(double(f, ROUNDING), "f64x2.sub").set(whole);
  doubleOp(f.get(wide), "f64x2.sub", () => doubleOp(double(f.get(whole), FIRST), "f64x2.mul"));
  doubleOp(f, "f64x2.sub", () => doubleOp(double(f.get(whole), SECOND), "f64x2.mul"));
  return doubleOp(f, "f32x4.demote_f64x2_zero");
}

/** All lanes of a, which are not negative, as if they were small. */
function reduceNear(f: FunctionBuilder, a: Local): Reduced {
  const lower = f.local(v128), upper = f.local(v128), n = f.local(v128), r = f.local(v128);
  reduceLowerLanes(f, a, lower);
  reduceLowerLanes(f, upperLanes(f, a), upper);
  f.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]).set(r);
  f.get(lower).get(upper).shuffle([0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]).set(n);
  return { n, r };
}

/**
 * Reduces the lanes of a that are large: a = m·2ᵉ, and m·2/π·2ᵉ in 64 bits, of which the first two are whole quarters of
 * a turn. Digits that only give multiples of four are left out, and those after the next 96 change nothing.
 */
function reduceFar(f: FunctionBuilder, a: Local, { n, r }: Reduced): void {
  const lane = f.local(i32), size = f.local(i32), at = f.local(i32), turns = f.local(i64), m = f.local(i64);
  const words = [0, 1, 2, 3].map(() => f.local(i64));
  f.i32(0).set(lane);
  f.count(lane, 4, 1, () => {
    f.get(a).lane("i32x4.extract_lane", 0).set(size);
    f.get(size).i32(floatBits(NEAR)).op("i32.ge_u").if(() => {
      f.get(size).i32(23).op("i32.shr_u").i32(120).op("i32.sub").set(at);
      // The word of TWO_OVER_PI at which the digits begin, and the three after it.
      words.forEach((word, index) => {
        f.i64(TWO_OVER_PI[index]).set(word);
        for (let first = 1; first + 3 < TWO_OVER_PI.length; first++) {
          f.i64(TWO_OVER_PI[first + index]).get(word);
          f.get(at).i32(first * 32).op("i32.ge_u").op("select").set(word);
        }
      });
      f.get(at).i32(31).op("i32.and").set(at);
      const shifted = (high: Local, low: Local) => {
        // The upper 32 bits of two words, moved to the left.
        f.get(high).i64(32).op("i64.shl").get(low).op("i64.or");
        f.get(at).op("i64.extend_i32_u").op("i64.shl").i64(32).op("i64.shr_u");
      };
      f.get(size).i32(0x7fffff).op("i32.and").i32(0x800000).op("i32.or").op("i64.extend_i32_u").set(m);
      shifted(words[0], words[1]);
      f.i64(32).op("i64.shl");
      shifted(words[1], words[2]);
      f.op("i64.or").get(m).op("i64.mul");
      shifted(words[2], words[3]);
      f.get(m).op("i64.mul").i64(32).op("i64.shr_u").op("i64.add").set(turns);
      f.get(n).get(turns).i64(2n ** 61n).op("i64.add").i64(62).op("i64.shr_u").op("i32.wrap_i64");
      f.lane("i32x4.replace_lane", 0).set(n);
      f.get(r).get(turns).i64(2).op("i64.shl").op("f64.convert_i64_s");
      f.f64(Math.PI * 2 ** -65).op("f64.mul").op("f32.demote_f64").lane("f32x4.replace_lane", 0).set(r);
    });
    for (const vector of [a, n, r]) {
      f.get(vector).get(vector).shuffle([4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3]).set(vector);
    }
  });
}

/** The bits of a float, as an integer. */
function floatBits(value: number): number {
  return new Int32Array(Float32Array.of(value).buffer)[0];
}

/** Quadrant 0 of sin is that of cos one quadrant further on. */
function sineOf(f: FunctionBuilder, features: Features, quadrants: 0 | 1): void {
  const x = f.local(v128), a = f.local(v128), z = f.local(v128), sine = f.local(v128), cosine = f.local(v128);
  bits(f.tee(x), ~SIGN).op("v128.and").set(a);
  const reduced = reduceNear(f, a);
  const { n, r } = reduced;
  bits(f.get(a), floatBits(NEAR)).op("i32x4.ge_s").op("v128.any_true").if(() => reduceFar(f, a, reduced));
  if (quadrants === 1) bits(f.get(n), 1).op("i32x4.add").set(n);

  f.get(r).get(r).op("f32x4.mul").tee(z);
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
  choose(f.get(n).i32(31).op("i32x4.shl").i32(31).op("i32x4.shr_s"), features);
  f.get(n).i32(30).op("i32x4.shl");
  if (quadrants === 0) f.get(x).op("v128.xor");
  bits(f, SIGN).op("v128.and").op("v128.xor");
  // All ones, which is a NaN, where x is infinite or NaN.
  bits(f.get(a), floatBits(Infinity)).op("i32x4.ge_s").op("v128.or");
}

/** The sine of radians. */
export const sin: VectorEmitter = (f, features) => sineOf(f, features, 0);
/** The cosine of radians. */
export const cos: VectorEmitter = (f, features) => sineOf(f, features, 1);
