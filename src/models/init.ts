/** The initial variables of a layer or model. */
import { checkLayer } from "../layers/checks.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { symbol } from "../tensor/dims.ts";
import { checkKey } from "../tensor/keys.ts";
import { isLeaf, isTensor, printSpec, type Spec, specOf, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, mapTree, printPath, type Tree } from "../tree/tree.ts";

/**
 * Specs of an input given as specs, or as data whose first axis is the samples and becomes the open `batch`.
 */
export function inputSpecs(input: Tree<Spec | Tensor>): Tree<Spec> {
  const { leaves, paths } = flattenTree<Spec>(input, "input");
  leaves.forEach((leaf, index) => {
    if (leaf.shape.length > 0) return;
    throw new TypeError(
      `Cannot use ${printSpec(leaf)} at ${
        printPath(paths[index], "input")
      } as an input: it has no batch axis`,
    );
  });
  return mapTree(
    input,
    (leaf: Spec) =>
      isTensor(leaf) ? { shape: [symbol("batch"), ...leaf.shape.slice(1)], dtype: leaf.dtype } : specOf(leaf),
  );
}

/**
 * Fresh variables: parameters drawn with `key`, then the state for them.
 *
 * @param layer A layer or model.
 * @param key A random key; the same key gives the same weights everywhere.
 * @param input A tree of specs, or of data, whose first axis becomes the open batch. For data of `fit`, pass
 *   the x: `init(model, key, train.x)`, because `{ x, y }` would be the inputs of a model with inputs of
 *   those names. A stateful layer needs a spec with a fixed batch.
 * @throws TypeError if a layer cannot take its input, naming the layer and both shapes.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { dense, init, key, spec } from "@cellfold/cellfold";
 * const { params } = init(dense({ units: 10 }), key(0), spec([null, 64]));
 * assert("kernel" in params);
 * assert("bias" in params);
 * ```
 */
export function init(layer: Layer, key: Tensor, input: Tree<Spec | Tensor>): Variables {
  checkLayer("init", layer);
  checkKey("init", key);
  if (input === undefined) {
    throw new TypeError(
      "Cannot init without an input: expected a spec such as spec([null, 28]) or data, as in init(model, key, x)",
    );
  }
  try {
    const specs = inputSpecs(input);
    const params = layer.initParams(key, specs);
    return { params, state: layer.initState(params, specs) };
  } catch (error) {
    if (error instanceof Error && isDataOfFit(input)) {
      error.message +=
        "; the input has the keys of fit's data, { x, y }: pass its x, as in init(model, key, train.x)";
    }
    throw error;
  }
}

/**
 * Whether this may be meant as data for `fit`; it may also be the input of a model whose inputs are named x
 * and y.
 */
function isDataOfFit(input: Tree<Spec | Tensor>): boolean {
  return !isLeaf(input) && "x" in input && "y" in input &&
    Object.keys(input).every((name) => ["x", "y", "sampleWeight"].includes(name));
}
