/** What executables of every backend that lowers Programs ask of one and of a call of it. */
import { bindShapes } from "../../src/program/bindings.ts";
import type { Program } from "../../src/program/types.ts";
import type { Bindings } from "../../src/tensor/dims.ts";
import { printSpec, type Spec } from "../../src/tensor/tensor.ts";
import type { Input } from "../backend.ts";

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

/** @throws TypeError if the Program computes in float64; `device` is named in the error. */
export function checkDTypes(program: Program, device: string, backend: string): void {
  const unknown = float64In(program);
  if (!unknown) return;
  throw new TypeError(
    `Cannot compile for ${device}: the Program computes ${printSpec(unknown)}, and ${backend} has ` +
      `no float64; use cast(x, "float32"), or the device reference`,
  );
}

/** Whether two lists of numbers, such as shapes, are equal. */
export function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** Whether inputs have the dtypes of the Program's and these shapes. */
export function haveShapes(
  inputs: readonly Input[],
  shapes: readonly (readonly number[])[],
  program: Program,
): boolean {
  if (inputs.length !== shapes.length) return false;
  for (let index = 0; index < shapes.length; index++) {
    const { shape, dtype } = inputs[index];
    if (dtype !== program.inputs[index].dtype || !sameNumbers(shape, shapes[index])) return false;
  }
  return true;
}

/** The values of a Program's symbolic sizes as text. */
export function keyOf(bindings: Bindings): string {
  return Object.entries(bindings).map(([name, value]) => `${name}=${value}`).join();
}

/**
 * The values of the Program's symbolic sizes for these inputs.
 *
 * @throws TypeError if their number or a dtype does not fit; RangeError if a shape does not.
 */
export function bindInputs({ inputs: expected }: Program, inputs: readonly Spec[]): Bindings {
  if (inputs.length !== expected.length) {
    throw new TypeError(`Cannot run with ${inputs.length} inputs: expected ${expected.length}`);
  }
  inputs.forEach((input, index) => {
    if (input.dtype !== expected[index].dtype) {
      throw new TypeError(
        `Cannot run with ${printSpec(input)} as input ${index}: expected ${printSpec(expected[index])}`,
      );
    }
  });
  // Inputs of a call are tensors, whose sizes are numbers.
  return bindShapes(
    expected.map(({ shape }) => shape),
    inputs.map(({ shape }) => shape as readonly number[]),
  );
}
