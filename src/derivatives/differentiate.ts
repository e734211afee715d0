/**
 * Reverse-mode differentiation of Programs, in two halves: `record` runs a Program in the current trace and
 * keeps its values, `pullback` goes back over them. The scan's derivative uses the same halves on its body.
 */
import { isFloat } from "../operations/infer.ts";
import { replay, tensorOf } from "../program/trace.ts";
import type { OperationName, Program, Value } from "../program/types.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { addCotangents } from "./cotangents.ts";
import type { Derivative, DerivativeContext, Differentiation, Tape, TapeEntry } from "./rule.ts";
import { derivatives } from "./rules.ts";

/** The values of `program` that depend differentiably on the active inputs. */
export function activeValues(program: Program, activeInputs: readonly boolean[]): Set<Value> {
  const active = new Set(program.inputs.filter((value, index) => activeInputs[index] && isFloat(value)));
  for (const { operation, inputs, outputs } of program.equations) {
    if (derivatives[operation.name] && inputs.some((value) => active.has(value))) {
      for (const output of outputs) if (isFloat(output)) active.add(output);
    }
  }
  return active;
}

/** Runs `program` on `inputs` in the current trace, ready for `pullback`. */
export function record(program: Program, inputs: readonly Tensor[], activeInputs: readonly boolean[]): Tape {
  const active = activeValues(program, activeInputs);
  const entries: TapeEntry[] = [];
  const tensors = replay(program, inputs, (equation, operands, emitAgain) => {
    const outputs = emitAgain();
    if (equation.outputs.some((value) => active.has(value))) {
      entries.push({ equation, inputs: operands, outputs });
    }
    return outputs;
  });
  return { program, active, entries, outputs: program.outputs.map((value) => tensorOf(tensors, value)) };
}

/**
 * The cotangents of the Program's inputs from those of its outputs, computed in the current trace; undefined
 * means zero. Inputs that were not active get undefined.
 */
export function pullback(tape: Tape, cotangents: readonly (Tensor | undefined)[]): (Tensor | undefined)[] {
  const sums = new Map<Value, Tensor>();
  const accumulate = (value: Value, cotangent: Tensor | undefined) => {
    const total = addCotangents(sums.get(value), cotangent);
    if (total && tape.active.has(value)) sums.set(value, total);
  };
  tape.program.outputs.forEach((value, index) => accumulate(value, cotangents[index]));
  for (const { equation, inputs, outputs } of tape.entries.toReversed()) {
    const given = equation.outputs.map((value) => sums.get(value));
    if (given.every((cotangent) => cotangent === undefined)) continue;
    const wanted = equation.inputs.map((value) => tape.active.has(value));
    // A rule reads only its own operation's attributes.
    const derivative = derivatives[equation.operation.name] as Derivative<OperationName> | undefined;
    const context: DerivativeContext = {
      inputs,
      outputs,
      attributes: equation.attributes,
      cotangents: given,
      wanted,
      differentiation,
    };
    derivative?.(context).forEach((cotangent, index) => {
      if (wanted[index]) accumulate(equation.inputs[index], cotangent);
    });
  }
  return tape.program.inputs.map((value) => sums.get(value));
}

/** For rules of operations that hold a Program. */
const differentiation: Differentiation = { activeValues, record, pullback };
