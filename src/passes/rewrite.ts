/** What the passes share: rewriting a Program by tracing it again, and inspecting the body of a scan. */
import { replay, replayEquation, tensorOf, traceFlat } from "../program/trace.ts";
import {
  type Equation,
  isEquation,
  type Program,
  type ScanAttributes,
  type Value,
} from "../program/types.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Receives one line for each change of a pass, for people. */
export type Note = (text: string) => void;

/**
 * The result of rewriting an equation: called with its operands in the new trace and a function that records
 * it unchanged.
 */
export type Rewriter = (
  equation: Equation,
  operands: readonly Tensor[],
  emitAgain: () => Tensor[],
) => Tensor[];

/** The Program made by rewriting each equation with `each`. */
export function rewrite(program: Program, each: Rewriter): Program {
  return traceFlat(program.inputs, (inputs) => {
    const tensors = replay(program, inputs, each);
    return { outputs: program.outputs.map((value) => tensorOf(tensors, value)), result: undefined };
  }).program;
}

/** The equations that read each value; undefined represents the Program's outputs. */
export function readersOf(program: Program): Map<Value, (Equation | undefined)[]> {
  const readers = new Map<Value, (Equation | undefined)[]>();
  const note = (value: Value, reader: Equation | undefined) => {
    const list = readers.get(value);
    if (list) list.push(reader);
    else readers.set(value, [reader]);
  };
  for (const value of program.outputs) note(value, undefined);
  for (const equation of program.equations) for (const value of equation.inputs) note(value, equation);
  return readers;
}

/** The equation that makes each value. */
export function makersOf(program: Program): Map<Value, Equation> {
  const makers = new Map<Value, Equation>();
  for (const equation of program.equations) for (const value of equation.outputs) makers.set(value, equation);
  return makers;
}

/** The Program with `change` applied to the body of every scan, innermost first. */
export function rewriteBodies(
  program: Program,
  change: (body: Program, attributes: ScanAttributes) => Program,
): Program {
  return rewrite(program, (equation, operands, emitAgain) => {
    if (!isEquation(equation, "scan")) return emitAgain();
    const inner = rewriteBodies(equation.attributes.body, change);
    const body = change(inner, { ...equation.attributes, body: inner });
    return replayEquation({ ...equation, attributes: { ...equation.attributes, body } }, operands);
  });
}
