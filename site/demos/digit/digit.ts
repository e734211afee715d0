/**
 * Reads handwritten digits row by row: the model, and a stream that takes its rows. `ink.ts` turns strokes into a picture,
 * `training.ts` trains.
 */
import * as cf from "@cellfold/cellfold";
import { decodeSafetensors, restoreTree } from "@cellfold/cellfold/safetensors";
import { SIDE } from "./digits.ts";

/** Units of the LSTM. */
export const UNITS = 64;
/** Digits there are. */
export const CLASSES = 10;

const rows = cf.input([null, SIDE], { name: "rows" });
const hidden = cf.call(cf.lstm({ units: UNITS, returnSequences: true }), rows);
const probabilities = cf.call(cf.dense({ units: CLASSES, activation: "softmax" }), hidden);

/** A row goes in; the hidden state `[batch, rows, units]` and what is probable so far `[batch, rows, classes]` come out. */
export const model = cf.model({ inputs: rows, outputs: { hidden, probabilities } });

/** What the model puts out. */
export interface Outputs {
  readonly hidden: cf.Tensor;
  readonly probabilities: cf.Tensor;
}

/** Only the probabilities are trained: what the hidden state should be, nobody says. */
export const objective = { loss: { hidden: null, probabilities: "sparseCategoricalCrossentropy" } } as const;

/** Fresh weights. */
export function freshWeights(key: cf.Tensor): cf.Variables {
  return cf.init(model, key, cf.spec([null, null, SIDE]));
}

/** A model that ships. */
export interface Shipped {
  readonly variables: cf.Variables;
  /** The share of MNIST's 10,000 test digits that it reads right, as measured when it was trained. */
  readonly accuracy: number;
}

/** Reads a file that `training/digit.ts` wrote. */
export function readModel(file: Uint8Array): Shipped {
  const { tensors, metadata } = decodeSafetensors(file);
  return { variables: restoreTree(freshWeights(cf.key(0)), tensors), accuracy: Number(metadata.accuracy) };
}

/** What the model had in mind after each row. */
export interface Reading {
  /** `[rows, units]`. */
  readonly hidden: Float32Array;
  /** `[rows, classes]`. */
  readonly probabilities: Float32Array;
}

/** A reader that keeps its state between rows, as if they arrived one after another. */
export async function openReader(variables: cf.Variables): Promise<(image: Float32Array) => Reading> {
  const stream = cf.streaming(model, variables, { input: cf.spec([1, null, SIDE]), device: "wasm" });
  await stream.ready();
  return (image) => {
    const hidden = new Float32Array(SIDE * UNITS);
    const probabilities = new Float32Array(SIDE * CLASSES);
    stream.reset();
    for (let row = 0; row < SIDE; row++) {
      stream.step(image.subarray(row * SIDE, (row + 1) * SIDE), {
        hidden: hidden.subarray(row * UNITS, (row + 1) * UNITS),
        probabilities: probabilities.subarray(row * CLASSES, (row + 1) * CLASSES),
      });
    }
    return { hidden, probabilities };
  };
}
