/**
 * `fit`: epochs of training over data on the host, in memory or from an iterable. What is given is checked
 * here, and batches are cut or read as `fit_feeds.ts` says; `training_loop.ts` runs them.
 */
import { checkCount } from "../describe.ts";
import { checkVariables } from "../layers/checks.ts";
import type { DataSource } from "../data/items.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { checkOptions } from "../option_names.ts";
import type { Device } from "../transforms/devices.ts";
import { toHost } from "../tree/to_host.ts";
import { BatchError } from "./batch_error.ts";
import { checkCallbacks } from "./callbacks.ts";
import { checkSignal, weightsElsewhere } from "./checks.ts";
import { checkClassWeight } from "./class_weight.ts";
import { isSource } from "./feed.ts";
import { type Feeds, feedsOfData, feedsOfSource } from "./fit_feeds.ts";
import type { Data, ObjectiveOptions } from "./objective.ts";
import type { OptimizerLike } from "./optimizers.ts";
import { batchingOptionNames } from "./predict.ts";
import { withShared } from "./shared.ts";
import { checkTrainer, createTrainer, type Trainer, trainerOptionNames } from "./trainer.ts";
import type { FitLoopOptions, FitResult } from "./fit_options.ts";
import { runTraining } from "./training_loop.ts";

/** Options of {@linkcode fit}. */
export interface FitOptions extends ObjectiveOptions, FitLoopOptions {
  /** The optimizer by name or as made by a function such as `adam()`. */
  readonly optimizer: OptimizerLike;
  /** The device by name; default `auto`. */
  readonly device?: Device;
}

const loopOptions = [
  ...batchingOptionNames,
  "epochs",
  "initialEpoch",
  "stepsPerEpoch",
  "classWeight",
  "shuffle",
  "key",
  "validation",
  "optimizerState",
  "resume",
  "callbacks",
  "report",
];

/** What to use instead of options that `fit` has in other libraries. */
const elsewhere = {
  sampleWeight: weightsElsewhere.sampleWeight,
  validationData: "give validation: { x, y }",
  validationSplit: "give validation: { split: 0.2 }",
  verbose: 'give report: "none" for silence',
  validationSteps: "give validation an iterable or a function that ends after as many batches",
} as const;

/**
 * Trains a model.
 *
 * The loss and the metrics of an epoch are those of all its samples as if they were one batch, computed batch
 * by batch with the weights before each update. A smaller last batch runs with its own size. The loss has the
 * penalties of the model's regularizers, as in Keras, those of an epoch the mean over its samples; constraints
 * act after each update.
 *
 * Random numbers (the order of an epoch, the units that dropout drops) depend on the key and on the number of
 * earlier updates, which `optimizerState` counts: several calls that pass on variables and `optimizerState`
 * act as one long run.
 *
 * With the callback {@linkcode checkpoint}, a run that is interrupted anywhere goes on with the option `resume`
 * and ends bit for bit as if it had not been.
 *
 * A stateful model's carry continues from batch to batch and from epoch to epoch; a callback resets it with
 * `replaceVariables`. The batch size is that of its state, and its samples keep their order unless `shuffle`
 * is true. Validation starts with fresh carries and leaves those of training unchanged.
 *
 * @param variables The result of `init`, or of an earlier call; not changed.
 * @param data Inputs and targets `[samples, ...]` on the host, and sample weights. Values of another dtype
 *   than the model accepts (float64, integers for floats) are converted; a value that would be lost is
 *   refused with a RangeError. Data larger than memory is given as an iterable or async iterable of batches
 *   `{ x, y }`, which may differ in their numbers of samples and steps, or of single samples (`items`), or as
 *   a function that gives one for each epoch. Asynchronous ones are read ahead, by two batches at most, so
 *   each batch needs memory of its own. They are closed at the end of an epoch, and when training ends early.
 * @returns The new variables, the optimizer's state and the history: `loss`, metrics, and with validation the
 *   same names with `val_` before them.
 * @throws RangeError for empty data, labels outside the classes or too long for their sequence, unknown options
 *   and names (with the nearest known one); TypeError for shapes that do not fit; all before anything runs.
 * @throws BatchError when an iterable throws, ends early or gives a batch that is unlike the first one or has
 *   such labels, with the batch, the last good weights and the optimizer's state.
 * @throws Error if there is nothing to resume; RangeError for a run of another model, optimizer or version, or
 *   one that differs in an option, naming both values.
 * @throws NonFiniteLossError when the loss of a batch or of the validation is NaN or infinite, with the last
 *   good weights: what Keras's TerminateOnNaN does is always on; DeviceLostError when the device fails, with
 *   the last weights and the optimizer's state.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { dense, fit, key, sgd, spec, tensor } from "@cellfold/cellfold";
 * const model = dense({ units: 1 });
 * const variables = { params: model.initParams(key(0), spec([null, 1])), state: [] };
 * const data = { x: tensor([[0], [1], [2], [3]]), y: tensor([[1], [3], [5], [7]]) };
 * const { history } = await fit(model, variables, data, {
 *   loss: "mse",
 *   optimizer: sgd({ learningRate: 0.05 }),
 *   epochs: 20,
 *   report: "none",
 * });
 * assert(history.loss[19] < history.loss[0]);
 * ```
 */
