/**
 * What a metric is: plain data with pure functions over a state of running sums, so that it can live inside a
 * compiled step and its state on a device. Most are a mean, of which this file has the frame; metrics.ts and
 * confusion_metrics.ts have the metrics.
 */
import { checkObject } from "../describe.ts";
import { made } from "../options/made.ts";
import { quoted } from "../quoted.ts";
import { logitsOf } from "../operations/logits.ts";
import type { Spec, Tensor } from "../tensor/tensor.ts";
import type { Options, Weighting } from "./alignment.ts";
import { countOf, type Measure, totalOf, weigh } from "./counting.ts";
import type { Loss } from "./losses.ts";
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

/** What is averaged. */
export type Values = Measure["values"];

/** Throws a TypeError for a name that is empty or no text. */
export function checkName(type: string, name: string): void {
  if (typeof name !== "string" || name === "") {
    throw new TypeError(`Cannot name ${type} ${quoted(name)}`);
  }
}

/** The arguments of a metric's functions. */
export const STATE = "what initState or update of this metric gave";

/** A metric that is the weighted mean of values; `finish` is applied to the result. */
export function meanMetricOf(
  description: { readonly type: string; readonly name: string; readonly options?: Options },
  values: Values,
  extra: {
    readonly counted?: Measure["counted"];
    readonly ofSequences?: Measure["ofSequences"];
    readonly finish?: (mean: number) => number;
    readonly fit?: Metric["fit"];
  } = {},
): Metric {
  const { type, name, options = {} } = description;
  const { counted, ofSequences, finish = (value) => value } = extra;
  checkName(type, name);
  return made<Metric>({
    type,
    name,
    options: { ...options, name },
    initState: () => initSums(),
    update(state, target, prediction, weighting) {
      checkObject(`update ${name}`, state, "the state", STATE);
      const weighed = weigh(type, { values, counted, ofSequences }, target, prediction, weighting);
      return addToSums(state, { total: totalOf(weighed), count: countOf(weighed, true) });
    },
    result(state) {
      checkObject(`read ${name}`, state, "the state", STATE);
      return finish(meanOfSums(state));
    },
    ...(extra.fit && { fit: extra.fit }),
  }, { main: "update", acts: ["name"], factory: type === "mean" ? "meanMetric" : type });
}

/** Whether the predictions of an output are logits, as far as its loss determines that. */
export function takesLogits(loss: Loss | undefined): boolean {
  return loss?.options?.fromLogits === true;
}

/**
 * Above what a prediction means 1: the threshold, or by default 1/2, or 0 for logits. A loss that takes logits finds
 * them behind a sigmoid; its argument is then still probabilities.
 */
export function leastOf(threshold: number | null, ofLogits: boolean, prediction: Tensor): number {
  return threshold ?? (ofLogits && !logitsOf(prediction, "sigmoid") ? 0 : 0.5);
}
