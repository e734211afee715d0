/**
 * How every built-in layer and cell is read from its saved options, by type. The casts restate the types that
 * the options had when they were saved; the factories check the values.
 */
import {
  convLstm1dCell,
  convLstm2dCell,
  convLstm3dCell,
  type ConvLstmCellOptions,
} from "../cells/conv_lstm.ts";
import { gruCell, type GruCellOptions } from "../cells/gru.ts";
import type { CellReviver } from "../cells/json.ts";
import { layerNormLstmCell, type LayerNormLstmCellOptions } from "../cells/layer_norm_lstm.ts";
import { lstmCell, type LstmCellOptions } from "../cells/lstm.ts";
import { simpleRnnCell, type SimpleRnnCellOptions } from "../cells/simple_rnn.ts";
import { stackedCells } from "../cells/stacked.ts";
import { activation } from "../layers/activation.ts";
import { activityRegularization } from "../layers/activity_regularization.ts";
import { additiveAttention, attention, type AttentionOptions } from "../layers/attention.ts";
import { batchNormalization } from "../layers/batch_normalization.ts";
import { bidirectional, type MergeMode } from "../layers/bidirectional.ts";
import { convLstm1d, convLstm2d, convLstm3d, type ConvLstmOptions } from "../layers/conv_lstm.ts";
import {
  conv1d,
  conv1dTranspose,
  conv2d,
  conv2dTranspose,
  conv3d,
  conv3dTranspose,
  type ConvOptions,
  type ConvTransposeOptions,
} from "../layers/conv.ts";
import type { LayerReviver, Revive } from "../layers/define.ts";
import { crf } from "../layers/crf.ts";
import { dense, type DenseOptions } from "../layers/dense.ts";
import {
  depthwiseConv1d,
  depthwiseConv2d,
  type DepthwiseConvOptions,
  separableConv1d,
  separableConv2d,
  type SeparableConvOptions,
} from "../layers/depthwise_conv.ts";
import {
  dropout,
  type DropoutOptions,
  gaussianNoise,
  type GaussianNoiseOptions,
  spatialDropout1d,
  spatialDropout2d,
  spatialDropout3d,
  type SpatialDropoutOptions,
} from "../layers/dropout.ts";
import { embedding, type EmbeddingOptions } from "../layers/embedding.ts";
import { flatten } from "../layers/flatten.ts";
import { gru, type GruOptions } from "../layers/gru.ts";
import type { Layer } from "../layers/layer.ts";
import { layerNormLstm, type LayerNormLstmOptions } from "../layers/layer_norm_lstm.ts";
import { layerNormalization } from "../layers/layer_normalization.ts";
import { lstm, type LstmOptions } from "../layers/lstm.ts";
import { masking } from "../layers/masking.ts";
import { merge, type MergeOptions } from "../layers/merge.ts";
import { multiHeadAttention, type MultiHeadAttentionOptions } from "../layers/multi_head_attention.ts";
import { normalization } from "../layers/normalization.ts";
import { reshapeLayer, type ReshapeLayerOptions } from "../layers/reshape.ts";
import type { RnnOptions } from "../layers/recurrent_options.ts";
import { type RecurrentLayer, rnn } from "../layers/rnn.ts";
import { simpleRnn, type SimpleRnnOptions } from "../layers/simple_rnn.ts";
import { timeDistributed } from "../layers/time_distributed.ts";
import { eluLayer, leakyReluLayer, reluLayer } from "../layers/activation_layers.ts";
import { dot, type DotOptions } from "../layers/dot.ts";
import {
  globalAveragePooling1d,
  globalAveragePooling2d,
  globalAveragePooling3d,
  globalMaxPooling1d,
  globalMaxPooling2d,
  globalMaxPooling3d,
} from "../layers/global_pooling.ts";
import {
  cropping1d,
  cropping2d,
  cropping3d,
  type CroppingOptions,
  zeroPadding1d,
  zeroPadding2d,
  zeroPadding3d,
} from "../layers/padding.ts";
import { permute, type PermuteOptions } from "../layers/permute.ts";
import {
  averagePooling1d,
  averagePooling2d,
  averagePooling3d,
  maxPooling1d,
  maxPooling2d,
  maxPooling3d,
} from "../layers/pooling.ts";
import { prelu } from "../layers/prelu.ts";
import { repeatVector, type RepeatVectorOptions } from "../layers/repeat_vector.ts";
import { softmaxLayer } from "../layers/softmax.ts";
import { unitNormalization } from "../layers/unit_normalization.ts";
import { upSampling1d, upSampling2d, upSampling3d } from "../layers/up_sampling.ts";
import { quoted } from "../quoted.ts";
import type { ActivationName } from "../operations/activations.ts";
import type { Json } from "../options/json.ts";
import { graphFromJson, type GraphFunction } from "./revive_graph.ts";
import { sequential } from "./sequential.ts";

