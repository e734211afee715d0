/** What a stream is to its user. */
import type { Tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tree/tree.ts";
import type { StepArrays } from "./step_arrays.ts";

/**
 * A sequence that is fed in chunks. Calls run one after another, in the order in which they were made. When a
 * stream is disposed, earlier calls still complete. Between consecutive calls, timers, sockets and abort
 * signals get a turn about every 50 milliseconds; during a call they get none.
 */
export interface Stream<Output = Tree<Tensor>> extends Disposable {
  /** The output for the next steps, `[batch, steps, ...]` for every tensor in it. */
  push(chunk: Tree<Tensor>): Promise<Output>;
  /** The output for one step, `[batch, ...]`; if the layer returns sequences, that of the step. */
  step(input: Tree<Tensor>): Promise<Output>;
  /**
   * The same at once, from the caller's arrays into the caller's arrays, for code that may not wait: one
   * array, or a tree of them like that of the tensors. Float32Array holds float32, Int32Array int32, Uint8Array
   * bool. On wasm and native it allocates nothing, unless a graph checks the values of its inputs, such as tokens;
   * on `reference` it does. Steps must have been compiled, by `ready` or by a step before it.
   *
   * @throws Error if no step was compiled, if calls are not done, or if the device cannot block (webgpu);
   *   TypeError or RangeError for an array of another type or length.
   */
  step(input: StepArrays, output: StepArrays): void;
  /**
   * Compiles steps, so that the first one is as fast as the others and may be made at once. Needs
   * `options.input` if no step was made.
   */
  ready(): Promise<void>;
  /** The next call starts a new sequence from its first step, even if an initial state was given. */
  reset(): void;
  /**
   * Another stream that goes on from the state after the last completed call. It shares the code and the
   * weights, and has a state of its own; it begins from the first step if nothing was pushed.
   */
  fork(): Stream<Output>;
  /**
   * The layer's state after the last completed call, as a tree of tensors that can be stored; another stream
   * continues here if it gets it as `variables.state`. If it is set, the next call goes on from there; a state of another
   * structure, batch or dtype is refused with a TypeError that names the place.
   */
  state: Tree<Tensor>;
}
