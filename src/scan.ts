/**
 * The combinator: a cell folded over a sequence. This file says what `scan` means; how it is differentiated is in
 * operations/scan.ts, how it is made fast in passes, how it runs in kernels.
 *
 * A cell is a pure function `(state, input) => [output, state]`. State, input and output are trees: a tensor, or
 * arrays and objects of tensors to any depth. Parameters are closed over.
 */
import { checkFunction } from "./describe.ts";
import { checkOptions, unknownName } from "./nearest.ts";
import type { Cell } from "./scan/cell.ts";
import { checkStep, commonLength } from "./scan/checks.ts";
import { maskedCell, maskOf, zerosOfOutput } from "./scan/masking.ts";
import { foldSegments } from "./scan/segments.ts";
import type { Dim } from "./tensor/dims.ts";
import type { Tensor } from "./tensor/tensor.ts";

export type { Cell } from "./scan/cell.ts";

/** How a scan goes over its sequence. */
export interface ScanOptions {
  /** From the last step to the first; outputs stay with the step that made them. Default false. */
  readonly reverse?: boolean;
  /**
   * bool `[batch, time]`: where it is false the state stays as it is. Any pattern of holes. A cell works on each row by
   * itself: what it is given in a row that does not count, of the input and of the state, are other numbers.
   */
  readonly mask?: Tensor;
  /** int32 `[batch]`: the steps of each row that count, from the first; 0 is allowed. */
  readonly lengths?: Tensor;
  /** What a masked step puts out: the output of the step before (zeros at first), as Keras, or zeros. */
  readonly maskedOutput?: "previous" | "zero";
  /** Keeps one state per this many steps for the derivative and computes the rest again: less memory, more work. */
  readonly checkpointEvery?: number;
  /** The number of steps; needed only where `inputs` has no tensors. */
  readonly length?: Dim;
}

/**
 * Folds `cell` over a sequence.
 *
 * @param cell The step; traced once, whatever the length.
 * @param initialState The state before the first step.
 * @param inputs A tree of sequences, batch-major: `[batch, time, ...]`, or `[time]` for scalars. The cell gets the
 *   same tree of steps: `[batch, ...]`, or scalars.
 * @returns The outputs, each step's stacked along time, and the state after the last step. A sequence of length 0
 *   gives empty outputs and the initial state.
 * @throws TypeError if the state changes its structure, shape or dtype, naming the path and the remedy; RangeError for
 *   an unknown option or a sequence of another length.
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
 * ```
 */
export function scan<State, Input, Output>(
  cell: Cell<State, Input, Output>,
  initialState: State,
  inputs: Input,
  options: ScanOptions = {},
): [outputs: Output, finalState: State] {
  const [outputs, final] = scanOn(cell, { state: initialState }, inputs, options);
  return [outputs, final.state];
}

/** Where a scan begins or ends. */
export interface ScanState<State, Output> {
  readonly state: State;
  /** What a masked step puts out where none counted since; default zeros. Only with a mask. */
  readonly output?: Output;
}

/** The same as `scan`, going on where another scan ended also in what masked steps put out. */
export function scanOn<State, Input, Output>(
  cell: Cell<State, Input, Output>,
  { state: initialState, output }: ScanState<State, Output>,
  inputs: Input,
  options: ScanOptions = {},
): [outputs: Output, final: ScanState<State, Output>] {
  checkFunction("scan", cell, "the cell");
  checkOptions("scan", options, [
    "reverse",
    "mask",
    "lengths",
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
  if (mask) {
    const previous = maskedOutput === "previous"
      ? output ?? zerosOfOutput(checked, initialState, inputs)
      : undefined;
    const [outputs, final] = foldSegments(
      maskedCell(checked),
      { state: initialState, previous },
      { input: inputs, mask },
      { length, reverse, checkpointEvery },
    );
    return [outputs, { state: final.state, output: final.previous }];
  }
  const [outputs, state] = foldSegments(checked, initialState, inputs, { length, reverse, checkpointEvery });
  return [outputs, { state, output }];
}
