/** The names of a tree's tensors in a file, which are their paths with slashes. */
import { printSpec, type Tensor } from "../../tensor/tensor.ts";
import { flattenTree, type Path } from "../../tree/tree.ts";
import { quoted } from "../../quoted.ts";
import { METADATA } from "./header.ts";

/** A tensor whose sizes are all known, with its name. */
export interface Named {
  readonly name: string;
  readonly tensor: Exclude<Tensor, { readonly kind: "traced" }>;
}

/** The name of the tensor at this path. */
export function nameOf(path: Path): string {
  return path.length === 0 ? "(root)" : path.join("/");
}

/**
 * Every tensor of a tree with its name, such as `params/0/kernel`; a tree that is one tensor is named
 * `(root)`.
 *
 * @throws TypeError for a leaf without values; RangeError for two leaves with the same name, or a name that
 * files reserve.
 */
export function namedTensors(tree: unknown): Named[] {
  const { leaves, paths } = flattenTree<Tensor>(tree);
  const taken = new Set<string>();
  return leaves.map((tensor, index) => {
    const name = nameOf(paths[index]);
    if (tensor.kind !== "host" && tensor.kind !== "device") {
      throw new TypeError(`Cannot write ${quoted(name)}: ${printSpec(tensor)} has no values`);
    }
    if (name === METADATA) {
      throw new RangeError(`Cannot write a tensor named ${METADATA}: files reserve this name`);
    }
    if (taken.has(name)) {
      throw new RangeError(`Cannot write two tensors named ${quoted(name)}: a key must not contain a slash`);
    }
    taken.add(name);
    return { name, tensor };
  });
}
