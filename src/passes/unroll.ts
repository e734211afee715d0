/**
 * Unroll: a scan of one step, such as a step of a stream, becomes that step. What follows is then fused with
 * it, and its carries are not copied. Bodies of other scans are unrolled too.
 */
import { reshape } from "../operations/structure.ts";
import { replay, replayEquation, tensorOf } from "../program/trace.ts";
import { type EquationOf, isEquation, type Program, stepSpec } from "../program/types.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type Note, rewrite } from "./rewrite.ts";

/** Replaces scans of one step by their bodies. */
export function unroll(program: Program, note: Note): Program {
  if (!hasOneStep(program)) return program;
  note("unrolled scans of one step");
  return rewrite(program, (equation, operands, emitAgain) => {
    if (!isEquation(equation, "scan")) return emitAgain();
    const body = unroll(equation.attributes.body, () => {});
    const inside = { ...equation, attributes: { ...equation.attributes, body } };
    return inside.attributes.length === 1 ? oneStep(inside, operands) : replayEquation(inside, operands);
  });
}

function hasOneStep({ equations }: Program): boolean {
  return equations.some((equation) =>
    isEquation(equation, "scan") &&
    (equation.attributes.length === 1 || hasOneStep(equation.attributes.body))
  );
}

function oneStep(
  { attributes: { body, constants, carries }, outputs }: EquationOf<"scan">,
  operands: readonly Tensor[],
): Tensor[] {
  const inputs = operands.map((operand, index) =>
    index < constants + carries ? operand : reshape(operand, stepSpec(operand).shape)
  );
  const tensors = replay(body, inputs);
  return body.outputs.map((value, index) => {
    const made = tensorOf(tensors, value);
    return index < carries ? made : reshape(made, outputs[index].shape);
  });
}
