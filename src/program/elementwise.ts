/** Which primitives work on each element by itself: what passes may lift out of a loop, and backends may fuse. */
import type { Equation, EquationOf, OperationName } from "./types.ts";

/** Functions of one number. */
const unary = [
  "neg",
  "abs",
  "sign",
  "floor",
  "exp",
  "expm1",
  "log",
  "log1p",
  "sqrt",
  "sin",
  "cos",
  "tanh",
  "sigmoid",
  "erf",
] as const;
/** Functions of two numbers. */
const arithmetic = ["add", "sub", "mul", "div", "pow", "max", "min"] as const;
/** Functions of two numbers that give a bool. */
const comparison = ["equal", "less", "lessEqual"] as const;

/** The name of a function of one number. */
export type UnaryName = typeof unary[number];
/** The name of a function of two numbers. */
export type ArithmeticName = typeof arithmetic[number];
/** The name of a comparison. */
export type ComparisonName = typeof comparison[number];
/** The name of any elementwise operation. */
export type ElementwiseName =
  | UnaryName
  | ArithmeticName
  | ComparisonName
  | "not"
  | "and"
  | "or"
  | "select"
  | "cast"
  | "stopGradient";

const ELEMENTWISE: ReadonlySet<OperationName> = new Set<ElementwiseName>([
  ...unary,
  ...arithmetic,
  ...comparison,
  "not",
  "and",
  "or",
  "select",
  "cast",
  "stopGradient",
]);

/** An equation of any of these. */
export type ElementwiseEquation = { [Name in ElementwiseName]: EquationOf<Name> }[ElementwiseName];

/** Whether the equation works element by element; `stopGradient` counts, as the identity. */
export function isElementwise(equation: Equation | undefined): equation is ElementwiseEquation {
  return equation !== undefined && ELEMENTWISE.has(equation.operation.name);
}
