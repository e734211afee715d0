/** The intermediate representation, for those who want to look at it. */
export { outputSpecs, trace, type TracedFunction } from "./functions.ts";
export { printProgram } from "./print.ts";
export type {
  Attributes,
  DerivativeContext,
  Equation,
  EquationOf,
  None,
  Operation,
  OperationName,
  Program,
  ScanAttributes,
  Value,
} from "./types.ts";
