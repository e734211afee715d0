/**
 * `fit`: epochs of training over data on the host. Weights, batch-norm statistics, the optimiser's state and the
 * running means stay on the device from step to step; the host shuffles, cuts batches, reports and calls back.
 */
import { batches, shuffledOrder } from "../data/batches.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { checkOptions } from "../nearest.ts";
import { foldIn, key as randomKey, splitKey } from "../operations/random.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { type Device, toHost } from "../transforms/compile.ts";
import { type Callback, type CallbackContext, checkCallbacks } from "./callbacks.ts";
import {
  checkCount,
  checkData,
  checkStatefulBatch,
  checkTrainer,
  checkVariables,
  splitValidation,
  type Validation,
} from "./checks.ts";
import { disposeTree } from "./dispose.ts";
import { lostWith } from "./device_lost.ts";
import { createLossGuard, type History } from "./non_finite.ts";
import type { Data, Logs, ObjectiveOptions, ObjectiveState } from "./objective.ts";
import type { OptimizerLike, OptimizerState } from "./optimizers.ts";
import { type BatchingOptions, DEFAULT_BATCH_SIZE, prepareEvaluation, runSession } from "./predict.ts";
import { createReporter, type Report } from "./progress.ts";
import { type Trainer, trainerOptionNames, withTrainer } from "./trainer.ts";

/** How a trainer goes over data. */
export interface FitLoopOptions extends BatchingOptions {
  /** How often the data is gone over, counted from epoch 0; default 1. */
  readonly epochs?: number;
  /** The epoch to begin with, for going on where an earlier run ended; default 0. */
  readonly initialEpoch?: number;
  /** Whether each epoch has an order of its own, drawn with the key; default true. */
  readonly shuffle?: boolean;
  /** The random key of the order and of dropout; default `key(0)`. */
  readonly key?: Tensor;
  /** Data to validate with after each epoch, or `{ split: 0.2 }`: the last fifth of the data, before any shuffling. */
  readonly validation?: Validation;
  /** The optimizer's state to go on with; default: a fresh one. */
  readonly optimizerState?: OptimizerState;
  /** What is called while training; default none. */
  readonly callbacks?: readonly Callback[];
  /** Aborting it ends training after the current step. */
  readonly signal?: AbortSignal;
  /** Default `auto`: a bar on a terminal, elsewhere a line per epoch. */
  readonly report?: Report;
}

/** Options of {@linkcode fit}. */
export interface FitOptions extends ObjectiveOptions, FitLoopOptions {
  /** The optimizer by name or as made by a function such as `adam()`. */
  readonly optimizer: OptimizerLike;
  /** The device by name; default `auto`. */
  readonly device?: Device;
}

/** What training gives. */
export interface FitResult {
  /** Weights and state in the end, on the host. */
  readonly variables: Variables;
  /** With it a later call goes on as if there had been no break. */
  readonly optimizerState: OptimizerState;
  /** Per name one entry per completed epoch. */
  readonly history: History;
  /** Why training ended before the last epoch. */
  readonly stopped?: "aborted" | "callback";
}

const loopOptions = [
  "batchSize",
  "epochs",
  "initialEpoch",
  "shuffle",
  "key",
  "validation",
  "optimizerState",
  "callbacks",
  "signal",
  "report",
];

/** Timers and abort signals get their turn at least once in so many milliseconds. */
const PAUSE_EVERY = 100;

