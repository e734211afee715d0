/**
 * The losses by name, and a loss as training accepts it. What a loss is, is in loss.ts; how its values are reduced
 * to the number that training minimizes is in compute_loss.ts.
 */
import { wrongKind } from "../describe.ts";
import { unknownName } from "../known_names.ts";
import { checkAsMade } from "../options/made.ts";
import { crfLoss } from "./crf_loss.ts";
import {
  binaryCrossentropy,
  categoricalCrossentropy,
  type CrossentropyOptions,
  sparseCategoricalCrossentropy,
} from "./crossentropies.ts";
import { ctc } from "./ctc.ts";
import {
  cosineSimilarity,
  huber,
  klDivergence,
  meanAbsoluteError,
  meanSquaredError,
  poisson,
} from "./error_losses.ts";
import { binaryFocalCrossentropy, categoricalFocalCrossentropy } from "./focal.ts";
import type { Loss, LossOptions } from "./loss.ts";

export { type Loss, type LossOptions, measureOf, type Reduction } from "./loss.ts";
export {
  binaryCrossentropy,
  categoricalCrossentropy,
  type CrossentropyOptions,
  type SmoothedCrossentropyOptions,
  sparseCategoricalCrossentropy,
  type SparseCrossentropyOptions,
} from "./crossentropies.ts";
export {
  binaryFocalCrossentropy,
  type BinaryFocalOptions,
  categoricalFocalCrossentropy,
  type CategoricalFocalOptions,
} from "./focal.ts";
export {
  cosineSimilarity,
  huber,
  type HuberOptions,
  klDivergence,
  meanAbsoluteError,
  meanSquaredError,
  poisson,
  type PoissonOptions,
} from "./error_losses.ts";
export { crfLoss } from "./crf_loss.ts";
export { ctc, type CtcOptions } from "./ctc.ts";
export {
  type Mixture,
  mixtureDensity,
  type MixtureDensityOptions,
  mixtureOf,
  type MixtureOptions,
} from "./mixture_density.ts";

/** The name of a loss. */
export type LossName =
  | "sparseCategoricalCrossentropy"
  | "categoricalCrossentropy"
  | "binaryCrossentropy"
  | "binaryFocalCrossentropy"
  | "categoricalFocalCrossentropy"
  | "meanSquaredError"
  | "mse"
  | "meanAbsoluteError"
  | "mae"
  | "huber"
  | "cosineSimilarity"
  | "klDivergence"
  | "poisson"
  | "ctc"
  | "crf";

const byName: Record<LossName, (options?: LossOptions) => Loss> = {
  sparseCategoricalCrossentropy,
  categoricalCrossentropy,
  binaryCrossentropy,
  binaryFocalCrossentropy,
  categoricalFocalCrossentropy,
  meanSquaredError,
  mse: meanSquaredError,
  meanAbsoluteError,
  mae: meanAbsoluteError,
  huber,
  cosineSimilarity,
  klDivergence,
  poisson,
  ctc,
  crf: crfLoss,
};

/** All names of losses. */
export const lossNames: readonly LossName[] = Object.keys(byName) as LossName[]; // keys of `byName`

/** The loss of a name with the default options; `fromLogits` applies to the losses that can take logits. */
export function lossNamed(name: LossName, fromLogits: boolean): Loss {
  const made = byName[name]();
  const options: CrossentropyOptions = { fromLogits };
  return fromLogits && "fromLogits" in made.options ? byName[name](options) : made;
}

/**
 * A loss as training accepts it: by name, with the default options, or made by a function such as
 * {@linkcode huber}.
 */
export type LossLike = LossName | Loss;

/**
 * The loss for a name, or the loss itself.
 *
 * @throws RangeError for an unknown name, with the nearest known one; TypeError for anything that is not a
 *   loss, and for a copy of one with changed data other than its reduction.
 */
export function resolveLoss(loss: LossLike): Loss {
  if (typeof loss === "string") {
    if (!Object.hasOwn(byName, loss)) throw unknownName("loss", loss, lossNames);
    return byName[loss]();
  }
  if (typeof loss?.values !== "function" || typeof loss.type !== "string") { // a list has values too
    throw wrongKind("use a loss", loss, "it", "a name or a loss such as huber()");
  }
  checkAsMade(loss);
  return loss;
}

/** Throws a TypeError unless `loss` is a loss, and not a name or a copy whose changed data has no effect. */
export function checkLoss(what: string, loss: unknown): asserts loss is Loss {
  if (typeof loss !== "object") throw wrongKind(what, loss, "the loss", "one such as huber()");
  resolveLoss(loss as Loss); // throws if it is not a loss
}
