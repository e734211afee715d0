/**
 * sin and cos: x is n·π/2 + r, with r as exact as a float can be, even near the zeros and for every float, so
 * that the results have a relative error of 2e-7. How a language finds n and r depends on its integers and
 * doubles (`turn`); the rest is here.
 */
import { INFINITY, polynomial, SIGN } from "./common.ts";
import {
  addInt,
  and,
  bitsOf,
  choose,
  define,
  type Float,
  fma,
  integer,
  lessInt,
  mul,
  named,
  number,
  ofBits,
  quarterOf,
  restOf,
  shiftLeft,
  turn,
  xor,
} from "./vocabulary.ts";

/** (sin(r)/r - 1) / r² and (cos(r) - 1 + r²/2) / r⁴ in r², |r| <= π/4: relative errors 4.0e-9 and 1.2e-10. */
const SIN = [-0.000195180954, 0.00833218824, -0.166666552];
const COS = [2.44323273e-05, -0.00138873095, 0.0416666456];

/**
 * 32 zeros, then the digits of 2/π, in words of 32 bits: those that matter for `turn` of any float (M. Payne,
 * R. Hanek, "Radian Reduction for Trigonometric Functions", SIGNUM Newsletter 18, 1983).
 */
export const TWO_OVER_PI: readonly number[] = [
  ...[0, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab],
];

/** The result for x: sin, or cos, which is one quadrant further on. */
function ofTurn(x: Float, isSine: boolean): Float {
  const size = named("size", and(bitsOf(x), integer(~SIGN)));
  const turned = named("turned", turn(size));
  const r = named("r", restOf(turned)), z = named("z", mul(r, r));
  const sine = named("sine", fma(mul(z, r), polynomial(z, SIN), r));
  const cosine = named("cosine", fma(mul(z, z), polynomial(z, COS), fma(z, number(-0.5), number(1))));

  const quarter = quarterOf(turned);
  const quadrant = named("quadrant", isSine ? quarter : addInt(quarter, integer(1)));
  const value = choose(lessInt(shiftLeft(quadrant, 31), integer(0)), cosine, sine);
  const turnedOver = shiftLeft(quadrant, 30);
  const sign = and(isSine ? xor(turnedOver, bitsOf(x)) : turnedOver, integer(SIGN));
  return choose(
    lessInt(integer(INFINITY - 1), size),
    number(NaN),
    named("signed", ofBits(xor(bitsOf(value), sign))),
  );
}

/** The sine of radians. */
export const sin = define(["x"], (x) => ofTurn(x, true));
/** The cosine of radians. */
export const cos = define(["x"], (x) => ofTurn(x, false));
