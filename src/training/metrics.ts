/**
 * Metrics that are means: accuracies, errors, and losses. Weights and masks enter as in Keras 3; in addition, a
 * metric knows what the loss of its output knows (see resolve_metric.ts), and a NaN is never correct.
 *
 * A loss is also a metric: the mean of its values. So `"mse"`, `huber({ delta: 2 })` or a crossentropy can be
 * used wherever a metric can, and are not written twice.
 */
import { checkSpec } from "../tensor/tensor.ts";
import { checkRange } from "../options/checks.ts";
import { checkCount } from "../describe.ts";
import { made } from "../options/made.ts";
import { checkOptions } from "../option_names.ts";
import {
  and,
  cast,
  equal,
  greater,
  less,
  lessEqual,
  not,
  select,
  square,
  sub,
} from "../operations/elementwise.ts";
import { viterbi } from "../layers/viterbi.ts";
import { iota } from "../operations/indexing.ts";
import { logitsOf } from "../operations/logits.ts";
import { argmax, max } from "../operations/reduction.ts";
import { expandDims, sum } from "../operations/structure.ts";
import type { Spec, Tensor } from "../tensor/tensor.ts";
import { alignLabels, alignValues, lastDim } from "./alignment.ts";
import { checkTags } from "./crf_loss.ts";
import { checkLoss, type Loss, measureOf, sparseCategoricalCrossentropy } from "./losses.ts";
import {
  leastOf,
  meanMetricOf,
  type Metric,
  type MetricOptions,
  type MetricState,
  takesLogits,
  type Values,
} from "./metric.ts";

export { type Metric, type MetricOptions, type MetricState, takesLogits };

/**
 * The scores that predictions are ranked by: the logits behind a softmax, whose probabilities become equal
 * when logits are far apart, else the predictions; and whether they are known, bool `[...]`. If one is NaN
 * none is the largest.
 */
export function ranked(prediction: Tensor): { readonly scores: Tensor; readonly known: Tensor } {
  const logits = logitsOf(prediction, "softmax");
  const scores = logits ?? prediction;
  const largest = max(scores, { axes: -1 });
  // The softmax of an infinite logit is NaN, while an infinite score is valid.
  const known = logits ? equal(sub(largest, largest), 0) : equal(largest, largest);
  return { scores, known };
}

/**
 * How often the largest prediction is the label: int32 labels `[...]` or `[..., 1]`, predictions
 * `[..., classes]`. Of equal ones the first counts as the largest; if a prediction is NaN, none does.
 */
export function sparseCategoricalAccuracy(options: MetricOptions = {}): Metric {
  const type = "sparseCategoricalAccuracy";
  checkOptions(type, options, ["name"]);
  return meanMetricOf({ type, name: options.name ?? type }, (target, prediction) => {
    const { scores, known } = ranked(prediction);
    return cast(and(equal(alignLabels(type, target, prediction), argmax(scores)), known), "float32");
  });
}

/**
 * How often the largest prediction is the largest target: both `[..., classes]`, logits or probabilities. Of
 * equal ones the first counts as the largest; if one is NaN, none does.
 */
export function categoricalAccuracy(options: MetricOptions = {}): Metric {
  const type = "categoricalAccuracy";
  checkOptions(type, options, ["name"]);
  return meanMetricOf({ type, name: options.name ?? type }, (target, prediction) => {
    const [t, p] = alignValues(type, target, prediction);
    const [wanted, found] = [ranked(t), ranked(p)];
    const right = equal(argmax(wanted.scores), argmax(found.scores));
    return cast(and(right, and(wanted.known, found.known)), "float32");
  });
}

/** Options of {@linkcode binaryAccuracy}. */
export interface BinaryAccuracyOptions extends MetricOptions {
  /** Predictions above it mean 1; default 0 if the loss of the same output takes logits, else 0.5. */
  readonly threshold?: number | null;
}

/**
 * How often a prediction is on the same side of the threshold as the target (0 or 1): both of one shape. A
 * NaN prediction is on neither side.
 */
