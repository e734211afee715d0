/** Whether trees have certain specs, found without text or errors: for what is asked at every call. */
import { sameShape } from "../tensor/dims.ts";
import { type Spec, specOf } from "../tensor/tensor.ts";
import { flattenTree, leavesOf, type Structure } from "./tree.ts";

/** The structure of a tree and the specs of its leaves. */
export interface TreeSpecs {
  readonly structure: Structure;
  readonly specs: readonly Spec[];
}

/** Whether a tree has this structure, and its leaves these dtypes and shapes, in order. */
export function haveSpecs(
  tree: unknown,
  { structure, specs }: TreeSpecs,
): boolean {
  const leaves = leavesOf<Spec>(structure, tree);
  if (!leaves) return false;
  for (let index = 0; index < leaves.length; index++) {
    const { dtype, shape } = leaves[index];
    if (dtype !== specs[index].dtype || !sameShape(shape, specs[index].shape)) return false;
  }
  return true;
}

/** The structure and the specs of a tree, for {@linkcode haveSpecs}. */
export function specsOf(tree: unknown): TreeSpecs {
  const { structure, leaves } = flattenTree<Spec>(tree);
  return { structure, specs: leaves.map(specOf) };
}
