/** The masks that a prediction takes after its input: which tensors they are for, and that they do something. */
import type { Mask } from "../../src/layers/layer.ts";
import { masksOfLeaves } from "../../src/layers/masks.ts";
import type { Program } from "../../src/program/types.ts";
import { sameShape } from "../../src/tensor/dims.ts";
import { printSpec, type Spec } from "../../src/tensor/tensor.ts";
import { flattenTree, type Path, printPath, type Tree } from "../../src/tree/tree.ts";

/** @throws TypeError unless every mask is bool and has the first axes of the tensors that it is for. */
export function checkMask(input: Tree<Spec>, mask: Tree<Spec>): void {
  const { leaves, paths } = flattenTree<Spec>(mask, "mask");
  if (leaves.length === 0) {
    throw new TypeError(
      "Cannot export a model: mask has no tensors, expected the specs of masks; leave it out if every step counts",
    );
  }
  const masked = flattenTree<Spec>(input).leaves;
  const masks = masksOfLeaves(input, mask as Mask); // specs stand for masks
  leaves.forEach((leaf, index) => {
    const own = masked.filter((_, at) => masks[at] === leaf);
    if (leaf.dtype === "bool" && own.length > 0 && own.every((tensor) => beginsWith(tensor, leaf))) return;
    const wanted = own.length > 0 ? own : masked;
    throw new TypeError(
      `Cannot export a model: ${printPath(paths[index], "mask")} is ${
        printSpec(leaf)
      }, expected bool with the ` +
        `first axes of ${wanted.map(printSpec).join(" or ")}, at its place in the input; ` +
        'give spec([null, null], "bool") for a sequence of spec([null, null, 28])',
    );
  });
}

/** Whether the axes of a mask are the first ones of a tensor. */
function beginsWith({ shape }: Spec, mask: Spec): boolean {
  const rank = mask.shape.length;
  return rank > 0 && rank <= shape.length && sameShape(shape.slice(0, rank), mask.shape);
}

/**
 * @param paths Those of what is given, which are the last inputs of the Program.
 * @throws TypeError for a mask that no equation reads.
 */
export function checkMasksAreRead({ inputs, equations }: Program, paths: readonly Path[]): void {
  const given = inputs.slice(inputs.length - paths.length);
  paths.forEach((path, index) => {
    if (path[0] !== "mask" || equations.some(({ inputs }) => inputs.includes(given[index]))) return;
    throw new TypeError(
      `Cannot export a model: nothing in it reads ${
        printPath(path)
      }, so that it would compute the same for ` +
        "every mask; leave it out",
    );
  });
}