export function binaryAccuracy(options: BinaryAccuracyOptions = {}): Metric {
  const type = "binaryAccuracy";
  checkOptions(type, options, ["name", "threshold"]);
  const { name = type } = options;
  const threshold = options.threshold ?? null;
  if (threshold !== null) checkRange(type, "threshold", threshold);
  const metricOf = (name: string, ofLogits: boolean, fit?: Metric["fit"]) =>
    meanMetricOf({ type, name, options: { threshold } }, (target, prediction) => {
      const [t, p] = alignValues(type, target, prediction);
      const least = leastOf(threshold, ofLogits, prediction);
      return cast(and(equal(t, cast(greater(p, least), t.dtype)), equal(p, p)), "float32");
    }, { fit });
  if (threshold !== null) return metricOf(name, false);
  return metricOf(name, false, function (this: Metric, loss) {
    return metricOf(this.name, takesLogits(loss));
  });
}

/** Options of the top-k accuracies. */
export interface TopKOptions extends MetricOptions {
  /** How many of the largest predictions are considered; default 5. */
  readonly k?: number;
}

/**
 * Whether fewer than `k` predictions are above that of the label, which `isLabel` marks; so predictions equal
 * to it do not exclude it, as in Keras. NaN is above every number, and a label whose prediction is NaN is
 * never correct.
 */
function inTopK(isLabel: Tensor, prediction: Tensor, k: number): Tensor {
  // Probabilities of 0 are all equal, but their logits are not.
  const scores = logitsOf(prediction, "softmax") ?? prediction;
  const ofLabel = sum(select(isLabel, scores, 0), { axes: -1, keepDims: true });
  const above = sum(cast(not(lessEqual(scores, ofLabel)), "int32"), { axes: -1 });
  const known = sum(cast(and(isLabel, equal(prediction, prediction)), "int32"), { axes: -1 });
  return cast(and(less(above, k), less(0, known)), "float32");
}

function topK(type: string, options: TopKOptions, labelsOf: Values): Metric {
  checkOptions(type, options, ["name", "k"]);
  const { k = 5, name = type } = options;
  checkCount(`make ${type}`, k, "k");
  return meanMetricOf(
    { type, name, options: { k } },
    (target, prediction) =>
      inTopK(
        equal(expandDims(labelsOf(target, prediction), -1), iota([lastDim(prediction)])),
        prediction,
        k,
      ),
  );
}

/**
 * How often the label is among the `k` largest predictions; shapes as for
 * {@linkcode sparseCategoricalAccuracy}.
 */
export function sparseTopKCategoricalAccuracy(options: TopKOptions = {}): Metric {
  const type = "sparseTopKCategoricalAccuracy";
  return topK(type, options, (target, prediction) => alignLabels(type, target, prediction));
}

/**
 * How often the largest target is among the `k` largest predictions; shapes as for
 * {@linkcode categoricalAccuracy}.
 */
export function topKCategoricalAccuracy(options: TopKOptions = {}): Metric {
  const type = "topKCategoricalAccuracy";
  return topK(type, options, (target, prediction) => argmax(alignValues(type, target, prediction)[0]));
}

/** The root of the mean of `(prediction - target)²`. */
export function rootMeanSquaredError(options: MetricOptions = {}): Metric {
  const type = "rootMeanSquaredError";
  checkOptions(type, options, ["name"]);
  return meanMetricOf(
    { type, name: options.name ?? "rmse" },
    (target, prediction) => {
      const [t, p] = alignValues(type, target, prediction);
      return square(sub(p, t));
    },
    { finish: Math.sqrt },
  );
}

/** The mean of the predictions, whatever the target is; for values worth monitoring, such as a loss. */
export function meanMetric(options: MetricOptions = {}): Metric {
  checkOptions("mean", options, ["name"]);
  return meanMetricOf({ type: "mean", name: options.name ?? "mean" }, (_, prediction) => prediction);
}

/** Options of {@linkcode perplexity}. */
export interface PerplexityOptions extends MetricOptions {
  /** Whether predictions are logits; default: whether the loss of the same output takes them. */
  readonly fromLogits?: boolean | null;
  /** The label of values that do not count, such as -1; default none. */
  readonly ignoreClass?: number | null;
}

/**
 * The perplexity of a language model: the exponential of the mean crossentropy of all labels that were seen, not a
 * mean of the perplexities of batches. Shapes as for {@linkcode sparseCategoricalAccuracy}. Before the first batch
 * it is 1.
 */
