/** The recurrent cells: what a cell is to a layer, the built-in cells, and stacked cells. */
export type { AnyCell, CellContext, LstmState, RecurrentCell } from "./cell.ts";
export type { ClipOptions } from "./clip.ts";
export type { CellOptions, GatedCellOptions } from "./define.ts";
export { convLstm1dCell, convLstm2dCell, convLstm3dCell, type ConvLstmCellOptions } from "./conv_lstm.ts";
export { gruCell, type GruCellOptions } from "./gru.ts";
export { cellJson, type CellReviver, type ReviveCell } from "./json.ts";
export { layerNormLstmCell, type LayerNormLstmCellOptions } from "./layer_norm_lstm.ts";
export { lstmCell, type LstmCellOptions } from "./lstm.ts";
export { simpleRnnCell, type SimpleRnnCellOptions } from "./simple_rnn.ts";
export { stackedCells } from "./stacked.ts";
