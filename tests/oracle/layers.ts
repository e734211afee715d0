/** Keras's layers and cells as ours, from their class names and configs, and how tensors are named around them. */
import type { AnyCell } from "../../src/cells/cell.ts";
import {
  convLstm1dCell,
  convLstm2dCell,
  convLstm3dCell,
  type ConvLstmCellOptions,
} from "../../src/cells/conv_lstm.ts";
import { gruCell, type GruCellOptions } from "../../src/cells/gru.ts";
import { lstmCell, type LstmCellOptions } from "../../src/cells/lstm.ts";
import { simpleRnnCell, type SimpleRnnCellOptions } from "../../src/cells/simple_rnn.ts";
import { stackedCells } from "../../src/cells/stacked.ts";
import { activation } from "../../src/layers/activation.ts";
import * as cf from "../../src/layers/mod.ts";
import { batchNormalization } from "../../src/layers/batch_normalization.ts";
import { bidirectional, type BidirectionalOptions } from "../../src/layers/bidirectional.ts";
import { convLstm1d, convLstm2d, convLstm3d, type ConvLstmOptions } from "../../src/layers/conv_lstm.ts";
import { dense, type DenseOptions } from "../../src/layers/dense.ts";
import { dropout, type DropoutOptions } from "../../src/layers/dropout.ts";
import { embedding, type EmbeddingOptions } from "../../src/layers/embedding.ts";
import { flatten } from "../../src/layers/flatten.ts";
import { gru, type GruOptions } from "../../src/layers/gru.ts";
import type { Layer } from "../../src/layers/layer.ts";
import { layerNormalization } from "../../src/layers/layer_normalization.ts";
import { lstm, type LstmOptions } from "../../src/layers/lstm.ts";
import { masking } from "../../src/layers/masking.ts";
import { reshapeLayer, type ReshapeLayerOptions } from "../../src/layers/reshape.ts";
import type { RnnOptions } from "../../src/layers/recurrent_options.ts";
import { isRecurrentLayer, rnn } from "../../src/layers/rnn.ts";
import { simpleRnn, type SimpleRnnOptions } from "../../src/layers/simple_rnn.ts";
import { timeDistributed } from "../../src/layers/time_distributed.ts";
import { sequential } from "../../src/models/sequential.ts";
import type { ActivationLike } from "../../src/operations/activations.ts";
import type { Json, JsonObject } from "./format.ts";
import { type KerasObject, kerasObject, kerasObjects, optionsOf } from "./names.ts";
import { nestedCell } from "./nested.ts";

/**
 * Options read from JSON are handed to the factories as they are: a factory checks the options that it is given, and
 * a case with a wrong one is a miss that says so.
 */
type Make<Made> = (config: JsonObject) => Made;

/** The options of a config as the type that a factory asks for; see `Make`. */
function as<Options>(config: JsonObject, ...apart: readonly string[]): Options {
  return optionsOf(config, ...apart) as Options; // checked by the factory
}

/** Keras's data format is an option that we have in one form only. */
function channelsLast<Options>(config: JsonObject): Options {
  const last = config.data_format === "channels_last" || config.data_format === null;
  return last ? as<Options>(config, "data_format") : as<Options>(config);
}

const cells: Readonly<Record<string, Make<AnyCell>>> = {
  SimpleRNNCell: (config) => simpleRnnCell(as<SimpleRnnCellOptions>(config)),
  GRUCell: (config) => gruCell(as<GruCellOptions>(config)),
  LSTMCell: (config) => lstmCell(as<LstmCellOptions>(config)),
  ConvLSTM1DCell: (config) => convLstm1dCell(channelsLast<ConvLstmCellOptions>(config)),
  ConvLSTM2DCell: (config) => convLstm2dCell(channelsLast<ConvLstmCellOptions>(config)),
  ConvLSTM3DCell: (config) => convLstm3dCell(channelsLast<ConvLstmCellOptions>(config)),
  StackedRNNCells: (config) => stackedCells(kerasObjects(config, "cells").map(cellOf)),
  NestedCell: nestedCell,
};

