/** Where the library differs from Keras on purpose, so that models of these kinds are not held to it. */
import type { Case } from "./description.ts";

/** A difference, and which cases it may show in. */
export interface Difference {
  readonly name: string;
  readonly reason: string;
  readonly concerns: (one: Case) => boolean;
}

/** All of them. */
export const differences: readonly Difference[] = [];
