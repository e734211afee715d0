/**
 * Forecasts a series: windows of it, a GRU that reads them, training, predictions where the truth is known, and steps
 * beyond the end.
 */
import * as cf from "@cellfold/cellfold";
import { type Column, TableError } from "./csv.ts";

/** The part of the series that is held out, at its end. */
const HELD_OUT = 0.2;
/** How many windows there must be to train on. */
const FEWEST = 20;
const BATCH_SIZE = 32;

const series = cf.input([null, 1], { name: "series" });
const fromLast = cf.apply((x) => cf.sub(x, cf.expandDims(cf.at(x, -1, { axis: 1 }), 1)), series);
const change = cf.call(cf.dense({ units: 1 }), cf.call(cf.gru({ units: 24 }), fromLast));

/**
 * Reads a window `[batch, lookback, 1]` and gives the next value `[batch, 1]`. What the GRU sees, and what it gives, is the
 * difference from the last value: a level that was never seen, as a trend leads to, is no new case to it.
 */
export const model = cf.model({
  inputs: series,
  outputs: cf.apply((x, change) => cf.add(cf.at(x, -1, { axis: 1 }), change), series, change),
});

/** A series ready for training: in units in which what is trained on has mean 0 and deviation 1. */
export interface Prepared {
  readonly values: readonly number[];
  /** `[time, 1]`. */
  readonly scaled: cf.HostTensor;
  readonly mean: number;
  readonly deviation: number;
  /** How many values are trained on; the others are held out. */
  readonly trained: number;
  readonly lookback: number;
}

/**
 * Checks and scales a column.
 *
 * @throws TableError if a value is missing, the series is too short for windows of `lookback`, or always the same.
 */
export function prepare({ name, values, gaps }: Column, lookback: number): Prepared {
  if (gaps.length > 0) {
    throw new TableError({ kind: "gap", column: name, ...gaps[0], others: gaps.length - 1 });
  }
  const trained = Math.floor((1 - HELD_OUT) * values.length);
  if (trained < lookback + FEWEST) {
    const expected = Math.ceil((lookback + FEWEST) / (1 - HELD_OUT));
    throw new TableError({ kind: "short", rows: values.length, expected });
  }
  const past = values.slice(0, trained);
  const mean = past.reduce((sum, value) => sum + value, 0) / trained;
  const deviation = Math.sqrt(past.reduce((sum, value) => sum + (value - mean) ** 2, 0) / trained);
  if (!(deviation > 1e-9 * Math.abs(mean))) {
    throw new TableError({ kind: "constant", column: name, value: mean });
  }
  const scaled = cf.hostTensor(Float32Array.from(values, (value) => (value - mean) / deviation), [
    values.length,
    1,
  ]);
  return { values, scaled, mean, deviation, trained, lookback };
}

/** The values from `start` to `end` as a series of its own. */
function part({ scaled }: Prepared, start: number, end: number): cf.HostTensor {
  return cf.hostTensor(scaled.data.slice(start, end), [end - start, 1]);
}

/** How the model is trained. */
export interface TrainOptions {
  readonly device: cf.Device;
  readonly epochs: number;
  readonly key?: cf.Tensor;
  /** Training ends with the step that is running. */
  readonly signal?: AbortSignal;
  /** Called after each step with its loss, and awaited: the page draws meanwhile. */
  readonly report: (loss: number, step: number) => Promise<void> | void;
}

/** How many steps {@linkcode train} makes. */
export function stepsOf({ trained, lookback }: Prepared, epochs: number): number {
  return epochs * Math.ceil((trained - lookback) / BATCH_SIZE);
}

/** Trains the model on the windows of the first part, and gives its variables, on the host. */
export async function train(prepared: Prepared, options: TrainOptions): Promise<cf.Variables> {
  const { device, epochs, key = cf.key(0), signal, report } = options;
  const { lookback, trained } = prepared;
  const past = part(prepared, 0, trained);
  const steps = stepsOf(prepared, epochs);
  const learningRate = cf.cosineDecay({ initialLearningRate: 0.01, decaySteps: steps });
  using trainer = cf.createTrainer(model, { loss: "mse", optimizer: cf.adam({ learningRate }), device });
  let state: cf.TrainingState = { variables: cf.init(model, key, cf.spec([null, lookback, 1])) };
  for (let step = 0; step < steps && !signal?.aborted;) {
    for (const batch of cf.windows(past, { lookback, batchSize: BATCH_SIZE, key: cf.foldIn(key, step) })) {
      const { variables, optimizerState, logs } = await trainer.trainOnBatch(state, batch);
      state = { variables, optimizerState };
      await report(logs.loss, ++step);
      if (signal?.aborted) break;
    }
  }
  return await cf.toHost(state.variables);
}

/** Each value of the end that was held out, predicted from the true values before it. */
export async function predictHeldOut(
  prepared: Prepared,
  variables: cf.Variables,
  device: cf.Device,
): Promise<number[]> {
  const { values, trained, lookback, mean, deviation } = prepared;
  const end = part(prepared, trained - lookback, values.length);
  const [{ x }] = cf.windows(end, { lookback, batchSize: values.length });
  return Array.from(
    (await cf.predict(model, variables, x, { device })).data,
    (value) => mean + deviation * value,
  );
}

/** The steps after the end: each prediction is the last value of the next window. */
export async function predictNext(
  prepared: Prepared,
  variables: cf.Variables,
  { steps, device }: { readonly steps: number; readonly device: cf.Device },
): Promise<number[]> {
  const { values, lookback, mean, deviation } = prepared;
  const window = [...part(prepared, values.length - lookback, values.length).data];
  for (let step = 0; step < steps; step++) {
    const x = cf.hostTensor(Float32Array.from(window.slice(step)), [1, lookback, 1]);
    window.push(cf.item(await cf.predict(model, variables, x, { device })));
  }
  return window.slice(lookback).map((value) => mean + deviation * value);
}

/** How far predictions are from the truth, and how far it would be to repeat the value before. */
export function errorsOf({ values, trained }: Prepared, predicted: readonly number[]) {
  const residuals = predicted.map((value, i) => values[trained + i] - value);
  const meanOf = (errors: readonly number[]) =>
    errors.reduce((sum, error) => sum + Math.abs(error), 0) / errors.length;
  return {
    residuals,
    model: meanOf(residuals),
    repeated: meanOf(residuals.map((_, i) => values[trained + i] - values[trained + i - 1])),
  };
}
