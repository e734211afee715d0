/**
 * Losses: plain data with a function that gives one value per sample (and step), as in Keras 3; how values
 * are reduced to the number that training minimizes is in compute_loss.ts. Crossentropies compute with logits
 * whenever they can: with `fromLogits`, or if the prediction comes from the activation softmax or sigmoid
 * (operations/activations.ts).
 */
import type { Tensor } from "../tensor/tensor.ts";
import { checkRange } from "../options/checks.ts";
import { wrongKind } from "../describe.ts";
import { unknownName } from "../known_names.ts";
import { checkOptions } from "../option_names.ts";
import { softplus } from "../operations/activations.ts";
import {
  abs,
  add,
  clip,
  div,
  equal,
  lessEqual,
  log,
  mul,
  neg,
  notEqual,
  select,
  square,
  sub,
} from "../operations/elementwise.ts";
import { checkAsMade, made } from "../options/made.ts";
import { iota } from "../operations/indexing.ts";
import { logitsOf } from "../operations/logits.ts";
import { shiftedLogits, sizeAsTensor } from "../operations/reduction.ts";
import { expandDims, sum } from "../operations/structure.ts";
import { alignLabels, alignValues, lastDim, meanPerSample, type Options } from "./alignment.ts";
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
   * What targets are: class indices (int32, one axis less than the prediction) or numbers (the prediction's
   * shape).
   */
  readonly labels: "sparse" | "dense";
  /** One value per sample and step: `[batch]` or `[batch, time]`. Pure, traceable. */
  values(target: Tensor, prediction: Tensor): Tensor;
  /**
   * bool of the shape of the values: which of them count, in the loss and in metrics of its output. Absent:
   * all.
   */
  counted?(target: Tensor, prediction: Tensor): Tensor;
}

/** Options that every loss has. */
export interface LossOptions {
  /** Default `sumOverBatchSize`. */
  readonly reduction?: Reduction;
}

/** Options of the crossentropies. */
export interface CrossentropyOptions extends LossOptions {
  /** Whether predictions are logits instead of probabilities; default false. */
  readonly fromLogits?: boolean;
}

/** Options of {@linkcode sparseCategoricalCrossentropy}. */
export interface SparseCrossentropyOptions extends CrossentropyOptions {
  /** The label of values that do not count, such as -1; default none. */
  readonly ignoreClass?: number | null;
}

/** Options of {@linkcode categoricalCrossentropy} and {@linkcode binaryCrossentropy}. */
export interface SmoothedCrossentropyOptions extends CrossentropyOptions {
  /** How much of each target is spread evenly over the classes, 0 to 1; default 0. */
  readonly labelSmoothing?: number;
}

/** Options of {@linkcode huber}. */
export interface HuberOptions extends LossOptions {
  /** Where the loss turns from quadratic to linear; default 1. */
  readonly delta?: number;
}

/** A copy of a loss may have another reduction. */
const making = { main: "values", acts: ["reduction"] } as const;

/** Probabilities are kept this far from 0 and 1, as in Keras. */
const EPSILON = 1e-7;

const reductions: readonly Reduction[] = ["sumOverBatchSize", "mean", "meanWithSampleWeight", "sum", "none"];

function checkReduction(type: string, reduction: Reduction): void {
  if (!reductions.includes(reduction)) {
    throw unknownName(`reduction of ${type}`, reduction, reductions);
  }
}

function clipped(probabilities: Tensor): Tensor {
  return clip(probabilities, { min: EPSILON, max: 1 - EPSILON });
}

/**
 * Crossentropy of class indices: `-log p[label]`.
 *
 * Targets are int32 `[...]` or `[..., 1]`, predictions `[..., classes]`. Probabilities are clipped to [1e-7,
 * 1 - 1e-7], then normalized. Labels outside the classes are not detected here: training checks them before
 * anything runs.
 *
 * @throws RangeError for an unknown option or reduction.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { computeLoss, item, sparseCategoricalCrossentropy, tensor } from "@cellfold/cellfold";
 * const loss = sparseCategoricalCrossentropy({ fromLogits: true });
 * const labels = tensor([1], { dtype: "int32" });
 * const value = item(computeLoss(loss, labels, tensor([[0, 0]])));
 * assert(Math.abs(value - Math.LN2) < 1e-6);
 * ```
 */
