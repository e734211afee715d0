/** What `scan` means, said a second time without it: one step after the other, one row of a mask after the other. */
import { at, broadcastTo, type Cell, expandDims, select, stack, type Tensor, zeros } from "../../mod.ts";
import { fixedSize } from "../../src/internal.ts";
import { flattenTree, mapLike, treeLeaves, unflattenTree, zipLike } from "../../src/tree/tree.ts";

/** The options of a scan that change its result. */
export interface UnrolledOptions {
  readonly reverse?: boolean;
  /** bool `[batch, time]`. */
  readonly mask?: Tensor;
  /** bool `[batch, time]`: where new sequences begin. */
  readonly resets?: Tensor;
  readonly maskedOutput?: "previous" | "zero";
}

/** Folds `cell` over sequences of at least one step, `[batch, time, ...]`, with a copy of the cell for each step. */
export function unrolled<State, Input, Output>(
  cell: Cell<State, Input, Output>,
  initialState: State,
  inputs: Input,
  { reverse = false, mask, resets, maskedOutput = "previous" }: UnrolledOptions = {},
): [Output, State] {
  const time = fixedSize(treeLeaves<Tensor>(inputs)[0], 1);
  const outputs: Output[] = new Array(time);
  let state = initialState;
  let shown: Output | undefined;
  for (let count = 0; count < time; count++) {
    const step = reverse ? time - 1 - count : count;
    const first = reverse ? step + 1 : step; // of the sequence that begins, or of the one behind it
    if (resets && first < time) {
      const begins = at(resets, first, { axis: 1 });
      state = choose(begins, initialState, state);
      shown = shown && choose(begins, zerosOf(shown), shown);
    }
    const [output, next] = cell(state, mapLike(inputs, (x: Tensor) => at(x, step, { axis: 1 })));
    const counts = mask && at(mask, step, { axis: 1 });
    const before = maskedOutput === "previous" ? shown : undefined;
    shown = counts ? choose(counts, output, before ?? zerosOf(output)) : output;
    state = counts ? choose(counts, next, state) : next;
    outputs[step] = shown;
  }
  const { structure } = flattenTree(outputs[0]);
  const leaves = outputs.map((output) => treeLeaves<Tensor>(output));
  return [
    unflattenTree(
      structure,
      leaves[0].map((_, leaf) => stack(leaves.map((step) => step[leaf]), { axis: 1 })),
    ),
    state,
  ];
}

function zerosOf<T>(tree: T): T {
  return mapLike(tree, (x: Tensor) => zeros(x.shape, { dtype: x.dtype }));
}

function choose<T>(counts: Tensor, whenTrue: T, whenFalse: T): T {
  return zipLike(whenTrue, whenFalse, (a: Tensor, b: Tensor) => {
    let rows = counts;
    while (rows.shape.length < a.shape.length) rows = expandDims(rows, -1);
    return select(broadcastTo(rows, a.shape), a, b);
  });
}
