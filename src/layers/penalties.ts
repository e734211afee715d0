/**
 * What layers add to the loss, and what becomes of their params after an update: regularizers and constraints,
 * from the layer that has them up to the model.
 */
import { describeValue, isObject, wrongKind } from "../describe.ts";
import { div, select } from "../operations/elementwise.ts";
import { isFloat } from "../operations/infer.ts";
import { sizeAsTensor } from "../operations/reduction.ts";
import type { Regularizer } from "../options/regularizers.ts";
import { sumOf } from "../options/weight_rules.ts";
import { sameShape } from "../tensor/dims.ts";
import { isTensor, printSpec, type Tensor, tensor } from "../tensor/tensor.ts";
import { checkSameStructure, flattenTree, printPath, type Tree, treeLeaves } from "../tree/tree.ts";
import { checkLayer } from "./checks.ts";
import type { Applied, Layer } from "./layer.ts";
import { masksOfLeaves } from "./masks.ts";
import { widenedMask } from "./sequence.ts";

/** What a layer's apply gives, with the penalty of its output added. */
export function withActivityPenalty<Output extends Tree<Tensor>>(
  layer: string,
  regularizer: Regularizer,
  applied: Applied<Output>,
): Applied<Output> {
  const { output, mask } = applied;
  const masks = masksOfLeaves(output, mask);
  const penalties = treeLeaves<Tensor>(output).map((x, index) =>
    outputPenalty(layer, regularizer, x, masks[index])
  );
  return { ...applied, penalty: sumOf([applied.penalty, ...penalties]) };
}

/**
 * The penalty of a tensor `[batch, ...]` per sample. What does not count is 0 for the regularizer, so that it
 * has no derivative either.
 */
export function outputPenalty(
  layer: string,
  regularizer: Regularizer,
  x: Tensor,
  mask: Tensor | undefined,
): Tensor {
  if (!isFloat(x)) {
    throw new TypeError(
      `Cannot use the activityRegularizer of ${layer} with its output ${printSpec(x)}: only floats have a ` +
        `penalty; leave it out`,
    );
  }
  const counted = mask && mask.shape.length <= x.shape.length ? select(widenedMask(mask, x), x, 0) : x;
  const penalty = regularizer(counted);
  return x.shape.length === 0 ? penalty : div(penalty, sizeAsTensor(x.shape[0], penalty.dtype));
}

/** A penalty that a layer gives, if it is a float scalar; throws a TypeError for anything else. */
export function checkedPenalty(
  { type, name = type }: Pick<Layer, "type" | "name">,
  penalty: Tensor | undefined,
): Tensor | undefined {
  const given: unknown = penalty; // of any layer of the user's
  if (given === undefined || isTensor(given) && isFloat(given) && given.shape.length === 0) return penalty;
  throw new TypeError(
    `Cannot add the penalty of ${name} to the loss: it is ${
      isTensor(given) ? printSpec(given) : describeValue(given)
    }, expected a float scalar, as a sum over all axes is`,
  );
}

/** The penalty of a layer's weights; undefined if there is none, as for a layer that is not trainable. */
export function weightPenalty(layer: Layer, params: Tree<Tensor>): Tensor | undefined {
  return layer.trainable ? checkedPenalty(layer, layer.penalty?.(params)) : undefined;
}

/** The penalty of a layer's weights and of a call; undefined if there is none. */
export function wholePenalty(
  layer: Layer,
  params: Tree<Tensor>,
  { penalty }: Pick<Applied, "penalty">,
): Tensor | undefined {
  return sumOf([checkedPenalty(layer, penalty), weightPenalty(layer, params)]);
}

/**
 * What a model adds to the loss, for training loops of your own: the penalties of the regularizers of its
 * weights, and of its outputs if the result of a call is given. `fit` and `evaluate` add the same. As in Keras,
 * weights of a layer that is not trainable have no penalty, outputs have one whatever the layer is.
 *
 * @param params The params of the model.
 * @param applied What `apply` gave; default: without the outputs.
 * @returns A float scalar, 0 if there are no regularizers. Traceable.
 * @throws TypeError if `applied` is an output alone, or the penalty of a layer of your own is no float scalar.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { add, computeLoss, dense, item, meanSquaredError, penaltyOf, tensor } from "@cellfold/cellfold";
 * const model = dense({ units: 1, useBias: false, kernelRegularizer: { l2: 0.5 }, activityRegularizer: "l1" });
 * const params = { kernel: tensor([[2], [0]]) };
 * const applied = model.apply({ params, state: [] }, tensor([[3, 1]]), { training: true });
 * const error = computeLoss(meanSquaredError(), tensor([[5]]), applied.output);
 * const loss = add(error, penaltyOf(model, params, applied)); // 1 + 0.5 · 2² + 0.01 · 6
 * assertEquals(item(loss).toFixed(2), "3.06");
 * ```
 */
export function penaltyOf(layer: Layer, params: Tree<Tensor>, applied?: Pick<Applied, "penalty">): Tensor {
  checkLayer("find a penalty", layer);
  if (applied !== undefined && (isTensor(applied) || !isObject(applied))) {
    throw wrongKind("find a penalty", applied, "the result of the call", "what apply gave, with its output");
  }
  const { leaves } = flattenTree<Tensor>(params, "params");
  const dtype = leaves.find(isFloat)?.dtype ?? "float32";
  return wholePenalty(layer, params, { penalty: applied?.penalty }) ?? tensor(0, { dtype });
}

/**
 * The params with the constraints of a model applied, for training loops of your own: use it after each update,
 * as `fit` does. Params without a constraint, or of a layer that is not trainable, are the same.
 *
 * @param params The params after the update.
 * @returns Params of the same structure. Traceable.
 * @throws TypeError if a layer of your own changes their structure, shapes or dtypes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { constrained, dense, tensor, toNested } from "@cellfold/cellfold";
 * const model = dense({ units: 1, useBias: false, kernelConstraint: "nonNeg" });
 * const params = constrained(model, { kernel: tensor([[2], [-1]]) });
 * assertEquals(toNested(params.kernel), [[2], [0]]);
 * ```
 */
export function constrained<Params extends Tree<Tensor>>(layer: Layer, params: Params): Params {
  checkLayer("constrain params", layer);
  flattenTree(params, "params"); // throws for anything that is not a tree
  if (!layer.trainable || !layer.constrain) return params;
  const next = layer.constrain(params);
  checkConstrained(layer, params, next);
  return next as Params; // of the same structure
}

/** Throws a TypeError unless params have the structure, shapes and dtypes that they had before. */
function checkConstrained({ type, name = type }: Layer, before: Tree<Tensor>, after: Tree<Tensor>): void {
  checkSameStructure(before, after, {
    first: `the params of ${name}`,
    second: "what its constrain gives",
    root: "params",
  });
  const { leaves, paths } = flattenTree<Tensor>(before);
  treeLeaves<Tensor>(after).forEach((next, index) => {
    const given = leaves[index];
    if (next.dtype === given.dtype && sameShape(next.shape, given.shape)) return;
    throw new TypeError(
      `Cannot constrain the params of ${name}: ${printPath(paths[index], "params")} becomes ${
        printSpec(next)
      }, expected ${printSpec(given)}, as it was`,
    );
  });
}