export function sparseCategoricalCrossentropy(options: SparseCrossentropyOptions = {}): Loss {
  const type = "sparseCategoricalCrossentropy";
  checkOptions(type, options, ["fromLogits", "ignoreClass", "reduction"]);
  const { fromLogits = false, reduction = "sumOverBatchSize" } = options;
  const ignoreClass = options.ignoreClass ?? null;
  checkReduction(type, reduction);
  if (ignoreClass !== null && !Number.isInteger(ignoreClass)) {
    throw wrongKind(`make ${type}`, ignoreClass, "ignoreClass", "a whole number");
  }
  const counted = (target: Tensor, prediction: Tensor) =>
    notEqual(alignLabels(type, target, prediction), ignoreClass ?? 0);
  return made<Loss>({
    type,
    options: { fromLogits, ignoreClass, reduction },
    reduction,
    labels: "sparse",
    values(target, prediction) {
      const labels = alignLabels(type, target, prediction);
      const logits = logitsOf(prediction, "softmax") ?? (fromLogits ? prediction : log(clipped(prediction)));
      const { shifted, logSum } = shiftedLogits(logits, -1);
      const isLabel = equal(expandDims(labels, -1), iota([lastDim(prediction)]));
      return sub(sum(logSum, { axes: -1 }), sum(select(isLabel, shifted, 0), { axes: -1 }));
    },
    ...(ignoreClass === null ? {} : { counted }),
  }, making);
}

/**
 * Crossentropy of distributions: `-Σ t · log p` over the last axis. Targets have the shape of the
 * predictions.
 *
 * Probabilities are normalized, then clipped to [1e-7, 1 - 1e-7].
 *
 * @throws RangeError for an unknown option or reduction, or a smoothing outside 0 to 1.
 */
export function categoricalCrossentropy(options: SmoothedCrossentropyOptions = {}): Loss {
  const type = "categoricalCrossentropy";
  const { fromLogits, labelSmoothing, ...definition } = smoothed(type, options);
  return made<Loss>({
    ...definition,
    values(target, prediction) {
      const [t, p] = alignValues(type, target, prediction);
      const spread = div(labelSmoothing, sizeAsTensor(lastDim(p), p.dtype));
      const smooth = labelSmoothing === 0 ? t : add(mul(t, 1 - labelSmoothing), spread);
      const logits = logitsOf(prediction, "softmax") ?? (fromLogits ? p : undefined);
      if (!logits) {
        const normalized = div(p, sum(p, { axes: -1, keepDims: true }));
        return neg(sum(mul(smooth, log(clipped(normalized))), { axes: -1 }));
      }
      const { shifted, logSum } = shiftedLogits(logits, -1);
      return sum(mul(smooth, sub(logSum, shifted)), { axes: -1 });
    },
  }, making);
}

/**
 * Binary crossentropy: the mean over the last axis of `-t · log p - (1 - t) · log(1 - p)`.
 *
 * Targets have the shape of the predictions, or lack a last axis of size 1. Probabilities are clipped to
 * [1e-7, 1 - 1e-7]; `labelSmoothing` moves targets toward 1/2.
 *
 * @throws RangeError for an unknown option or reduction, or a smoothing outside 0 to 1.
 */
