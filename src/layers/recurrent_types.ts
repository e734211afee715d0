/** How recurrent layers, and the layers around them, are read from their saved options. */
import { bidirectional, type MergeMode } from "./bidirectional.ts";
import { convLstm1d, convLstm2d, convLstm3d, type ConvLstmOptions } from "./conv_lstm.ts";
import type { LayerReviver } from "./define.ts";
import { gru, type GruOptions } from "./gru.ts";
import { layerNormLstm, type LayerNormLstmOptions } from "./layer_norm_lstm.ts";
import { lstm, type LstmOptions } from "./lstm.ts";
import { type RecurrentLayer, rnn, type RnnOptions } from "./rnn.ts";
import { simpleRnn, type SimpleRnnOptions } from "./simple_rnn.ts";
import { timeDistributed } from "./time_distributed.ts";

/**
 * The layer of saved options, by type. The casts say what the options were when they were saved; the factories check
 * what they are given.
 */
export const recurrentLayerTypes: { readonly [type: string]: LayerReviver } = {
  simpleRnn: (options) => simpleRnn(options as unknown as SimpleRnnOptions),
  gru: (options) => gru(options as unknown as GruOptions),
  lstm: (options) => lstm(options as unknown as LstmOptions),
  layerNormLstm: (options) => layerNormLstm(options as unknown as LayerNormLstmOptions),
  convLstm1d: (options) => convLstm1d(options as unknown as ConvLstmOptions),
  convLstm2d: (options) => convLstm2d(options as unknown as ConvLstmOptions),
  convLstm3d: (options) => convLstm3d(options as unknown as ConvLstmOptions),
  rnn: ({ cell, ...options }, revive) => rnn(revive.cell(cell), options as RnnOptions),
  bidirectional: ({ layer, backwardLayer, mergeMode, ...options }, revive) =>
    bidirectional(revive.layer(layer) as RecurrentLayer, {
      ...options,
      mergeMode: mergeMode as MergeMode,
      backwardLayer: backwardLayer ? revive.layer(backwardLayer) as RecurrentLayer : null,
    }),
  timeDistributed: ({ layer, ...options }, revive) => timeDistributed(revive.layer(layer), options),
};
