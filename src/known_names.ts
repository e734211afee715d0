/** Names of which only some are known: an error about an unknown one suggests the nearest known one. */
import { describeValue } from "./describe.ts";
import { quoted } from "./quoted.ts";

/** Longer names are not treated as misspellings: comparing them takes quadratic time. */
const LONGEST_NAME = 64;

/** How many known names are listed. */
const MOST_LISTED = 32;

/** The number of single-character changes that turn `a` into `b` (Levenshtein, 1966). */
function distance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      row[j] = Math.min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
    previous = row;
  }
  return previous[b.length];
}

/** Spelling styles are treated as equal: `hard_sigmoid` is `hardSigmoid`. */
function plain(name: string): string {
  return name.replaceAll(/[_\-\s]/g, "").toLowerCase();
}

/**
 * The known name most similar to `name`; undefined if none is near (more than half of the characters would
 * change).
 *
 * @param known Earlier names win if several are equally near.
 */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (name.length > LONGEST_NAME) return undefined;
  const wanted = plain(name);
  let best: string | undefined;
  let least = Infinity;
  for (const candidate of known) {
    if (candidate.length > LONGEST_NAME) continue;
    const changes = distance(wanted, plain(candidate));
    if (changes < least && changes <= Math.max(wanted.length, candidate.length) / 2) {
      best = candidate;
      least = changes;
    }
  }
  return best;
}

/** The end of an error about an unknown name. */
export function remedy(name: string, known: readonly string[]): string {
  const near = nearest(name, known);
  if (near !== undefined) return `did you mean ${quoted(near)}?`;
  return known.length === 0 ? "there are none" : `expected one of ${listed(known)}`;
}

/** The known names, as many as can be shown. */
function listed(known: readonly string[]): string {
  const more = known.length > MOST_LISTED ? ` and ${known.length - MOST_LISTED} more` : "";
  return known.slice(0, MOST_LISTED).join(", ") + more;
}

/**
 * The error for a name that is not among the known ones: a RangeError, or a TypeError for a value that is not
 * text.
 *
 * @param what The kind of name, such as `activation`.
 */
export function unknownName(what: string, name: unknown, known: readonly string[]): Error {
  if (typeof name !== "string") {
    return new TypeError(
      `Cannot use ${describeValue(name)} as the ${what}: expected one of ${listed(known)}`,
    );
  }
  return new RangeError(
    `Cannot use the ${what} ${quoted(name)}: it is unknown; ${remedy(name, known)}`,
  );
}