/** The cells. */
export const cellTypes: { readonly [type: string]: CellReviver } = {
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

/** The layers that do not contain a graph. */
const plainTypes: { readonly [type: string]: LayerReviver } = {
  activation: ({ activation: name, ...options }) => activation(name as ActivationName, options),
  activityRegularization: (options) => activityRegularization(options),
  additiveAttention: (options) => additiveAttention(options),
  attention: (options) => attention(options as AttentionOptions),
  batchNormalization: (options) => batchNormalization(options),
  conv1d: (options) => conv1d(options as unknown as ConvOptions),
  conv2d: (options) => conv2d(options as unknown as ConvOptions),
  conv3d: (options) => conv3d(options as unknown as ConvOptions),
  conv1dTranspose: (options) => conv1dTranspose(options as unknown as ConvTransposeOptions),
  conv2dTranspose: (options) => conv2dTranspose(options as unknown as ConvTransposeOptions),
  conv3dTranspose: (options) => conv3dTranspose(options as unknown as ConvTransposeOptions),
  depthwiseConv1d: (options) => depthwiseConv1d(options as unknown as DepthwiseConvOptions),
  depthwiseConv2d: (options) => depthwiseConv2d(options as unknown as DepthwiseConvOptions),
  separableConv1d: (options) => separableConv1d(options as unknown as SeparableConvOptions),
  separableConv2d: (options) => separableConv2d(options as unknown as SeparableConvOptions),
  crf: (options) => crf(options),
  dense: (options) => dense(options as unknown as DenseOptions),
  dropout: (options) => dropout(options as unknown as DropoutOptions),
  embedding: (options) => embedding(options as unknown as EmbeddingOptions),
  flatten: (options) => flatten(options),
  layerNormalization: (options) => layerNormalization(options),
  masking: (options) => masking(options),
  normalization: (options) => normalization(options),
  multiHeadAttention: (options) => multiHeadAttention(options as unknown as MultiHeadAttentionOptions),
  merge: (options) => merge(options as unknown as MergeOptions),
  reshape: (options) => reshapeLayer(options as unknown as ReshapeLayerOptions),
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
  averagePooling1d: (options) => averagePooling1d(options),
  averagePooling2d: (options) => averagePooling2d(options),
  averagePooling3d: (options) => averagePooling3d(options),
  globalAveragePooling1d: (options) => globalAveragePooling1d(options),
  globalAveragePooling2d: (options) => globalAveragePooling2d(options),
  globalAveragePooling3d: (options) => globalAveragePooling3d(options),
  globalMaxPooling1d: (options) => globalMaxPooling1d(options),
  globalMaxPooling2d: (options) => globalMaxPooling2d(options),
  globalMaxPooling3d: (options) => globalMaxPooling3d(options),
  maxPooling1d: (options) => maxPooling1d(options),
  maxPooling2d: (options) => maxPooling2d(options),
  maxPooling3d: (options) => maxPooling3d(options),
  upSampling1d: (options) => upSampling1d(options),
  upSampling2d: (options) => upSampling2d(options),
  upSampling3d: (options) => upSampling3d(options),
  zeroPadding1d: (options) => zeroPadding1d(options),
  zeroPadding2d: (options) => zeroPadding2d(options),
  zeroPadding3d: (options) => zeroPadding3d(options),
  cropping1d: (options) => cropping1d(options),
  cropping2d: (options) => cropping2d(options as unknown as CroppingOptions),
  cropping3d: (options) => cropping3d(options as unknown as CroppingOptions),
  spatialDropout1d: (options) => spatialDropout1d(options as unknown as SpatialDropoutOptions),
  spatialDropout2d: (options) => spatialDropout2d(options as unknown as SpatialDropoutOptions),
  spatialDropout3d: (options) => spatialDropout3d(options as unknown as SpatialDropoutOptions),
  gaussianNoise: (options) => gaussianNoise(options as unknown as GaussianNoiseOptions),
  repeatVector: (options) => repeatVector(options as unknown as RepeatVectorOptions),
  permute: (options) => permute(options as unknown as PermuteOptions),
  dot: (options) => dot(options as unknown as DotOptions),
  prelu: (options) => prelu(options),
  relu: (options) => reluLayer(options),
  leakyRelu: (options) => leakyReluLayer(options),
  elu: (options) => eluLayer(options),
  softmax: (options) => softmaxLayer(options),
  unitNormalization: (options) => unitNormalization(options),
  sequential: ({ layers, ...options }, revive) => sequential(layersOf(layers, revive, "sequential"), options),
};

/** The layers; `functions` are those of the `apply` nodes of graphs, by name. */
export function layerTypes(
  functions: { readonly [name: string]: GraphFunction } = {},
): { readonly [type: string]: LayerReviver } {
  return {
    ...plainTypes,
    model: ({ layers, ...graph }, revive) =>
      graphFromJson(graph, layersOf(layers, revive, "model"), functions),
  };
}

function layersOf(layers: Json | undefined, revive: Revive, what: string): Layer[] {
  if (Array.isArray(layers)) return layers.map((layer) => revive.layer(layer));
  throw new TypeError(`Cannot load ${what}: its layers are ${quoted(layers)}, expected an array`);
}
