/** The intermediate representation, for inspection. */
export { outputSpecs, trace, type TracedFunction } from "./functions.ts";
export { printProgram } from "./print.ts";
export type {
  ArithmeticAttributes,
  ChoiceAttributes,
  ComparisonAttributes,
  None,
  UnaryAttributes,
} from "./elementwise.ts";
export type {
  Attributes,
  AxisMove,
  Equation,
  EquationOf,
  Operation,
  OperationName,
  Program,
  ScanAttributes,
  Value,
} from "./types.ts";
