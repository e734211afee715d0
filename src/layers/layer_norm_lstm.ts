/** The LSTM layer with layer normalization. */
import {
  layerNormLstmCell,
  layerNormLstmCellOptionNames,
  type LayerNormLstmCellOptions,
} from "../cells/layer_norm_lstm.ts";
import type { LstmState } from "../cells/cell.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type RnnOptions, splitOptions } from "./recurrent_options.ts";
import { type RecurrentLayer, recurrentLayer } from "./rnn.ts";

/** Options of {@linkcode layerNormLstm}: those of the cell and of the layer. */
export interface LayerNormLstmOptions<ReturnState extends boolean = boolean>
  extends LayerNormLstmCellOptions, RnnOptions<ReturnState> {}

/**
 * The LSTM layer with layer normalization: `rnn(layerNormLstmCell(options))`, the options side by side. Its
 * state is `[h, c]`.
 *
 * @throws RangeError for an unknown option or name (with the nearest known one), or a value out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { layerNormLstm, key, spec, treeLeaves } from "@cellfold/cellfold";
 * const layer = layerNormLstm({ units: 64, returnSequences: true });
 * const shapes = treeLeaves<{ shape: number[] }>(layer.initParams(key(0), spec([null, null, 28])));
 * assertEquals(shapes.reduce((n, { shape }) => n + shape.reduce((a, b) => a * b), 0), 24960);
 * ```
 */
export function layerNormLstm<const ReturnState extends boolean = false>(
  options: LayerNormLstmOptions<ReturnState>,
): RecurrentLayer<Tensor, LstmState, ReturnState> {
  const { cellOptions, layerOptions } = splitOptions("layerNormLstm", options, layerNormLstmCellOptionNames);
  const cell = layerNormLstmCell(cellOptions);
  return recurrentLayer({ type: "layerNormLstm", cell, cellOptions: cell.options, options: layerOptions });
}
