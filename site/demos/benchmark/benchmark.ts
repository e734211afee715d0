/**
 * The measurement: for each workload all libraries are prepared, their results are compared, and then they take turns. The
 * median of the rounds counts. Between turns the page can draw, and the visitor can cancel.
 */
import { timed } from "../../../benches/support/messages.ts";
import { median } from "../../../benches/support/statistics.ts";
import { given, type Subject, type Trial, type Workload } from "./workloads.ts";

/** How much results may differ: more than rounding does, and far less than a mistake. */
export const TOLERANCE = 1e-4;

/** About how many milliseconds a turn lasts, unless one step is longer, and how many the warming-up. */
const TURN = 60, WARM_UP = 400;

/** One library's figures for a workload. */
export interface Row {
  readonly subject: string;
  readonly device: string;
  /** The median of the milliseconds of a step; undefined where it failed. */
  readonly milliseconds?: number;
  /** The largest difference from the results of the first library. */
  readonly difference?: number;
  /** Why there is no time. */
  readonly failure?: string;
}

/** A workload with the figures of all that can do it. */
export interface Comparison {
  readonly workload: Workload;
  readonly rows: readonly Row[];
}

/** How a benchmark goes on. */
export interface BenchmarkOptions {
  readonly rounds: number;
  readonly signal: AbortSignal;
  /** What is done next: `done` turns of `all`. */
  progress(workload: Workload, subject: Subject | undefined, done: number, all: number): void;
}

/** Lets the page draw and the visitor act; throws once the visitor has cancelled. */
async function pause(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
  signal.throwIfAborted();
}

interface Prepared {
  readonly subject: Subject;
  readonly trial: Trial;
  readonly difference: number;
  steps: number;
  readonly times: number[];
}

/** The largest difference between results; infinite where they have other sizes or are no numbers. */
function differenceOf(first: ArrayLike<number>, second: ArrayLike<number>): number {
  if (first.length !== second.length) return Infinity;
  return Array.from(first, (value, i) => Math.abs(value - second[i])).reduce(
    (largest, difference) => difference <= largest ? largest : difference,
    0,
  );
}

/** Runs steps until the code of a library is warm; returns how many of them make a turn. A browser's clock may be coarse. */
async function warmUp({ step }: Trial, signal: AbortSignal): Promise<number> {
  for (let steps = 1, spent = 0;;) {
    const time = await timed(steps, step) * steps;
    spent += time;
    await pause(signal);
    if (time < TURN / 2) steps *= 2;
    else if (spent >= WARM_UP) return steps;
  }
}

/** Measures one workload. The first of the subjects is what the others are compared with. */
export async function compare(
  workload: Workload,
  subjects: readonly Subject[],
  { rounds, signal, progress }: BenchmarkOptions,
): Promise<Comparison> {
  const able = subjects.filter((subject) => subject.can(workload));
  const all = able.length * (rounds + 1);
  const rows = new Map<Subject, Row>();
  const prepared: Prepared[] = [];
  let [done, expected] = [0, undefined as ArrayLike<number> | undefined];
  try {
    for (const subject of able) {
      progress(workload, subject, done++, all);
      await pause(signal);
      try {
        const trial = await subject.prepare(given(workload));
        const values = await trial.check();
        expected ??= values;
        const difference = differenceOf(expected, values);
        const entry = { subject, trial, difference, steps: 1, times: [] };
        prepared.push(entry);
        if (!(difference <= TOLERANCE)) throw new Error(`its results differ by ${difference.toPrecision(2)}`);
        entry.steps = await warmUp(trial, signal);
      } catch (error) {
        signal.throwIfAborted();
        const failure = error instanceof Error ? error.message : String(error);
        rows.set(subject, { subject: subject.name, device: subject.device, failure });
      }
    }
    const measured = prepared.filter(({ subject }) => !rows.has(subject));
    for (let round = 0; round < rounds; round++) {
      // Another one begins each round, so that none always follows the same.
      for (let turn = 0; turn < measured.length; turn++) {
        const entry = measured[(turn + round) % measured.length];
        progress(workload, entry.subject, done++, all);
        await pause(signal);
        entry.times.push(await timed(entry.steps, entry.trial.step));
      }
    }
    for (const { subject, times, difference } of measured) {
      rows.set(subject, {
        subject: subject.name,
        device: subject.device,
        milliseconds: median(times),
        difference,
      });
    }
  } finally {
    for (const { trial } of prepared) trial[Symbol.dispose]();
  }
  return { workload, rows: able.flatMap((subject) => rows.get(subject) ?? []) };
}
