/** The cells to start from: a file each in `starts/`, with its name for people. */

import type { TaskName } from "./task_names.ts";

/** The files of `starts/` without `.js`. */
export const startNames = [
  "simple_rnn",
  "gru",
  "lstm",
  "peephole_lstm",
  "minimal_gated_unit",
  "layer_norm_lstm",
  "identity_rnn",
  "liquid_time_constant",
  "linear_recurrent_unit",
  "fast_and_slow",
] as const;
export type StartName = typeof startNames[number];

/** What a visitor has chosen; a number that is being typed may be an empty text. */
export interface Chosen {
  start: StartName | "own";
  task: TaskName;
  device: "wasm" | "webgpu";
  learningRate: number | "";
  steps: number | "";
}

/** What each is called, in both languages. */
export const startLabels: { readonly [L in "en" | "es"]: { readonly [Name in StartName]: string } } = {
  en: {
    simple_rnn: "Simple RNN",
    gru: "GRU",
    lstm: "LSTM",
    peephole_lstm: "LSTM with peepholes",
    minimal_gated_unit: "Minimal gated unit",
    layer_norm_lstm: "LSTM with layer normalization",
    identity_rnn: "Identity RNN (IRNN)",
    liquid_time_constant: "Liquid time constants",
    linear_recurrent_unit: "Linear recurrent unit",
    fast_and_slow: "Nested state { fast, slow }",
  },
  es: {
    simple_rnn: "RNN simple",
    gru: "GRU",
    lstm: "LSTM",
    peephole_lstm: "LSTM con mirillas (peepholes)",
    minimal_gated_unit: "Unidad mínima con compuerta",
    layer_norm_lstm: "LSTM con normalización de capa",
    identity_rnn: "RNN identidad (IRNN)",
    liquid_time_constant: "Constantes de tiempo líquidas",
    linear_recurrent_unit: "Unidad recurrente lineal",
    fast_and_slow: "Estado anidado { fast, slow }",
  },
};