/** Layers between layers that learn; what Keras says of its data format and how it interpolates is ours alone. */
const plain: Readonly<Record<string, (options: never) => Layer>> = {
  MaxPooling1D: cf.maxPooling1d,
  MaxPooling2D: cf.maxPooling2d,
  MaxPooling3D: cf.maxPooling3d,
  AveragePooling1D: cf.averagePooling1d,
  AveragePooling2D: cf.averagePooling2d,
  AveragePooling3D: cf.averagePooling3d,
  GlobalMaxPooling1D: cf.globalMaxPooling1d,
  GlobalMaxPooling2D: cf.globalMaxPooling2d,
  GlobalMaxPooling3D: cf.globalMaxPooling3d,
  GlobalAveragePooling1D: cf.globalAveragePooling1d,
  GlobalAveragePooling2D: cf.globalAveragePooling2d,
  GlobalAveragePooling3D: cf.globalAveragePooling3d,
  ZeroPadding1D: cf.zeroPadding1d,
  ZeroPadding2D: cf.zeroPadding2d,
  ZeroPadding3D: cf.zeroPadding3d,
  Cropping1D: cf.cropping1d,
  Cropping2D: cf.cropping2d,
  Cropping3D: cf.cropping3d,
  UpSampling1D: cf.upSampling1d,
  UpSampling2D: ({ interpolation, ...options }: { interpolation?: Json }) => {
    if (interpolation !== "nearest") throw new Error(`there is no interpolation ${interpolation}`);
    return cf.upSampling2d(options);
  },
  UpSampling3D: cf.upSampling3d,
  RepeatVector: cf.repeatVector,
  Permute: cf.permute,
  ReLU: cf.reluLayer,
  LeakyReLU: cf.leakyReluLayer,
  ELU: cf.eluLayer,
  PReLU: cf.prelu,
  Softmax: cf.softmaxLayer,
  UnitNormalization: cf.unitNormalization,
  SpatialDropout1D: cf.spatialDropout1d,
  GaussianNoise: cf.gaussianNoise,
  ActivityRegularization: cf.activityRegularization,
  Dot: cf.dot,
  Conv1D: cf.conv1d,
  Conv2D: cf.conv2d,
  Conv3D: cf.conv3d,
  Conv1DTranspose: cf.conv1dTranspose,
  Conv2DTranspose: cf.conv2dTranspose,
  DepthwiseConv1D: cf.depthwiseConv1d,
  DepthwiseConv2D: cf.depthwiseConv2d,
  SeparableConv1D: cf.separableConv1d,
  SeparableConv2D: cf.separableConv2d,
  Attention: cf.attention,
  AdditiveAttention: cf.additiveAttention,
  MultiHeadAttention: cf.multiHeadAttention,
};

const layers: Readonly<Record<string, Make<Layer>>> = {
  SimpleRNN: (config) => simpleRnn(as<SimpleRnnOptions>(config)),
  GRU: (config) => gru(as<GruOptions>(config)),
  LSTM: (config) => lstm(as<LstmOptions>(config)),
  ConvLSTM1D: (config) => convLstm1d(channelsLast<ConvLstmOptions>(config)),
  ConvLSTM2D: (config) => convLstm2d(channelsLast<ConvLstmOptions>(config)),
  ConvLSTM3D: (config) => convLstm3d(channelsLast<ConvLstmOptions>(config)),
  RNN: (config) => {
    const cell = Array.isArray(config.cell)
      ? stackedCells(kerasObjects(config, "cell").map(cellOf))
      : cellOf(kerasObject(config.cell));
    return rnn(cell, as<RnnOptions>(config, "cell"));
  },
  Bidirectional: (config) => {
    const layer = recurrentOf(kerasObject(config.layer));
    const backward = config.backward_layer ?? undefined;
    return bidirectional(layer, {
      ...as<BidirectionalOptions>(config, "layer", "backward_layer"),
      ...(backward === undefined ? {} : { backwardLayer: recurrentOf(kerasObject(backward)) }),
    });
  },
  TimeDistributed: (config) => timeDistributed(layerOf(kerasObject(config.layer)), as(config, "layer")),
  Sequential: (config) => {
    const inner = kerasObjects(config, "layers").filter(({ className }) => className !== "InputLayer");
    return sequential(inner.map(layerOf), as(config, "layers", "trainable_weights"));
  },
  Embedding: (config) => embedding(as<EmbeddingOptions>(config)),
  Masking: (config) => masking(as(config)),
  Dense: (config) => dense(as<DenseOptions>(config)),
  BatchNormalization: (config) => batchNormalization(as(config)),
  LayerNormalization: (config) => layerNormalization(as(config)),
  Dropout: (config) => dropout(as<DropoutOptions>(config)),
  Activation: (config) => {
    const { activation: given, ...options } = as<{ activation?: ActivationLike }>(config);
    return activation(given, options);
  },
  Flatten: (config) => flatten(channelsLast(config)),
  Reshape: (config) => reshapeLayer(as<ReshapeLayerOptions>(config)),
  ...Object.fromEntries(
    Object.entries(plain).map((
      [className, make],
    ) => [className, (config: JsonObject) => make(channelsLast<never>(config))]),
  ),
};

