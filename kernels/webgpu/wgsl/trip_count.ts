/**
 * Counts the loop iterations of an invocation in the code written here. Mesa's llvmpipe silently ends every
 * loop of an invocation after 65,535 iterations in all, so on such an adapter they are counted beforehand.
 */

/**
 * The loop iterations of some code: `all` of an invocation with work, and `idle` of one without. Invocations
 * run in lockstep: one that has left a loop counts one more iteration of that loop, and of the loops in it,
 * along with the others.
 */
export interface TripCount {
  readonly all: number;
  readonly idle: number;
}

/** A loop that contains other loops. */
export function loop(times: number, ...inside: readonly TripCount[]): TripCount {
  const { all, idle } = inTurn(inside);
  return { all: times * (1 + all) + 1 + idle, idle: 1 + idle };
}

/** Nested loops, from the outermost. */
export function loops(times: readonly number[]): TripCount[] {
  return times.reduceRight<TripCount[]>((inner, each) => [loop(each, ...inner)], []);
}

/** Code that runs in sequence. */
export function inTurn(parts: readonly TripCount[]): TripCount {
  return {
    all: parts.reduce((sum, { all }) => sum + all, 0),
    idle: parts.reduce((sum, { idle }) => sum + idle, 0),
  };
}
