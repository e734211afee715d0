/** A tree rebuilt from the named tensors of a file. */
import { nameOf } from "../../src/data/safetensors/names.ts";
import { checkObject, wrongKind } from "../../src/describe.ts";
import { isTensor, type Tensor } from "../../src/tensor/tensor.ts";
import { flattenTree, type MappedTree, unflattenTree } from "../../src/tree/tree.ts";
import { quoted } from "../../src/quoted.ts";
import { differences } from "../support/differences.ts";

/**
 * A tree like another with the tensors of a file, by name, as {@linkcode encodeSafetensors} wrote them from a
 * tree of that structure.
 *
 * @param template The structure, shapes and dtypes wanted: variables from `init`, or specs.
 * @param tensors By name; all of the template's, and no others.
 * @throws TypeError with all names that are missing, unexpected, or of another shape or dtype.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, init, key, spec } from "@cellfold/cellfold";
 * import { decodeSafetensors, encodeSafetensors, restoreTree } from "@cellfold/cellfold/safetensors";
 * const layer = dense({ units: 2 });
 * const trained = init(layer, key(0), spec([null, 3]));
 * const { tensors } = decodeSafetensors(encodeSafetensors(trained));
 * const variables = restoreTree(init(layer, key(1), spec([null, 3])), tensors);
 * assertEquals(variables, trained);
 * ```
 */
export function restoreTree<T, Leaf extends Tensor>(
  template: T,
  tensors: Readonly<Record<string, Leaf>>,
): MappedTree<T, Leaf> {
  const { leaves, paths, structure } = flattenTree<Tensor>(template);
  checkObject("restore a tree", tensors, "the second argument", "an object of tensors by name");
  for (const [name, tensor] of Object.entries(tensors)) {
    if (!isTensor(tensor)) throw wrongKind("restore a tree", tensor, quoted(name), "a tensor");
  }
  const expected = new Map(leaves.map((leaf, index) => [nameOf(paths[index]), leaf]));
  const given = new Map(Object.entries(tensors));
  const difference = differences(expected, given);
  if (difference !== undefined) {
    throw new TypeError(`Cannot restore the tree from these tensors: ${difference}`);
  }
  return unflattenTree(structure, paths.map((path) => given.get(nameOf(path))));
}
