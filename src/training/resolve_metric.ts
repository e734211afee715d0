/** Metrics by name, and the metric that training computes for what it is given. */
import { checkAsMade } from "../options/made.ts";
import { unknownName } from "../known_names.ts";
import type { Spec } from "../tensor/tensor.ts";
import { type Loss, type LossName, lossNamed, lossNames, resolveLoss } from "./losses.ts";
import { auc } from "./auc.ts";
import { f1Score, precision, recall } from "./confusion_metrics.ts";
import {
  accuracy,
  binaryAccuracy,
  categoricalAccuracy,
  crfAccuracy,
  lossMetric,
  meanMetric,
  type Metric,
  type MetricOptions,
  perplexity,
  rootMeanSquaredError,
  sparseCategoricalAccuracy,
  sparseTopKCategoricalAccuracy,
  takesLogits,
  topKCategoricalAccuracy,
} from "./metrics.ts";

/** The name of a metric; the names of losses are names of metrics too. */
export type MetricName =
  | LossName
  | "accuracy"
  | "acc"
  | "sparseCategoricalAccuracy"
  | "categoricalAccuracy"
  | "binaryAccuracy"
  | "topKCategoricalAccuracy"
  | "sparseTopKCategoricalAccuracy"
  | "rootMeanSquaredError"
  | "rmse"
  | "mean"
  | "precision"
  | "recall"
  | "f1Score"
  | "auc"
  | "perplexity"
  | "crfAccuracy";

const byName: Record<Exclude<MetricName, LossName>, (options: MetricOptions) => Metric> = {
  accuracy,
  acc: accuracy,
  sparseCategoricalAccuracy,
  categoricalAccuracy,
  binaryAccuracy,
  topKCategoricalAccuracy,
  sparseTopKCategoricalAccuracy,
  rootMeanSquaredError,
  rmse: rootMeanSquaredError,
  mean: meanMetric,
  precision,
  recall,
  f1Score,
  auc,
  perplexity,
  crfAccuracy,
};

/** All names of metrics. */
export const metricNames: readonly MetricName[] = [
  ...Object.keys(byName) as (keyof typeof byName)[], // keys of `byName`
  ...lossNames,
];

/** A metric as training accepts it: by name, made by a function such as {@linkcode accuracy}, or a loss. */
export type MetricLike = MetricName | Metric | Loss;

function isMetric(metric: Metric | Loss): metric is Metric {
  const { update, result } = (metric ?? {}) as Partial<Metric>; // no loss or optimizer has both
  return typeof update === "function" && typeof result === "function";
}

/**
 * The metric for a name, metric or loss; a name becomes the metric's name in logs. A crossentropy given by
 * name takes logits if the output's loss does.
 */
function metricFor(metric: MetricLike, loss: Loss | undefined): Metric {
  if (typeof metric !== "string") {
    if (!isMetric(metric)) return lossMetric(resolveLoss(metric));
    checkAsMade(metric);
    return metric;
  }
  if (!metricNames.includes(metric)) throw unknownName("metric", metric, metricNames);
  return metric in byName
    ? byName[metric as keyof typeof byName]({ name: metric }) // just tested
    : lossMetric(lossNamed(metric as LossName, takesLogits(loss)), { name: metric }); // the rest are losses
}

/**
 * The metric that training computes: a name is looked up, a loss becomes a metric, and `accuracy` becomes the
 * one that fits the loss and the shapes, keeping its name. If the loss takes logits (`fromLogits`), binary
 * accuracies without a threshold use 0, and crossentropies given by name take logits too. Values that the
 * loss ignores (`ignoreClass`) are excluded from every metric of the same output.
 *
 * @param loss The loss of the same output, if there is one.
 * @param target Shape and dtype of the targets.
 * @param prediction Shape and dtype of the predictions.
 * @throws RangeError for an unknown name, with the nearest known one; TypeError for anything that is not a
 * metric.
 */
export function resolveMetric(
  metric: MetricLike,
  loss: Loss | undefined,
  target: Spec,
  prediction: Spec,
): Metric {
  const found = metricFor(metric, loss);
  return found.fit?.(loss, target, prediction) ?? found;
}