function make<Made>(kind: string, table: Readonly<Record<string, Make<Made>>>, object: KerasObject): Made {
  if (Object.hasOwn(table, object.className)) return table[object.className](object.config);
  throw new Error(`there is no ${kind} for ${object.className}`);
}

/** The cell for a class name and config. */
export function cellOf(object: KerasObject): AnyCell {
  return make("cell", cells, object);
}

/** Options of `RNN` itself, which the oracle writes beside those of the cell: `RNN(NestedCell)`. */
const ofRnn =
  /^(return_sequences|return_state|go_backwards|stateful|unroll|zero_output_for_mask|name|trainable)$/;

/** The layer for a class name and config; `Outer(Inner)` is a layer around one cell or layer. */
export function layerOf({ className, config }: KerasObject): Layer {
  const [, outer, inner] = className.match(/^(\w+)\((\w+)\)$/) ?? [];
  if (outer === "RNN") {
    if (isCellConfig(config)) return make("layer", layers, { className: outer, config });
    const entries = Object.entries(config);
    const flags = Object.fromEntries(entries.filter(([key]) => ofRnn.test(key)));
    const own = Object.fromEntries(entries.filter(([key]) => !ofRnn.test(key)));
    const cell = { class_name: inner, config: own };
    return make("layer", layers, { className: outer, config: { ...flags, cell } });
  }
  return make("layer", layers, { className: outer ?? className, config });
}

function isCellConfig(config: JsonObject): boolean {
  return config.cell !== undefined;
}

function recurrentOf(object: KerasObject) {
  const layer = layerOf(object);
  if (isRecurrentLayer(layer)) return layer;
  throw new Error(`${object.className} is no recurrent layer`);
}

/** The names of a cell's states, nested as our state is: an LSTM's are `[h, c]`. */
export type StateNames = string | readonly StateNames[];

/** The names of the states of a cell or recurrent layer, each after `prefix`, such as `initial_state_`. */
export function stateNames({ className, config }: KerasObject, prefix: string): StateNames {
  const inner = className.match(/^RNN\((\w+)\)$/)?.[1];
  if (inner === "StackedRNNCells" || className === "StackedRNNCells") {
    return kerasObjects(config, "cells").map((cell, index) => stateNames(cell, `${prefix}${index}_`));
  }
  if (inner === "NestedCell" || className === "NestedCell") return [`${prefix}1`, `${prefix}2_3`];
  if (inner || className === "RNN") {
    const own = config.cell === undefined ? { className: inner ?? "", config } : kerasObject(config.cell);
    return stateNames(own, prefix);
  }
  if (className === "Bidirectional") {
    const forward = kerasObject(config.layer);
    const backward = kerasObject(config.backward_layer ?? config.layer);
    return [stateNames(forward, `${prefix}forward_`), stateNames(backward, `${prefix}backward_`)];
  }
  return /LSTM/.test(className) ? [`${prefix}h`, `${prefix}c`] : `${prefix}h`;
}

/** All names of nested ones, in order. */
export function flatNames(names: StateNames): string[] {
  return typeof names === "string" ? [names] : names.flatMap(flatNames);
}

/** A tree of what has these names. */
export function stateOf<T>(names: StateNames, tensors: Readonly<Record<string, T>>): T | readonly T[] {
  if (typeof names !== "string") return names.map((name) => stateOf(name, tensors)) as unknown as T[]; // nested alike
  if (tensors[names] === undefined) throw new Error(`the case has no ${names}`);
  return tensors[names];
}

/** Whether a recurrent layer's last state is among its outputs. */
export function returnsState({ className, config }: KerasObject): boolean {
  return (className === "Bidirectional" ? kerasObject(config.layer).config : config).return_state === true;
}

/** The names of the outputs of a layer, in the order of the leaves of what it gives. */
export function outputNames(object: KerasObject): string[] {
  const own = object.className === "Bidirectional" && object.config.merge_mode === null
    ? ["output_forward", "output_backward"]
    : /NestedCell/.test(object.className)
    ? ["output_1", "output_2_3"]
    : ["output"];
  if (object.config.return_attention_scores === true) return [...own, "scores"];
  return returnsState(object) ? [...own, ...flatNames(stateNames(object, "state_"))] : own;
}
