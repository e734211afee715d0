/**
 * Crossentropies. They compute with logits whenever they can: with `fromLogits`, or if the prediction comes
 * from the activation softmax or sigmoid (operations/activations.ts).
 */
import type { Tensor } from "../tensor/tensor.ts";
import { checkRange } from "../options/checks.ts";
import { wrongKind } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { softplus } from "../operations/activations.ts";
import { add, div, equal, log, mul, neg, notEqual, select, sub } from "../operations/elementwise.ts";
import { made } from "../options/made.ts";
import { iota } from "../operations/indexing.ts";
import { logitsOf } from "../operations/logits.ts";
import { shiftedLogits, sizeAsTensor } from "../operations/reduction.ts";
import { expandDims, sum } from "../operations/structure.ts";
import { alignLabels, alignValues, lastDim, meanPerSample } from "./alignment.ts";
import { checkReduction, clipped, type Loss, lossMaking, type LossOptions } from "./loss.ts";

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
  }, lossMaking);
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
      const smooth = spreadOverClasses(t, labelSmoothing);
      const logits = logitsOf(prediction, "softmax") ?? (fromLogits ? p : undefined);
      if (!logits) {
        const normalized = div(p, sum(p, { axes: -1, keepDims: true }));
        return neg(sum(mul(smooth, log(clipped(normalized))), { axes: -1 }));
      }
      const { shifted, logSum } = shiftedLogits(logits, -1);
      return sum(mul(smooth, sub(logSum, shifted)), { axes: -1 });
    },
  }, lossMaking);
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
      const smooth = towardHalf(t, labelSmoothing);
      // log(1 + e^x) - t·x is the same with p = sigmoid(x), and accurate for large |x|.
      if (behind || fromLogits) return meanPerSample(sub(softplus(p), mul(smooth, p)));
      const safe = clipped(p);
      const yes = mul(smooth, log(safe));
      return neg(meanPerSample(add(yes, mul(sub(1, smooth), log(sub(1, safe))))));
    },
  }, lossMaking);
}

/** The names of {@linkcode SmoothedCrossentropyOptions}. */
const smoothedNames = ["fromLogits", "labelSmoothing", "reduction"] as const;

/** What crossentropies with smoothed targets share: their options, checked and with their defaults. */
export function smoothed(type: string, given: SmoothedCrossentropyOptions, own: readonly string[] = []) {
  checkOptions(type, given, [...smoothedNames, ...own]);
  const { fromLogits = false, labelSmoothing = 0, reduction = "sumOverBatchSize" } = given;
  checkReduction(type, reduction);
  checkRange(type, "labelSmoothing", labelSmoothing, { low: 0, high: 1 });
  const options = { fromLogits, labelSmoothing, reduction };
  return { type, options, reduction, labels: "dense", fromLogits, labelSmoothing } as const;
}

/** Targets of which a part is spread evenly over the classes. */
export function spreadOverClasses(target: Tensor, smoothing: number): Tensor {
  if (smoothing === 0) return target;
  return add(mul(target, 1 - smoothing), div(smoothing, sizeAsTensor(lastDim(target), target.dtype)));
}

/** Targets between 0 and 1 that are moved toward 1/2. */
export function towardHalf(target: Tensor, smoothing: number): Tensor {
  return smoothing === 0 ? target : add(mul(target, 1 - smoothing), 0.5 * smoothing);
}
