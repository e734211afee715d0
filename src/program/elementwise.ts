/** Which primitives work on each element by itself: what passes may lift out of a loop, and backends may fuse. */
import type { Equation, OperationName } from "./types.ts";

const ELEMENTWISE: ReadonlySet<OperationName> = new Set<OperationName>([
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
  "not",
  "cast",
  "stopGradient",
  "add",
  "sub",
  "mul",
  "div",
  "pow",
  "max",
  "min",
  "equal",
  "less",
  "lessEqual",
  "and",
  "or",
  "select",
]);

/** Whether the equation works element by element; `stopGradient` counts, as the identity. */
export function isElementwise(equation: Equation | undefined): boolean {
  return equation !== undefined && ELEMENTWISE.has(equation.operation.name);
}
