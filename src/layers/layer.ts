/**
 * What a layer is: plain data with three pure functions, which read it. A model is layers composed, and so just a layer.
 * Parameters are trained; state (batch-norm statistics, a stateful carry) is not, and goes in and out of `apply`.
 */
import type { Json } from "../options/json.ts";
import type { HostTensor, Spec, Tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tree/tree.ts";

/** Everything that a layer remembers: what is trained and what is not. */
export interface Variables<Params = Tree<Tensor>, State = Tree<Tensor>> {
  /** Trained, unless the layer is frozen. */
  readonly params: Params;
  /** Changed by calls, not by gradients. */
  readonly state: State;
}

/** What a call tells a layer beside its variables and input. */
export interface ApplyContext {
  /** Training: dropout acts, batch norm uses the batch's statistics. */
  readonly training: boolean;
  /** The random key of this call; a layer that draws (dropout) needs it while training. */
  readonly key?: Tensor;
  /** Which steps of the input count, bool `[batch, time]`; for an input of several tensors, a tree of masks. */
  readonly mask?: Mask;
  /** The layer, or a container that it belongs to, is not trainable: batch norm keeps its moving statistics, as in Keras. */
  readonly frozen?: boolean;
  /** The state a recurrent layer begins with instead of zeros. */
  readonly initialState?: Tree<Tensor>;
  /**
   * Each row of the batch is a step of a sequence around the layer, as in `timeDistributed`: where the layer ends the
   * axis of time, its mask becomes that of the rows, bool `[batch]`, of which those count in which anything did.
   */
  readonly rowsAreSteps?: boolean;
}

/** A mask per input tensor; undefined where every step counts. */
export type Mask = Tensor | undefined | readonly Mask[] | { readonly [key: string]: Mask };

/** What `apply` gives. */
export interface Applied<Output = Tree<Tensor>> {
  /** What it computes. */
  readonly output: Output;
  /** The state after the call, of the structure of the one given. */
  readonly state: Tree<Tensor>;
  /** Which steps of the output count. */
  readonly mask?: Mask;
}

/**
 * A layer: plain data and pure functions.
 *
 * In a copy of one that the library made, `{ ...layer, name: "encoder", trainable: false }`, the name and `trainable`
 * act. With other options, another type or other layers inside, a copy is refused with a TypeError where it is used.
 */
export interface Layer {
  /** The kind, such as `lstm`; it names the layer in summaries, errors and JSON. */
  readonly type: string;
  /** The name given by the user, if any. */
  readonly name?: string;
  /** The options in full, as they are saved. */
  readonly options: { readonly [key: string]: Json };
  /** Whether training changes the parameters; where not, neither those of the layers inside. */
  readonly trainable: boolean;
  /** The layers inside, in order, of a container. */
  readonly layers?: readonly Layer[];
  /** Fresh parameters (host tensors) for inputs of these specs. */
  initParams(key: Tensor, input: Tree<Spec>): Tree<Tensor>;
  /** Fresh state for inputs of these specs, and of their masks, where there are any. */
  initState(params: Tree<Tensor>, input: Tree<Spec>, mask?: Mask): Tree<Tensor>;
  /** The computation: pure, traceable. */
  apply(variables: Variables, input: Tree<Tensor>, context: ApplyContext): Applied;
  /** Per leaf of `params`, in order, whether training changes it. */
  trainableLeaves(params: Tree<Tensor>): boolean[];
  /**
   * Checks of values that cannot be made inside a trace (tokens within the vocabulary), on the host, called by fit,
   * evaluate and predict before anything runs. Containers hand it on to the layers that their input reaches.
   *
   * @returns The output, where it is the input in another shape, for the layers after this one to check; nothing
   *   where the layer computes.
   * @throws RangeError naming the first wrong value and where it is.
   */
  checkInput?(input: Tree<HostTensor>): Tree<HostTensor> | void;
  /**
   * Per tensor of its input, in order, whether it is a sequence `[batch, time, ...]`, which is fed in chunks, and not
   * the same in every call; absent: all are.
   */
  readonly sequenceInputs?: readonly boolean[];
  /** The batch that its inputs are declared with, where it is fixed; absent: any. */
  readonly batch?: number;
  /**
   * The same layer with every recurrent layer in it stateful, for streaming; params keep their structure. Absent
   * where there is none inside. A container calls `statefulLayer` on its children. A layer of your own that has this
   * promises that its outputs, as far as they depend on its state, are for chunks what they are for whole sequences;
   * of what does not depend on it, that is checked. What it carries from call to call is its state `{ carry }`.
   *
   * @throws TypeError where the layer cannot be fed in chunks, such as one that reads its sequence backwards.
   */
  withStateful?(): Layer;
}
