/**
 * How training is displayed: a bar on a terminal, rewritten in place, and elsewhere one plain line per epoch.
 * Terminals are detected from globals (`Deno.stdout`, Node's `process.stdout`): no import, no permission,
 * nothing in a browser.
 */
import { checkFunction, isObject } from "../describe.ts";
import { unknownName } from "../known_names.ts";
import type { Logs } from "./objective.ts";
import { createPacer, type Pace, type Progress } from "./pace.ts";

/**
 * How `fit` reports: `auto` is `bar` on a terminal and `lines` elsewhere; a function gets each epoch's line, a
 * {@linkcode Reporter} all there is to show.
 */
export type Report = "auto" | "bar" | "lines" | "none" | ((line: string) => void) | Reporter;

/** Displays the progress of training. */
export interface Reporter {
  /** Whether it would display a step now; asked before logs are read from the device. */
  readonly wantsStep: () => boolean;
  /** Displays the position within an epoch. */
  readonly step: (progress: Progress) => void;
  /** Displays a completed epoch, its validation included. */
  readonly epoch: (progress: Progress) => void;
  /** Restores the terminal, whatever happened; training has ended when its promise, if it gives one, is settled. */
  readonly end: () => void | Promise<void>;
}

/** A terminal to write on. */
export interface Terminal {
  readonly write: (text: string) => void;
  /** Its width in characters. */
  readonly columns: () => number;
}

/** The shortest time between two drawings of the bar, in milliseconds. */
const INTERVAL = 100;
const REPORTS = ["auto", "bar", "lines", "none"];

/**
 * A number for display: 4 decimals, of which trailing zeros are dropped but for 2; very small or large:
 * `1.234e-7`.
 */
