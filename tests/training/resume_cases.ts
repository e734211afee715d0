/** Runs that are saved and resumed: models, data and options, and what keeps their states. */
import {
  adam,
  batchNormalization,
  type Callback,
  cosineDecay,
  type Data,
  dense,
  type Device,
  dropout,
  earlyStopping,
  fit,
  type FitOptions,
  type FitResult,
  gru,
  init,
  key,
  type Layer,
  learningRateSchedule,
  lstm,
  normal,
  reduceLrOnPlateau,
  rmsprop,
  saving,
  sequential,
  sgd,
  spec,
} from "@cellfold/cellfold";
import { createWebGpu } from "../../kernels/webgpu/mod.ts";
import { valuesOf } from "./models.ts";

export const hasWebGpu = await createWebGpu().available();

/** A state that was saved, and where. */
export interface Saved {
  readonly place: string;
  readonly bytes: Uint8Array;
}

/** A callback that saves wherever it can. */
export function saver(saved: Saved[]): Callback {
  return {
    async onSave(context) {
      saved.push({ place: `${context.epoch}/${context.step}`, bytes: await context.save() });
    },
  };
}

/** A run of its own kind: callbacks are made for each call, as a process makes them that was started again. */
export interface Case {
  readonly name: string;
  readonly model: Layer;
  readonly data: Data;
  readonly options: FitOptions;
  readonly callbacks?: () => Callback[];
}

export const sequences = { x: normal(key(1), [22, 4, 3]), y: normal(key(2), [22, 1]) };

export const cases: readonly Case[] = [
  {
    name: "dropout, shuffled data, early stopping and a rate that callbacks reduce",
    model: sequential([
      lstm({ units: 3, dropout: 0.2, recurrentDropout: 0.2, returnSequences: true }),
      dropout({ rate: 0.4 }),
      lstm({ units: 2 }),
      batchNormalization(),
      dense({ units: 1 }),
    ]),
    data: sequences,
    options: {
      loss: "mse",
      metrics: ["mae"],
      optimizer: adam({ learningRate: 0.02, amsgrad: true }),
      validation: { split: 0.2 },
      batchSize: 4,
      epochs: 6,
      key: key(5),
    },
    callbacks: () => [
      earlyStopping({ patience: 3, restoreBestWeights: true }),
      reduceLrOnPlateau({ patience: 1, factor: 0.5, cooldown: 1 }),
    ],
  },
  {
    name: "stateful layers, data in order and a schedule",
    model: sequential([
      gru({ units: 3, stateful: true, returnSequences: true }),
      lstm({ units: 2, stateful: true }),
      dense({ units: 1 }),
    ]),
    data: { x: normal(key(3), [12, 4, 3]), y: normal(key(4), [12, 1]) },
    options: {
      loss: "huber",
      optimizer: rmsprop({
        momentum: 0.5,
        learningRate: cosineDecay({ initialLearningRate: 0.05, decaySteps: 10 }),
      }),
      epochs: 3,
      batchSize: 3,
    },
  },
  {
    name: "a rate by epoch, and the best weights",
    model: sequential([gru({ units: 3, dropout: 0.3 }), dense({ units: 1 })]),
    data: sequences,
    options: {
      loss: "mse",
      optimizer: sgd({ momentum: 0.9, nesterov: true }),
      epochs: 3,
      batchSize: 8,
    },
    callbacks: () => [
      learningRateSchedule((_epoch, rate) => rate / 2),
      saving({ save: () => {}, saveBestOnly: true, monitor: "loss" }),
    ],
  },
  {
    name: "regularizers and constraints",
    model: sequential([
      gru({
        units: 3,
        kernelRegularizer: "l2",
        recurrentConstraint: "unitNorm",
        activityRegularizer: { l1: 0.1 },
      }),
      dense({ units: 1, kernelRegularizer: { l1: 0.2 }, kernelConstraint: "maxNorm" }),
    ]),
    data: sequences,
    options: { loss: "mse", optimizer: adam({ learningRate: 0.02 }), batchSize: 8, epochs: 2 },
  },
];

export function train({ model, data, options, callbacks = () => [] }: Case, more: Partial<FitOptions>) {
  const { callbacks: added = [], ...rest } = more;
  const start = init(model, key(0), spec([options.batchSize ?? null, 4, 3]));
  return fit(model, start, data, {
    ...options,
    report: "none",
    ...rest,
    callbacks: [...added, ...callbacks()],
  });
}

export function numbersOf({ variables, optimizerState, history, stopped }: FitResult) {
  return { variables: valuesOf(variables), optimizerState: valuesOf(optimizerState), history, stopped };
}

/** Each device, and which of the places on it are tried: the first, every so many after it, and the last. */
export const devices: readonly (readonly [name: string, device: Device, stride: number])[] = [
  ["reference", "reference", 5],
  ["wasm with one thread", { name: "wasm", threads: 1 }, 1],
  ["wasm with two threads", { name: "wasm", threads: 2 }, 2],
  ["webgpu", "webgpu", 12],
];
