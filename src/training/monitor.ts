/**
 * What callbacks that watch a log share: whether the log will be there, whether less or more of it is better, and what
 * they remember of it.
 */
import { checkList, checkObject } from "../describe.ts";
import { unknownName } from "../known_names.ts";
import { lossNames } from "./losses.ts";

/**
 * Whether less or more is better; `auto` goes by the name of the log: more is better with `accuracy` in it, and of names
 * that end with `acc`, `auc`, `precision`, `recall` or `f1Score`, such as `val_auc`; less of those that end with `loss`
 * or the name of a loss. Any other name is refused.
 */
export type MonitorMode = "auto" | "min" | "max";

const MODES: readonly MonitorMode[] = ["auto", "min", "max"];

/** What names end with of which less is better. */
const LESS: readonly string[] = ["loss", "rmse", "rootMeanSquaredError", "perplexity", ...lossNames];

/** Whether more of a log is better; undefined where its name does not say. */
function isMoreBetter(monitor: string, mode: MonitorMode): boolean | undefined {
  if (mode !== "auto") return mode === "max";
  if (/accuracy|(^|_)(acc|auc|precision|recall|f1Score)$/i.test(monitor)) return true;
  return LESS.some((name) => monitor === name || monitor.endsWith(`_${name}`)) ? false : undefined;
}

/** Compares the values of a log: whether one is better than another by more than `minDelta`. */
export function comparison(
  monitor: string,
  mode: MonitorMode,
  minDelta = 0,
): (value: number, best: number | undefined) => boolean {
  if (!MODES.includes(mode)) throw unknownName("mode", mode, MODES);
  const more = isMoreBetter(monitor, mode);
  return (value, best) =>
    best === undefined ? !Number.isNaN(value) : more ? value - minDelta > best : value + minDelta < best;
}

/** Throws a RangeError unless there will be a log of this name, and it is known what is better. */
export function checkMonitor(
  monitor: string,
  mode: MonitorMode,
  context: { readonly names: readonly string[] },
): void {
  checkList("monitor training", context?.names, "the names in the context", "those that fit gives");
  const { names } = context;
  if (!names.includes(monitor)) {
    throw new RangeError(
      `Cannot monitor ${JSON.stringify(monitor)}: the logs have ${names.join(", ")}` +
        (monitor.startsWith("val_") && names.includes(monitor.slice(4))
          ? "; give fit the option validation"
          : ""),
    );
  }
  if (isMoreBetter(monitor, mode) === undefined) {
    throw new RangeError(
      `Cannot monitor ${JSON.stringify(monitor)}: its name does not say whether less or more is better; ` +
        `give the mode "min" or "max"`,
    );
  }
}

/** What a callback that monitors a log remembers. */
export type Monitored = {
  readonly monitor: string;
  /** The best value so far. */
  readonly best?: number;
};

/** Throws a RangeError if a callback that monitored another log would go on with its state. */
export function checkMonitored(type: string, monitor: string, saved: Monitored): void {
  checkObject(`restore ${type}`, saved, "the state", "that which its function state gave");
  if (saved.monitor === monitor) return;
  const [before, now] = [saved.monitor, monitor].map((name) => JSON.stringify(name));
  throw new RangeError(
    `Cannot restore ${type}: its state is of the monitor ${before}, but it monitors ${now}`,
  );
}
