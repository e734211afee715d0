/** Whether a Program computes in dtypes that kernels over views support: elements of 4 bytes. */
import type { Program } from "../../src/program/types.ts";
import { printSpec, type Spec } from "../../src/tensor/tensor.ts";

function* everyValue(program: Program): Generator<Spec> {
  yield* program.inputs;
  for (const { outputs, operation, attributes } of program.equations) {
    yield* outputs;
    if (operation.name === "scan" && "body" in attributes) yield* everyValue(attributes.body);
  }
}

/** A float64 value of the Program, which no arena of 4-byte elements can hold. */
export function float64In(program: Program): Spec | undefined {
  for (const value of everyValue(program)) if (value.dtype === "float64") return value;
  return undefined;
}

/** @throws TypeError if the Program computes in float64; the error names `device`. */
export function checkDTypes(program: Program, device: string, backend: string): void {
  const unknown = float64In(program);
  if (!unknown) return;
  throw new TypeError(
    `Cannot compile for ${device}: the Program computes ${printSpec(unknown)}, and ${backend} has ` +
      `no float64; use cast(x, "float32"), or the device reference`,
  );
}
