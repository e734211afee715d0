/** Three tasks for a cell, each made up by a seeded generator: to add, to copy and to continue a wave. */
import * as cf from "@cellfold/cellfold";
import type { TaskName } from "./task_names.ts";

/** Something that a recurrent model can learn. */
export interface Task {
  /** Numbers of an input step. */
  readonly features: number;
  /** Numbers that the model answers with. */
  readonly outputs: number;
  /** Whether there is a target at every step, or at the last one only. */
  readonly everyStep: boolean;
  readonly loss: cf.Loss;
  /** The least loss on average that a model without memory can have. */
  readonly withoutMemory: number;
  /** A batch of sequences: the same for the same key. */
  readonly batch: (key: cf.Tensor) => { readonly x: cf.Tensor; readonly y: cf.Tensor };
}

/** Sequences of a batch. */
export const BATCH = 32;

const numbers = (key: cf.Tensor, shape: readonly number[]) => cf.host(cf.uniform(key, shape)).data;

/**
 * The adding problem (Hochreiter and Schmidhuber, 1997): numbers in 0…1, two of them marked; what is their sum?
 * x is `[batch, 25, 2]`, y `[batch, 1]`. The last number is never marked, so without memory the best answer is 1: its
 * error is the variance of the sum.
 */
function adding(): Task {
  const steps = 25;
  const batch = (key: cf.Tensor) => {
    const [forValues, forPlaces] = cf.splitKey(key, 2);
    const [values, places] = [numbers(forValues, [BATCH, steps]), numbers(forPlaces, [BATCH, 2])];
    const [x, y] = [new Float32Array(BATCH * steps * 2), new Float32Array(BATCH)];
    for (let row = 0; row < BATCH; row++) {
      for (let t = 0; t < steps; t++) x[2 * (row * steps + t)] = values[row * steps + t];
      for (const half of [0, 1]) {
        const t = Math.floor((half + places[2 * row + half]) * (steps - 1) / 2);
        x[2 * (row * steps + t) + 1] = 1;
        y[row] += values[row * steps + t];
      }
    }
    return { x: cf.hostTensor(x, [BATCH, steps, 2]), y: cf.hostTensor(y, [BATCH, 1]) };
  };
  return {
    features: 2,
    outputs: 1,
    everyStep: false,
    loss: cf.meanSquaredError(),
    withoutMemory: 2 / 12,
    batch,
  };
}

/**
 * The copying problem: symbols, a pause, then a sign at which to repeat them. x is `[batch, 12, 6]`, one of four symbols,
 * a pause or the sign at each step; y `[batch, 12]`, a symbol or "nothing". A model that does not remember the symbols
 * guesses each among four, at best: if it knows when to.
 */
function copy(): Task {
  const [symbols, length, pause] = [4, 3, 5];
  const steps = 2 * length + pause + 1, features = symbols + 2;
  const batch = (key: cf.Tensor) => {
    const drawn = numbers(key, [BATCH, length]);
    const x = new Float32Array(BATCH * steps * features);
    const y = new Int32Array(BATCH * steps).fill(symbols);
    for (let row = 0; row < BATCH; row++) {
      for (let t = 0; t < steps; t++) {
        const symbol = Math.floor(symbols * drawn[row * length + t]);
        const feature = t < length ? symbol : t === length + pause ? symbols + 1 : symbols;
        x[(row * steps + t) * features + feature] = 1;
        if (t < length) y[row * steps + length + pause + 1 + t] = symbol;
      }
    }
    return { x: cf.hostTensor(x, [BATCH, steps, features]), y: cf.hostTensor(y, [BATCH, steps]) };
  };
  return {
    features,
    outputs: symbols + 1,
    everyStep: true,
    loss: cf.sparseCategoricalCrossentropy({ fromLogits: true }),
    withoutMemory: length * Math.log(symbols) / steps,
    batch,
  };
}

/**
 * Waves of any phase and of any frequency in a range: what comes next? x and y are `[batch, 24, 1]`. Without memory, the
 * best answer is the present value times the mean of cos ω.
 */
function sine(): Task {
  const steps = 24, [slow, fast] = [0.2, 0.8];
  const batch = (key: cf.Tensor) => {
    const drawn = numbers(key, [BATCH, 2]);
    const [x, y] = [new Float32Array(BATCH * steps), new Float32Array(BATCH * steps)];
    for (let row = 0; row < BATCH; row++) {
      const frequency = slow + (fast - slow) * drawn[2 * row], phase = 2 * Math.PI * drawn[2 * row + 1];
      for (let t = 0; t < steps; t++) {
        x[row * steps + t] = Math.sin(frequency * t + phase);
        y[row * steps + t] = Math.sin(frequency * (t + 1) + phase);
      }
    }
    return { x: cf.hostTensor(x, [BATCH, steps, 1]), y: cf.hostTensor(y, [BATCH, steps, 1]) };
  };
  const meanOfCosine = (Math.sin(fast) - Math.sin(slow)) / (fast - slow);
  return {
    features: 1,
    outputs: 1,
    everyStep: true,
    loss: cf.meanSquaredError(),
    withoutMemory: (1 - meanOfCosine ** 2) / 2,
    batch,
  };
}

/** The tasks by name. */
export const tasks: { readonly [Name in TaskName]: () => Task } = { adding, copy, sine };
