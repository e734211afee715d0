/** What executables of every backend that lowers Programs ask of one and of a call of it. */
import type { Program } from "../../src/program/types.ts";
import type { Bindings } from "../../src/tensor/dims.ts";
import type { Spec } from "../../src/tensor/tensor.ts";

function* everyValue(program: Program): Generator<Spec> {
  yield* program.inputs;
  for (const { outputs, operation, attributes } of program.equations) {
    yield* outputs;
    if (operation.name === "scan" && "body" in attributes) yield* everyValue(attributes.body);
  }
}

/** A value of the Program that is float64, which no arena of 4 bytes an element can hold. */
export function float64In(program: Program): Spec | undefined {
  return everyValue(program).find(({ dtype }) => dtype === "float64");
}

/** Whether two lists of numbers, such as shapes, are equal. */
export function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** The values of a Program's symbolic sizes as text. */
export function keyOf(bindings: Bindings): string {
  return Object.entries(bindings).map(([name, value]) => `${name}=${value}`).join();
}
