/**
 * How much of a scan's body depends on time. `constant`: only on the scan's constants. `time`: on constants
 * and on the step's slices, so all steps can be computed at once. `step`: on the carries, so steps run one
 * after another.
 */
import type { Equation, ScanAttributes, Value } from "../program/types.ts";
import { canLift } from "./lift.ts";

/** What a value of a scan's body depends on. */
export type Level = "constant" | "time" | "step";

/** The level of every value of the body. */
export function levelsOf({ body, constants, carries, recompute }: ScanAttributes): Map<Value, Level> {
  const levels = new Map<Value, Level>();
  body.inputs.forEach((value, index) => {
    levels.set(
      value,
      index < constants ? "constant" : index < constants + carries || recompute ? "step" : "time",
    );
  });
  const levelOf = (value: Value): Level => levels.get(value) ?? "step";
  for (const equation of body.equations) {
    const level = levelOfEquation(equation, equation.inputs.map(levelOf));
    for (const value of equation.outputs) levels.set(value, level);
  }
  return levels;
}

function levelOfEquation(equation: Equation, inputs: readonly Level[]): Level {
  if (inputs.every((level) => level === "constant")) return "constant";
  if (inputs.includes("step")) return "step";
  return canLift(equation, inputs.map((level) => level === "time")) ? "time" : "step";
}
