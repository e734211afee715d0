/**
 * What a recurrent cell is to a layer: how its parameters and its first state are made, and the step itself. The
 * step is a plain `Cell`, a pure function that closes over the parameters; nothing here knows about sequences.
 */
import type { Cell } from "../scan/cell.ts";
import type { Json } from "../layers/layer.ts";
import type { Spec, Tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tree/tree.ts";

/** What `step` is told about the call it is made for. */
export interface CellContext {
  /** Training: dropout acts. */
  readonly training: boolean;
  /** The random key of this call, where there is one. */
  readonly key?: Tensor;
  /** Specs of one step's input: `[batch, ...]`. */
  readonly input: Tree<Spec>;
}

/**
 * A cell with its parameters still to be made. Plain data and pure functions, so a cell of your own is an object
 * with these members: nothing to inherit, nothing to register.
 */
export interface RecurrentCell {
  /** The kind, such as `lstmCell`; under this name a model's JSON asks for it. */
  readonly type: string;
  /** The options in full, as they are saved. */
  readonly options: { readonly [key: string]: Json };
  /** Fresh parameters (host tensors) for inputs of these specs, one step: `[batch, ...]`. */
  initParams(key: Tensor, input: Tree<Spec>): Tree<Tensor>;
  /** The state before the first step, usually zeros of `[batch, ...]`; traceable, as the batch may be symbolic. */
  initState(params: Tree<Tensor>, input: Tree<Spec>): Tree<Tensor>;
  /**
   * Why inputs of these specs (one step) do not fit the cell, or these parameters; undefined where they do. The layer
   * around the cell says it together with its own name and input. Absent: whatever the step takes.
   */
  refuses?(input: Tree<Spec>, params?: Tree<Tensor>): string | undefined;
  /**
   * The step for these parameters. Called once per call, outside the scan: what is drawn here (a dropout mask) is
   * the same at every step.
   */
  step(params: Tree<Tensor>, context: CellContext): Cell<Tree<Tensor>, Tree<Tensor>, Tree<Tensor>>;
}
