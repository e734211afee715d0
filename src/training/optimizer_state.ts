/** Checks of an optimizer's state before anything runs: that it counts updates, and can be continued from. */
import { isLeaf, printSpec, type Spec } from "../tensor/tensor.ts";
import { checkSameStructure, flattenTree, printPath, type Tree } from "../tree/tree.ts";
import type { Optimizer, OptimizerState } from "./optimizers.ts";

/**
 * Throws unless `given` has the structure, shapes and dtypes of the states of an optimizer.
 *
 * @param expected Specs of the result of the optimizer's `init` for the trained params.
 * @throws TypeError naming the place in `optimizerState`, and the remedy.
 */
export function checkOptimizerState(optimizer: Optimizer, expected: Tree<Spec>, given: OptimizerState): void {
  const remedy =
    "it is of another model or optimizer, or other layers are trainable now; leave optimizerState " +
    "out to begin with a fresh one";
  const place = `the state of ${optimizer.type} for the params that are trained`;
  checkSameStructure(given, expected, {
    first: "the optimizerState that was given",
    second: place,
    root: "optimizerState",
    remedy,
  });
  const { leaves, paths } = flattenTree<Spec>(expected);
  flattenTree<Spec>(given).leaves.forEach((leaf, index) => {
    const [found, wanted] = [printSpec(leaf), printSpec(leaves[index])];
    if (found === wanted) return;
    throw new TypeError(
      `Cannot go on with ${
        printPath(paths[index], "optimizerState")
      }: current value is ${found}, ${place} has ` +
        `${wanted} there; ${remedy}`,
    );
  });
}

/**
 * The state of an optimizer, or its specs, after checking that it counts updates; the optimizer may be
 * custom.
 *
 * @param from The optimizer function that returned it.
 * @throws TypeError if it does not.
 */
export function checkCounted<State extends Tree<Spec>>(
  optimizer: Optimizer,
  state: State,
  from: "init" | "update" = "init",
): State {
  const step: unknown = isLeaf(state) || Array.isArray(state) ? undefined : Reflect.get(state, "step");
  if (isLeaf(step) && step.dtype === "int32" && step.shape.length === 0) return state;
  throw uncounted(optimizer, `that of ${from} is ${isLeaf(step) ? printSpec(step) : "missing"}`);
}

/** The error for an optimizer whose state does not say how many updates were made. */
export function uncounted({ type }: Optimizer, found: string): TypeError {
  return new TypeError(
    `Cannot train with the optimizer ${type}: dropout and the order of samples draw by the step in its state, and ` +
      `${found}, expected an int32 scalar that init makes 0 and each update adds 1 to`,
  );
}
