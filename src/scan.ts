/**
 * The combinator: folds a cell over a sequence. This file defines what `scan` computes; operations/scan.ts
 * differentiates it, the passes make it fast, and the backends run it as kernels.
 *
 * A cell is a pure function `(state, input) => [output, state]`. State, input and output are trees: a tensor,
 * or arrays and objects of tensors to any depth. Parameters are closed over.
 */
import { checkFunction } from "./describe.ts";
import { unknownName } from "./known_names.ts";
import { checkOptions } from "./option_names.ts";
import type { Cell } from "./scan/cell.ts";
import { checkResetState, checkStep, commonLength } from "./scan/checks.ts";
import { maskedCell, maskOf, zerosOfOutput } from "./scan/masking.ts";
import { resetsOf, resettingCell } from "./scan/resets.ts";
import { foldSegments } from "./scan/segments.ts";
import type { Dim } from "./tensor/dims.ts";
import type { Tensor } from "./tensor/tensor.ts";

export type { Cell } from "./scan/cell.ts";

/**
 * How a scan runs over its sequence.
 *
 * @typeParam State The cell's state; needed only for `resetState`.
 */
export interface ScanOptions<State = never> {
  /** From the last step to the first; each output stays at its own step. Default false. */
  readonly reverse?: boolean;
  /**
   * bool `[batch, time]`: where it is false the state does not change. Holes may be anywhere. A cell must
   * treat each row independently: in masked rows it gets placeholder values for both input and state.
   */
  readonly mask?: Tensor;
  /** int32 `[batch]`: how many steps of each row count, starting from the first; 0 is allowed. */
  readonly lengths?: Tensor;
  /**
   * bool `[batch, time]`: where it is true a new sequence begins, as if it were run by itself: the step starts
   * from `resetState`, and nothing from before has an effect, not even NaN and not in the derivative. A masked
   * step resets too. With `reverse`, the state begins anew at the last step of each sequence, the one in front
   * of a reset.
   */
  readonly resets?: Tensor;
  /**
   * The state with which a sequence inside begins, a tree like the initial state; default: the initial state.
   * Give it if the initial state is one that earlier steps led to. Only with `resets`.
   */
  readonly resetState?: State;
  /**
   * The output of a masked step: the previous step's output (zeros at first and after a reset), as in Keras, or
   * zeros.
   */
  readonly maskedOutput?: "previous" | "zero";
  /**
   * Keeps one state per this many steps for the derivative and recomputes the rest: less memory, more work.
   */
  readonly checkpointEvery?: number;
  /** The number of steps; needed only if `inputs` has no tensors. */
  readonly length?: Dim;
}

/**
 * Folds `cell` over a sequence.
 *
 * @param cell The step; traced once, regardless of the length.
 * @param initialState The state before the first step.
 * @param inputs A tree of sequences, batch-major: `[batch, time, ...]`, or `[time]` for scalars. The cell
 *   gets the same tree of steps: `[batch, ...]`, or scalars.
 * @returns The outputs, stacked along time, and the state after the last step. A sequence of length 0 gives
 *   empty outputs and the initial state.
 * @throws TypeError if the state changes its structure, shape or dtype, naming the path and the remedy;
 *   RangeError for an unknown option or sequences of different lengths.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { add, type Cell, scan, type Tensor, tensor, toNested } from "@cellfold/cellfold";
 * const runningSum: Cell<Tensor, Tensor, Tensor> = (total, x) => {
 *   const next = add(total, x);
 *   return [next, next];
 * };
 * const sequence = tensor([[1, 2, 3, 4]]); // [batch, time]
 * const [outputs, last] = scan(runningSum, tensor([0]), sequence);
 * assertEquals(toNested(outputs), [[1, 3, 6, 10]]);
 * assertEquals(toNested(last), [10]);
 *
 * // Two sequences packed into one row: the second begins at its third step.
 * const resets = tensor([[false, false, true, false]]);
 * const [sums] = scan(runningSum, tensor([0]), sequence, { resets });
 * assertEquals(toNested(sums), [[1, 3, 3, 7]]);
 * ```
 */
export function scan<State, Input, Output>(
  cell: Cell<State, Input, Output>,
  initialState: State,
  inputs: Input,
  options: ScanOptions<NoInfer<State>> = {},
): [outputs: Output, finalState: State] {
  const [outputs, final] = scanOn(cell, { state: initialState }, inputs, options);
  return [outputs, final.state];
}

/** Where a scan begins or ends. */
export interface ScanState<State, Output> {
  readonly state: State;
  /** The output of masked steps before the first step that counts; default zeros. Only with a mask. */
  readonly output?: Output;
}

/** Like `scan`, but also continues the output of masked steps from where another scan ended. */
export function scanOn<State, Input, Output>(
  cell: Cell<State, Input, Output>,
  { state: initialState, output }: ScanState<State, Output>,
  inputs: Input,
  options: ScanOptions<NoInfer<State>> = {},
): [outputs: Output, final: ScanState<State, Output>] {
  checkFunction("scan", cell, "the cell");
  checkOptions("scan", options, [
    "reverse",
    "mask",
    "lengths",
    "resets",
    "resetState",
    "maskedOutput",
    "checkpointEvery",
    "length",
  ]);
  const { reverse = false, maskedOutput = "previous", checkpointEvery } = options;
  if (maskedOutput !== "previous" && maskedOutput !== "zero") {
    throw unknownName("maskedOutput", maskedOutput, ["previous", "zero"]);
  }
  const length = commonLength(inputs, options.length);
  const checked: typeof cell = (state, input) => checkStep(cell(state, input), initialState);
  const mask = maskOf(options, inputs, length);
  const resets = resetsOf(options, inputs, length);
  const first = resetStateOf(options, initialState);
  const run = <S, I>(cell: Cell<S, I, Output>, initial: S, first: S, inputs: I): [Output, S] => {
    const how = { length, reverse, checkpointEvery };
    if (resets === undefined) return foldSegments(cell, initial, inputs, how);
    return foldSegments(resettingCell(cell, first), initial, { input: inputs, reset: resets }, how);
  };
  if (mask) {
    const blank = maskedOutput === "previous" ? zerosOfOutput(checked, initialState, inputs) : undefined;
    const [outputs, final] = run(
      maskedCell(checked),
      { state: initialState, previous: blank && (output ?? blank) },
      { state: first, previous: blank },
      { input: inputs, mask },
    );
    return [outputs, { state: final.state, output: final.previous }];
  }
  const [outputs, state] = run(checked, initialState, first, inputs);
  return [outputs, { state, output }];
}

/** The state with which a sequence begins after a reset, checked. */
function resetStateOf<State>({ resets, resetState }: ScanOptions<State>, initialState: State): State {
  if (resetState === undefined) return initialState;
  if (resets === undefined) {
    throw new TypeError("Cannot scan with a resetState: no resets are given, expected them too or neither");
  }
  checkResetState(resetState, initialState);
  return resetState;
}
