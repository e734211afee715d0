/**
 * Callbacks: plain objects of functions that `fit` calls, and two common ones, early stopping and saving. The
 * caller's function decides where weights are saved: nothing here touches a file. Those that change the
 * learning rate or write files are in files of their own.
 */
import { checkRange } from "../options/checks.ts";
import { checkCount, checkFunction, checkObject, checkText, isObject, wrongKind } from "../describe.ts";
import type { Variables } from "../layers/layer.ts";
import { unknownName } from "../known_names.ts";
import { checkOptions } from "../option_names.ts";
import { checkAsMade, made } from "../options/made.ts";
import type { CallbackState } from "./callback_state.ts";
import { checkMonitor, checkMonitored, comparison, type Monitored, type MonitorMode } from "./monitor.ts";
import type { Logs } from "./objective.ts";

/** What a callback can read and do. */
export interface CallbackContext {
  /** The epoch, from 0. */
  readonly epoch: number;
  /** How many epochs there are. */
  readonly epochs: number;
  /** Completed steps of this epoch. */
  readonly step: number;
  /** How many steps an epoch has; undefined if an iterable does not say how many batches it gives. */
  readonly steps: number | undefined;
  /** Losses and metrics so far in the epoch, and at its end those of the validation too. */
  readonly logs: Logs;
  /** The names that the logs have at the end of an epoch. */
  readonly names: readonly string[];
  /** How many updates were made, also in the calls of `fit` before this one. */
  readonly updates: number;
  /** The file that this run was resumed from. */
  readonly resumedFrom?: string;
  /** The present weights and state, copied to the host. */
  variables(): Promise<Variables>;
  /** Continues with other weights or another state, such as a reset stateful carry. */
  replaceVariables(variables: Variables): void;
  /**
   * The present learning rate.
   *
   * @throws TypeError if it comes from a schedule, or the state of a custom optimizer has no `learningRate`.
   */
  learningRate(): Promise<number>;
  /**
   * Continues with another learning rate; nothing is compiled again.
   *
   * @throws TypeError as `learningRate`; RangeError for a rate that is negative or not finite.
   */
  setLearningRate(rate: number): void;
  /** Ends training: after this step, or at once if called when an epoch starts or ends. */
  stop(): void;
}

/** What `onSave` can do besides. */
export interface SaveContext extends CallbackContext {
  /** Whether training ends here: with its last epoch, or as a callback or a signal ended it. */
  readonly ending: boolean;
  /**
   * The whole state of training as the bytes of a safetensors file: variables, the optimizer's state, the
   * place in the epoch, order and random keys, the states of callbacks, and the history. The option `resume`
   * goes on from it bit for bit; `loadCheckpoint` reads model, variables and optimizerState from it.
   *
   * @throws NonFiniteLossError if a loss or a weight is no longer finite: nothing worth keeping is replaced.
   */
  save(): Promise<Uint8Array<ArrayBuffer>>;
}

/** A callback: any of these functions; their results are awaited. */
export interface Callback {
  /** The kind, such as `earlyStopping`, by which its state is recognized; needed with `state`. */
  readonly type?: string;
  /** Before the first epoch; invalid options of a callback throw here. */
  onTrainBegin?(context: CallbackContext): void | Promise<void>;
  /** Before the first step of an epoch; not when a run is resumed in its middle. */
  onEpochBegin?(context: CallbackContext): void | Promise<void>;
  /** After each step; reading its logs copies them from the device each time, which costs a little. */
  onBatchEnd?(context: CallbackContext): void | Promise<void>;
  /** After the validation of a completed epoch. */
  onEpochEnd?(context: CallbackContext): void | Promise<void>;
  /**
   * When the state of training can be saved, as all callbacks are done with what came before: before the
   * first epoch, after each step but the last of an epoch, after each epoch, and where training ends. Its logs
   * are empty, so nothing is read from the device unless it is saved.
   */
  onSave?(context: SaveContext): void | Promise<void>;
  /** Also after an abort, but not after an error. */
  onTrainEnd?(context: CallbackContext): void | Promise<void>;
  /** Last, however training ended: frees what the callback holds, such as an open file. */
  onRelease?(): void | Promise<void>;
  /** What the callback has to remember if training is interrupted: plain data in which tensors may stand. */
  state?(): CallbackState;
  /** Gives back what `state` returned, after `onTrainBegin` of a run that is resumed. */
  restore?(state: CallbackState): void;
}

