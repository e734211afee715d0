/**
 * `fit`: epochs of training over data on the host, in memory or from an iterable. Weights, batch-norm
 * statistics, the optimizer's state and the running means stay on the device from step to step; the host
 * shuffles, cuts or reads batches, reports and calls back.
 */
import { checkCount } from "../describe.ts";
import { checkVariables } from "../layers/checks.ts";
import type { DataSource } from "../data/items.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { checkOptions } from "../option_names.ts";
import { foldIn, key as randomKey, splitKey } from "../operations/random.ts";
import { resetStates } from "../layers/stateful.ts";
import { item, specOf, type Tensor } from "../tensor/tensor.ts";
import { mapTree, type Tree } from "../tree/tree.ts";
import { type Device } from "../transforms/compile.ts";
import { toHost } from "../tree/to_host.ts";
import { BatchError } from "./batch_error.ts";
import { type Callback, type CallbackContext, type CallbackEvent, checkCallbacks } from "./callbacks.ts";
import { checkSignal, statefulBatch, weightsElsewhere } from "./checks.ts";
import { checkClassWeight } from "./class_weight.ts";
import { disposeTree } from "./dispose.ts";
import { createRescue, type TrainingSnapshot } from "./device_lost.ts";
import { isSource } from "./feed.ts";
import { type Feeds, feedsOfData, feedsOfSource, type FeedsOptions } from "./fit_feeds.ts";
import { learningRateOf, withLearningRate } from "./learning_rates.ts";
import { createLossGuard, type History, type StepPlace } from "./non_finite.ts";
import type { Data, Logs, ObjectiveOptions, ObjectiveState } from "./objective.ts";
import type { OptimizerLike, OptimizerState } from "./optimizers.ts";
import { batchingOptionNames, evaluateBatches } from "./predict.ts";
import { createReporter, type Report } from "./progress.ts";
import type { Ready } from "./ready.ts";
import { callbackStates, restoreCallbacks, type Resume, resumedRun } from "./resume.ts";
import { identityOf } from "./run_identity.ts";
import { encodeRun } from "./saved_run.ts";
import { withTrainer } from "./shared.ts";
import { requireOptimizer } from "./steps.ts";
import { checkTrainer, type Trainer, trainerOptionNames } from "./trainer.ts";

/** How a trainer iterates over data. */
export interface FitLoopOptions extends FeedsOptions {
  /** The number of passes over the data, counted from epoch 0; default 1. */
  readonly epochs?: number;
  /**
   * The random key of the order and of dropout; default `key(0)`. It is folded with the number of earlier
   * updates, as counted in `optimizerState`, so that a continued run does not repeat its random numbers.
   */
  readonly key?: Tensor;
  /**
   * The optimizer's state to continue with, from the same optimizer and trained weights; default: a fresh
   * one.
   */
  readonly optimizerState?: OptimizerState;
  /**
   * Where an interrupted run goes on: a directory that {@linkcode checkpoint} wrote. The variables then only
   * say their structure. Model, optimizer, losses, `batchSize`, `shuffle` and `key` must be those of that
   * run, and so should the data and the device; `epochs` may be larger.
   */
  readonly resume?: Resume;
  /** Objects whose functions are called while training; default none. */
  readonly callbacks?: readonly Callback[];
  /** Aborting it ends training after the present step, or during the validation, which is then discarded. */
  readonly signal?: AbortSignal;
  /** Default `auto`: a bar on a terminal, otherwise one line per epoch. */
  readonly report?: Report;
}

/** Options of {@linkcode fit}. */
export interface FitOptions extends ObjectiveOptions, FitLoopOptions {
  /** The optimizer by name or as made by a function such as `adam()`. */
  readonly optimizer: OptimizerLike;
  /** The device by name; default `auto`. */
  readonly device?: Device;
}

