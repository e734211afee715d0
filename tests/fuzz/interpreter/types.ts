/** What the parts of the interpreter hand to each other. */
import type { Counts, Nested, NestedTree } from "./nested.ts";

/** Parameters by name, or a list of those of several. */
export type Params = NestedTree;

/** What probabilities were made from, of their shape. */
export interface Logits {
  readonly kind: "softmax" | "sigmoid";
  readonly x: Nested;
}

/** What a cell does for one sample. */
export interface CellSteps {
  /** The state before the first step, for a step's input of this form. */
  initial(params: Params, input: NestedTree): NestedTree;
  /** Output and next state, and the logits behind the output where it is a softmax or sigmoid. */
  step(params: Params, state: NestedTree, input: NestedTree): [NestedTree, NestedTree, Logits?];
}

/** What one sample has at one place of a model. */
export class Value {
  constructor(
    readonly x: Nested,
    /** Which steps count; undefined where all do. */
    readonly counts?: Counts,
    readonly logits?: Logits,
  ) {}
}
