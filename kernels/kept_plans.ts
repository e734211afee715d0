/** The plans of a Program for sets of sizes, of which those used last are kept: as many as fit in some bytes. */
import type { Arena } from "./lowering/arena.ts";

/** The most bytes that the plans of a Program take; a plan takes a few kilobytes. */
const MOST_BYTES = 1 << 20;

/** About what a buffer takes in a plan: its entry in a map. */
const BYTES_PER_BUFFER = 100;

/** Plans by the text of their sizes. There is one at least, however large it is. */
export class KeptPlans<Plan> {
  /** With the bytes that each takes, least recently used first. */
  readonly #plans = new Map<string, { readonly plan: Plan; readonly bytes: number }>();
  readonly #most: number;
  #bytes = 0;

  constructor(most = MOST_BYTES) {
    this.#most = most;
  }

  /** The plan of these sizes, which is now the one used last. */
  get(key: string): Plan | undefined {
    const kept = this.#plans.get(key);
    if (!kept) return undefined;
    this.#plans.delete(key);
    this.#plans.set(key, kept);
    return kept.plan;
  }

  /** Keeps a plan that takes about so many bytes, and drops those used least recently that have no room. */
  add(key: string, plan: Plan, bytes: number): Plan {
    this.delete(key);
    this.#plans.set(key, { plan, bytes });
    this.#bytes += bytes;
    for (const oldest of this.#plans.keys()) {
      if (this.#bytes <= this.#most || oldest === key) break;
      this.delete(oldest);
    }
    return plan;
  }

  delete(key: string): void {
    this.#bytes -= this.#plans.get(key)?.bytes ?? 0;
    this.#plans.delete(key);
  }

  clear(): void {
    this.#plans.clear();
    this.#bytes = 0;
  }

  /** All plans, with the text of their sizes, least recently used first. */
  get entries(): readonly (readonly [string, Plan])[] {
    return [...this.#plans].map(([key, { plan }]) => [key, plan]);
  }

  /** How many there are and what they take, for people. */
  describe(): string {
    return `${this.#plans.size} plans kept, about ${this.#bytes} of at most ${this.#most} bytes; those used least ` +
      `recently are dropped first`;
  }
}

/** About what a plan takes that has these places and so many words in its table. */
export function bytesOfPlan(arenas: readonly Pick<Arena, "offsets">[], words: number): number {
  return arenas.reduce((sum, { offsets }) => sum + BYTES_PER_BUFFER * offsets.size, 4 * words);
}
