/** Folds a cell over trees: the trees are flattened, and the primitive `scan` does the rest. */
import { foldFlat, type FoldOptions } from "../operations/scan.ts";
import type { Cell } from "./cell.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { flattenTree, unflattenTree } from "../tree/tree.ts";

/**
 * The primitive: traces the cell once and applies `scan` to what it closes over, the state and the sequences.
 */
export function fold<State, Input, Output>(
  cell: Cell<State, Input, Output>,
  initialState: State,
  inputs: Input,
  options: FoldOptions,
): [Output, State] {
  const state = flattenTree<Tensor>(initialState);
  const sequences = flattenTree<Tensor>(inputs);
  const { carries, outputs, result: structure } = foldFlat(
    state.leaves,
    sequences.leaves,
    (carries, steps) => {
      const [output, next] = cell(
        unflattenTree<State>(state.structure, carries),
        unflattenTree<Input>(sequences.structure, steps),
      );
      const { leaves, structure } = flattenTree<Tensor>(output, "output");
      return { carries: flattenTree<Tensor>(next).leaves, outputs: leaves, result: structure };
    },
    options,
  );
  return [unflattenTree<Output>(structure, outputs), unflattenTree<State>(state.structure, carries)];
}
