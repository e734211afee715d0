/** What the parts of the interpreter hand to each other. */
import type { Counts, Nested, NestedTree } from "./nested.ts";

/** Parameters by name, or a list of those of several. */
export type Params = NestedTree;

/** What a cell does for one sample. */
export interface CellSteps {
  /** The state before the first step, for a step's input of this form. */
  initial(params: Params, input: NestedTree): NestedTree;
  /** Output and next state. */
  step(params: Params, state: NestedTree, input: NestedTree): [NestedTree, NestedTree];
}

/** What one sample has at one place of a model. */
export class Value {
  constructor(
    readonly x: Nested,
    /** Which steps count; undefined where all do. */
    readonly counts?: Counts,
    /** What probabilities were made from, of the shape of `x`. */
    readonly logits?: { readonly kind: "softmax" | "sigmoid"; readonly x: Nested },
  ) {}
}
