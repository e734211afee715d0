/**
 * Metrics: plain data with pure functions over a state of two running sums, a total and a count, so that a
 * metric can live inside a compiled step and its state on a device. Weights and masks enter as in Keras 3; in
 * addition, a metric knows what the loss of its output knows (see resolve_metric.ts), and a NaN is
 * never correct.
 *
 * A loss is also a metric: the mean of its values. So `"mse"`, `huber({ delta: 2 })` or a crossentropy can be
 * used wherever a metric can, and are not written twice.
 */
import { checkSpec } from "../tensor/tensor.ts";
import { checkRange } from "../options/checks.ts";
import { checkCount, checkObject } from "../describe.ts";
import { made } from "../options/made.ts";
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
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
import { iota } from "../operations/indexing.ts";
import { logitsOf } from "../operations/logits.ts";
import { argmax, max } from "../operations/reduction.ts";
import { expandDims, sum } from "../operations/structure.ts";
import type { Spec, Tensor } from "../tensor/tensor.ts";
import { alignLabels, alignValues, lastDim, type Options, type Weighting } from "./alignment.ts";
import { countOf, type Measure, totalOf, weigh } from "./counting.ts";
import { checkLoss, type Loss, measureOf } from "./losses.ts";
import { addToSums, initSums, meanOfSums, type MetricState } from "./running.ts";

export type { MetricState };

/** A metric. A custom metric is an object of this form. */
export interface Metric {
  /** The kind, such as `topKCategoricalAccuracy`. */
  readonly type: string;
  /** Its name in logs and histories. */
  readonly name: string;
  /** The full options, as they are saved. */
  readonly options: Options;
  /** The state before anything was seen. */
  initState(): MetricState;
  /**
   * The state after one more batch: pure, traceable. In training, the mask also excludes what the loss
   * ignores.
   */
  update(state: MetricState, target: Tensor, prediction: Tensor, weighting?: Weighting): MetricState;
  /** The metric to compute instead, if it depends on the output's loss and shapes. */
  fit?(loss: Loss | undefined, target: Spec, prediction: Spec): Metric;
  /** The metric over everything seen; 0 before the first batch. The state's tensors are on the host. */
  result(state: MetricState): number;
}

/** Options that every metric has. */
export interface MetricOptions {
  /** Its name in logs and histories. */
  readonly name?: string;
}

type Values = Measure["values"];

function checkName(type: string, name: string): void {
  if (typeof name !== "string" || name === "") {
    throw new TypeError(`Cannot name ${type} ${quoted(name)}`);
  }
}

/** The arguments of a metric's functions. */
const STATE = "what initState or update of this metric gave";

/** A metric that is the weighted mean of values; `finish` is applied to the result. */
function meanMetricOf(
  description: { readonly type: string; readonly name: string; readonly options?: Options },
  values: Values,
  extra: {
    readonly counted?: Measure["counted"];
    readonly finish?: (mean: number) => number;
    readonly fit?: Metric["fit"];
  } = {},
): Metric {
  const { type, name, options = {} } = description;
  const { counted, finish = (value) => value } = extra;
  checkName(type, name);
  return made<Metric>({
    type,
    name,
    options: { ...options, name },
    initState: initSums,
    update(state, target, prediction, weighting) {
      checkObject(`update ${name}`, state, "the state", STATE);
      const weighed = weigh(type, { values, counted }, target, prediction, weighting);
      return addToSums(state, totalOf(weighed), countOf(weighed, true));
    },
    result(state) {
      checkObject(`read ${name}`, state, "the state", STATE);
      return finish(meanOfSums(state));
    },
    ...(extra.fit && { fit: extra.fit }),
  }, { main: "update", acts: ["name"], factory: type === "mean" ? "meanMetric" : type });
}

/**
 * The scores that predictions are ranked by: the logits behind a softmax, whose probabilities become equal
 * when logits are far apart, else the predictions; and whether they are known, bool `[...]`. If one is NaN
 * none is the largest.
 */
function ranked(prediction: Tensor): { readonly scores: Tensor; readonly known: Tensor } {
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
      // A loss that takes logits finds them behind a sigmoid; its argument is then still probabilities.
      const least = threshold ?? (ofLogits && !logitsOf(prediction, "sigmoid") ? 0 : 0.5);
      return cast(and(equal(t, cast(greater(p, least), t.dtype)), equal(p, p)), "float32");
    }, { fit });
  if (threshold !== null) return metricOf(name, false);
  return metricOf(name, false, function (this: Metric, loss) {
    return metricOf(this.name, takesLogits(loss));
  });
}

/** Whether the predictions of an output are logits, as far as its loss determines that. */
export function takesLogits(loss: Loss | undefined): boolean {
  return loss?.options?.fromLogits === true;
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
  const { values, counted } = measureOf(loss);
  return meanMetricOf({ type, name, options: lossOptions }, values, { counted });
}

/**
 * Which accuracy fits. The loss decides first: class indices give sparse, a binary crossentropy gives binary,
 * regardless of the number of outputs. Otherwise Keras 3's rule applies: binary if the prediction's last axis
 * is 1, sparse if the target has fewer axes or a last axis of 1, else categorical.
 */
function fittingAccuracy(name: string, loss: Loss | undefined, target: Spec, prediction: Spec): Metric {
  checkSpec(`compute ${name}`, target, "the target");
  checkSpec(`compute ${name}`, prediction, "the prediction");
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