/** The result of training. */
export interface FitResult {
  /** The final weights and state, on the host. */
  readonly variables: Variables;
  /**
   * With it, the variables and the same options, a later call continues as if there had been no break, bit
   * for bit: two epochs and two more are four.
   */
  readonly optimizerState: OptimizerState;
  /** By name, one entry per completed epoch, with those before an interruption. */
  readonly history: History;
  /** Why training ended before the last epoch. */
  readonly stopped?: "aborted" | "callback";
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
 * by batch with the weights before each update. A smaller last batch runs with its own size.
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
 * @throws RangeError for empty data, labels outside the classes, unknown options and names (with the nearest
 *   known one); TypeError for shapes that do not fit; all before anything runs.
 * @throws BatchError when an iterable throws, ends early or gives a batch that is unlike the first one or has
 *   labels outside the classes, with the batch, the last good weights and the optimizer's state.
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
    return first
      ? await train(trainer, variables, feeds, first, options)
      : { ...await untrained(trainer, variables, options), stopped: "aborted" };
  } catch (error) {
    if (!(error instanceof BatchError) || error.variables) throw error;
    const place = { epoch: error.epoch, step: 0 };
    throw new BatchError(error.cause, error, { ...await untrained(trainer, variables, options), place });
  } finally {
    await feeds.close();
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

async function train(
  trainer: Trainer,
  variables: Variables,
  feeds: Feeds,
  { session }: Ready,
  options: FitLoopOptions,
): Promise<FitResult> {
  const { epochs = 1, initialEpoch = 0, key = randomKey(0), callbacks = [], signal } = options;
  const { objective } = session;
  const { steps, validation } = feeds;
  const [shuffleKey, dropoutKey] = splitKey(key, 2);
  const names = [...objective.names, ...(validation ? objective.names.map((name) => `val_${name}`) : [])];
  if (options.optimizerState !== undefined) session.checkOptimizerState(options.optimizerState);
  const optimizer = requireOptimizer(session.optimizer);
  const { model } = trainer;
  const { classWeight } = options;
  const identity = () =>
    identityOf({ model, variables, optimizer, objective, names, ...feeds.reading, classWeight, key });
  const resumed = options.resume === undefined ? undefined : await resumedRun(options, identity(), callbacks);
  const history: History = Object.fromEntries(names.map((name) => [name, [...resumed?.history[name] ?? []]]));
  let live: Variables = resumed?.variables ?? await toHost(variables);
  let optimizerState: OptimizerState = resumed?.optimizerState ??
    await toHost(options.optimizerState ?? trainer.initOptimizer(live));
  /** The total number of updates, in all runs up to here. */
  let updates = item(optimizerState.step);
  const isStateful = statefulBatch(variables.state) !== undefined;
  /** The initial state of a validation: without what a stateful model carries from training. */
  const validated = (x: Tree<Tensor>): Variables =>
    isStateful ? { ...live, state: resetStates(trainer.model, live, mapTree(x, specOf)) } : live;
  const guard = createLossGuard(trainer.model, live, history);
  const start = resumed?.place ?? { epoch: initialEpoch, step: 0 };
  let place = start;
  const snapshot = (): TrainingSnapshot => ({ variables: live, optimizerState, place });
  const rescue = createRescue(trainer.model, snapshot(), history);
  const reporter = createReporter(options.report ?? "auto");

  let stopped = resumed?.stopped ?? false;
  const use = (next: Variables) => {
    if (next === live) return;
    disposeTree(live);
    live = next;
  };
  const call = async (event: Exclude<CallbackEvent, "onSave">, place: StepPlace, logs: Logs) => {
    for (const callback of callbacks) await callback[event]?.(contextOf(place, logs));
  };
  /** Lets callbacks save the state at a place, with the running means of an epoch that has begun. */
  const offerSave = async (place: StepPlace, ending: boolean, metrics?: ObjectiveState) => {
    const save = async () => {
      await guard.check(live);
      return await encodeRun(model, {
        identity: identity(),
        place,
        stopped,
        variables: await guard.finish(live),
        optimizerState: await toHost(optimizerState),
        metrics: metrics && await toHost(metrics),
        history,
        callbacks: callbackStates(callbacks),
      });
    };
    for (const callback of callbacks) await callback.onSave?.({ ...contextOf(place, {}), ending, save });
  };
  const contextOf = (place: StepPlace, logs: Logs): CallbackContext => ({
    ...place,
    epochs,
    steps,
    logs,
    names,
    updates,
    resumedFrom: resumed?.file,
    variables: () => toHost(live),
    replaceVariables: use,
    learningRate: () => learningRateOf("read the learning rate", optimizerState),
    setLearningRate(rate) {
      const before = optimizerState;
      optimizerState = withLearningRate(before, rate);
      disposeTree(before, optimizerState);
    },
    stop: () => void (stopped = true),
  });

  /** The first epoch, which an earlier run may have begun. */
  const begun: { readonly step: number; readonly metrics?: ObjectiveState } = {
    step: start.step,
    metrics: resumed?.metrics,
  };
  /** Runs one epoch; returns false if it was interrupted. */
  const runEpoch = async (epoch: number): Promise<boolean> => {
    const began = performance.now();
    let { step, metrics = objective.initState() } = epoch === start.epoch ? begun : { step: 0 };
    let samples = 0;
    const read = async () => objective.results(await toHost(metrics));
    const progress = (logs: Logs) => ({
      epoch,
      epochs,
      step,
      steps,
      samples,
      elapsed: performance.now() - began,
      logs,
    });
    try {
      let isWhole = true;
      const from = { key: foldIn(shuffleKey, updates - step), first: step };
      for await (const batch of feeds.training(epoch, from)) {
        const [params, state, nextOptimizerState, nextMetrics, loss] = await batch.session.train()(
          live.params,
          live.state,
          optimizerState,
          metrics,
          dropoutKey,
          batch.data,
        );
        [live, optimizerState, metrics] = [{ params, state }, nextOptimizerState, nextMetrics];
        guard.record(loss, { epoch, step });
        place = { epoch, step: ++step };
        updates++;
        samples += batch.samples;
        if (guard.isDue) {
          await guard.check(live);
          await rescue.keep(snapshot());
        }
        if (reporter.wantsStep()) reporter.step(progress(await read()));
        if (callbacks.some(({ onBatchEnd }) => onBatchEnd)) {
          await call("onBatchEnd", { epoch, step }, await read());
        }
        isWhole = !(signal?.aborted || stopped);
        if (!isWhole) break;
        if (step !== steps) await offerSave({ epoch, step }, false, metrics); // it may be the last one
      }
      await guard.check(live);
      await rescue.keep(snapshot());
      isWhole &&= !signal?.aborted; // while a batch was waited for
      if (!isWhole && step !== steps) {
        await offerSave({ epoch, step }, true, metrics);
        return false;
      }
      const trained = await read();
      const tested = validation && await evaluateBatches(validation(epoch), validated, signal);
      if (tested) guard.validated(tested.loss, { epoch, step: step - 1 });
      const logs: Logs = {
        ...trained,
        ...Object.fromEntries(Object.entries(tested ?? {}).map(([name, value]) => [`val_${name}`, value])),
      };
      for (const name of names) history[name].push(logs[name]);
      reporter.epoch(progress(logs));
      await call("onEpochEnd", { epoch, step }, logs);
      await offerSave(
        { epoch: epoch + 1, step: 0 },
        epoch + 1 >= epochs || stopped || signal?.aborted === true,
      );
      return true;
    } catch (error) {
      if (!signal?.aborted || error !== signal.reason) throw error;
      await offerSave({ epoch, step }, true, metrics); // the validation was interrupted
      return false;
    } finally {
      disposeTree(metrics);
    }
  };

  try {
    await call("onTrainBegin", start, {});
    if (resumed) restoreCallbacks(resumed, callbacks);
    await offerSave(start, false, begun.metrics);
    let { epoch } = start;
    for (; epoch < epochs && !stopped && !signal?.aborted; epoch++) {
      const isBegun = epoch === start.epoch && start.step > 0;
      if (!isBegun) await call("onEpochBegin", { epoch, step: 0 }, {});
      if (stopped) await offerSave({ epoch, step: 0 }, true);
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
    throw await rescue.errorFor(error, snapshot());
  } finally {
    for (const callback of callbacks) await callback.onRelease?.();
    reporter.end();
    disposeTree([live.params, live.state, optimizerState]);
  }
}

/** The logs of the last completed epoch; empty if there is none. */
function lastLogs(history: History): Logs {
  return Object.fromEntries(
    Object.entries(history).flatMap(([name, values]) => {
      const last = values.at(-1);
      return last === undefined ? [] : [[name, last]];
    }),
  );
}
