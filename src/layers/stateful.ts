/**
 * State over calls: a stateful recurrent layer's state is `{ carry }`, the state of its cell after the last call;
 * every other state (batch-norm statistics) has no such key. That is all that resetting and streaming need to know.
 */
import type { Spec, Tensor } from "../tensor/tensor.ts";
import { isLeaf } from "../tensor/tensor.ts";
import type { Tree } from "../tree/tree.ts";
import type { Layer, Variables } from "./layer.ts";

/** The state of a stateful recurrent layer. */
export interface CarryState {
  /** The state of its cell: what the next call begins with. */
  readonly carry: Tree<Tensor>;
}

/** Whether a part of a layer's state is a stateful carry. */
export function isCarryState(state: Tree<Tensor>): state is { readonly carry: Tree<Tensor> } {
  return !Array.isArray(state) && !isLeaf(state) && Object.keys(state).length === 1 && "carry" in state;
}

/**
 * The layer with every recurrent layer in it stateful; a layer without any is returned as it is.
 *
 * @throws TypeError where the layer cannot be fed in chunks.
 */
export function statefulLayer(layer: Layer): Layer {
  return layer.withStateful?.() ?? layer;
}

/**
 * The state of `layer` with fresh carries and everything else (batch-norm statistics) as it is: Keras's
 * `reset_states`.
 *
 * @param variables The params and the present state; the state may also be that of the layer before it was made
 *   stateful.
 * @param input Specs of the input; the batch must be fixed where a layer is stateful.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { key, lstm, resetStates, spec, treeLeaves } from "@cellfold/cellfold";
 * const layer = lstm({ units: 4, stateful: true });
 * const input = spec([2, null, 3]);
 * const params = layer.initParams(key(0), input);
 * const state = resetStates(layer, { params, state: layer.initState(params, input) }, input);
 * assertEquals(treeLeaves(state).length, 2); // h and c
 * ```
 */
export function resetStates(layer: Layer, variables: Variables, input: Tree<Spec>): Tree<Tensor> {
  return keepOthers(layer.initState(variables.params, input), variables.state);
}

/** The fresh state, with what is no carry taken from the present one. */
function keepOthers(fresh: Tree<Tensor>, present: Tree<Tensor> | undefined): Tree<Tensor> {
  if (present === undefined || isCarryState(fresh)) return fresh;
  if (isLeaf(fresh)) return present;
  if (Array.isArray(fresh)) return fresh.map((part, index) => keepOthers(part, childOf(present, index)));
  return Object.fromEntries(
    Object.entries(fresh).map(([key, part]) => [key, keepOthers(part, childOf(present, key))]),
  );
}

function childOf(tree: Tree<Tensor>, key: string | number): Tree<Tensor> | undefined {
  if (isLeaf(tree)) return undefined;
  const children = tree as { readonly [key: string]: Tree<Tensor> }; // an index is a key of an array
  return Object.hasOwn(children, key) ? children[key] : undefined;
}