export function formatNumber(value: number): string {
  const size = Math.abs(value);
  if (!Number.isFinite(value)) return String(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(3);
  return value.toFixed(4).replace(/0{1,2}$/, "");
}

/** Losses and metrics as text: `loss: 0.94  accuracy: 0.70`. */
export function formatLogs(logs: Logs): string {
  return Object.entries(logs).map(([name, value]) => `${name}: ${formatNumber(value)}`).join("  ");
}

/** The line of an epoch: `epoch 1/1  loss: 0.94  accuracy: 0.70  val_loss: 0.51  val_accuracy: 0.8369`. */
export function epochLine({ epoch, epochs, logs }: Pick<Progress, "epoch" | "epochs" | "logs">): string {
  return `epoch ${epoch + 1}/${epochs}  ${formatLogs(logs)}`;
}

/** Seconds as `2 h 5 min`, `3 min 20 s` or `12 s`. */
export function formatDuration(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${Math.floor(whole % 3600 / 60)} min`;
  return whole >= 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole} s`;
}

/** Steps per second as `160 steps/s` or `2.5 steps/s`; below one, `1.3 s/step`. */
export function formatRate(rate: number): string {
  if (rate < 1) return `${(1 / rate).toFixed(1)} s/step`;
  return `${rate < 10 ? rate.toFixed(1) : Math.round(rate)} steps/s`;
}

/**
 * What a line of progress has, from the most to the least; a narrow terminal gets the first that fits. The time left
 * and the first log, the loss, go last.
 */
const LAYOUTS: readonly {
  readonly bar: number;
  readonly logs: number;
  readonly rate: boolean;
  readonly inAll: boolean;
}[] = [
  { bar: 24, logs: Infinity, rate: true, inAll: true },
  { bar: 12, logs: Infinity, rate: true, inAll: true },
  { bar: 12, logs: Infinity, rate: true, inAll: false },
  { bar: 12, logs: Infinity, rate: false, inAll: false },
  { bar: 0, logs: Infinity, rate: false, inAll: false },
  { bar: 0, logs: 1, rate: false, inAll: false },
  { bar: 0, logs: 0, rate: false, inAll: false },
];

/**
 * The line of a running epoch: bar, steps, losses and metrics, steps per second, the time left in the epoch and
 * in all. Without a known number of steps: what was done so far, in place of bar and time left.
 *
 * @param columns The width of the terminal; the line is shorter, so that it never wraps.
 */
export function barLine(progress: Progress, columns: number, pace: Pace): string {
  const lines = LAYOUTS.map((layout) => lineOf(progress, pace, layout));
  return lines.find((line) => line.length < columns) ??
    lines[lines.length - 1].slice(0, Math.max(columns - 1, 0));
}

function lineOf(
  { epoch, epochs, step, steps, samples, elapsed, logs }: Progress,
  { rate, left, inAll }: Pace,
  layout: typeof LAYOUTS[number],
): string {
  const done = steps === undefined
    ? `${step} steps, ${samples} samples`
    : `${layout.bar > 0 ? `${barOf(step / steps, layout.bar)} ` : ""}${step}/${steps}`;
  const shown = Object.fromEntries(Object.entries(logs).slice(0, layout.logs));
  const times = [
    ...(left === undefined ? [] : [`${formatDuration(left)} left`]),
    ...(inAll === undefined || !layout.inAll ? [] : [`(${formatDuration(inAll)} in all)`]),
  ];
  const parts = [
    `epoch ${epoch + 1}/${epochs} ${done}`,
    formatLogs(shown),
    rate === undefined || !layout.rate ? "" : formatRate(rate),
    steps === undefined ? formatDuration(elapsed / 1000) : times.join(" "),
  ];
  return parts.filter((part) => part !== "").join("  ");
}

function barOf(share: number, width: number): string {
  const filled = Math.min(Math.round(width * share), width);
  return "█".repeat(filled) + "░".repeat(width - filled);
}

/**
 * The reporter for `report`.
 *
 * @param terminal Where a bar is drawn; default: the process's terminal, if there is one.
 * @throws RangeError for an unknown kind of report, with the nearest known one.
 */
export function createReporter(report: Report, terminal: Terminal | undefined = findTerminal()): Reporter {
  if (typeof report === "function") return lines(report);
  if (isObject(report)) {
    for (const name of ["wantsStep", "step", "epoch", "end"] as const) {
      checkFunction("report training", report[name], `report.${name}`);
    }
    return report;
  }
  if (!REPORTS.includes(report)) throw unknownName("report", report, REPORTS);
  if (report === "none") return lines(() => {});
  if (report === "lines" || !terminal) return lines((line) => console.log(line));
  return bar(terminal);
}

function lines(print: (line: string) => void): Reporter {
  return {
    wantsStep: () => false,
    step: () => {},
    epoch: (progress) => print(epochLine(progress)),
    end: () => {},
  };
}

/** Returns to the start of the line and erases it. */
const REWRITE = "\r\x1b[K";

function bar(terminal: Terminal): Reporter {
  const pacer = createPacer();
  let shown = -Infinity;
  let open = false;
  return {
    wantsStep: () => performance.now() - shown >= INTERVAL,
    step(progress) {
      shown = performance.now();
      open = true;
      terminal.write(REWRITE + barLine(progress, terminal.columns(), pacer.step(progress)));
    },
    epoch(progress) {
      open = false;
      const { rate } = pacer.epoch(progress);
      const spent = formatDuration(progress.elapsed / 1000);
      terminal.write(`${REWRITE}${epochLine(progress)}  (${spent}, ${formatRate(rate)})\n`);
    },
    end() {
      if (open) terminal.write("\n");
      open = false;
    },
  };
}

/** The parts of a runtime's globals that are used; any of them may be missing. */
interface Runtime {
  readonly Deno?: {
    readonly stdout?: { isTerminal?(): boolean; writeSync?(bytes: Uint8Array): number };
    consoleSize?(): { readonly columns: number };
  };
  readonly process?: {
    readonly stdout?: { readonly isTTY?: boolean; readonly columns?: number; write?(text: string): unknown };
  };
}

/** The terminal of standard output, if it is one. */
export function findTerminal(runtime: Runtime = globalThis as Runtime): Terminal | undefined { // all optional
  const { Deno: deno, process } = runtime;
  if (deno?.stdout?.isTerminal) {
    if (!deno.stdout.isTerminal()) return undefined;
    const encoder = new TextEncoder();
    return {
      write(text) {
        for (let bytes = encoder.encode(text); bytes.length > 0;) {
          bytes = bytes.subarray(deno.stdout?.writeSync?.(bytes) ?? bytes.length);
        }
      },
      columns: () => {
        try {
          return deno.consoleSize?.().columns ?? 80;
        } catch {
          return 80; // standard output is a terminal, but its size cannot be read
        }
      },
    };
  }
  const stdout = process?.stdout;
  if (!stdout?.isTTY || !stdout.write) return undefined;
  return { write: (text) => void stdout.write?.(text), columns: () => stdout.columns ?? 80 };
}