export function perplexity(options: PerplexityOptions = {}): Metric {
  const type = "perplexity";
  checkOptions(type, options, ["name", "fromLogits", "ignoreClass"]);
  const { name = type, fromLogits = null, ignoreClass = null } = options;
  const metricOf = (name: string, ofLogits: boolean, fit?: Metric["fit"]): Metric => {
    const loss = sparseCategoricalCrossentropy({ fromLogits: ofLogits, ignoreClass });
    const { values, counted } = measureOf(loss);
    return meanMetricOf({ type, name, options: { fromLogits, ignoreClass } }, values, {
      counted,
      finish: Math.exp,
      fit,
    });
  };
  if (fromLogits !== null) return metricOf(name, fromLogits);
  return metricOf(name, false, function (this: Metric, loss) {
    return metricOf(this.name, takesLogits(loss));
  });
}

/**
 * How often the best tags of a linear-chain conditional random field, as {@linkcode viterbi} finds them, are the
 * labels: int32 `[batch, time]`, and predictions of the layer `crf`. Training takes it for `accuracy` with the loss
 * `crf`.
 */
export function crfAccuracy(options: MetricOptions = {}): Metric {
  const type = "crfAccuracy";
  checkOptions(type, options, ["name"]);
  return meanMetricOf({ type, name: options.name ?? type }, (target, prediction, mask) => {
    checkTags(type, target, prediction);
    return cast(equal(viterbi(prediction, { mask }).tags, target), "float32");
  });
}

/** Losses with a short name in logs, as in Keras. */
const shortNames: ReadonlyMap<string, string> = new Map([
  ["meanSquaredError", "mse"],
  ["meanAbsoluteError", "mae"],
]);

/** The mean of a loss's values as a metric. The loss's reduction does not matter. */
export function lossMetric(loss: Loss, options: MetricOptions = {}): Metric {
  checkOptions("lossMetric", options, ["name"]);
  checkLoss("make a metric", loss);
  const { type, options: lossOptions } = loss;
  const name = options.name ?? shortNames.get(type) ?? type;
  const { values, counted, ofSequences } = measureOf(loss);
  return meanMetricOf({ type, name, options: lossOptions }, values, { counted, ofSequences });
}

/**
 * Which accuracy fits. The loss decides first: class indices give sparse, a binary crossentropy gives binary,
 * regardless of the number of outputs. Otherwise Keras 3's rule applies: binary if the prediction's last axis
 * is 1, sparse if the target has fewer axes or a last axis of 1, else categorical.
 */
function fittingAccuracy(name: string, loss: Loss | undefined, target: Spec, prediction: Spec): Metric {
  checkSpec(`compute ${name}`, target, "the target");
  checkSpec(`compute ${name}`, prediction, "the prediction");
  if (loss?.labels === "sequence") {
    throw new TypeError(
      `Cannot compute ${name} of ${loss.type}: its labels are not aligned with the steps; decode predictions, as with ` +
        `ctcGreedyDecode, and compare them by errorRate`,
    );
  }
  if (loss?.type === "crf") return crfAccuracy({ name });
  if (loss?.labels === "sparse") return sparseCategoricalAccuracy({ name });
  const isBinary = loss?.type === "binaryCrossentropy" || prediction.shape.length < 2 ||
    lastDim(prediction) === 1;
  if (isBinary) {
    const binary = binaryAccuracy({ name });
    return binary.fit?.(loss, target, prediction) ?? binary;
  }
  const isSparse = target.shape.length < prediction.shape.length || lastDim(target) === 1;
  return isSparse ? sparseCategoricalAccuracy({ name }) : categoricalAccuracy({ name });
}

/**
 * The accuracy that fits the loss and the shapes: sparse categorical, categorical or binary. Training decides
 * with {@linkcode resolveMetric}; used alone, the metric decides by the shapes that it is updated with.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { accuracy, tensor } from "@cellfold/cellfold";
 * const metric = accuracy();
 * const labels = tensor([0, 1], { dtype: "int32" });
 * const state = metric.update(metric.initState(), labels, tensor([[0.9, 0.1], [0.8, 0.2]]));
 * assertEquals(metric.result(state), 0.5);
 * ```
 */
export function accuracy(options: MetricOptions = {}): Metric {
  checkOptions("accuracy", options, ["name"]);
  const name = options.name ?? "accuracy";
  const { initState, result } = meanMetric({ name });
  return made<Metric>({
    type: "accuracy",
    name,
    options: { name },
    initState,
    update: (state, target, prediction, weighting) =>
      fittingAccuracy(name, undefined, target, prediction).update(state, target, prediction, weighting),
    fit(this: Metric, loss, target, prediction) {
      return fittingAccuracy(this.name, loss, target, prediction);
    },
    result,
  }, { main: "update", acts: ["name"] });
}
