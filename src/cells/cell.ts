/**
 * What a recurrent cell is to a layer: it makes its parameters and initial state, and the step itself. The
 * step is a plain `Cell`, a pure function that closes over the parameters; nothing here knows about
 * sequences.
 */
import type { Cell } from "../scan/cell.ts";
import type { Json } from "../options/json.ts";
import type { Spec, Tensor } from "../tensor/tensor.ts";
import type { MappedTree, Tree } from "../tree/tree.ts";

/** The context of the call that `step` is made for. */
export interface CellContext {
  /** Training: dropout acts. */
  readonly training: boolean;
  /** The random key of this call, if there is one. */
  readonly key?: Tensor;
  /** Specs of one step's input: `[batch, ...]`. */
  readonly input: Tree<Spec>;
}

/** The state of an LSTM cell: its output and its memory. */
export type LstmState = readonly [h: Tensor, c: Tensor];

/**
 * A cell whose parameters are still to be made. It is plain data and pure functions, so a custom cell is an
 * object with these members: nothing to inherit, nothing to register. A copy of a built-in cell with other
 * data, such as options, is refused with a TypeError where it is used, unless it has its own `step`.
 *
 * @typeParam Params The tree of its parameters; any tree by default.
 * @typeParam State The tree of its state.
 * @typeParam Input The tree that one step takes.
 * @typeParam Output The tree that one step returns.
 */
export interface RecurrentCell<
  Params = Tree<Tensor>,
  State = Tree<Tensor>,
  Input = Tree<Tensor>,
  Output = Tree<Tensor>,
> {
  /** The kind, such as `lstmCell`; a model's JSON refers to the cell by this name. */
  readonly type: string;
  /** The full options, as they are saved. */
  readonly options: { readonly [key: string]: Json };
  /** Fresh parameters (host tensors) for inputs of these specs, one step: `[batch, ...]`. */
  initParams(key: Tensor, input: MappedTree<Input, Spec>): Params;
  /**
   * The state before the first step, usually zeros of `[batch, ...]`; traceable, as the batch may be
   * symbolic.
   */
  initState(params: Params, input: MappedTree<Input, Spec>): State;
  /**
   * Why inputs of these specs (one step) do not fit the cell or these parameters; undefined if they fit. The
   * surrounding layer adds its own name and the input to the message. If absent, the cell accepts whatever
   * its step accepts.
   */
  refuses?(input: MappedTree<Input, Spec>, params?: Params): string | undefined;
  /**
   * The step for these parameters. Called once per call, outside the scan: what is drawn here (a dropout
   * mask) is the same at every step.
   */
  step(params: Params, context: CellContext): Cell<State, Input, Output>;
  /** What the weights add to the loss, a float scalar, as of a layer; absent or undefined: nothing. */
  penalty?(params: Params): Tensor | undefined;
  /** What the params are replaced by after each update, as of a layer; absent: they stay as they are. */
  constrain?(params: Params): Params;
}

/** A cell with any parameters, state, input and output. */
// deno-lint-ignore no-explicit-any -- a cell of interfaces is no cell of `Tree`, which asks for index signatures
export type AnyCell = RecurrentCell<any, any, any, any>;
