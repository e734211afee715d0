/**
 * How often an invocation goes round the loops of what is written here. Mesa's llvmpipe ends every loop of an invocation
 * once it has gone round 65,535 times in all, without a word, so that on such an adapter it is counted beforehand.
 */

/**
 * How often an invocation goes round the loops of some code, and how often where it has nothing to do: invocations go
 * through code together, and one that has left a loop goes round with the others, and through the loops in it, once more.
 */
export interface Rounds {
  readonly all: number;
  readonly idle: number;
}

/** A loop, with the loops in it. */
export function loop(times: number, ...inside: readonly Rounds[]): Rounds {
  const { all, idle } = inTurn(inside);
  return { all: times * (1 + all) + 1 + idle, idle: 1 + idle };
}

/** Loops inside each other, from the outermost. */
export function loops(times: readonly number[]): Rounds[] {
  return times.reduceRight<Rounds[]>((inner, each) => [loop(each, ...inner)], []);
}

/** Code one after the other. */
export function inTurn(parts: readonly Rounds[]): Rounds {
  return {
    all: parts.reduce((sum, { all }) => sum + all, 0),
    idle: parts.reduce((sum, { idle }) => sum + idle, 0),
  };
}
