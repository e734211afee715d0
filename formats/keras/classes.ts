/**
 * Keras's classes and our types: one row for each, with the options that both have. Our options have Keras's names in
 * camelCase, so a row lists Keras's names and what kind of value each takes.
 */
import type { MergeMethod } from "../../src/layers/mod.ts";
import type { Json } from "../../src/options/json.ts";
import type { Kind } from "./values.ts";

/** Keras's layers of several inputs, which are methods of our `merge`. */
export const mergeClasses: Readonly<Record<string, MergeMethod>> = {
  Add: "add",
  Subtract: "subtract",
  Multiply: "multiply",
  Average: "average",
  Maximum: "maximum",
  Minimum: "minimum",
  Concatenate: "concatenate",
};

/** A class of Keras that we have an equivalent of. */
export interface ClassRow {
  /** Keras's class. */
  readonly className: string;
  /** The type of our layer or cell. */
  readonly type: string;
  /** Keras's option names with the kinds of their values. */
  readonly options: Readonly<Record<string, Kind>>;
  /** Options that Keras has and we have not, with the values that mean what we do; the first is written. */
  readonly fixed?: Readonly<Record<string, readonly Json[]>>;
  /** Options that have no bearing on what is computed here. */
  readonly without?: readonly string[];
}

const rates = { dropout: "number", recurrent_dropout: "number" } as const;

const matrices = {
  activation: "activation",
  use_bias: "flag",
  kernel_initializer: "initializer",
  recurrent_initializer: "initializer",
  bias_initializer: "initializer",
} as const;

const simple = { units: "count", ...matrices, ...rates } as const;
const gated = { ...simple, recurrent_activation: "activation" } as const;
const gru = { ...gated, reset_after: "flag" } as const;
const lstm = { ...gated, unit_forget_bias: "flag" } as const;

const flags = {
  return_sequences: "flag",
  return_state: "flag",
  go_backwards: "flag",
  stateful: "flag",
  unroll: "flag",
  zero_output_for_mask: "flag",
} as const;

const convolution = {
  filters: "count",
  kernel_size: "counts",
  strides: "counts",
  padding: "padding",
  dilation_rate: "counts",
  recurrent_activation: "activation",
  unit_forget_bias: "flag",
  ...matrices,
  ...rates,
} as const;

/** How Keras computes, not what: a seed (we draw by key), and which implementation runs. */
const how = ["seed", "implementation", "use_cudnn"];

const channelsLast = { data_format: ["channels_last", null] };

const normalisation = {
  epsilon: "number",
  center: "flag",
  scale: "flag",
  beta_initializer: "initializer",
  gamma_initializer: "initializer",
} as const;

/** The cells. */
export const cellRows: readonly ClassRow[] = [
  { className: "SimpleRNNCell", type: "simpleRnnCell", options: simple, without: how },
  { className: "GRUCell", type: "gruCell", options: gru, without: how },
  { className: "LSTMCell", type: "lstmCell", options: lstm, without: how },
];

/** The layers whose options are values; those with layers or cells inside are read by `layers.ts`. */
export const layerRows: readonly ClassRow[] = [
  { className: "SimpleRNN", type: "simpleRnn", options: { ...simple, ...flags }, without: how },
  { className: "GRU", type: "gru", options: { ...gru, ...flags }, without: how },
  { className: "LSTM", type: "lstm", options: { ...lstm, ...flags }, without: how },
  ...[1, 2, 3].map((axes): ClassRow => ({
    className: `ConvLSTM${axes}D`,
    type: `convLstm${axes}d`,
    options: { ...convolution, ...flags },
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
      ...normalisation,
    },
    without: ["renorm_momentum"],
  },
  {
    className: "LayerNormalization",
    type: "layerNormalization",
    options: { axis: "axes", ...normalisation },
  },
  { className: "Dropout", type: "dropout", options: { rate: "number", noise_shape: "noise" }, without: how },
  { className: "Activation", type: "activation", options: { activation: "activation" } },
  { className: "Flatten", type: "flatten", options: {}, fixed: channelsLast },
  { className: "Reshape", type: "reshape", options: { target_shape: "sizes" } },
];

/** The options of `RNN` beside its cell. */
export const rnnRow: ClassRow = { className: "RNN", type: "rnn", options: flags };

/** The options of `Bidirectional` beside its layers. */
export const bidirectionalRow: ClassRow = {
  className: "Bidirectional",
  type: "bidirectional",
  options: { merge_mode: "merge" },
};

/** Wrappers and cells that have no options of their own. */
export const timeDistributedRow: ClassRow = {
  className: "TimeDistributed",
  type: "timeDistributed",
  options: {},
};

/** Several cells as one. */
export const stackedRow: ClassRow = { className: "StackedRNNCells", type: "stackedCells", options: {} };

/** All classes that a layer can be of, for errors. */
export const knownClasses: readonly string[] = [
  ...layerRows.map(({ className }) => className),
  "RNN",
  "Bidirectional",
  "TimeDistributed",
  "Sequential",
  "Functional",
];