export async function fit(
  model: Layer,
  variables: Variables,
  data: Data | DataSource<Data>,
  options: FitOptions,
): Promise<FitResult> {
  checkOptions("fit", options, [...trainerOptionNames, ...loopOptions], elsewhere);
  const { loss, lossWeights, metrics, weightedMetrics, optimizer, device, ...loop } = options;
  return await withShared(
    createTrainer,
    model,
    { loss, lossWeights, metrics, weightedMetrics, optimizer, device },
    (trainer) => fitWith(trainer, variables, data, loop),
  );
}

/** {@linkcode fit} with the executables of a trainer. */
export async function fitWith(
  trainer: Trainer,
  variables: Variables,
  data: Data | DataSource<Data>,
  options: FitLoopOptions = {},
): Promise<FitResult> {
  checkTrainer("fit", trainer);
  checkOptions("fit", options, loopOptions, elsewhere);
  checkCount("fit", options.epochs ?? 1, "epochs");
  checkCount("fit", options.initialEpoch ?? 0, "initialEpoch", 0);
  checkVariables("fit", variables);
  checkSignal("fit", options.signal);
  checkClassWeight(options.classWeight);
  checkCallbacks(options.callbacks);
  const isParted = isSource<Data>(data);
  const feeds = isParted
    ? feedsOfSource(trainer, variables, data, options)
    : feedsOfData(trainer, variables, data, options);
  try {
    const first = await feeds.first();
    const result: FitResult = first
      ? await runTraining(trainer, variables, feeds, first, options)
      : { ...await untrained(trainer, variables, options), stopped: "aborted" };
    await closed(feeds, result);
    return result;
  } catch (error) {
    await feeds.close().catch(() => {}); // the first error is the one to report
    if (!(error instanceof BatchError) || error.variables) throw error;
    const place = { epoch: error.epoch, step: 0 };
    throw new BatchError(error.cause, error, { ...await untrained(trainer, variables, options), place });
  }
}

/** Closes the iterables; an error of theirs carries what was trained. */
async function closed(feeds: Feeds, { variables, optimizerState, history }: FitResult): Promise<void> {
  try {
    await feeds.close();
  } catch (error) {
    if (!(error instanceof BatchError)) throw error;
    const place = { epoch: error.epoch, step: error.batch + 1 };
    throw new BatchError(error.cause, error, { variables, optimizerState, history, place });
  }
}

/** What training begins with, for when it ends before the first batch. */
async function untrained(
  trainer: Trainer,
  given: Variables,
  options: FitLoopOptions,
): Promise<Omit<FitResult, "stopped">> {
  if (options.resume !== undefined) options.signal?.throwIfAborted(); // what was saved was not read yet
  const variables = await toHost(given);
  const optimizerState = await toHost(options.optimizerState ?? trainer.initOptimizer(variables));
  return { variables, optimizerState, history: {} };
}
