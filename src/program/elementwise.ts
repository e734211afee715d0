/**
 * The primitives that work on each element separately: passes may lift them out of a loop, and backends may
 * fuse them. Their inputs have the same shape and, except for the condition of `select`, the same dtype;
 * floats are float32 or float64.
 */

/** Attributes of an operation that has none. */
export type None = Readonly<Record<never, never>>;

/** Functions of one number. */
export interface UnaryAttributes {
  /** -x. */
  neg: None;
  /** The magnitude. */
  abs: None;
  /** -1, 0 or 1; the input if that is 0 or NaN. */
  sign: None;
  /** The largest integer not above x. */
  floor: None;
  /** e to the power of x. */
  exp: None;
  /** exp(x) - 1, accurate near 0. */
  expm1: None;
  /** The natural logarithm. */
  log: None;
  /** log(1 + x), accurate near 0. */
  log1p: None;
  /** The square root. */
  sqrt: None;
  /** The sine of radians. */
  sin: None;
  /** The cosine of radians. */
  cos: None;
  /** The hyperbolic tangent. */
  tanh: None;
  /** 1 / (1 + exp(-x)). */
  sigmoid: None;
  /** The error function. */
  erf: None;
}

/** Functions of two numbers. */
export interface ArithmeticAttributes {
  /** a + b. */
  add: None;
  /** a - b. */
  sub: None;
  /** a · b. */
  mul: None;
  /** Division; for int32 it truncates toward zero, and gives 0 for a divisor of 0. */
  div: None;
  /** a to the power of b; floats. Special values follow C99. */
  pow: None;
  /** The larger of both; NaN if either is NaN. */
  maximum: None;
  /** The smaller of both; NaN if either is NaN. */
  minimum: None;
}

/** Functions of two numbers that give a bool. */
export interface ComparisonAttributes {
  /** Numbers or bool -> bool. */
  equal: None;
  /** Numbers -> bool: a < b. */
  less: None;
  /** Numbers -> bool: a <= b. */
  lessEqual: None;
}

/** Functions of bools, and of anything. */
export interface ChoiceAttributes {
  /** bool -> bool. */
  not: None;
  /** bool × bool -> bool. */
  and: None;
  /** bool × bool -> bool. */
  or: None;
  /** `(condition bool, whenTrue, whenFalse)`, all of one shape. */
  select: None;
  /** The input itself; its derivative is zero. */
  stopGradient: None;
}

/** The name of a function of one number. */
export type UnaryName = keyof UnaryAttributes;
/** The name of a function of two numbers. */
export type ArithmeticName = keyof ArithmeticAttributes;
/** The name of a comparison. */
export type ComparisonName = keyof ComparisonAttributes;
/** The name of any elementwise operation. */
export type ElementwiseName = UnaryName | ArithmeticName | ComparisonName | keyof ChoiceAttributes | "cast";

/** All names; the compiler reports a missing one. */
const names: { readonly [Name in ElementwiseName]: true } = {
  neg: true,
  abs: true,
  sign: true,
  floor: true,
  exp: true,
  expm1: true,
  log: true,
  log1p: true,
  sqrt: true,
  sin: true,
  cos: true,
  tanh: true,
  sigmoid: true,
  erf: true,
  add: true,
  sub: true,
  mul: true,
  div: true,
  pow: true,
  maximum: true,
  minimum: true,
  equal: true,
  less: true,
  lessEqual: true,
  not: true,
  and: true,
  or: true,
  select: true,
  stopGradient: true,
  cast: true,
};

/** Whether this is the name of an elementwise operation. */
export function isElementwiseName(name: string): name is ElementwiseName {
  return Object.hasOwn(names, name);
}
