/** The derivatives of elementwise operations. */
import {
  add,
  cast,
  cos,
  div,
  equal,
  exp,
  less,
  lessEqual,
  log,
  mul,
  neg,
  pow,
  select,
  sign,
  sin,
  sub,
} from "../operations/elementwise.ts";
import { isFloat } from "../operations/infer.ts";
import type { ArithmeticName, ElementwiseName, UnaryName } from "../program/elementwise.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Derivative, DerivativeContext, Derivatives } from "./rule.ts";

/** Of a unary operation; `slope` gives the cotangent of its input. */
function unary<K extends UnaryName>(slope: (c: Tensor, x: Tensor, y: Tensor) => Tensor): Derivative<K> {
  return ({ inputs: [x], outputs: [y], cotangents: [c] }: DerivativeContext) => [c && slope(c, x, y)];
}

/** Of a binary operation; `slopes` give the cotangents of its inputs. */
function binary<K extends ArithmeticName>(
  ...slopes: readonly ((c: Tensor, a: Tensor, b: Tensor, y: Tensor) => Tensor)[]
): Derivative<K> {
  return ({ inputs: [a, b], outputs: [y], cotangents: [c], wanted }: DerivativeContext) =>
    slopes.map((slope, index) => c && wanted[index] ? slope(c, a, b, y) : undefined);
}

/** Ties of `maximum` and `minimum` give the whole cotangent to the first operand, as TensorFlow does. */
export const elementwise: Derivatives<ElementwiseName> = {
  neg: unary((c) => neg(c)),
  abs: unary((c, x) => mul(c, sign(x))),
  sign: undefined,
  floor: undefined,
  exp: unary((c, _, y) => mul(c, y)),
  expm1: unary((c, _, y) => mul(c, add(y, 1))),
  log: unary((c, x) => div(c, x)),
  log1p: unary((c, x) => div(c, add(x, 1))),
  sqrt: unary((c, _, y) => div(mul(c, 0.5), y)),
  sin: unary((c, x) => mul(c, cos(x))),
  cos: unary((c, x) => neg(mul(c, sin(x)))),
  tanh: unary((c, _, y) => mul(c, sub(1, mul(y, y)))),
  sigmoid: unary((c, _, y) => mul(c, mul(y, sub(1, y)))),
  erf: unary((c, x) => mul(c, mul(exp(neg(mul(x, x))), 2 / Math.sqrt(Math.PI)))),
  add: binary((c) => c, (c) => c),
  sub: binary((c) => c, (c) => neg(c)),
  mul: binary((c, _, b) => mul(c, b), (c, a) => mul(c, a)),
  div: binary((c, _, b) => div(c, b), (c, _, b, y) => neg(div(mul(c, y), b))),
  pow: binary(
    // The branches not taken get harmless arguments, for the second derivative.
    (c, a, b) => {
      const constant = equal(b, 0);
      return select(constant, 0, mul(c, mul(b, pow(a, select(constant, 1, sub(b, 1))))));
    },
    (c, a, _, y) => {
      const positive = less(0, a);
      return select(positive, mul(c, mul(y, log(select(positive, a, 1)))), 0);
    },
  ),
  maximum: binary(
    (c, a, b) => select(lessEqual(b, a), c, 0),
    (c, a, b) => select(lessEqual(b, a), 0, c),
  ),
  minimum: binary(
    (c, a, b) => select(lessEqual(a, b), c, 0),
    (c, a, b) => select(lessEqual(a, b), 0, c),
  ),
  equal: undefined,
  less: undefined,
  lessEqual: undefined,
  and: undefined,
  or: undefined,
  not: undefined,
  select: ({ inputs: [condition], cotangents: [c], wanted }) => [
    undefined,
    c && wanted[1] ? select(condition, c, 0) : undefined,
    c && wanted[2] ? select(condition, 0, c) : undefined,
  ],
  cast: ({ inputs: [x], cotangents: [c] }) => [c && isFloat(c) ? cast(c, x.dtype) : undefined],
  stopGradient: undefined,
};
