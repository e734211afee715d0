/** The convolutional LSTM layers, over one to three spatial axes. */
import {
  convLstm1dCell,
  convLstm2dCell,
  convLstm3dCell,
  convLstmCellOptionNames,
  type ConvLstmCellOptions,
} from "../cells/conv_lstm.ts";
import type { LstmState } from "../cells/cell.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { type RnnOptions, splitOptions } from "./recurrent_options.ts";
import { type RecurrentLayer, recurrentLayer } from "./rnn.ts";

/** Options of {@linkcode convLstm1d} and its siblings: those of the cell and of the layer. */
export interface ConvLstmOptions<ReturnState extends boolean = boolean>
  extends ConvLstmCellOptions, RnnOptions<ReturnState> {}

function convLstm<ReturnState extends boolean>(
  type: string,
  makeCell: typeof convLstm1dCell,
  options: ConvLstmOptions<ReturnState>,
): RecurrentLayer<Tensor, LstmState, ReturnState> {
  const { cellOptions, layerOptions } = splitOptions(type, options, convLstmCellOptionNames);
  const cell = makeCell(cellOptions);
  return recurrentLayer({ type, cell, cellOptions: cell.options, options: layerOptions });
}

/**
 * The ConvLSTM layer over `[batch, time, space, channels]`: `rnn(convLstm1dCell(options))`, the options side
 * by side. Its state is `[h, c]`.
 *
 * @throws RangeError for an unknown option or name (with the nearest known one), or a value out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { convLstm1d, key, spec, zeros } from "@cellfold/cellfold";
 * const layer = convLstm1d({ filters: 2, kernelSize: 3, padding: "same" });
 * const params = layer.initParams(key(0), spec([null, null, 8, 1]));
 * const { output } = layer.apply({ params, state: [] }, zeros([2, 3, 8, 1]), { training: false });
 * assertEquals(output.shape, [2, 8, 2]);
 * ```
 */
export function convLstm1d<const ReturnState extends boolean = false>(
  options: ConvLstmOptions<ReturnState>,
): RecurrentLayer<Tensor, LstmState, ReturnState> {
  return convLstm("convLstm1d", convLstm1dCell, options);
}

/** The ConvLSTM layer over `[batch, time, height, width, channels]`; see {@linkcode convLstm1d}. */
export function convLstm2d<const ReturnState extends boolean = false>(
  options: ConvLstmOptions<ReturnState>,
): RecurrentLayer<Tensor, LstmState, ReturnState> {
  return convLstm("convLstm2d", convLstm2dCell, options);
}

/** The ConvLSTM layer over `[batch, time, depth, height, width, channels]`; see {@linkcode convLstm1d}. */
export function convLstm3d<const ReturnState extends boolean = false>(
  options: ConvLstmOptions<ReturnState>,
): RecurrentLayer<Tensor, LstmState, ReturnState> {
  return convLstm("convLstm3d", convLstm3dCell, options);
}