/**
 * Trains a model.
 *
 * The loss and the metrics of an epoch are those of all its samples as if they were one batch, computed batch by batch
 * with the weights before each update. A last batch that is smaller runs as it is. A stateful model's carry goes on from batch to
 * batch and from epoch to epoch; a callback begins it anew with `replaceVariables`.
 *
 * @param variables What `init` gave, or an earlier call; it is not changed.
 * @param data Inputs and targets `[samples, ...]` on the host, and sample weights. Values of another dtype than the
 *   model takes (float64, whole numbers for floats) are converted; one that would be lost is refused with a RangeError.
 * @returns The new variables, the optimizer's state and the history: `loss`, metrics, and with validation the same
 *   names with `val_` before them.
 * @throws RangeError for empty data, labels outside the classes, unknown options and names (with the nearest known
 *   one); TypeError for shapes that do not fit; all before anything runs.
 * @throws NonFiniteLossError when the loss of a batch or of the validation is NaN or infinite, with the last good
 *   weights.
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
  data: Data,
  options: FitOptions,
): Promise<FitResult> {
  checkOptions("fit", options, [...trainerOptionNames, ...loopOptions]);
  const { loss, lossWeights, metrics, weightedMetrics, optimizer, device, ...loop } = options;
  return await withTrainer(
    model,
    { loss, lossWeights, metrics, weightedMetrics, optimizer, device },
    (trainer) => fitWith(trainer, variables, data, loop),
  );
}

/** {@linkcode fit} with the executables of a trainer. */
export async function fitWith(
  trainer: Trainer,
  variables: Variables,
  data: Data,
  options: FitLoopOptions = {},
): Promise<FitResult> {
  checkTrainer("fit", trainer);
  checkOptions("fit", options, loopOptions);
  const { batchSize = DEFAULT_BATCH_SIZE, epochs = 1, initialEpoch = 0 } = options;
  checkCount("fit", "batchSize", batchSize);
  checkCount("fit", "epochs", epochs);
  checkCount("fit", "initialEpoch", initialEpoch, 0);
  checkVariables("fit", variables);
  checkCallbacks(options.callbacks);
  const converted = trainer.convert("fit", variables, data);
  const [training, held] = splitValidation(converted, checkData("fit", data), options.validation);
  const validation = held && trainer.convert("validate", variables, held);
  const samples = checkData("fit", training);
  const session = trainer.session("fit", variables, training);
  checkStatefulBatch(trainer.model, variables.state, samples, batchSize);
  const validating = validation &&
    prepareEvaluation(trainer, variables, validation, batchSize, "validate");

  const { objective } = session;
  const { shuffle = true, key = randomKey(0), callbacks = [], signal } = options;
  const [shuffleKey, dropoutKey] = splitKey(key, 2);
  const names = [...objective.names, ...(validation ? objective.names.map((name) => `val_${name}`) : [])];
  const history: History = Object.fromEntries(names.map((name) => [name, []]));
  const steps = Math.ceil(samples / batchSize);
  const train = await session.train();
  let live = await toHost(variables);
  let optimizerState = await toHost(options.optimizerState ?? trainer.initOptimizer(live));
  const guard = createLossGuard(trainer.model, live, history);
  const reporter = createReporter(options.report ?? "auto");

  let stopped = false;
  let pausedAt = performance.now();
  const use = (next: Variables) => {
    if (next === live) return;
    disposeTree(live);
    live = next;
  };
  const call = async (event: keyof Callback, place: { epoch: number; step: number }, logs: Logs) => {
    for (const callback of callbacks) await callback[event]?.(contextOf(place, logs));
  };
  const contextOf = (place: { epoch: number; step: number }, logs: Logs): CallbackContext => ({
    ...place,
    epochs,
    steps,
    logs,
    names,
    variables: () => toHost(live),
    replaceVariables: use,
    stop: () => void (stopped = true),
  });

  /** One epoch; false where it was broken off. */
  const runEpoch = async (epoch: number): Promise<boolean> => {
    const began = performance.now();
    const order = shuffle ? shuffledOrder(foldIn(shuffleKey, epoch), samples) : undefined;
    let metrics: ObjectiveState = objective.initState();
    let step = 0;
    const read = async () => objective.results(await toHost(metrics));
    const progress = (logs: Logs) => ({
      epoch,
      epochs,
      step,
      steps,
      samples: Math.min(step * batchSize, samples),
      elapsed: performance.now() - began,
      logs,
    });
    try {
      for (const batch of batches(training, { batchSize, order, reuse: true })) {
        const number = tensor(epoch * steps + step, { dtype: "int32" });
        const [params, state, nextOptimizerState, nextMetrics, loss] = await train(
          live.params,
          live.state,
          optimizerState,
          metrics,
          dropoutKey,
          number,
          batch,
        );
        [live, optimizerState, metrics] = [{ params, state }, nextOptimizerState, nextMetrics];
        guard.record(loss, { epoch, step });
        step++;
        if (guard.isDue) await guard.check(live);
        if (reporter.wantsStep()) reporter.step(progress(await read()));
        if (callbacks.some(({ onBatchEnd }) => onBatchEnd)) {
          await call("onBatchEnd", { epoch, step }, await read());
        }
        if (performance.now() - pausedAt >= PAUSE_EVERY) {
          await new Promise((resolve) => setTimeout(resolve));
          pausedAt = performance.now();
        }
        if (signal?.aborted || stopped) break;
      }
      await guard.check(live);
      if (step < steps) return false;
      const trained = await read();
      const tested = validation && validating && await runSession(validating, live, validation, batchSize);
      if (tested) guard.validated(tested.loss, { epoch, step: step - 1 });
      const logs: Logs = {
        ...trained,
        ...Object.fromEntries(Object.entries(tested ?? {}).map(([name, value]) => [`val_${name}`, value])),
      };
      for (const name of names) history[name].push(logs[name]);
      reporter.epoch(progress(logs));
      await call("onEpochEnd", { epoch, step }, logs);
      return true;
    } finally {
      disposeTree(metrics);
    }
  };

  try {
    await call("onTrainBegin", { epoch: initialEpoch, step: 0 }, {});
    let epoch = initialEpoch;
    for (; epoch < epochs && !stopped && !signal?.aborted; epoch++) {
      await call("onEpochBegin", { epoch, step: 0 }, {});
      if (stopped || !await runEpoch(epoch)) break;
    }
    const done = epoch >= epochs;
    await call("onTrainEnd", { epoch, step: 0 }, lastLogs(history));
    const [final, finalOptimizerState] = [await guard.finish(live), await toHost(optimizerState)];
    const reason = done ? undefined : signal?.aborted ? "aborted" : "callback";
    return {
      variables: final,
      optimizerState: finalOptimizerState,
      history,
      ...(reason && { stopped: reason }),
    };
  } catch (error) {
    throw lostWith(error, { variables: guard.latest, history });
  } finally {
    reporter.end();
    disposeTree([live.params, live.state, optimizerState]);
  }
}

/** The logs of the last completed epoch; empty where there is none. */
function lastLogs(history: History): Logs {
  return Object.fromEntries(
    Object.entries(history).flatMap(([name, values]) => {
      const last = values.at(-1);
      return last === undefined ? [] : [[name, last]];
    }),
  );
}