export function binaryCrossentropy(options: SmoothedCrossentropyOptions = {}): Loss {
  const type = "binaryCrossentropy";
  const { fromLogits, labelSmoothing, ...definition } = smoothed(type, options);
  return made<Loss>({
    ...definition,
    values(target, prediction) {
      const behind = logitsOf(prediction, "sigmoid");
      const [t, p] = alignValues(type, target, behind ?? prediction);
      const smooth = labelSmoothing === 0 ? t : add(mul(t, 1 - labelSmoothing), 0.5 * labelSmoothing);
      // log(1 + e^x) - t·x is the same with p = sigmoid(x), and accurate for large |x|.
      if (behind || fromLogits) return meanPerSample(sub(softplus(p), mul(smooth, p)));
      const safe = clipped(p);
      const yes = mul(smooth, log(safe));
      return neg(meanPerSample(add(yes, mul(sub(1, smooth), log(sub(1, safe))))));
    },
  }, making);
}

/** What crossentropies with smoothed targets share: their options, checked and with their defaults. */
function smoothed(type: string, given: SmoothedCrossentropyOptions) {
  checkOptions(type, given, ["fromLogits", "labelSmoothing", "reduction"]);
  const { fromLogits = false, labelSmoothing = 0, reduction = "sumOverBatchSize" } = given;
  checkReduction(type, reduction);
  checkRange(type, "labelSmoothing", labelSmoothing, { low: 0, high: 1 });
  const options = { fromLogits, labelSmoothing, reduction };
  return { type, options, reduction, labels: "dense", fromLogits, labelSmoothing } as const;
}

/** A loss that is the mean over the last axis of a function of the error `prediction - target`. */
function ofError(
  type: string,
  options: Options,
  reduction: Reduction,
  value: (error: Tensor) => Tensor,
): Loss {
  checkReduction(type, reduction);
  return made<Loss>({
    type,
    options,
    reduction,
    labels: "dense",
    values(target, prediction) {
      const [t, p] = alignValues(type, target, prediction);
      return meanPerSample(value(sub(p, t)));
    },
  }, making);
}

/** The mean over the last axis of `(prediction - target)²`. */
export function meanSquaredError(options: LossOptions = {}): Loss {
  checkOptions("meanSquaredError", options, ["reduction"]);
  const { reduction = "sumOverBatchSize" } = options;
  return ofError("meanSquaredError", { reduction }, reduction, square);
}

/** The mean over the last axis of `|prediction - target|`. */
export function meanAbsoluteError(options: LossOptions = {}): Loss {
  checkOptions("meanAbsoluteError", options, ["reduction"]);
  const { reduction = "sumOverBatchSize" } = options;
  return ofError("meanAbsoluteError", { reduction }, reduction, abs);
}

/**
 * The mean over the last axis of `e²/2` where `|e| ≤ delta`, else `delta · |e| - delta²/2`, with `e` the
 * error (Huber, 1964).
 *
 * @throws RangeError for an unknown option or reduction, or a delta that is not above 0.
 */
export function huber(options: HuberOptions = {}): Loss {
  checkOptions("huber", options, ["delta", "reduction"]);
  const { delta = 1, reduction = "sumOverBatchSize" } = options;
  checkRange("huber", "delta", delta, { above: 0 });
  return ofError("huber", { delta, reduction }, reduction, (error) => {
    const size = abs(error);
    return select(lessEqual(size, delta), mul(square(error), 0.5), sub(mul(size, delta), 0.5 * delta ** 2));
  });
}

/** The name of a loss. */
export type LossName =
  | "sparseCategoricalCrossentropy"
  | "categoricalCrossentropy"
  | "binaryCrossentropy"
  | "meanSquaredError"
  | "mse"
  | "meanAbsoluteError"
  | "mae"
  | "huber";

const byName: Record<LossName, (options?: LossOptions) => Loss> = {
  sparseCategoricalCrossentropy,
  categoricalCrossentropy,
  binaryCrossentropy,
  meanSquaredError,
  mse: meanSquaredError,
  meanAbsoluteError,
  mae: meanAbsoluteError,
  huber,
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

/** The functions of a loss, which may be methods of an object. */
export function measureOf(loss: Loss): Measure {
  return {
    values: (target, prediction) => loss.values(target, prediction),
    counted: loss.counted && ((target, prediction) => loss.counted!(target, prediction)),
  };
}
