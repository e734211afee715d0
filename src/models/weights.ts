/** All weights of a model by path, and back: for saving, transferring and comparing them. */
import { isObject, wrongKind } from "../describe.ts";
import { checkVariables } from "../layers/checks.ts";
import type { Variables } from "../layers/layer.ts";
import { unknownName } from "../known_names.ts";
import { sameShape } from "../tensor/dims.ts";
import { isTensor, printSpec, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, type Path, unflattenTree } from "../tree/tree.ts";

/** A weight and its path: `params.0.kernel`, `state.1.movingMean`. */
export interface Weight {
  /** Keys and indices from the root, joined by dots. */
  readonly path: string;
  /** Its values, on the host or a device. */
  readonly tensor: Tensor;
}

function printWeightPath(path: Path): string {
  return path.join(".");
}

/**
 * Every weight: params first, then state, each in the order of its tree.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, getWeights, init, key, sequential, spec } from "@cellfold/cellfold";
 * const variables = init(sequential([dense({ units: 2 })]), key(0), spec([null, 3]));
 * assertEquals(getWeights(variables).map(({ path }) => path).join(), "params.0.bias,params.0.kernel");
 * ```
 */
export function getWeights(variables: Variables): Weight[] {
  checkVariables("read the weights", variables);
  const { leaves, paths } = flattenTree<Tensor>(weightTree(variables));
  return leaves.map((tensor, index) => ({ path: printWeightPath(paths[index]), tensor }));
}

function weightTree({ params, state }: Variables): Variables {
  return { params, state };
}

/**
 * The same variables with other weights.
 *
 * @param variables The variables whose weights are replaced; not changed.
 * @param weights All of them in the order of {@linkcode getWeights} (a list of tensors, or its result), or
 *   some by path (an object); weights without an entry are kept.
 * @throws RangeError for an unknown path, with the nearest one, or a list of the wrong length.
 * @throws TypeError for a wrong shape or dtype, naming the path and both.
 */
export function setWeights(
  variables: Variables,
  weights: readonly (Tensor | Weight)[] | { readonly [path: string]: Tensor },
): Variables {
  const present = getWeights(variables);
  if (!Array.isArray(weights) && !isObject(weights) || isTensor(weights)) {
    throw wrongKind("set weights", weights, "the second argument", "a list of tensors, or tensors by path");
  }
  const given = byPath(present, weights);
  const replaced = present.map(({ path, tensor }) => {
    const next = given.get(path);
    if (next === undefined) return tensor;
    if (!isTensor(next)) throw wrongKind(`set the weight ${path}`, next, "what is given", "a tensor");
    if (next.dtype !== tensor.dtype || !sameShape(next.shape, tensor.shape)) {
      throw new TypeError(
        `Cannot set the weight ${path}: current value is ${printSpec(next)}, expected ${printSpec(tensor)}`,
      );
    }
    return next;
  });
  return unflattenTree<Variables>(flattenTree(weightTree(variables)).structure, replaced);
}

type Weights = readonly (Tensor | Weight)[] | { readonly [path: string]: Tensor };

function isList(weights: Weights): weights is readonly (Tensor | Weight)[] {
  return Array.isArray(weights);
}

function byPath(
  present: readonly Weight[],
  weights: Weights,
): ReadonlyMap<string, Tensor> {
  const paths = present.map(({ path }) => path);
  if (isList(weights) && weights.length !== present.length) {
    throw new RangeError(
      `Cannot set weights: ${weights.length} are given, expected ${present.length}: ${paths.join(", ")}`,
    );
  }
  const entries = isList(weights)
    ? weights.map((weight, index): [string, Tensor] =>
      isObject(weight) && "path" in weight ? [weight.path, weight.tensor] : [paths[index], weight]
    )
    : Object.entries(weights);
  for (const [path] of entries) if (!paths.includes(path)) throw unknownName("weight", path, paths);
  return new Map(entries);
}
