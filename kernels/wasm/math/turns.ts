/**
 * The reduction of floats by π/2. Up to 2²⁰, n·π/2 is subtracted in f64; π/2 is in two parts, the first with
 * few enough bits that its product with n is exact (W. J. Cody, W. Waite, "Software Manual for the Elementary
 * Functions", 1980, chapter 8). Beyond that, lane by lane, the significand is multiplied by those digits of
 * 2/π that matter.
 */
import { type FunctionBuilder, i32, i64, type Local, v128 } from "../assembler.ts";
import { TWO_OVER_PI } from "../../math/trigonometric.ts";
import { bits, double } from "./constants.ts";

/** π/2 in f64: the first part has 33 bits, so that its product with n < 2²⁰ is exact. */
const FIRST = 1.57079632673412561417, SECOND = 6.07710050630396597660e-11;
/** The largest number that is reduced in f64. */
const NEAR = 2 ** 20;
/** Adding it rounds a small f64 to an integer, which then lies in its low bits. */
const ROUNDING = 1.5 * 2 ** 52;

/** n in its low bits, and r. */
export interface Reduced {
  readonly n: Local;
  readonly r: Local;
}

/**
 * Pushes r of the lower two lanes of a in the lower two lanes; sets `n` to the integer in two lanes of 64
 * bits.
 */
function reduceLowerLanes(f: FunctionBuilder, a: Local, n: Local): FunctionBuilder {
  const wide = f.local(v128), whole = f.local(v128);
  f.get(a).op("f64x2.promote_low_f32x4").set(wide);
  double(f.get(wide), 2 / Math.PI).op("f64x2.mul");
  double(f, ROUNDING).op("f64x2.add").tee(n);
  double(f, ROUNDING).op("f64x2.sub").set(whole);
  double(f.get(wide).get(whole), FIRST).op("f64x2.mul").op("f64x2.sub");
  double(f.get(whole), SECOND).op("f64x2.mul").op("f64x2.sub");
  return f.op("f32x4.demote_f64x2_zero");
}

/** Reduces all lanes of a, which are not negative, as if they were small. */
function reduceNear(f: FunctionBuilder, a: Local): Reduced {
  const lower = f.local(v128), upper = f.local(v128), n = f.local(v128), r = f.local(v128);
  const high = f.local(v128);
  reduceLowerLanes(f, a, lower);
  f.get(a).get(a).shuffle([8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15]).set(high);
  reduceLowerLanes(f, high, upper);
  f.shuffle([0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]).set(r);
  f.get(lower).get(upper).shuffle([0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27]).set(n);
  return { n, r };
}

/**
 * Reduces the large lanes of a: a = m·2ᵉ, and m·2/π·2ᵉ in 64 bits, whose first two are whole quarter turns.
 * Digits that only contribute multiples of four are left out, and those after the next 96 change nothing.
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
        // The upper 32 bits of two words, shifted left.
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

/** Reduces the floats on the stack, which are not negative. */
export function reduceTurns(f: FunctionBuilder): Reduced {
  const a = f.local(v128);
  f.set(a);
  const reduced = reduceNear(f, a);
  bits(f.get(a), floatBits(NEAR)).op("i32x4.ge_s").op("v128.any_true").if(() => reduceFar(f, a, reduced));
  return reduced;
}
