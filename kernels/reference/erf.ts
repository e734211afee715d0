/**
 * The error function in float64, to about one unit in the last place.
 *
 * W. J. Cody, "Rational Chebyshev approximations for the error function", Mathematics of Computation 23
 * (1969), pp. 631-637; coefficients as in his CALERF (SPECFUN, netlib.org/specfun/erf). Each list is a
 * polynomial, highest power first.
 */

const SMALL_NUMERATOR = [
  1.85777706184603153e-1,
  3.16112374387056560,
  1.13864154151050156e2,
  3.77485237685302021e2,
  3.20937758913846947e3,
];
const SMALL_DENOMINATOR = [
  1,
  2.36012909523441209e1,
  2.44024637934444173e2,
  1.28261652607737228e3,
  2.84423683343917062e3,
];
const MIDDLE_NUMERATOR = [
  2.15311535474403846e-8,
  5.64188496988670089e-1,
  8.88314979438837594,
  6.61191906371416295e1,
  2.98635138197400131e2,
  8.81952221241769090e2,
  1.71204761263407058e3,
  2.05107837782607147e3,
  1.23033935479799725e3,
];
const MIDDLE_DENOMINATOR = [
  1,
  1.57449261107098347e1,
  1.17693950891312499e2,
  5.37181101862009858e2,
  1.62138957456669019e3,
  3.29079923573345963e3,
  4.36261909014324716e3,
  3.43936767414372164e3,
  1.23033935480374942e3,
];
const LARGE_NUMERATOR = [
  1.63153871373020978e-2,
  3.05326634961232344e-1,
  3.60344899949804439e-1,
  1.25781726111229246e-1,
  1.60837851487422766e-2,
  6.58749161529837803e-4,
];
const LARGE_DENOMINATOR = [
  1,
  2.56852019228982242,
  1.87295284992346047,
  5.27905102951428412e-1,
  6.05183413124413191e-2,
  2.33520497626869185e-3,
];
const INVERSE_SQRT_PI = 5.6418958354775628695e-1;

function polynomial(coefficients: readonly number[], x: number): number {
  let value = 0;
  for (let i = 0; i < coefficients.length; i++) value = value * x + coefficients[i];
  return value;
}

/** exp(-y²) without the error of y²: y is split at sixteenths, whose squares are exact. */
function expOfNegativeSquare(y: number): number {
  const head = Math.trunc(y * 16) / 16;
  return Math.exp(-head * head) * Math.exp(-(y - head) * (y + head));
}

/** 2/√π times the integral of exp(-t²) from 0 to x. */
export function erf(x: number): number {
  const y = Math.abs(x);
  if (y <= 0.46875) {
    return x * polynomial(SMALL_NUMERATOR, y * y) / polynomial(SMALL_DENOMINATOR, y * y);
  }
  if (y >= 6) return Math.sign(x); // erfc(6) is 2e-17, below half a unit in the last place of 1
  if (y !== y) return NaN;
  let complement: number;
  if (y <= 4) {
    complement = polynomial(MIDDLE_NUMERATOR, y) / polynomial(MIDDLE_DENOMINATOR, y);
  } else {
    const z = 1 / (y * y);
    const tail = z * polynomial(LARGE_NUMERATOR, z) / polynomial(LARGE_DENOMINATOR, z);
    complement = (INVERSE_SQRT_PI - tail) / y;
  }
  complement *= expOfNegativeSquare(y);
  return x < 0 ? complement - 0.5 - 0.5 : 0.5 - complement + 0.5;
}
