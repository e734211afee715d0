/**
 * Programs as ONNX nodes, equation by equation: one translation for each primitive, in primitives.ts. A
 * broadcast is written only if the operator that reads it would not broadcast by itself.
 */
import type { OperationName, Program, Value } from "../../../src/program/types.ts";
import type { GraphBuilder } from "./graph_builder.ts";
import { translations } from "./primitives.ts";
import { Translation, type Written } from "./translation.ts";

/**
 * Writes `program` into the graph; returns the names of its outputs.
 *
 * @param inputs The name of each input of the Program; called for those that are read.
 */
export function translateProgram(
  builder: GraphBuilder,
  program: Program,
  inputs: (index: number) => string,
): string[] {
  const read = new Set([...program.outputs, ...program.equations.flatMap((equation) => equation.inputs)]);
  const names = new Map<Value, string>();
  program.inputs.forEach((value, index) => {
    if (read.has(value)) names.set(value, inputs(index));
  });
  const translation = new Translation(builder, names, translateProgram);
  for (const equation of needed(program)) {
    const translate = translations[equation.operation.name] as (
      translation: Translation,
      equation: Written<OperationName>,
    ) => void; // the entry for the equation's own name
    translate(translation, equation as Written<OperationName>);
  }
  return program.outputs.map((value) => translation.name(value));
}

/** The equations that the outputs need, in order. */
function needed({ equations, outputs }: Program): Program["equations"] {
  const wanted = new Set<Value>(outputs);
  const kept = [...equations].reverse().filter((equation) => {
    if (!equation.outputs.some((value) => wanted.has(value))) return false;
    for (const value of equation.inputs) wanted.add(value);
    return true;
  });
  return kept.reverse();
}
