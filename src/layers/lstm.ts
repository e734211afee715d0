/** The LSTM layer. */
import { lstmCell, lstmCellOptionNames, type LstmCellOptions } from "../cells/lstm.ts";
import type { LstmState } from "../cells/cell.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type RnnOptions, splitOptions } from "./recurrent_options.ts";
import { type RecurrentLayer, recurrentLayer } from "./rnn.ts";

/** Options of {@linkcode lstm}: those of the cell and of the layer. */
export interface LstmOptions<ReturnState extends boolean = boolean>
  extends LstmCellOptions, RnnOptions<ReturnState> {}

/**
 * The LSTM layer: `rnn(lstmCell(options))`, the options side by side. Its state is `[h, c]`.
 *
 * @throws RangeError for an unknown option or name (with the nearest known one), or a value out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { lstm, key, spec, treeLeaves } from "@cellfold/cellfold";
 * const layer = lstm({ units: 64, returnSequences: true });
 * const shapes = treeLeaves<{ shape: number[] }>(layer.initParams(key(0), spec([null, null, 28])));
 * assertEquals(shapes.reduce((n, { shape }) => n + shape.reduce((a, b) => a * b), 0), 23808);
 * ```
 */
export function lstm<const ReturnState extends boolean = false>(
  options: LstmOptions<ReturnState>,
): RecurrentLayer<Tensor, LstmState, ReturnState> {
  const { cellOptions, layerOptions } = splitOptions("lstm", options, lstmCellOptionNames);
  const cell = lstmCell(cellOptions);
  return recurrentLayer({ type: "lstm", cell, cellOptions: cell.options, options: layerOptions });
}
