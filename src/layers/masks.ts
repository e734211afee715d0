/** Masks beside trees: one per tensor, or none. */
import type { Mask } from "./layer.ts";
import { sameShape } from "../tensor/dims.ts";
import { isTensor, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, type Path, type Tree, unflattenTree } from "../tree/tree.ts";
import { harmless } from "./sequence.ts";

/**
 * The mask of each leaf of `tree`, in order. A mask given for a whole tree applies to those of its tensors
 * that have the mask's axes and more.
 */
export function masksOfLeaves(tree: unknown, mask: Mask): (Tensor | undefined)[] {
  const { leaves, paths } = flattenTree<Tensor>(tree);
  return leaves.map((leaf, index) => maskAt(mask, paths[index], leaf));
}

function maskAt(mask: Mask, path: Path, leaf: Tensor): Tensor | undefined {
  if (mask === undefined) return undefined;
  if (isMaskLeaf(mask)) {
    const rank = mask.shape.length;
    const fits = leaf.shape.length > rank && sameShape(leaf.shape.slice(0, rank), mask.shape);
    return path.length === 0 || fits ? mask : undefined;
  }
  if (path.length === 0) return undefined;
  const children = mask as { readonly [key: string]: Mask }; // an index is a key of an array
  return maskAt(children[path[0]], path.slice(1), leaf);
}

/** Specs stand for masks where only shapes are needed. */
function isMaskLeaf(mask: Exclude<Mask, undefined>): mask is Tensor {
  return isTensor(mask) || ("dtype" in mask && Array.isArray(mask.shape));
}

/** The masks of the leaves of `tree` combined into one: undefined if there is none. */
export function maskOfTree(tree: unknown, masks: readonly (Tensor | undefined)[]): Mask {
  if (masks.every((mask) => mask === undefined)) return undefined;
  return unflattenTree<Mask>(flattenTree(tree).structure, masks);
}

/** The input with its masked values replaced, see {@linkcode harmless}. */
export function harmlessInput(input: Tree<Tensor>, mask: Mask): Tree<Tensor> {
  if (mask === undefined) return input;
  const { leaves, structure } = flattenTree<Tensor>(input);
  const masks = masksOfLeaves(input, mask);
  return unflattenTree(structure, leaves.map((leaf, index) => harmless(leaf, masks[index])));
}
