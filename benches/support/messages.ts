/**
 * What the benchmark and its subjects say to each other: one JSON object a line, requests on the standard input of a
 * subject's process and one reply to each on its standard output. `peers/peers.py` says the same.
 */
import type { Values } from "./measurements.ts";
import type { Task } from "./tasks.ts";

/** What a subject is asked. */
export type Request =
  /** Builds what the task needs, warms it up and lets go of the task before. */
  | { readonly command: "prepare"; readonly task: Task }
  /** One run. */
  | { readonly command: "run" }
  /** Lets go of the task. */
  | { readonly command: "release" };

/** What a subject answers; the first line, before any request, is `{ versions }`. */
export interface Reply {
  /** Why it cannot be done. */
  readonly error?: string;
  /** Name and version of every engine and library at work. */
  readonly versions?: { readonly [name: string]: string };
  /** Milliseconds of one step: the mean over the steps of the run. */
  readonly time?: number;
  /** What else was measured. */
  readonly values?: Values;
}

/** A task made ready. */
export interface Trial extends Disposable {
  /** One run; what it gives are milliseconds of one step, and what else was measured. */
  run(): Promise<{ readonly time: number; readonly values?: Values }>;
}

/** A step; where it gives a promise, the next one waits for it. */
export type Work = () => unknown;

/** The mean milliseconds of `work`, done `times` times over. */
export async function timed(times: number, work: Work): Promise<number> {
  const start = performance.now();
  for (let time = 0; time < times; time++) {
    const result = work();
    if (result instanceof Promise) await result;
  }
  return (performance.now() - start) / times;
}

/**
 * What a run of short steps takes at least, so that clocks, messages and the waking of threads, which fell asleep
 * while the others had their turns, do not count; at most so many steps. `peers.py` keeps the same.
 */
export const RUN_MILLISECONDS = 100;
const MOST_STEPS = 10_000;

/** Warms `work` up and chooses how many steps make a run. */
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
