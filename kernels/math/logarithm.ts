/**
 * log and log1p: the argument is 2ᵉ·(1 + g) with 1 + g between √½ and √2, and log(1 + g) = g - g²/2 + g³·q(g)
 * as in Cephes's logf (S. L. Moshier, netlib.org/cephes), with q from Remez's algorithm.
 */
import { INFINITY, LN2_HIGH, LN2_LOW, ONE, polynomial, withSign } from "./common.ts";
import {
  add,
  bitsOf,
  choose,
  chooseInt,
  define,
  equalInt,
  type Float,
  fma,
  type Int,
  integer,
  lessInt,
  minInt,
  mul,
  named,
  number,
  ofBits,
  orNan,
  rounded,
  shiftLeft,
  shiftRight,
  sub,
  subInt,
  toFloat,
} from "./vocabulary.ts";

/** q, highest power first: relative error of log 3.2e-8. */
const LOG = [0.0870535076, -0.14269416, 0.149141073, -0.165774122, 0.19963114, -0.250013411, 0.333339095];
/** The bits of √½, and of the smallest float that is not denormal. */
const SQRT_HALF = 0x3f3504f3, NORMAL = 0x00800000;

/** e and g of a positive normal float, given by its bits. */
function split(bits: Int): { readonly e: Int; readonly g: Float } {
  const e = named("e", shiftRight(subInt(bits, integer(SQRT_HALF)), 23));
  return { e, g: sub(ofBits(subInt(bits, shiftLeft(e, 23))), number(1)) };
}

/** e·ln 2 + log(1 + g). */
function logOfParts(e: Float, g: Float): Float {
  const z = named("z", mul(g, g));
  const curved = fma(mul(z, g), polynomial(g, LOG), mul(e, number(LN2_LOW)));
  return named("result", fma(e, number(LN2_HIGH), rounded(add(fma(z, number(-0.5), curved), g))));
}

/**
 * The result, or the special value if the argument, also given by its bits, is infinite, 0, negative or NaN.
 */
function withSpecialValues(result: Float, argument: Float, bits: Int): Float {
  const finite = choose(lessInt(bits, integer(INFINITY)), result, argument);
  const positive = choose(lessInt(bits, integer(0)), number(NaN), finite);
  return choose(equalInt(shiftLeft(bits, 1), integer(0)), number(-Infinity), positive);
}

/**
 * The natural logarithm, of denormals too: their bits, read as an integer, give a float that is 2¹⁴⁹ times as
 * large, so a device that treats denormals as 0 never sees one.
 */
export const log = define(["x"], (x) => {
  const bits = named("bits", bitsOf(x));
  const tiny = named("tiny", lessInt(bits, integer(NORMAL)));
  const { e, g } = split(named("scaled", chooseInt(tiny, bitsOf(toFloat(bits)), bits)));
  const exponent = named("exponent", sub(toFloat(e), choose(tiny, number(149), number(0))));
  return withSpecialValues(logOfParts(exponent, named("g", g)), x, bits);
});

/**
 * log(1 + x): that of u = 1 + x, as rounded, corrected by the rounding error x - (u - 1), scaled like g. If 1
 * + x needs no scaling, g is x itself.
 */
export const log1p = define(["x"], (x) => {
  const u = named("u", rounded(add(x, number(1))));
  const bits = named("bits", bitsOf(u));
  const { e, g: roundedG } = split(bits);
  const lost = named("lost", sub(x, rounded(sub(u, number(1)))));
  // 2⁻ᵉ; if e is larger than 126, nothing was lost.
  const scale = ofBits(subInt(integer(ONE), shiftLeft(minInt(e, integer(126)), 23)));
  const g = named("g", fma(lost, scale, roundedG));
  const result = withSpecialValues(logOfParts(named("exponent", toFloat(e)), g), u, bits);
  return orNan(withSign(result, x), x); // -0 gives -0
});
