/** What the page and its worker say to each other: plain data. */
import type { TrainingSettings } from "./cell.ts";

/** From the page: train this program. There is one for each worker. */
export interface RunRequest {
  readonly source: string;
  readonly settings: TrainingSettings;
  /** How many steps to train. */
  readonly steps: number;
}

/** An error, and where in the program it was thrown, if it was there: both counted from 1. */
export interface Failure {
  readonly message: string;
  readonly line?: number;
  readonly column?: number;
  /** Whether the program could not even be parsed. */
  readonly syntax?: boolean;
}

/** A kernel of a training step. */
export interface PicturedKernel {
  readonly kind: string;
  readonly text: string;
  /** How often a step runs it. */
  readonly runs: number;
  /** Microseconds of all its runs in a step, measured; absent on a device that measures none. */
  readonly microseconds?: number;
  /** About as many multiply-adds, an estimate. */
  readonly work: number;
  readonly body: readonly PicturedKernel[];
}

/** A Program after a pass: equations that run once, and equations that run at every step of a loop. */
export interface PicturedPass {
  readonly name: string;
  readonly notes: readonly { readonly text: string; readonly count: number }[];
  readonly once: number;
  readonly inLoops: number;
}

/** What became of a training step, to be drawn. */
export interface Picture {
  readonly device: string;
  /** What was done before derivatives were taken. */
  readonly before: PicturedPass["notes"];
  /** As traced, then after every pass that did something. */
  readonly passes: readonly PicturedPass[];
  readonly kernels: readonly PicturedKernel[];
  /** How many steps were measured. */
  readonly measured?: number;
}

/** From the worker. */
export type Report =
  /** The library is loaded, and the program begins. */
  | { readonly kind: "started" }
  /** The program's functions were called and came back. */
  | { readonly kind: "traced"; readonly weights: number; readonly withoutMemory: number }
  /** Losses of steps since the last report, and milliseconds that these took. */
  | { readonly kind: "steps"; readonly losses: readonly number[]; readonly milliseconds: number }
  | { readonly kind: "explained"; readonly picture: Picture }
  /** What the program wrote to the console. */
  | { readonly kind: "said"; readonly text: string }
  | { readonly kind: "failed"; readonly failure: Failure }
  | { readonly kind: "done" };
