/** Random bits. */
import type { View } from "../views.ts";
import { type Kinds, printShape, work } from "./kind.ts";
import type { Rules } from "./rule.ts";
import { roundedUp } from "../../shapes.ts";

/** Random bits, written to a buffer of their own. */
export interface RandomKernel {
  readonly kind: "randomBits";
  readonly key: View;
  readonly counter: View;
  readonly output: View;
}

/** The record of the kind. */
export const randomKinds: Kinds<RandomKernel> = {
  randomBits: {
    reads: ({ key, counter }) => [key, counter],
    writes: ({ output }) => [output],
    isRowWise: () => false,
    units: () => 1,
    work: ({ output: { shape } }, { elements }) => work(Math.ceil(elements(shape) / 2), 20 * elements(shape)),
    print: ({ output }) => `randomBits ${printShape(output)}`,
  },
};

/** The rule for the operation. */
export const randomRules: Rules<"randomBits", RandomKernel> = {
  randomBits: {
    lower: ({ inputs: [key, counter] }, output, { viewIn }) => [
      { kind: "randomBits", key: viewIn(key), counter: viewIn(counter), output },
    ],
    // Backends write several blocks of two words at a time.
    ownElements: (size) => roundedUp(size, 8),
  },
};
