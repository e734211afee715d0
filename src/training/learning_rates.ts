/**
 * Callbacks that change the learning rate between epochs. It is in the optimizer's state, so no step is
 * compiled again, and a resumed run goes on with it. Rates that follow from the step alone are schedules.
 */
import { checkCount, checkFunction, checkObject, checkText } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import { checkRange } from "../options/checks.ts";
import { made } from "../options/made.ts";
import { isTensor, item, printSpec, type Tensor, tensor } from "../tensor/tensor.ts";
import { toHost } from "../tree/to_host.ts";
import type { Callback, CallbackContext } from "./callbacks.ts";
import { checkMonitor, checkMonitored, comparison, type Monitored, type MonitorMode } from "./monitor.ts";
import type { OptimizerState } from "./optimizers.ts";

/** The learning rate in an optimizer's state, as a number. */
export async function learningRateOf(what: string, state: OptimizerState): Promise<number> {
  return item(await toHost(rateIn(what, state)));
}

/** An optimizer's state with another learning rate. */
export function withLearningRate(state: OptimizerState, rate: number): OptimizerState {
  const what = "set the learning rate";
  rateIn(what, state);
  if (!(Number.isFinite(rate) && rate >= 0)) {
    throw new RangeError(`Cannot ${what}: it is ${quoted(rate)}, expected a number from 0`);
  }
  return { ...state, learningRate: tensor(rate) };
}

function rateIn(what: string, { learningRate }: OptimizerState): Tensor {
  if (isTensor(learningRate) && learningRate.dtype === "float32" && learningRate.shape.length === 0) {
    return learningRate;
  }
  throw new TypeError(
    `Cannot ${what}: the learningRate in the optimizer's state is ` +
      `${
        isTensor(learningRate) ? printSpec(learningRate) : "missing"
      }, expected a float32 scalar; give the ` +
      `optimizer a number instead of a schedule, or a custom one a learningRate in its state`,
  );
}

/**
 * Sets the learning rate before each epoch, as Keras's `LearningRateScheduler`. For a rate that depends on the
 * step, give the optimizer a schedule instead, such as `exponentialDecay`.
 *
 * @param rate The rate of an epoch, from its number, from 0, and the present rate.
 * @throws TypeError if it is not a function, or when training starts with an optimizer that has a schedule;
 *   RangeError for a rate that is negative or not finite.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { learningRateSchedule } from "@cellfold/cellfold";
 * const callback = learningRateSchedule((epoch, rate) => epoch < 10 ? rate : rate * 0.9);
 * assertEquals(typeof callback.onEpochBegin, "function"); // give it to fit: { callbacks: [callback] }
 * ```
 */
export function learningRateSchedule(rate: (epoch: number, rate: number) => number): Callback {
  checkFunction("make learningRateSchedule", rate, "rate");
  return made<Callback>({
    type: "learningRateSchedule",
    async onTrainBegin(context) {
      checkContext(context);
      await context.learningRate();
    },
    async onEpochBegin(context) {
      checkContext(context);
      context.setLearningRate(rate(context.epoch, await context.learningRate()));
    },
  }, { main: "onEpochBegin" });
}

/** Options of {@linkcode reduceLrOnPlateau}; the defaults are Keras's. */
export interface ReduceLrOnPlateauOptions {
  /** The name of the monitored log; default `val_loss`. */
  readonly monitor?: string;
  /** What the rate is multiplied by, from 0 to below 1; default 0.1. */
  readonly factor?: number;
  /** The number of epochs without improvement after which the rate is reduced; default 10. */
  readonly patience?: number;
  /** The smallest change that counts as an improvement; default 0.0001. */
  readonly minDelta?: number;
  /** How many epochs after a reduction do not count; default 0. */
  readonly cooldown?: number;
  /** The smallest rate; default 0. */
  readonly minLearningRate?: number;
  /** Default `auto`. */
  readonly mode?: MonitorMode;
}

/**
 * Reduces the learning rate when a log has stopped improving, as in Keras.
 *
 * @throws RangeError for an unknown option or mode, or a value out of range; when training starts, for a log
 *   that will not exist, or one for which `auto` does not know whether less or more is better. TypeError when
 *   training starts with an optimizer that has a schedule.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { reduceLrOnPlateau } from "@cellfold/cellfold";
 * const callback = reduceLrOnPlateau({ factor: 0.5, patience: 3, minLearningRate: 1e-5 });
 * assertEquals(typeof callback.onEpochEnd, "function"); // give it to fit: { callbacks: [callback] }
 * ```
 */
export function reduceLrOnPlateau(options: ReduceLrOnPlateauOptions = {}): Callback {
  const type = "reduceLrOnPlateau";
  checkOptions(type, options, [
    "monitor",
    "factor",
    "patience",
    "minDelta",
    "cooldown",
    "minLearningRate",
    "mode",
  ]);
  const { monitor = "val_loss", factor = 0.1, patience = 10, minDelta = 1e-4, cooldown = 0 } = options;
  const { minLearningRate = 0, mode = "auto" } = options;
  checkText(`make ${type}`, monitor, "monitor", "the name of a log");
  checkRange(type, "factor", factor, { low: 0, below: 1 });
  checkCount(`make ${type}`, patience, "patience", 0);
  checkRange(type, "minDelta", minDelta, { low: 0 });
  checkCount(`make ${type}`, cooldown, "cooldown", 0);
  checkRange(type, "minLearningRate", minLearningRate, { low: 0 });
  const isBetter = comparison(monitor, mode, minDelta);
  let best: number | undefined;
  let waited = 0;
  let cooling = 0;
  return made<Callback>({
    type,
    async onTrainBegin(context) {
      checkMonitor(monitor, mode, context);
      checkContext(context);
      await context.learningRate();
      best = undefined;
      waited = cooling = 0;
    },
    async onEpochEnd(context) {
      checkObject(`use ${type}`, context?.logs, "the logs in the context", "those that fit gives");
      if (cooling > 0) {
        cooling--;
        waited = 0;
      }
      const value = context.logs[monitor];
      if (isBetter(value, best)) {
        best = value;
        waited = 0;
      } else if (cooling === 0 && ++waited >= patience) {
        const rate = await context.learningRate();
        if (rate <= Math.fround(minLearningRate)) return;
        context.setLearningRate(Math.max(rate * factor, minLearningRate));
        cooling = cooldown;
        waited = 0;
      }
    },
    state: () => ({ monitor, best, waited, cooling }),
    restore(state: Monitored & { readonly waited: number; readonly cooling: number }) {
      checkMonitored(type, monitor, state);
      ({ best, waited, cooling } = state);
    },
  }, { main: "onEpochEnd" });
}

function checkContext(context: CallbackContext): void {
  checkFunction("set the learning rate", context?.learningRate, "learningRate in the context");
  checkFunction("set the learning rate", context.setLearningRate, "setLearningRate in the context");
}
