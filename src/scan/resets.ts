/**
 * Resets as a transform of cells: where a new sequence begins, the state is replaced before the step reads
 * it. This is a `select`, so what was before passes on neither a value, even NaN, nor a gradient.
 */
import { zeros } from "../operations/creation.ts";
import { concat, sliceAxis } from "../operations/structure.ts";
import type { Cell } from "./cell.ts";
import { batchOf, checkOption, chooseRows } from "./rows.ts";
import type { Dim } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** The cell that, in the rows where the step's `reset` is true, steps from `first` instead of its state. */
export function resettingCell<State, Input, Output>(
  cell: Cell<State, Input, Output>,
  first: State,
): Cell<State, { readonly input: Input; readonly reset: Tensor }, Output> {
  return (state, { input, reset }) => cell(chooseRows("reset", reset, first, state), input);
}

/**
 * Before which steps, in the order of running, the state begins anew, bool `[batch, time]`. Backwards, a
 * sequence begins with its last step, which is the one in front of the next sequence.
 */
export function resetsOf(
  { resets, reverse = false }: { readonly resets?: Tensor; readonly reverse?: boolean },
  inputs: unknown,
  length: Dim,
): Tensor | undefined {
  if (resets === undefined) return undefined;
  checkOption("resets", resets, "bool", [batchOf(inputs), length]);
  if (!reverse) return resets;
  const none = zeros([resets.shape[0], 1], { dtype: "bool" });
  return sliceAxis(concat([resets, none], { axis: 1 }), 1, 1, length);
}
