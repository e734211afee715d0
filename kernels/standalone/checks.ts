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

/** A size that is larger than any other that a check compares it with. */
const LARGE = 1_000_000;

/** Sizes to check with: all at their least, each alone large, and all large. */
function extremes(sizes: readonly string[]): Bindings[] {
  const where = (isLarge: (name: string) => boolean): Bindings =>
    Object.fromEntries(sizes.map((name) => [name, isLarge(name) ? LARGE : 1]));
  return [where(() => false), ...sizes.map((large) => where((name) => name === large)), where(() => true)];
}

/**
 * Throws unless all sizes from 1 have a result. What checks compare grows with the sizes, so that the extremes
 * decide.
 *
 * @param sizes The names of the open sizes.
 * @throws RangeError with what fails.
 */
export function checkSizes(
  sizes: readonly string[],
  checks: readonly ((bindings: Bindings) => void)[],
): void {
  for (const bindings of extremes(sizes)) {
    try {
      for (const check of checks) check(bindings);
    } catch (cause) {
      const { message } = cause as Error; // a check throws nothing else
      const given = sizes.map((name) => `${name} is ${bindings[name]}`).join(" and ");
      throw new RangeError(
        `Cannot export with open sizes: if ${given}, it fails (${message}); expected a result for sizes from 1; ` +
          "fix them in the spec of the input",
        { cause },
      );
    }
  }
}
