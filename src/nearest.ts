/**
 * External names and values in errors: kept short, and an unknown name comes with the nearest known one.
 */
import { describeValue, isObject, wrongKind } from "./describe.ts";

/** The longest text of a value in an error. */
const LONGEST_TEXT = 80;

/** Longer names are not treated as misspellings: comparing them takes quadratic time. */
const LONGEST_NAME = 64;

/** How many known names are listed. */
const MOST_LISTED = 32;

/** A value as JSON for an error message; a long text, list or object is truncated. */
export function quoted(value: unknown): string {
  const text = printed(value, 2);
  return text.length <= LONGEST_TEXT + 2 ? text : `${text.slice(0, LONGEST_TEXT)}…`;
}

/** A name as the key of an object in code: quoted unless it is a short identifier. */
export function asKey(name: string): string {
  return name.length <= LONGEST_NAME && /^[A-Za-z_$][\w$]*$/.test(name) ? name : quoted(name);
}

/** The beginning of a value as JSON: nothing below `depth`, and no more than can be shown. */
function printed(value: unknown, depth: number): string {
  if (typeof value === "string") {
    const cut = value.length > LONGEST_TEXT;
    return JSON.stringify(cut ? `${value.slice(0, LONGEST_TEXT - 3)}...` : value);
  }
  if (typeof value === "function") return describeValue(value);
  if (typeof value !== "object" || value === null) return String(value);
  const list = Array.isArray(value);
  if (!list && !isPlain(value)) return describeValue(value);
  if (depth === 0) return list ? "[…]" : "{…}";
  const items: string[] = [];
  for (const key in value) { // not Object.keys, which lists all keys of a large object
    if (items.length * 2 > LONGEST_TEXT) break;
    const item = printed((value as { readonly [key: string]: unknown })[key], depth - 1); // any object may be read so
    items.push(list ? item : `${printed(key, 0)}:${item}`);
  }
  return list ? `[${items.join(",")}]` : `{${items.join(",")}}`;
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return isObject(value) && (prototype === Object.prototype || prototype === null);
}

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
function remedy(name: string, known: readonly string[]): string {
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

/** Options that are booleans wherever they are accepted. */
const FLAGS: ReadonlySet<string> = new Set([
  "amsgrad",
  "center",
  "centered",
  "cycle",
  "dropRemainder",
  "exclusive",
  "fromLogits",
  "goBackwards",
  "invert",
  "inputForget",
  "keepDims",
  "maskZero",
  "nesterov",
  "peepholes",
  "resetAfter",
  "restoreBestWeights",
  "returnSequences",
  "returnState",
  "reuse",
  "reverse",
  "scale",
  "saveBestOnly",
  "shuffle",
  "staircase",
  "stateful",
  "transposeLeft",
  "transposeRight",
  "unitForgetBias",
  "unroll",
  "useBias",
  "zeroOutputForMask",
]);

/** The kind of `typeof` that an option must have, if its name determines that. */
function kindOf(option: string): "boolean" | "string" | undefined {
  return option === "name" ? "string" : FLAGS.has(option) ? "boolean" : undefined;
}

/**
 * Checks that every key of `options` is an option of `what`, that flags are booleans and that names are
 * strings.
 *
 * @param what The function that takes the options, such as `adam`.
 * @param elsewhere What to use instead of options that other libraries have here.
 * @throws TypeError if options are not an object, such as a number, and for an option of the wrong kind;
 *   RangeError naming the unknown option and the nearest known one.
 */
export function checkOptions(
  what: string,
  options: object,
  known: readonly string[],
  elsewhere: Readonly<Record<string, string>> = {},
): void {
  if (!isObject(options)) {
    throw new TypeError(
      `Cannot use ${describeValue(options)} as the options of ${what}: expected an object${
        known.length === 0
          ? ""
          : ` such as { ${known[0]}: ${isShort(options) ? JSON.stringify(options) : "…"} }`
      }`,
    );
  }
  for (const [key, value] of Object.entries(options)) {
    if (known.includes(key)) {
      checkKind(what, key, value);
      continue;
    }
    const near = nearest(key, [...known, ...Object.keys(elsewhere)]);
    const instead = near !== undefined && Object.hasOwn(elsewhere, near) ? elsewhere[near] : undefined;
    throw new RangeError(
      `Cannot use the option ${quoted(key)} of ${what}: it is unknown; ${instead ?? remedy(key, known)}`,
    );
  }
}

/** Whether a value can be shown in full: a number, or a short text. */
function isShort(value: unknown): boolean {
  return typeof value === "number" && Number.isFinite(value) ||
    typeof value === "string" && value.length <= 16;
}

function checkKind(what: string, option: string, value: unknown): void {
  const kind = kindOf(option);
  if (kind === undefined || value === undefined || typeof value === kind) return;
  throw wrongKind(
    `use the options of ${what}`,
    value,
    option,
    kind === "boolean" ? "true or false" : "a text",
  );
}