/** The names of the functions that `fit` calls as training goes on. */
export type CallbackEvent = keyof Callback & `on${string}`;

const EVENTS: readonly CallbackEvent[] = [
  "onTrainBegin",
  "onEpochBegin",
  "onBatchEnd",
  "onEpochEnd",
  "onSave",
  "onTrainEnd",
  "onRelease",
];

/**
 * Throws unless callbacks are a list of objects whose `on…` functions are among those that `fit` calls.
 *
 * @throws RangeError for another name that starts with `on`, with the nearest known one; TypeError for
 *   anything else, such as a copy of `earlyStopping()` with another option, which would have no effect.
 */
export function checkCallbacks(callbacks: readonly Callback[] | undefined): void {
  if (callbacks === undefined) return;
  if (!Array.isArray(callbacks)) {
    throw wrongKind("fit", callbacks, "callbacks", "an array, [callback, …]");
  }
  callbacks.forEach((callback, index) => {
    if (!isObject(callback)) {
      throw wrongKind("fit", callback, `callbacks[${index}]`, "an object");
    }
    for (const name of Object.keys(callback).filter((name) => /^on[A-Z]/.test(name))) {
      if (!EVENTS.some((event) => event === name)) throw unknownName("callback function", name, EVENTS);
    }
    checkAsMade(callback);
    const { type, state, restore }: Callback = callback;
    if (state === undefined && restore === undefined) return;
    checkFunction("fit", state, `callbacks[${index}].state`);
    checkFunction("fit", restore, `callbacks[${index}].restore`);
    checkText("fit", type, `callbacks[${index}].type`, "the name of its kind, as it has a state");
  });
}

/** Options of {@linkcode earlyStopping}. */
export interface EarlyStoppingOptions {
  /** The name of the monitored log; default `val_loss`. */
  readonly monitor?: string;
  /**
   * The number of epochs without improvement after which training ends, as in Keras; default 0, which acts
   * as 1.
   */
  readonly patience?: number;
  /** The smallest change that counts as an improvement; default 0. */
  readonly minDelta?: number;
  /** Default `auto`. */
  readonly mode?: MonitorMode;
  /** Whether to end with the weights of the best epoch instead of the last; default false. */
  readonly restoreBestWeights?: boolean;
  /** The epoch, from 0, at which monitoring starts; default 0. */
  readonly startFromEpoch?: number;
}

/** Options of {@linkcode saving}. */
export interface SavingOptions {
  /** The function that receives the weights. */
  readonly save: (variables: Variables, info: SavingInfo) => void | Promise<void>;
  /** Saves once every this many epochs; default 1. */
  readonly every?: number;
  /** Whether to save only when the monitored log is better than ever before; default false. */
  readonly saveBestOnly?: boolean;
  /** The name of the log monitored with `saveBestOnly`; default `val_loss`. */
  readonly monitor?: string;
  /** Default `auto`. */
  readonly mode?: MonitorMode;
}

/** Information about the saved weights. */
export interface SavingInfo {
  /** The epoch, from 0. */
  readonly epoch: number;
  /** Losses and metrics of the epoch. */
  readonly logs: Logs;
}

/**
 * Ends training when a log has stopped improving.
 *
 * @throws RangeError for an unknown option or mode; when training starts, for a log that will not exist, or
 *   one for which `auto` does not know whether less or more is better.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { earlyStopping } from "@cellfold/cellfold";
 * const callback = earlyStopping({ monitor: "val_accuracy", patience: 3, restoreBestWeights: true });
 * assertEquals(typeof callback.onEpochEnd, "function"); // give it to fit: { callbacks: [callback] }
 * ```
 */
