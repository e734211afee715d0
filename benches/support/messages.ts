/**
 * The protocol between the benchmark and its subjects: one JSON object per line, requests on the standard
 * input of a subject's process and one reply to each on its standard output. `peers/peers.py` implements the
 * same.
 */
import type { Values } from "./measurements.ts";
import type { Task } from "./tasks.ts";

/** A request to a subject. */
export type Request =
  /** Builds what the task needs, warms it up and releases the previous task. */
  | { readonly command: "prepare"; readonly task: Task }
  /** Runs the task once. */
  | { readonly command: "run" }
  /** Releases the task. */
  | { readonly command: "release" };

/** A subject's reply; the first line, before any request, is `{ versions }`. */
export interface Reply {
  /** Why the request failed. */
  readonly error?: string;
  /** Name and version of every engine and library in use. */
  readonly versions?: { readonly [name: string]: string };
  /** Milliseconds of one step: the mean over the steps of the run. */
  readonly time?: number;
  /** Other measured values. */
  readonly values?: Values;
}

/** A prepared task. */
export interface Trial extends Disposable {
  /** Runs it once and returns the milliseconds of one step, and other measured values. */
  run(): Promise<{ readonly time: number; readonly values?: Values }>;
}

/** A step; if it returns a promise, the next one waits for it. */
export type Work = () => unknown;

/** The mean milliseconds of `work` over `times` runs. */
export async function timed(times: number, work: Work): Promise<number> {
  const start = performance.now();
  for (let time = 0; time < times; time++) {
    const result = work();
    if (result instanceof Promise) await result;
  }
  return (performance.now() - start) / times;
}

/**
 * The shortest duration of a run of short steps, so that clocks, messages and the waking of threads that fell
 * asleep during the turns of others are negligible; and the most steps of a run. `peers.py` uses the same
 * duration.
 */
export const RUN_MILLISECONDS = 100;
const MOST_STEPS = 10_000;

/** Warms `work` up and chooses the number of steps of a run. */
async function warmUp(work: Work, milliseconds = 1000): Promise<number> {
  const until = performance.now() + milliseconds;
  let best = Infinity;
  do best = Math.min(best, await timed(1, work)); while (performance.now() < until);
  return Math.max(1, Math.min(MOST_STEPS, Math.round(RUN_MILLISECONDS / best)));
}

/** A trial of one step, repeated until a run is long enough to be timed. */
export async function repeated(work: Work, dispose = () => {}): Promise<Trial> {
  const steps = await warmUp(work);
  return { run: async () => ({ time: await timed(steps, work) }), [Symbol.dispose]: dispose };
}
