/**
 * Focal losses (Lin et al., "Focal loss for dense object detection", 2017): crossentropies in which what is
 * predicted well counts less. As in Keras, and with logits wherever they are known, as the crossentropies.
 */
import { checkRange } from "../options/checks.ts";
import { wrongKind } from "../describe.ts";
import { softplus } from "../operations/activations.ts";
import { add, clip, div, exp, expm1, log, mul, neg, pow, sigmoid, sub } from "../operations/elementwise.ts";
import { logitsOf } from "../operations/logits.ts";
import { logSoftmax } from "../operations/reduction.ts";
import { sum } from "../operations/structure.ts";
import { made } from "../options/made.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { alignValues, meanPerSample } from "./alignment.ts";
import {
  smoothed,
  type SmoothedCrossentropyOptions,
  spreadOverClasses,
  towardHalf,
} from "./crossentropies.ts";
import { clipped, type Loss, lossMaking } from "./loss.ts";

/** Options of {@linkcode binaryFocalCrossentropy}. */
export interface BinaryFocalOptions extends SmoothedCrossentropyOptions {
  /** How much less counts what is predicted well: the exponent of the error; default 2. */
  readonly gamma?: number;
  /** Whether targets of 1 are weighted by `alpha`, those of 0 by `1 - alpha`; default false. */
  readonly applyClassBalancing?: boolean;
  /** The weight of targets of 1, from 0 to 1; default 0.25. */
  readonly alpha?: number;
}

/** Options of {@linkcode categoricalFocalCrossentropy}. */
export interface CategoricalFocalOptions extends SmoothedCrossentropyOptions {
  /** How much less counts what is predicted well: the exponent of the error; default 2. */
  readonly gamma?: number;
  /** The weight of all classes, or of each; default 0.25. */
  readonly alpha?: number | readonly number[];
}

/** `error^gamma`, whose derivative is finite for small exponents too. */
function focus(error: Tensor, gamma: number): Tensor | number {
  if (gamma === 0) return 1;
  return pow(gamma < 1 ? clip(error, { min: 1e-30, max: 1 }) : error, gamma);
}

/**
 * Binary crossentropy times `(1 - q)^gamma`, with q the probability given to the target: the mean over the
 * last axis. Targets have the shape of the predictions, or lack a last axis of size 1.
 *
 * @throws RangeError for an unknown option or reduction, or a number out of range.
 *
 * @example
 * ```ts
 * import { assertAlmostEquals } from "@std/assert";
 * import { binaryFocalCrossentropy, computeLoss, item, tensor } from "@cellfold/cellfold";
 * const value = item(computeLoss(binaryFocalCrossentropy(), tensor([[1]]), tensor([[0.9]])));
 * assertAlmostEquals(value, -(0.1 ** 2) * Math.log(0.9), 1e-6);
 * ```
 */
export function binaryFocalCrossentropy(options: BinaryFocalOptions = {}): Loss {
  const type = "binaryFocalCrossentropy";
  const { fromLogits, labelSmoothing, ...definition } = smoothed(type, options, [
    "gamma",
    "applyClassBalancing",
    "alpha",
  ]);
  const { gamma = 2, applyClassBalancing = false, alpha = 0.25 } = options;
  checkRange(type, "gamma", gamma, { low: 0 });
  checkRange(type, "alpha", alpha, { low: 0, high: 1 });
  return made<Loss>({
    ...definition,
    options: { ...definition.options, gamma, applyClassBalancing, alpha },
    values(target, prediction) {
      const behind = logitsOf(prediction, "sigmoid");
      const [t, x] = alignValues(type, target, behind ?? prediction);
      const y = towardHalf(t, labelSmoothing);
      const isLogit = behind !== undefined || fromLogits;
      const [p, q] = isLogit ? [sigmoid(x), sigmoid(neg(x))] : [x, sub(1, x)];
      const crossentropy = isLogit ? sub(softplus(x), mul(y, x)) : ofProbabilities(y, clipped(x));
      const error = add(mul(y, q), mul(sub(1, y), p));
      const focal = mul(focus(error, gamma), crossentropy);
      if (!applyClassBalancing) return meanPerSample(focal);
      return meanPerSample(mul(add(mul(y, alpha), mul(sub(1, y), 1 - alpha)), focal));
    },
  }, lossMaking);
}

function ofProbabilities(y: Tensor, p: Tensor): Tensor {
  return neg(add(mul(y, log(p)), mul(sub(1, y), log(sub(1, p)))));
}

/**
 * Categorical crossentropy whose terms are multiplied by `alpha · (1 - p)^gamma`, the sum over the last axis.
 * Targets have the shape of the predictions, `[..., classes]`.
 *
 * @throws RangeError for an unknown option or reduction, or a number out of range; TypeError for an `alpha` that
 *   is neither a number nor a list of them.
 */
export function categoricalFocalCrossentropy(options: CategoricalFocalOptions = {}): Loss {
  const type = "categoricalFocalCrossentropy";
  const { fromLogits, labelSmoothing, ...definition } = smoothed(type, options, ["gamma", "alpha"]);
  const { gamma = 2, alpha = 0.25 } = options;
  checkRange(type, "gamma", gamma, { low: 0 });
  if (typeof alpha !== "number" && !Array.isArray(alpha)) {
    throw wrongKind(`make ${type}`, alpha, "alpha", "a number, or a list with one for each class");
  }
  for (const weight of [alpha].flat()) checkRange(type, "alpha", weight, { low: 0 });
  return made<Loss>({
    ...definition,
    options: { ...definition.options, gamma, alpha },
    values(target, prediction) {
      const [t, p] = alignValues(type, target, prediction);
      const y = spreadOverClasses(t, labelSmoothing);
      const logits = logitsOf(prediction, "softmax") ?? (fromLogits ? p : undefined);
      const logs = logits ? logSoftmax(logits) : log(clipped(div(p, sum(p, { axes: -1, keepDims: true }))));
      const weights = typeof alpha === "number" ? alpha : tensor(alpha, { dtype: p.dtype });
      const error = logits ? neg(expm1(logs)) : sub(1, exp(logs));
      return neg(sum(mul(mul(weights, focus(error, gamma)), mul(y, logs)), { axes: -1 }));
    },
  }, lossMaking);
}
