/** Trains the model that reads digits, step by step, so that a page can show how it goes. */
import * as cf from "@cellfold/cellfold";
import { freshWeights, model, objective, type Outputs } from "./digit.ts";
import { type Digits, variedBatches } from "./digits.ts";

/** Digits in a batch. */
const BATCH_SIZE = 32;

/** Which share of digits is read right after the last row. */
export async function accuracyOf(
  trainer: Pick<cf.Trainer<Outputs>, "predictOnBatch">,
  variables: cf.Variables,
  { images, labels }: Digits,
): Promise<number> {
  const { probabilities } = await trainer.predictOnBatch(variables, images);
  const read = cf.argmax(cf.at(probabilities, -1, { axis: 1 }));
  return cf.item(cf.mean(cf.cast(cf.equal(read, labels), "float32")));
}

/** How far training is: after each step its loss, after each epoch but the last the accuracy so far. */
export type Progress =
  | { readonly step: number; readonly loss: number }
  | { readonly step: number; readonly accuracy: number };

/** How the model is trained. */
export interface TrainOptions {
  readonly device: cf.Device;
  readonly epochs: number;
  readonly batchSize?: number;
  readonly key?: cf.Tensor;
  /** Training ends with the step that is running. */
  readonly signal?: AbortSignal;
  /** Called after each step, and awaited: the page draws meanwhile. */
  readonly report: (progress: Progress) => Promise<void> | void;
}

/** What training gives. */
export interface Trained {
  /** On the host. */
  readonly variables: cf.Variables;
  /** The share of the digits held out that is read right. */
  readonly accuracy: number;
}

/** Trains the model from fresh weights, until all epochs are over or the signal is aborted. */
export async function train(digits: Digits, heldOut: Digits, options: TrainOptions): Promise<Trained> {
  const { device, epochs, batchSize = BATCH_SIZE, key = cf.key(0), signal, report } = options;
  const optimizer = cf.adam({ learningRate: 0.004 });
  using trainer = cf.createTrainer(model, { ...objective, optimizer, device });
  let state: cf.TrainingState = { variables: freshWeights(key) };
  let step = 0;
  for (let epoch = 0; epoch < epochs && !signal?.aborted; epoch++) {
    for (const batch of variedBatches(digits, batchSize, cf.foldIn(key, epoch))) {
      const { variables, optimizerState, logs } = await trainer.trainOnBatch(state, batch);
      state = { variables, optimizerState };
      await report({ step: ++step, loss: logs.loss });
      if (signal?.aborted) break;
    }
    if (!signal?.aborted && epoch < epochs - 1) {
      await report({ step, accuracy: await accuracyOf(trainer, state.variables, heldOut) });
    }
  }
  const accuracy = await accuracyOf(trainer, state.variables, heldOut);
  return { variables: await cf.toHost(state.variables), accuracy };
}

/** How many steps {@linkcode train} makes. */
export function stepsOf(digits: Digits, epochs: number, batchSize = BATCH_SIZE): number {
  return epochs * Math.ceil(digits.labels.shape[0] / batchSize);
}
