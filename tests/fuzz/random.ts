/** Random choices from a seed: the same seed makes the same model, data and options everywhere. */

/** A source of random choices. */
export interface Random {
  /** From 0 to below 1. */
  next(): number;
  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number;
  /** Whether something of this probability happens. */
  chance(probability: number): boolean;
  /** One of several. */
  pick<T>(from: readonly T[]): T;
  /** A source of its own for `name`: what is drawn from it changes nothing that is drawn elsewhere. */
  fork(name: string): Random;
}

/** A number of 32 bits from a seed and a text (FNV-1a). */
export function hash(seed: number, text: string): number {
  let bits = (seed ^ 0x811c9dc5) >>> 0;
  for (let i = 0; i < text.length; i++) bits = Math.imul(bits ^ text.charCodeAt(i), 0x01000193) >>> 0;
  return bits;
}

/** Random choices from a seed (mulberry32). */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const whole = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  return {
    next,
    whole,
    chance: (probability) => next() < probability,
    pick: (from) => from[whole(0, from.length - 1)],
    fork: (name) => randomFrom(hash(seed, name)),
  };
}
