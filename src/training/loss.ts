/**
 * What a loss is: plain data with a function that gives one value per sample (and step), as in Keras 3. How
 * values are reduced to the number that training minimizes is in compute_loss.ts, which losses there are in
 * losses.ts.
 */
import { clip } from "../operations/elementwise.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { unknownName } from "../known_names.ts";
import type { Options } from "./alignment.ts";
import type { Measure } from "./counting.ts";

/**
 * How the values of a loss are reduced to one: `sumOverBatchSize` and `mean` are Σ w·l / N,
 * `meanWithSampleWeight` is Σ w·l / Σ w, `sum` is Σ w·l, `none` keeps the values w·l. N is the number of
 * values that the mask keeps.
 *
 * The gradient of a training step is that of its batch's loss. The loss of an epoch, a validation or an
 * evaluation is that of all its data: both sums run over all batches and are divided once, so that the result
 * does not depend on how the data is cut into batches.
 */
export type Reduction = "sumOverBatchSize" | "mean" | "meanWithSampleWeight" | "sum" | "none";

/** A loss. A custom loss is an object of this form. */
export interface Loss {
  /** The kind, such as `huber`; it names the loss in errors and JSON. */
  readonly type: string;
  /** The full options, as they are saved. */
  readonly options: Options;
  /** How the values are reduced to one. */
  readonly reduction: Reduction;
  /**
   * What targets are: class indices (int32, one for each sample or step), a sequence of class indices for each
   * sample (int32 `[batch, labels]`, of any length, ended by a negative one) or numbers (the prediction's
   * shape).
   */
  readonly labels: "sparse" | "sequence" | "dense";
  /** Whether `values` are one per sequence, `[batch]`: the loss itself then leaves out masked steps. */
  readonly ofSequences?: boolean;
  /**
   * One value per sample and step, `[batch]` or `[batch, time]`. Pure, traceable.
   *
   * @param mask bool `[batch, time]`: which steps count, if some do not; for a loss of whole sequences.
   */
  values(target: Tensor, prediction: Tensor, mask?: Tensor): Tensor;
  /**
   * bool of the shape of the values: which of them count, in the loss and in metrics of its output. Absent:
   * all.
   */
  counted?(target: Tensor, prediction: Tensor): Tensor;
  /**
   * Of a loss of sequences of class indices: how many steps the prediction of these labels has at least, if fewer make
   * the loss infinite. Training refuses samples with fewer before anything runs. Absent: any number will do.
   */
  leastSteps?(labels: readonly number[]): number;
}

/** Options that every loss has. */
export interface LossOptions {
  /** Default `sumOverBatchSize`. */
  readonly reduction?: Reduction;
}

/** A copy of a loss may have another reduction. */
export const lossMaking = { main: "values", acts: ["reduction"] } as const;

/** Probabilities are kept this far from 0 and 1, as in Keras. */
export const EPSILON = 1e-7;

const reductions: readonly Reduction[] = ["sumOverBatchSize", "mean", "meanWithSampleWeight", "sum", "none"];

/** Throws a RangeError for a reduction that does not exist. */
export function checkReduction(type: string, reduction: Reduction): void {
  if (!reductions.includes(reduction)) {
    throw unknownName(`reduction of ${type}`, reduction, reductions);
  }
}

/** Probabilities that have a logarithm. */
export function clipped(probabilities: Tensor): Tensor {
  return clip(probabilities, { min: EPSILON, max: 1 - EPSILON });
}

/** The functions of a loss, which may be methods of an object. */
export function measureOf(loss: Loss): Measure {
  return {
    values: (target, prediction, mask) => loss.values(target, prediction, mask),
    ofSequences: loss.ofSequences,
    counted: loss.counted && ((target, prediction) => loss.counted!(target, prediction)),
  };
}
