/** The recurrent cells: what a cell is to a layer, the built-in ones, and cells on top of each other. */
import type { Json } from "../options/json.ts";
import { convLstm1dCell, convLstm2dCell, convLstm3dCell, type ConvLstmCellOptions } from "./conv_lstm.ts";
import { gruCell, type GruCellOptions } from "./gru.ts";
import type { CellReviver } from "./json.ts";
import { layerNormLstmCell, type LayerNormLstmCellOptions } from "./layer_norm_lstm.ts";
import { lstmCell, type LstmCellOptions } from "./lstm.ts";
import { simpleRnnCell, type SimpleRnnCellOptions } from "./simple_rnn.ts";
import { stackedCells } from "./stacked.ts";

export type { AnyCell, CellContext, RecurrentCell, SpecsOf } from "./cell.ts";
export type { ClipOptions } from "./clip.ts";
export type { CellOptions, GatedCellOptions } from "./define.ts";
export { convLstm1dCell, convLstm2dCell, convLstm3dCell, type ConvLstmCellOptions } from "./conv_lstm.ts";
export { gruCell, type GruCellOptions } from "./gru.ts";
export { cellJson, type CellReviver, type ReviveCell } from "./json.ts";
export { layerNormLstmCell, type LayerNormLstmCellOptions } from "./layer_norm_lstm.ts";
export { lstmCell, type LstmCellOptions } from "./lstm.ts";
export { simpleRnnCell, type SimpleRnnCellOptions } from "./simple_rnn.ts";
export { stackedCells } from "./stacked.ts";

/** How each built-in cell is read from its saved options, by type. The factories check what they are given. */
export const recurrentCellTypes: { readonly [type: string]: CellReviver } = {
  simpleRnnCell: (options) => simpleRnnCell(options as unknown as SimpleRnnCellOptions),
  gruCell: (options) => gruCell(options as unknown as GruCellOptions),
  lstmCell: (options) => lstmCell(options as unknown as LstmCellOptions),
  layerNormLstmCell: (options) => layerNormLstmCell(options as unknown as LayerNormLstmCellOptions),
  convLstm1dCell: (options) => convLstm1dCell(options as unknown as ConvLstmCellOptions),
  convLstm2dCell: (options) => convLstm2dCell(options as unknown as ConvLstmCellOptions),
  convLstm3dCell: (options) => convLstm3dCell(options as unknown as ConvLstmCellOptions),
  stackedCells: ({ cells }, revive) =>
    stackedCells((cells as readonly Json[]).map((cell) => revive.cell(cell))), // as stackedCells saved it
};
