/** The state shared by the layers of a model while they are written into a graph. */
import type { Tensor } from "../../../src/tensor/tensor.ts";
import type { Edge, GraphBuilder } from "./graph_builder.ts";
import type { OperatorWeights } from "./recurrent_match.ts";

/** An export in progress. */
export interface ExportContext {
  readonly builder: GraphBuilder;
  /** Whether masks made by layers are known to be padded on the right. */
  readonly rightPadded: boolean;
  /** Initial states become inputs and final states outputs. */
  readonly states: boolean;
  readonly stateInputs: Edge[];
  readonly stateOutputs: Edge[];
  /** The weights of recurrent operators by the first kernel, so that a layer called twice has them once. */
  readonly weights: Map<Tensor, OperatorWeights>;
  /** Lengths by the mask that they were counted from. */
  readonly lengths: Map<string, string>;
}

/** How many steps of each row count, int32 `[batch]`; undefined if the mask may have holes. */
export function lengthsOf({ builder, rightPadded, lengths }: ExportContext, mask: Edge): string | undefined {
  if (mask.lengths !== undefined) return mask.lengths;
  if (!rightPadded) return undefined;
  let name = lengths.get(mask.edge);
  if (name === undefined) {
    const counted = builder.node("Cast", [mask.edge], { to: { int: 6 } });
    name = builder.node("ReduceSum", [counted, builder.ints([1])], { keepdims: { int: 0 } });
    lengths.set(mask.edge, name);
  }
  return name;
}
