/** The loss of a batch: the values of a loss, weighed and reduced to one number as in Keras 3. */
import { checkTensor, type Tensor } from "../tensor/tensor.ts";
import { checkOptions } from "../option_names.ts";
import { div, mul } from "../operations/elementwise.ts";
import { divideOrZero, type Weighting } from "./alignment.ts";
import { countOf, totalOf, weigh } from "./counting.ts";
import { checkLoss, type Loss, measureOf } from "./losses.ts";

/** The loss of a batch, and its parts before the division. */
export interface LossSums {
  /** The loss, a scalar; 0 if nothing counts. */
  readonly loss: Tensor;
  /** The sum of the weighted values, a scalar. */
  readonly total: Tensor;
  /** The divisor, a scalar; undefined with the reduction `sum`. */
  readonly count: Tensor | undefined;
}

/**
 * Numerator and denominator of the loss of a batch; those of several batches are summed for the loss of all.
 * See {@linkcode computeLoss}.
 */
export function lossSums(
  loss: Loss,
  target: Tensor,
  prediction: Tensor,
  weighting: Weighting = {},
): LossSums {
  const weighed = weigh(loss.type, measureOf(loss), target, prediction, weighting);
  const total = totalOf(weighed);
  if (loss.reduction === "sum") return { loss: total, total, count: undefined };
  const count = countOf(weighed, loss.reduction === "meanWithSampleWeight");
  const counts = weighed.mask ?? weighed.weight;
  return { loss: counts ? divideOrZero(total, count) : div(total, count), total, count };
}

/**
 * The loss of a batch, as Keras reduces it.
 *
 * A mask (and the loss's own, for `ignoreClass`) removes steps from the sum and from N; a sample weight,
 * `[batch]` or `[batch, time]`, multiplies the values and is not part of N except with
 * `meanWithSampleWeight`. A batch in which nothing counts has a loss of 0. Where a step does not count, or
 * its weight is 0, target and prediction may be anything, even NaN: neither the loss nor its gradient depends
 * on them.
 *
 * The penalties of a model's regularizers are not part of it: `penaltyOf` gives them.
 *
 * @returns A scalar, or the weighted values with the reduction `none`.
 * @throws TypeError for shapes that do not fit, naming both.
 */
export function computeLoss(
  loss: Loss,
  target: Tensor,
  prediction: Tensor,
  weighting: Weighting = {},
): Tensor {
  checkArguments(loss, target, prediction, weighting);
  if (loss.reduction !== "none") return lossSums(loss, target, prediction, weighting).loss;
  const { values, weight } = weigh(loss.type, measureOf(loss), target, prediction, weighting);
  return weight ? mul(values, weight) : values;
}

function checkArguments(loss: Loss, target: Tensor, prediction: Tensor, weighting: Weighting): void {
  checkLoss("compute the loss", loss);
  checkTensor("the loss", target, "the target");
  checkTensor("the loss", prediction, "the prediction");
  checkOptions("computeLoss", weighting, ["mask", "sampleWeight"]);
  for (const name of ["mask", "sampleWeight"] as const) {
    if (weighting[name] !== undefined) checkTensor("the loss", weighting[name], name);
  }
}
