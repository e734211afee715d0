/**
 * State across calls: a stateful recurrent layer's state is `{ carry }`, the state of its cell after the last
 * call, and in a stream also `output`, for masked steps; every other state (batch-norm statistics) has no
 * such keys. Resetting and streaming rely on this alone.
 */
import { describeValue, isObject } from "../describe.ts";
import { substitute } from "../options/made.ts";
import { checkLayer, checkVariables } from "./checks.ts";
import { checkFilled } from "../tensor/filled.ts";
import { isLeaf, isTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { promiseSteps } from "../transforms/streamed_steps.ts";
import { flattenTree, mapTree, type Path, printPath, type Tree, treeLeaves } from "../tree/tree.ts";
import type { ApplyContext, Layer, Variables } from "./layer.ts";

/** The state of a stateful recurrent layer. */
export interface CarryState {
  /** The state of its cell: where the next call starts. */
  readonly carry: Tree<Tensor>;
  /**
   * Its last output, which a masked step at the start of the next chunk repeats. Only in streams with masks.
   */
  readonly output?: Tree<Tensor>;
}

/** Whether a part of a layer's state is a stateful carry. */
export function isCarryState(state: Tree<Tensor>): state is { readonly carry: Tree<Tensor> } {
  if (!isObject(state) || isLeaf(state) || !("carry" in state)) return false;
  return Object.keys(state).every((key) => key === "carry" || key === "output");
}

/**
 * The layer with every recurrent layer in it stateful; a layer without any is returned unchanged. A custom
 * layer that can be made stateful promises correct handling of its state; the library's own layers are proven
 * correct.
 *
 * @throws TypeError if the layer cannot be fed in chunks.
 */
export function statefulLayer<Output>(layer: Layer<Output>): Layer<Output> {
  checkLayer("make stateful", layer);
  const stateful = layer.withStateful?.();
  if (stateful === undefined) return layer;
  if ("withFlags" in stateful || "walk" in stateful) return stateful; // a recurrent layer or a container
  return {
    ...stateful,
    apply: substitute((variables: Variables, input: Tree<Tensor>, context: ApplyContext) => {
      const applied = stateful.apply(variables, input, context);
      promiseSteps(treeLeaves<Tensor>(applied.output), treeLeaves<Tensor>(input));
      return applied;
    }),
  };
}

/**
 * The state of `layer` with fresh carries and everything else (batch-norm statistics) unchanged: Keras's
 * `reset_states`.
 *
 * @param variables The params and the present state; the state may also be that of the layer before it was
 *   made stateful.
 * @param input Specs of the input; the batch must be fixed if a layer is stateful.
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
  checkLayer("reset states", layer);
  checkVariables("reset states", variables);
  flattenTree(input, "input"); // throws for anything that is not a tree
  return keepOthers(layer.initState(variables.params, input), variables.state);
}

/**
 * The initial state of a stream: that of `variables`, if it has carries, else a fresh one.
 *
 * @param input Specs of the input, with a fixed batch.
 * @throws TypeError if the state has another structure, batch or dtype, naming the place and both specs.
 */
export function firstState(layer: Layer, { params, state }: Variables, input: Tree<Spec>): Tree<Tensor> {
  return begun(layer.initState(params, input), state, ["state"]);
}

/**
 * A copy of a state that a stream is given, whatever its structure.
 *
 * @throws TypeError if it is no tree of tensors, or if a part is on a device.
 */
export function checkedState(state: Tree<Tensor>): Tree<Tensor> {
  flattenTree(state, "state"); // throws for anything that is not a tree
  return mapTree(state, (leaf: Tensor, path): Tensor => {
    if (leaf.kind === "host") return { ...leaf, data: leaf.data.slice() };
    throw new TypeError(
      `Cannot set the state of a stream: ${
        printPath(path, "state")
      } is not on the host; give await toHost(state)`,
    );
  });
}

function begun(fresh: Tree<Tensor>, present: Tree<Tensor> | undefined, path: Path): Tree<Tensor> {
  const refused = (found: string, expected: string) => refusal(path, found, expected);
  if (isLeaf(fresh)) {
    if (present === undefined || !isTensor(present) || printSpec(fresh) !== printSpec(present)) {
      const isSpec = present !== undefined && isLeaf(present) && !isTensor(present);
      throw refused(isSpec ? describeValue(present) : described(present), printSpec(fresh));
    }
    if (present.kind === "host") checkFilled(present, () => path.join("."));
    return present;
  }
  const isEmpty = present === undefined || !isLeaf(present) && Object.keys(present).length === 0;
  if (isCarryState(fresh)) {
    if (isEmpty) return fresh;
    if (!isCarryState(present)) throw refused(described(present), "{carry}, or nothing yet: []");
    const carried: CarryState = present;
    return Object.fromEntries(
      Object.entries(fresh).map(([key, part]) => {
        // A stateful layer outside a stream has no output of the previous step.
        if (key === "output" && carried.output === undefined) return [key, part];
        return [key, begun(part, childOf(present, key), [...path, key])];
      }),
    );
  }
  const keys = Object.keys(fresh);
  const extra = isEmpty
    ? undefined
    : isLeaf(present) || Object.keys(present).find((key) => !keys.includes(key));
  if (extra !== undefined || !isEmpty && Array.isArray(fresh) !== Array.isArray(present)) {
    throw refused(described(present), described(fresh));
  }
  const child = (key: string, part: Tree<Tensor>) => {
    const own = isEmpty ? undefined : childOf(present, key);
    // Where there is nothing yet everything is absent; a part of a state that has others is not.
    if (own === undefined && !isEmpty && !isLeaf(part) && treeLeaves(part).length > 0) {
      throw refusal([...path, key], described(own), described(part));
    }
    return begun(part, own, [...path, key]);
  };
  return Array.isArray(fresh)
    ? fresh.map((part, index) => child(String(index), part))
    : Object.fromEntries(Object.entries(fresh).map(([key, part]) => [key, child(key, part)]));
}

function refusal(path: Path, found: string, expected: string): TypeError {
  return new TypeError(
    `Cannot begin a stream with ${path.join(".")}: current value is ${found}, expected ${expected}; ` +
      `give a state that a stream of this model with the same batch had, or begin anew with resetStates(model, variables, input)`,
  );
}

/** A part of a state, for errors. */
function described(state: Tree<Tensor> | undefined): string {
  if (state === undefined) return "missing";
  if (isLeaf(state)) return printSpec(state);
  return Array.isArray(state) ? `an array of ${state.length}` : `{${Object.keys(state).join(", ")}}`;
}

/** The fresh state, with everything but carries taken from the present one. */
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
