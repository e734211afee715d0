/** The differences between two collections of named tensors, as one text for an error. */
import { quoted } from "../../src/quoted.ts";
import { sameShape } from "../../src/tensor/dims.ts";
import { printSpec, type Spec } from "../../src/tensor/tensor.ts";
import { listed } from "./listed.ts";

/** What may differ. */
export interface DifferenceOptions {
  /** Whether a dtype is acceptable in place of another; default: no other one. */
  readonly fits?: (given: Spec, expected: Spec) => boolean;
}

/**
 * What is missing, unexpected or of another shape or dtype, with all names; undefined if everything fits.
 *
 * @param expected What must be there.
 * @param given What is there.
 */
export function differences(
  expected: ReadonlyMap<string, Spec>,
  given: ReadonlyMap<string, Spec>,
  options: DifferenceOptions = {},
): string | undefined {
  const fits = options.fits ?? ((a: Spec, b: Spec) => a.dtype === b.dtype);
  const missing = [...expected.keys()].filter((name) => !given.has(name));
  const unexpected = [...given.keys()].filter((name) => !expected.has(name));
  const different = [...expected].flatMap(([name, wanted]) => {
    const found = given.get(name);
    if (found === undefined || (fits(found, wanted) && sameShape(found.shape, wanted.shape))) return [];
    return [`${quoted(name)} (${printSpec(found)}, expected ${printSpec(wanted)})`];
  });
  const parts = [
    ["missing", missing.map(quoted)],
    ["unexpected", unexpected.map(quoted)],
    ["of another shape or dtype", different],
  ] as const;
  const found = parts.filter(([, items]) => items.length > 0);
  return found.length === 0 ? undefined : found.map(([what, items]) => `${what} ${listed(items)}`).join("; ");
}