export function earlyStopping(options: EarlyStoppingOptions = {}): Callback {
  checkOptions("earlyStopping", options, [
    "monitor",
    "patience",
    "minDelta",
    "mode",
    "restoreBestWeights",
    "startFromEpoch",
  ]);
  const { monitor = "val_loss", patience = 0, minDelta = 0, mode = "auto", startFromEpoch = 0 } = options;
  checkCount("make earlyStopping", patience, "patience", 0);
  checkCount("make earlyStopping", startFromEpoch, "startFromEpoch", 0);
  checkRange("earlyStopping", "minDelta", minDelta, { low: 0 });
  checkText("make earlyStopping", monitor, "monitor", "the name of a log");
  const isBetter = comparison(monitor, mode, minDelta);
  let best: number | undefined;
  let bestVariables: Variables | undefined;
  let waited = 0;
  return made<Callback>({
    type: "earlyStopping",
    onTrainBegin(context) {
      checkMonitor(monitor, mode, context);
      best = bestVariables = undefined;
      waited = 0;
    },
    async onEpochEnd(context) {
      checkObject("use earlyStopping", context?.logs, "the logs in the context", "those that fit gives");
      if (context.epoch < startFromEpoch) return;
      const value = context.logs[monitor];
      if (isBetter(value, best)) {
        best = value;
        waited = 0;
        if (options.restoreBestWeights) bestVariables = await context.variables();
      } else if (++waited >= patience) {
        context.stop();
      }
    },
    onTrainEnd(context) {
      if (bestVariables) context.replaceVariables(bestVariables);
      bestVariables = undefined;
    },
    state: () => ({ monitor, best, waited, bestVariables }),
    restore(state: Monitored & { readonly waited: number; readonly bestVariables?: Variables }) {
      checkMonitored("earlyStopping", monitor, state);
      ({ best, waited, bestVariables } = state);
    },
  }, { main: "onEpochEnd" });
}

/**
 * Passes the weights to the caller's function at the end of epochs.
 *
 * @throws RangeError for an unknown option or mode; when training starts, for a log that will not exist, or
 *   one for which `auto` does not know whether less or more is better.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { saving } from "@cellfold/cellfold";
 * const kept: number[] = [];
 * const callback = saving({ save: (_variables, { epoch }) => void kept.push(epoch), every: 2 });
 * assertEquals(typeof callback.onEpochEnd, "function"); // give it to fit: { callbacks: [callback] }
 * ```
 */
export function saving(options: SavingOptions): Callback {
  checkOptions("saving", options, ["save", "every", "saveBestOnly", "monitor", "mode"]);
  const { save, every = 1, saveBestOnly = false, monitor = "val_loss", mode = "auto" } = options;
  checkCount("make saving", every, "every");
  if (typeof save !== "function") {
    throw new TypeError(`Cannot use saving: save is ${typeof save}, expected a function`);
  }
  if (!saveBestOnly && (options.monitor !== undefined || options.mode !== undefined)) {
    throw new RangeError("Cannot use saving: monitor and mode act only with saveBestOnly, which is false");
  }
  const isBetter = comparison(monitor, mode);
  let best: number | undefined;
  return made<Callback>({
    type: "saving",
    onTrainBegin(context) {
      if (saveBestOnly) checkMonitor(monitor, mode, context);
      best = undefined;
    },
    async onEpochEnd(context) {
      const { epoch, logs } = context;
      if ((epoch + 1) % every !== 0) return;
      if (saveBestOnly) {
        if (!isBetter(logs[monitor], best)) return;
        best = logs[monitor];
      }
      await save(await context.variables(), { epoch, logs });
    },
    state: () => ({ monitor, best }),
    restore(state: Monitored) {
      checkMonitored("saving", monitor, state);
      ({ best } = state);
    },
  }, { main: "onEpochEnd" });
}
