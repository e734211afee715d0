/** Checks of the inputs of a call, for executables of every backend. */
import { bindShapes } from "../src/program/bindings.ts";
import type { Program } from "../src/program/types.ts";
import type { Bindings } from "../src/tensor/dims.ts";
import { checkFilled, isFilled } from "../src/tensor/filled.ts";
import { printSpec } from "../src/tensor/tensor.ts";
import type { Input } from "./backend.ts";

/** Whether two lists of numbers, such as shapes, are equal. */
export function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** Whether inputs have these shapes, with a value for each element, and the dtypes of the Program's inputs. */
export function haveShapes(
  inputs: readonly Input[],
  shapes: readonly (readonly number[])[],
  program: Program,
): boolean {
  if (inputs.length !== shapes.length) return false;
  for (let index = 0; index < shapes.length; index++) {
    const input = inputs[index];
    if (input.dtype !== program.inputs[index].dtype || !sameNumbers(input.shape, shapes[index])) return false;
    if (input.kind === "host" && !isFilled(input)) return false;
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
 * @throws TypeError if their number or a dtype does not match; RangeError if a shape does not, or if there is
 *   not a value for each element.
 */
export function bindInputs({ inputs: expected }: Program, inputs: readonly Input[]): Bindings {
  if (inputs.length !== expected.length) {
    throw new TypeError(`Cannot run with ${inputs.length} inputs: expected ${expected.length}`);
  }
  inputs.forEach((input, index) => {
    if (input.dtype !== expected[index].dtype) {
      throw new TypeError(
        `Cannot run with ${printSpec(input)} as input ${index}: expected ${printSpec(expected[index])}`,
      );
    }
    if (input.kind === "host") checkFilled(input, () => `input ${index}`);
  });
  // Inputs of a call are tensors, whose sizes are numbers.
  return bindShapes(
    expected.map(({ shape }) => shape),
    inputs.map(({ shape }) => shape as readonly number[]),
  );
}
