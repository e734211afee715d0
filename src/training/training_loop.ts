/**
 * The loop over epochs and batches. Weights, batch-norm statistics, the optimizer's state and the running
 * means stay on the device from step to step; the host reports, calls back and lets callbacks save the run.
 */
import type { Variables } from "../layers/layer.ts";
import { foldIn, key as randomKey, splitKey } from "../operations/random.ts";
import { resetStates } from "../layers/stateful.ts";
import { item, specOf, type Tensor } from "../tensor/tensor.ts";
import { mapTree, type Tree } from "../tree/tree.ts";
import { toHost } from "../tree/to_host.ts";
import type { CallbackContext, CallbackEvent } from "./callbacks.ts";
import { statefulBatch } from "./checks.ts";
import { disposeTree } from "./dispose.ts";
import { createRescue, type TrainingSnapshot } from "./device_lost.ts";
import type { Feeds } from "./fit_feeds.ts";
import { learningRateOf, withLearningRate } from "./learning_rates.ts";
import { createLossGuard, type History, type StepPlace } from "./non_finite.ts";
import type { Logs, ObjectiveState } from "./objective.ts";
import type { OptimizerState } from "./optimizers.ts";
import { evaluateBatches } from "./predict.ts";
import { createReporter } from "./progress.ts";
import type { Ready } from "./ready.ts";
import { callbackStates, restoreCallbacks, resumedRun } from "./resume.ts";
import { identityOf } from "./run_identity.ts";
import { encodeRun } from "./saved_run.ts";
import { trainableParams, withTrainable } from "./step.ts";
import { requireOptimizer } from "./steps.ts";
import type { Trainer } from "./trainer.ts";
import type { FitLoopOptions, FitResult } from "./fit_options.ts";

/**
 * Trains from the first batch, which was read to find `session`, to the last epoch or until it is stopped.
 *
 * @throws What {@linkcode createRescue} makes of an error, with the last good weights.
 */
export async function runTraining(
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
    disposeTree(live, next);
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
    if (optimizer.final && updates > 0) {
      const trained = trainableParams<Tensor>(model, live.params);
      const ended = await toHost(optimizer.final(trained, optimizerState));
      use({ params: withTrainable(model, live.params, ended), state: live.state });
    }
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
    await reporter.end();
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
