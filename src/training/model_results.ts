/** What a model gives for inputs of certain specs, found by a trace: what losses and steps are prepared for. */
import { layerName } from "../layers/define.ts";
import type { Layer } from "../layers/layer.ts";
import { wholePenalty } from "../layers/penalties.ts";
import { outputSpecs } from "../program/functions.ts";
import { printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, printPath, type Tree } from "../tree/tree.ts";

/** The output of the model, and whether its regularizers add something to the loss. */
export function resultsOf(
  model: Layer,
  params: Tree<Spec>,
  state: Tree<Spec>,
  x: Tree<Spec>,
): { readonly output: Tree<Spec>; readonly penalized: boolean } {
  let penalized = false;
  const output = outputSpecs<Tree<Spec>>(
    (params: Tree<Tensor>, state: Tree<Tensor>, x: Tree<Tensor>) => {
      const applied = model.apply({ params, state }, x, { training: false });
      penalized = wholePenalty(model, params, applied) !== undefined;
      return applied.output;
    },
    params,
    state,
    x,
  );
  const { leaves, paths } = flattenTree<Spec>(output);
  leaves.forEach((leaf, index) => {
    if (leaf.shape.length > 0) return;
    throw new TypeError(
      `Cannot train ${layerName(model)}: its output ${printPath(paths[index])} is ${printSpec(leaf)}, ` +
        `expected the batch as its first axis`,
    );
  });
  return { output, penalized };
}
