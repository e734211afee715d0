/** Errors for names that nobody knows: they tell the nearest known one. */

/** How many single-character changes turn `a` into `b` (Levenshtein, 1966). */
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

/** Spelling styles are no difference: `hard_sigmoid` is `hardSigmoid`. */
function plain(name: string): string {
  return name.replaceAll(/[_\-\s]/g, "").toLowerCase();
}

/**
 * The known name most like `name`; undefined where none is near (more than half of the characters would change).
 *
 * @param known Earlier names win where several are equally near.
 */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const wanted = plain(name);
  let best: string | undefined;
  let least = Infinity;
  for (const candidate of known) {
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
  if (near !== undefined) return `did you mean ${JSON.stringify(near)}?`;
  return known.length === 0 ? "there are none" : `expected one of ${known.join(", ")}`;
}

/**
 * The error for a name that is not among the known ones.
 *
 * @param what What is named, such as `activation`.
 */
export function unknownName(what: string, name: string, known: readonly string[]): RangeError {
  return new RangeError(
    `Cannot use the ${what} ${JSON.stringify(name)}: it is unknown; ${remedy(name, known)}`,
  );
}

/**
 * Checks that every key of `options` is an option that `what` has.
 *
 * @param what What takes the options, such as `adam`.
 * @throws TypeError for what is no object, such as a number or nothing; RangeError naming the unknown option and the
 *   nearest known one.
 */
export function checkOptions(what: string, options: object, known: readonly string[]): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError(
      `Cannot use ${JSON.stringify(options)} as the options of ${what}: expected an object, { ${
        known[0]
      }: … }`,
    );
  }
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    throw new RangeError(
      `Cannot use the option ${JSON.stringify(key)} of ${what}: it is unknown; ${remedy(key, known)}`,
    );
  }
}
