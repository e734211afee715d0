/** The differences between two collections of named tensors, as one text for an error. */
import { quoted } from "../../src/quoted.ts";
import { sameShape } from "../../src/tensor/dims.ts";
import { printSpec, type Spec } from "../../src/tensor/tensor.ts";

/** How many names of one kind are listed. */
const LISTED = 8;

function listed(what: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  const more = items.length > LISTED ? ` and ${items.length - LISTED} more` : "";
  return [`${what} ${items.slice(0, LISTED).join(", ")}${more}`];
}

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
    ...listed("missing", missing.map(quoted)),
    ...listed("unexpected", unexpected.map(quoted)),
    ...listed("of another shape or dtype", different),
  ];
  return parts.length === 0 ? undefined : parts.join("; ");
}
