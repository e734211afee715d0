/**
 * Keras's classes and our types: one row for each, with the options that both have. Our options have Keras's
 * names in camelCase, so a row lists Keras's names and the kind of value of each.
 */
import type { MergeMethod } from "../../src/layers/mod.ts";
import { cellOptionKinds } from "./cells.ts";
import { attentionRows } from "./attention.ts";
import { type ClassRow, how } from "./class_row.ts";
import { convRows } from "./conv_rows.ts";
import { plainRows } from "./plain_rows.ts";

/** Keras's layers with several inputs, which are methods of our `merge`. */
export const mergeClasses: Readonly<Record<string, MergeMethod>> = {
  Add: "add",
  Subtract: "subtract",
  Multiply: "multiply",
  Average: "average",
  Maximum: "maximum",
  Minimum: "minimum",
  Concatenate: "concatenate",
};

const flags = {
  return_sequences: "flag",
  return_state: "flag",
  go_backwards: "flag",
  stateful: "flag",
  unroll: "flag",
  zero_output_for_mask: "flag",
} as const;

const channelsLast = { data_format: ["channels_last", null] };

const normalization = {
  epsilon: "number",
  center: "flag",
  scale: "flag",
  beta_initializer: "initializer",
  gamma_initializer: "initializer",
} as const;

/** The layers whose options are values; those with layers or cells inside are read by `read_layers.ts`. */
export const layerRows: readonly ClassRow[] = [
  ...[["SimpleRNN", "simpleRnn"], ["GRU", "gru"], ["LSTM", "lstm"]].map(([className, type]): ClassRow => ({
    className,
    type,
    options: { ...cellOptionKinds(`${type}Cell`), ...flags },
    without: how,
  })),
  ...[1, 2, 3].map((axes): ClassRow => ({
    className: `ConvLSTM${axes}D`,
    type: `convLstm${axes}d`,
    options: { ...cellOptionKinds(`convLstm${axes}dCell`), ...flags },
    fixed: channelsLast,
    without: how,
  })),
  {
    className: "Dense",
    type: "dense",
    options: {
      units: "count",
      activation: "activation",
      use_bias: "flag",
      kernel_initializer: "initializer",
      bias_initializer: "initializer",
    },
  },
  {
    className: "Embedding",
    type: "embedding",
    options: {
      input_dim: "count",
      output_dim: "count",
      mask_zero: "flag",
      embeddings_initializer: "initializer",
    },
    without: ["input_length"],
  },
  { className: "Masking", type: "masking", options: { mask_value: "number" } },
  {
    className: "BatchNormalization",
    type: "batchNormalization",
    options: {
      axis: "number",
      momentum: "number",
      moving_mean_initializer: "initializer",
      moving_variance_initializer: "initializer",
      ...normalization,
    },
    without: ["renorm_momentum"],
  },
  {
    className: "LayerNormalization",
    type: "layerNormalization",
    options: { axis: "axes", ...normalization },
  },
  {
    className: "Normalization",
    type: "normalization",
    options: { axis: "axes", invert: "flag" },
    // The statistics are weights; as constants of the configuration they are not read.
    fixed: { mean: [null], variance: [null] },
    asWeights: ["mean", "variance"],
  },
  { className: "Dropout", type: "dropout", options: { rate: "number", noise_shape: "noise" }, without: how },
  { className: "Activation", type: "activation", options: { activation: "activation" } },
  { className: "Flatten", type: "flatten", options: {}, fixed: channelsLast },
  { className: "Reshape", type: "reshape", options: { target_shape: "sizes" } },
  ...plainRows,
  ...attentionRows,
  ...convRows,
];

/** The options of `RNN` besides its cell. */
export const rnnRow: ClassRow = { className: "RNN", type: "rnn", options: flags };

/** The options of `Bidirectional` besides its layers. */
export const bidirectionalRow: ClassRow = {
  className: "Bidirectional",
  type: "bidirectional",
  options: { merge_mode: "merge" },
};

/** A wrapper without options. */
export const timeDistributedRow: ClassRow = {
  className: "TimeDistributed",
  type: "timeDistributed",
  options: {},
};

/** All possible classes of a layer, for errors. */
export const knownClasses: readonly string[] = [
  ...layerRows.map(({ className }) => className),
  "RNN",
  "Bidirectional",
  "TimeDistributed",
  "Sequential",
  "Functional",
];
