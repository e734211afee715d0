/** A function of tensors to which masks matter: they follow its arguments to its results. */
import type { ApplyContext } from "../layers/layer.ts";
import { maskOfTree } from "../layers/masks.ts";
import { commonMask, harmless, reducedMask } from "../layers/sequence.ts";
import type { Spec, Tensor } from "../tensor/tensor.ts";
import { outputMasks } from "../transforms/steps.ts";
import { flattenTree, type Tree } from "../tree/tree.ts";
import type { CallResult, MaskedFunction } from "./call_specs.ts";

/** `fn` with masks: masked values of its arguments are replaced, and its results have the masks that are left. */
export function masked<Output extends Tree<Tensor>>(
  fn: (...args: Tensor[]) => Output,
): MaskedFunction<Output> {
  return {
    fn,
    call: (args, masks, context) => computeMasked(fn, args, masks, context),
  };
}

function computeMasked<Output extends Tree<Tensor>>(
  fn: (...args: Tensor[]) => Output,
  args: readonly Tensor[],
  masks: readonly (Tensor | undefined)[],
  { rowsAreSteps }: Pick<ApplyContext, "rowsAreSteps">,
): CallResult<Output> {
  const output = fn(...args.map((arg, index) => harmless(arg, masks[index])));
  if (masks.every((mask) => mask === undefined)) return { output, mask: undefined };
  const kept = outputMasks(fn, args, masks);
  const rows = rowsAreSteps && commonMask(masks.map((mask) => mask && reducedMask(mask, 1)));
  const ofRows = ({ shape }: Spec) => rows && shape[0] === rows.shape[0] ? rows : undefined; // sums of words
  const leaves = flattenTree<Tensor>(output).leaves;
  return { output, mask: maskOfTree(output, leaves.map((leaf, index) => kept[index] ?? ofRows(leaf))) };
}
