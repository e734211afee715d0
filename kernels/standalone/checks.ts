/** What a Program that becomes a file of its own must meet, whatever the language. */
import type { Program } from "../../src/program/types.ts";
import type { Bindings } from "../../src/tensor/dims.ts";
import { printSpec } from "../../src/tensor/tensor.ts";
import { float64In } from "../lowering/dtypes.ts";

/** @throws TypeError if the Program computes in float64. */
export function checkFloat32(program: Program): void {
  const wide = float64In(program);
  if (!wide) return;
  throw new TypeError(
    `Cannot export a model that computes ${printSpec(wide)}: expected float32; use cast(x, "float32")`,
  );
}

/**
 * Throws unless sizes of 1 have a result; then so have all others.
 *
 * @param sizes The names of the open sizes.
 * @throws RangeError with what fails.
 */
export function checkLeast(
  sizes: readonly string[],
  checks: readonly ((bindings: Bindings) => void)[],
): void {
  try {
    for (const check of checks) check(Object.fromEntries(sizes.map((name) => [name, 1])));
  } catch (cause) {
    const { message } = cause as Error; // a check throws nothing else
    throw new RangeError(
      `Cannot export with the open sizes ${sizes.join(", ")}: if they are 1, it fails (${message}); ` +
        "expected a result for sizes from 1; fix them in the spec of the input",
      { cause },
    );
  }
}
