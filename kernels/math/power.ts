/**
 * pow as in C99. 2^(y·log2|x|) needs more of log2|x| than the 24 bits of a float: log2|x| is two floats, and
 * so is its product with y, as in fdlibm's e_powf.c (Sun Microsystems, 1993). High parts are cut off as bits,
 * so that their products are exact and no compiler can simplify the low parts to 0.
 */
import { INFINITY, ONE, polynomial, powersOfTwo, SIGN } from "./common.ts";
import {
  add,
  and,
  atLeast,
  atMost,
  bitsOf,
  both,
  choose,
  chooseInt,
  define,
  div,
  either,
  equal,
  equalInt,
  type Float,
  floatOf,
  floor,
  type Int,
  integer,
  lessInt,
  mul,
  named,
  not,
  number,
  ofBits,
  or,
  rounded,
  shiftLeft,
  shiftRight,
  sub,
  subInt,
  toFloat,
  whole,
  xor,
} from "./vocabulary.ts";

/** (3·ln(2)/2·log2(m) / s - 3 - s²) / s⁴ in s² for m from √½ to √2: relative error of log2(m) 7e-12. */
const LOG = [0.286805362, 0.33307147, 0.428572983, 0.600000024];
/** 2^r for |r| <= 1/2, highest power first: relative error 3e-9. */
const EXP2 = [0.00015594687, 0.0013406644, 0.009617693, 0.055503105, 0.24022652, 0.6931472, 1];
/** 2/(3·ln 2), and its high and low part. */
const SCALE = 9.6179670095e-01, SCALE_HIGH = 9.6191406250e-01, SCALE_LOW = -1.1736857402e-04;
/** The bits of √½, and of the smallest float that is not denormal. */
const SQRT_HALF = 0x3f3504f3, NORMAL = 0x00800000;

/** Splits a float into two parts, the first with 12 bits. */
interface Parts {
  readonly high: Float;
  readonly low: Float;
}

/** The first 12 bits of a float. */
function upper(x: Float): Float {
  return ofBits(and(bitsOf(x), integer(0xfffff000)));
}

/** log2 of a positive float, given by its bits: n + log2(m) with m between √½ and √2. */
function log2(bits: Int): Parts {
  const tiny = named("tiny", lessInt(bits, integer(NORMAL)));
  // The bits of a denormal, read as an integer, give a float that is 2¹⁴⁹ times as large.
  const scaled = named("scaled", chooseInt(tiny, bitsOf(toFloat(bits)), bits));
  const exponent = named("exponent", shiftRight(subInt(scaled, integer(SQRT_HALF)), 23));
  const n = named("n", sub(toFloat(exponent), choose(tiny, number(149), number(0))));
  const m = named("m", ofBits(subInt(scaled, shiftLeft(exponent, 23))));

  const difference = named("difference", sub(m, number(1))), sum = named("sum", add(m, number(1)));
  const inverse = named("inverse", div(number(1), sum));
  const s = named("s", mul(difference, inverse));
  const sHigh = named("sHigh", upper(s)), sumHigh = named("sumHigh", upper(sum));
  const sumLow = sub(m, rounded(sub(sumHigh, number(1))));
  const left = sub(sub(difference, mul(sHigh, sumHigh)), mul(sHigh, sumLow));
  const sLow = named("sLow", mul(inverse, left));

  // 3 + s² + …, in t, times s.
  const z = named("z", mul(s, s)), square = named("square", mul(sHigh, sHigh));
  const r = named("r", add(mul(mul(polynomial(z, LOG), z), z), mul(sLow, add(sHigh, s))));
  const tHigh = named("tHigh", upper(add(add(number(3), square), r)));
  const tLow = sub(r, sub(sub(tHigh, number(3)), square));
  const first = named("first", mul(sHigh, tHigh));
  const second = named("second", add(mul(sLow, tHigh), mul(tLow, s)));
  const pHigh = named("pHigh", upper(add(first, second)));
  const pLow = sub(second, sub(pHigh, first));

  const zHigh = named("zHigh", mul(number(SCALE_HIGH), pHigh));
  const zLow = named("zLow", add(mul(number(SCALE_LOW), pHigh), mul(pLow, number(SCALE))));
  const high = named("logHigh", upper(add(add(zHigh, zLow), n)));
  return { high, low: named("logLow", sub(zLow, sub(sub(high, n), zHigh))) };
}

/** 2 to the power of a sum of two floats; 0 or infinity if it is out of range. */
function exp2({ high, low }: Parts): Float {
  const h = named("limited", atMost(atLeast(high, -200), 200));
  const l = named("low", choose(equal(h, high), low, number(0)));
  const n = named("power", whole(add(h, l), { scale: 1, bias: 254 }));
  const [first, second] = powersOfTwo(n);
  return mul(mul(polynomial(named("f", add(sub(h, floatOf(n)), l)), EXP2), first), second);
}

/** x to the power of y. */
export const pow = define(["x", "y"], (x, y) => {
  const bits = named("bits", bitsOf(x)), size = named("size", and(bits, integer(~SIGN)));
  const yBits = named("yBits", bitsOf(y)), ySize = named("ySize", and(yBits, integer(~SIGN)));
  const log = log2(size);
  const yHigh = named("yHigh", upper(y));
  const low = add(mul(sub(y, yHigh), log.high), mul(y, log.low));
  const power = named("result", exp2({ high: named("high", mul(yHigh, log.high)), low }));

  const isInteger = named("isInteger", equal(floor(y), y));
  const real = choose(both(lessInt(bits, integer(0)), not(isInteger)), number(NaN), power);
  // A base of 0 or infinity gives the limit, as an infinite exponent does: infinity if |x| > 1 and y > 0, or
  // if neither holds.
  const grows = lessInt(xor(subInt(integer(ONE), size), yBits), integer(0));
  const isInfinite = named("isInfinite", equalInt(ySize, integer(INFINITY)));
  const isEnd = either(equalInt(size, integer(0)), equalInt(size, integer(INFINITY)));
  const end = choose(grows, number(Infinity), number(0));
  const absolute = named("absolute", choose(either(isEnd, isInfinite), end, real));
  // An integer is odd if its half is not an integer; all large floats are even.
  const half = named("half", mul(y, number(0.5)));
  const isOdd = both(isInteger, not(equal(floor(half), half)));
  const signed = ofBits(or(bitsOf(absolute), and(bits, chooseInt(isOdd, integer(SIGN), integer(0)))));

  const isNan = either(lessInt(integer(INFINITY), size), lessInt(integer(INFINITY), ySize));
  const isOne = either(
    either(equalInt(ySize, integer(0)), equalInt(bits, integer(ONE))),
    both(equalInt(size, integer(ONE)), isInfinite),
  );
  return choose(isOne, number(1), named("number", choose(isNan, number(NaN), signed)));
});
