/** What is thrown for a batch that an iterable gives, or fails to give. */
import type { Variables } from "../layers/layer.ts";
import { goingOnText, type History, type StepPlace } from "./non_finite.ts";
import type { OptimizerState } from "./optimizers.ts";

/** The batch of an iterable. */
export interface BatchPlace {
  /** The epoch, from 0. */
  readonly epoch: number;
  /** The batch of that epoch, from 0. */
  readonly batch: number;
  /** What it was for. */
  readonly use: "training" | "validation" | "evaluation" | "prediction";
}

/** How far training came. */
export interface Progressed {
  /** The last good weights, on the host. */
  readonly variables: Variables;
  /** The optimizer's state that belongs to them. */
  readonly optimizerState: OptimizerState;
  /** The completed steps of an epoch. */
  readonly place: StepPlace;
  /** The epochs that were completed. */
  readonly history: History;
}

/**
 * Thrown when an iterable of batches throws, ends early, or gives a batch that cannot be used: of another
 * structure than those before it, with a label that is no class, and so on; `cause` is the error itself. What
 * `fit` trained up to there is not lost.
 */
export class BatchError extends Error {
  /** The name of the class. */
  override readonly name = "BatchError";
  /** The epoch, from 0. */
  readonly epoch: number;
  /** The batch of that epoch, or of its validation, from 0. */
  readonly batch: number;
  /** What the batch was for. */
  readonly use: BatchPlace["use"];
  /** The last good weights, on the host; absent unless thrown by `fit`. */
  readonly variables?: Variables;
  /** The optimizer's state that belongs to them, on the host; absent unless thrown by `fit`. */
  readonly optimizerState?: OptimizerState;
  /** The epochs that `fit` completed; absent unless thrown by it. */
  readonly history?: History;

  /** Made by `fit`, `evaluate` and `predict`; `progressed` is how far training came. */
  constructor(cause: unknown, place: BatchPlace, progressed?: Progressed) {
    super(
      `Cannot use ${placeText(place)}: ${cause instanceof Error ? cause.message : String(cause)}` +
        (progressed ? `. ${goingOnText(progressed.place)}` : ""),
      { cause },
    );
    const { epoch, batch, use } = place;
    this.epoch = epoch;
    this.batch = batch;
    this.use = use;
    this.variables = progressed?.variables;
    this.optimizerState = progressed?.optimizerState;
    this.history = progressed?.history;
  }
}

function placeText({ epoch, batch, use }: BatchPlace): string {
  const end = {
    training: ` of epoch ${epoch + 1}`,
    validation: ` of the validation after epoch ${epoch + 1}`,
  };
  return `batch ${batch + 1}${use in end ? end[use as keyof typeof end] : ""}`;
}
