/**
 * Functions of single numbers that no primitive is: remainders, hyperbolic functions and inverses of trigonometric ones,
 * each from primitives in a form that loses no digits.
 */
import {
  abs,
  add,
  and,
  cos,
  div,
  equal,
  exp,
  expm1,
  floor,
  greater,
  less,
  log,
  log1p,
  minimum,
  mul,
  neg,
  notEqual,
  type Operand,
  or,
  select,
  sigmoid,
  sign,
  sin,
  sqrt,
  sub,
} from "../../../../src/operations/elementwise.ts";
import { isFloat } from "../../../../src/operations/infer.ts";
import type { Tensor } from "../../../../src/tensor/tensor.ts";
import { attribute, flag, type Node } from "../node.ts";
import { given, type Operator, type Operators } from "../operator.ts";
import { floatsOf, valueOf } from "../values.ts";
import { binary, onNumbers } from "./elementwise.ts";

function ofFloats(compute: (x: Tensor, node: Node) => Tensor, attributes: readonly string[] = []): Operator {
  return {
    attributes,
    inputs: [1, 1],
    compute: (node, inputs) => [valueOf(compute(floatsOf(given(inputs, 0)), node))],
  };
}

/** tan π/8, where the two forms of the reduction meet. */
const TAN_EIGHTH = Math.SQRT2 - 1;

/** (atan x - x)/x³ as a polynomial in x², for |x| ≤ tan π/8: least squares at Chebyshev points, relative error 7e-10. */
const ARCTANGENT = [-0.333333145796, 0.199984420855, -0.142430641637, 0.105907732872, -0.060713041103];

/** The arctangent: of an argument that is reduced to below tan π/8 by the addition theorem. */
function arctangent(x: Tensor): Tensor {
  const magnitude = abs(x);
  const isLarge = greater(magnitude, 1);
  const within = select(isLarge, div(1, select(isLarge, magnitude, 1)), magnitude);
  const isUpper = greater(within, TAN_EIGHTH);
  const small = select(isUpper, div(sub(within, 1), add(within, 1)), within);
  const squared = mul(small, small);
  const series = ARCTANGENT.reduceRight<Operand>((sum, c) => add(mul(sum, squared), c), 0);
  const angle = add(mul(mul(small, squared), series), small);
  const half = select(isUpper, add(angle, Math.PI / 4), angle);
  return mul(sign(x), select(isLarge, sub(Math.PI / 2, half), half));
}

/** A number so large that its square plus 1 is its square. */
const LARGE = 1e8;

/** `log(x + √(x² + c))` where it is `log 2x`, which no square overflows; `compute` gets a smaller number there. */
function withLarge(x: Tensor, compute: (x: Tensor) => Tensor): Tensor {
  const isLarge = greater(x, LARGE);
  return select(isLarge, add(log(select(isLarge, x, 1)), Math.LN2), compute(minimum(x, LARGE)));
}

function inverseSinh(x: Tensor): Tensor {
  const exact = (a: Tensor) => {
    const squared = mul(a, a);
    return log1p(add(a, div(squared, add(sqrt(add(squared, 1)), 1))));
  };
  return mul(sign(x), withLarge(abs(x), exact));
}

function inverseCosh(x: Tensor): Tensor {
  return withLarge(x, (x) => {
    const above = sub(x, 1);
    return log1p(add(above, sqrt(mul(above, add(above, 2)))));
  });
}

/** The remainder with the sign of the dividend (`fmod`), or with that of the divisor as in Python. */
function remainder(a: Tensor, b: Tensor, likeDividend: boolean): Tensor {
  const rest = isFloat(a) ? floatRemainder(a, b) : sub(a, mul(div(a, b), b));
  if (likeDividend) return rest;
  const differs = and(notEqual(rest, 0), notEqual(less(rest, 0), less(b, 0)));
  return select(differs, add(rest, b), rest);
}

function floatRemainder(a: Tensor, b: Tensor): Tensor {
  const quotient = div(a, b);
  const rest = sub(a, mul(mul(sign(quotient), floor(abs(quotient))), b));
  // The quotient may have been rounded up to a whole number.
  const isBeyond = and(notEqual(rest, 0), notEqual(less(rest, 0), less(a, 0)));
  const right = select(isBeyond, add(rest, mul(abs(b), sign(a))), rest);
  return select(equal(abs(b), Infinity), add(a, mul(0, quotient)), right); // of infinity, all but infinity remains
}

const modulo: Operator = {
  attributes: ["fmod"],
  inputs: [2, 2],
  compute: (node, inputs, call) => {
    const likeDividend = flag(node, "fmod", false);
    const ofSizes = onNumbers((a, b) => likeDividend || b === 0 ? a % b : ((a % b) + b) % b);
    return binary((a, b) => remainder(a, b, likeDividend), ofSizes).compute(node, inputs, call);
  },
};

/** The operators of this file. */
export const functionOperators: Operators = {
  Mod: modulo,
  IsNaN: ofFloats((x) => notEqual(x, x)),
  IsInf: ofFloats((x, node) => {
    const [low, high] = [flag(node, "detect_negative", true), flag(node, "detect_positive", true)];
    const [isLow, isHigh] = [equal(x, -Infinity), equal(x, Infinity)];
    return low && high ? or(isLow, isHigh) : low ? isLow : high ? isHigh : notEqual(isLow, isLow);
  }, ["detect_negative", "detect_positive"]),
  Tan: ofFloats((x) => div(sin(x), cos(x))),
  Atan: ofFloats(arctangent),
  Asin: ofFloats((x) => mul(arctangent(div(x, add(sqrt(sub(1, mul(x, x))), 1))), 2)),
  Acos: ofFloats((x) => mul(arctangent(sqrt(div(sub(1, x), add(1, x)))), 2)),
  Sinh: ofFloats((x) => mul(sub(expm1(x), expm1(neg(x))), 0.5)),
  Cosh: ofFloats((x) => mul(add(exp(x), exp(neg(x))), 0.5)),
  Asinh: ofFloats(inverseSinh),
  Acosh: ofFloats(inverseCosh),
  Atanh: ofFloats((x) => mul(sub(log1p(x), log1p(neg(x))), 0.5)),
  Celu: ofFloats((x, node) => {
    const alpha = attribute(node, "alpha", "float") ?? 1;
    return select(greater(x, 0), x, mul(expm1(div(minimum(x, 0), alpha)), alpha));
  }, ["alpha"]),
  Shrink: ofFloats((x, node) => {
    const limit = attribute(node, "lambd", "float") ?? 0.5, bias = attribute(node, "bias", "float") ?? 0;
    return select(less(x, -limit), add(x, bias), select(greater(x, limit), sub(x, bias), 0));
  }, ["lambd", "bias"]),
  Swish: ofFloats((x, node) => mul(x, sigmoid(mul(x, attribute(node, "alpha", "float") ?? 1))), ["alpha"]),
};
