/**
 * What a layer is: plain data with three pure functions that read it. A model is a composition of layers, and
 * so just a layer. Parameters are trained; state (batch-norm statistics, a stateful carry) is not, and goes
 * in and out of `apply`.
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

/** The context of a call, besides the layer's variables and input. */
export interface ApplyContext {
  /** Training: dropout acts, batch norm uses the batch's statistics. */
  readonly training: boolean;
  /** The random key of this call; a layer that draws random numbers (dropout) needs it while training. */
  readonly key?: Tensor;
  /**
   * Which steps of the input count, bool `[batch, time]`; for an input of several tensors, a tree of masks.
   */
  readonly mask?: Mask;
  /**
   * The layer, or a container around it, is not trainable: batch norm keeps its moving statistics, as in
   * Keras.
   */
  readonly frozen?: boolean;
  /** The initial state of a recurrent layer, instead of zeros. */
  readonly initialState?: Tree<Tensor>;
  /**
   * Where new sequences begin inside the input of a recurrent layer, bool `[batch, time]`: such a step starts
   * from the cell's own first state, zeros, not from `initialState`, which belongs to the first sequence of a
   * row. Only recurrent layers and `bidirectional` take it; the library's other layers refuse it.
   */
  readonly resets?: Tensor;
  /**
   * Each row of the batch is a step of a surrounding sequence, as in `timeDistributed`. If the layer removes
   * the time axis, its mask is reduced to the rows, bool `[batch]`: a row counts if anything in it did.
   */
  readonly rowsAreSteps?: boolean;
}

/** A mask per input tensor; undefined if every step counts. */
export type Mask = Tensor | undefined | readonly Mask[] | { readonly [key: string]: Mask };

/** The result of `apply`. */
export interface Applied<Output = Tree<Tensor>> {
  /** What it computes. */
  readonly output: Output;
  /** The state after the call, with the structure of the given state. */
  readonly state: Tree<Tensor>;
  /** Which steps of the output count. */
  readonly mask?: Mask;
  /**
   * What is added to the loss for this call, a float scalar, such as the penalty of an `activityRegularizer`;
   * undefined if nothing is.
   */
  readonly penalty?: Tensor | undefined;
}

/**
 * A layer: plain data and pure functions.
 *
 * In a copy of one of the library's layers, `{ ...layer, name: "encoder", trainable: false }`, the name and
 * `trainable` take effect. A copy with other options, another type or other layers inside is refused with a
 * TypeError where it is used.
 *
 * @typeParam Output What it computes: `Layer<Tensor>` gives one tensor. A layer whose output is not known by
 *   its type, such as one that was read from a file, is a `Layer` of any tree.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { gru, init, key, type Layer, spec, type Tensor, zeros } from "@cellfold/cellfold";
 * const layer: Layer<readonly [output: Tensor, state: Tensor]> = gru({ units: 4, returnState: true });
 * const variables = init(layer, key(0), spec([null, null, 3]));
 * const { output: [output, state] } = layer.apply(variables, zeros([2, 5, 3]), { training: false });
 * assertEquals([output.shape, state.shape], [[2, 4], [2, 4]]);
 * ```
 */
export interface Layer<Output = Tree<Tensor>> {
  /** The kind, such as `lstm`; it names the layer in summaries, errors and JSON. */
  readonly type: string;
  /** The name given by the user, if any. */
  readonly name?: string;
  /** The full options, as they are saved. */
  readonly options: { readonly [key: string]: Json };
  /** Whether training changes the parameters; if not, those of the layers inside are frozen too. */
  readonly trainable: boolean;
  /** The layers inside a container, in order. */
  readonly layers?: readonly Layer[];
  /** Fresh parameters (host tensors) for inputs of these specs. */
  initParams(key: Tensor, input: Tree<Spec>): Tree<Tensor>;
  /** Fresh state for inputs of these specs, and of their masks, if there are any. */
  initState(params: Tree<Tensor>, input: Tree<Spec>, mask?: Mask): Tree<Tensor>;
  /** The computation: pure, traceable. */
  apply(variables: Variables, input: Tree<Tensor>, context: ApplyContext): Applied<Output>;
  /** Per leaf of `params`, in order, whether training changes it. */
  trainableLeaves(params: Tree<Tensor>): boolean[];
  /**
   * Checks values that cannot be checked inside a trace (tokens within the vocabulary), on the host; called
   * by fit, evaluate and predict before anything runs. Containers call it for the layers that their input
   * reaches.
   *
   * @returns The output, if it is the input in another shape, for the following layers to check; nothing if
   *   the layer computes.
   * @throws RangeError naming the first wrong value and where it is.
   */
  checkInput?(input: Tree<HostTensor>): Tree<HostTensor> | void;
  /**
   * Per tensor of the input, in order, whether it is a sequence `[batch, time, ...]`, which is fed in chunks,
   * rather than the same in every call; absent: all are.
   */
  readonly sequenceInputs?: readonly boolean[];
  /** The names that its inputs were given, by their order in the tree; undefined for one without a name. */
  readonly inputNames?: readonly (string | undefined)[];
  /** The batch size that its inputs are declared with, if it is fixed; absent: any. */
  readonly batch?: number;
  /**
   * Whether it may need the number of samples in a batch to compute shapes; steps are compiled for each size of the batch
   * then, where they cannot be for any.
   */
  readonly batchAsNumber?: boolean;
  /**
   * Why data cannot be cut into batches along its first axis, and what to do instead; undefined, or absent: it can.
   */
  unbatched?(): string | undefined;
  /**
   * The same layer with every recurrent layer in it stateful, for streaming; params keep their structure.
   * Absent if there is no recurrent layer inside. A container calls `statefulLayer` on its children. A custom
   * layer with this member promises that its outputs, as far as they depend on its state, are the same for
   * chunks as for whole sequences; the rest is checked. What it carries from call to call is its state
   * `{ carry }`.
   *
   * @throws TypeError if the layer cannot be fed in chunks, such as one that reads its sequence backwards.
   */
  withStateful?(): Layer<Output>;
  /**
   * What the weights add to the loss, a float scalar: the penalties of regularizers. Pure, traceable. It is not
   * asked for if the layer is not trainable; a container leaves out the layers in it that are not. Absent or
   * undefined: nothing.
   */
  penalty?(params: Tree<Tensor>): Tensor | undefined;
  /**
   * What the params are replaced by after each update, of the same structure, shapes and dtypes: as its
   * constraints say. Pure, traceable; not used for a layer that is not trainable. Absent: they stay as they are.
   */
  constrain?(params: Tree<Tensor>): Tree<Tensor>;
}
