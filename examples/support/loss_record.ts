/** The losses of a training run, batch by batch, for its learning curve. */
import type { Callback } from "@cellfold/cellfold";

/** What {@linkcode recordLoss} gives: a callback for `fit`, and what it has seen. */
export interface LossRecord {
  readonly callback: Callback;
  /** For each batch the mean loss of the last few batches. */
  readonly losses: readonly number[];
  /** The validation loss at the last batch of each epoch, elsewhere NaN. */
  readonly validation: readonly number[];
}

/**
 * Records losses.
 *
 * @param window Over how many batches the mean is taken; the batches before an epoch's beginning do not count.
 */
export function recordLoss(window: number): LossRecord {
  const losses: number[] = [];
  const validation: number[] = [];
  /** Entry n: the summed losses of the first n batches of this epoch. Batches count alike, also a smaller last one. */
  let sums = [0];
  return {
    losses,
    validation,
    callback: {
      onEpochBegin() {
        sums = [0];
      },
      onBatchEnd({ step, logs }) {
        sums.push(logs.loss * step);
        const from = Math.max(0, step - window);
        losses.push((sums[step] - sums[from]) / (step - from));
        validation.push(NaN);
      },
      onEpochEnd({ logs }) {
        validation[validation.length - 1] = logs.val_loss;
      },
    },
  };
}
