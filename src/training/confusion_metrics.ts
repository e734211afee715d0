/**
 * Metrics of how often predictions of 0 or 1 are right: precision, recall and F1 score. They
 * sum over all batches what was predicted and what is, and divide at the end, as Keras does.
 */
import { checkCount, checkObject } from "../describe.ts";
import { checkRange } from "../options/checks.ts";
import { checkOptions } from "../option_names.ts";
import { made } from "../options/made.ts";
import { unknownName } from "../known_names.ts";
import { and, equal, greater, not, notEqual, select } from "../operations/elementwise.ts";
import { ones } from "../operations/creation.ts";
import { oneHot } from "../operations/indexing.ts";
import { max } from "../operations/reduction.ts";
import { expandDims, reshape, sliceAxis, sum } from "../operations/structure.ts";
import type { Shape } from "../tensor/dims.ts";
import { checkTensor, printSpec, type Tensor } from "../tensor/tensor.ts";
import {
  alignLabels,
  alignValues,
  lastDim,
  type Options,
  requirePrediction,
  type Weighting,
} from "./alignment.ts";
import { whatCounts } from "./counting.ts";
import { checkName, leastOf, type Metric, type MetricOptions, STATE, takesLogits } from "./metric.ts";
import { ranked } from "./metrics.ts";
import { addToSums, initSums, type MetricState, readSum } from "./running.ts";

/** What predictions are compared with. */
interface Aligned {
  /** bool, of the shape of the predictions. */
  readonly isTrue: Tensor;
  /** `[..., classes]`. */
  readonly prediction: Tensor;
  /** How much each counts, of the shape of the predictions. */
  readonly weight: Tensor;
}

/** Class indices become 1 at their class; other targets have the shape of the predictions. */
function denseTarget(what: string, target: Tensor, prediction: Tensor): Tensor {
  requirePrediction(what, prediction);
  checkTensor(what, target, "the target");
  const classes = lastDim(prediction);
  const isIndex = target.dtype === "int32" && target.shape.length === prediction.shape.length - 1;
  if (!isIndex || typeof classes !== "number" || classes === 1) return target;
  return oneHot(alignLabels(what, target, prediction), classes);
}

/** Targets, predictions and weights of one shape. */
export function aligned(what: string, given: Tensor, prediction: Tensor, weighting: Weighting = {}): Aligned {
  const target = denseTarget(what, given, prediction);
  const values = (target: Tensor, prediction: Tensor) => alignValues(what, target, prediction)[1];
  const [t, p] = alignValues(what, target, prediction);
  const found = whatCounts(what, { values }, target, prediction, weighting);
  return {
    isTrue: notEqual(t, 0),
    prediction: p,
    weight: found ? select(found.counts, found.weight ?? 1, 0) : ones(p.shape, { dtype: p.dtype }),
  };
}

/** The sum of the weights where a bool holds, over all axes but the kept last ones. */
export function weightWhere(holds: Tensor, weight: Tensor, kept = 0): Tensor {
  const axes = holds.shape.map((_, axis) => axis).slice(0, holds.shape.length - kept);
  return sum(select(holds, weight, 0), { axes });
}

/** A metric over sums of the given shapes. */
export function metricOfSums(
  description: { readonly type: string; readonly name: string; readonly options: Options },
  shapes: () => Readonly<Record<string, Shape>>,
  batch: (target: Tensor, prediction: Tensor, weighting?: Weighting) => Readonly<Record<string, Tensor>>,
  result: (read: (name: string) => Float64Array) => number,
  fit?: Metric["fit"],
): Metric {
  const { type, name, options } = description;
  checkName(type, name);
  return made<Metric>({
    type,
    name,
    options: { ...options, name },
    initState: () => initSums(shapes()),
    update(state: MetricState, target, prediction, weighting) {
      checkObject(`update ${name}`, state, "the state", STATE);
      return addToSums(state, batch(target, prediction, weighting));
    },
    result(state: MetricState) {
      checkObject(`read ${name}`, state, "the state", STATE);
      return result((sum) => readSum(state, sum));
    },
    ...(fit && { fit }),
  }, { main: "update", acts: ["name"] });
}

/** Options of {@linkcode precision} and {@linkcode recall}. */
export interface ThresholdOptions extends MetricOptions {
  /** Predictions above it mean 1; default 0 if the loss of the same output takes logits, else 0.5. */
  readonly threshold?: number | null;
  /** The class that is looked at, of the last axis; default all. */
  readonly classId?: number | null;
}

/** A share of what is true or said to be true: `hits / (hits + misses)`, 0 if there is neither. */
function share(
  type: string,
  options: ThresholdOptions,
  isMiss: (isTrue: Tensor, isSaid: Tensor) => Tensor,
): Metric {
  checkOptions(type, options, ["name", "threshold", "classId"]);
  const { name = type, threshold = null, classId = null } = options;
  if (threshold !== null) checkRange(type, "threshold", threshold);
  if (classId !== null) checkCount(`make ${type}`, classId, "classId", 0);
  const metricOf = (name: string, ofLogits: boolean, fit?: Metric["fit"]) =>
    metricOfSums(
      { type, name, options: { threshold, classId } },
      () => ({ hits: [], misses: [] }),
      (target, prediction, weighting) => {
        const { isTrue, prediction: p, weight } = aligned(type, target, prediction, weighting);
        const classes = p.shape.length < 2 ? 1 : lastDim(p);
        if (classId !== null && typeof classes === "number" && classId >= classes) {
          throw new RangeError(
            `Cannot compute ${name}: classId is ${classId}, expected one of the ${classes} classes of ${
              printSpec(p)
            }`,
          );
        }
        const isPart = classId !== null && p.shape.length > 1;
        const ofClass = (x: Tensor) => isPart ? sliceAxis(x, -1, classId, 1) : x;
        const isSaid = greater(ofClass(p), leastOf(threshold, ofLogits, prediction));
        const isThere = ofClass(isTrue);
        return {
          hits: weightWhere(and(isThere, isSaid), ofClass(weight)),
          misses: weightWhere(isMiss(isThere, isSaid), ofClass(weight)),
        };
      },
      (read) => {
        const [[hits], [misses]] = [read("hits"), read("misses")];
        return hits + misses === 0 ? 0 : hits / (hits + misses);
      },
      fit,
    );
  if (threshold !== null) return metricOf(name, false);
  return metricOf(name, false, function (this: Metric, loss) {
    return metricOf(this.name, takesLogits(loss));
  });
}

/**
 * Which share of what is predicted is true: predictions `[..., classes]`, targets 0 or 1 of the same shape, or class
 * indices. 0 if nothing is predicted.
 *
 * @throws RangeError for an unknown option or a value out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { precision, tensor } from "@cellfold/cellfold";
 * const metric = precision();
 * const state = metric.update(metric.initState(), tensor([0, 1, 1]), tensor([0.9, 0.8, 0.1]));
 * assertEquals(metric.result(state), 0.5);
 * ```
 */
export function precision(options: ThresholdOptions = {}): Metric {
  return share("precision", options, (isTrue, isSaid) => and(not(isTrue), isSaid));
}

/**
 * Which share of what is true is predicted; shapes as for {@linkcode precision}. 0 if nothing is true.
 *
 * @throws RangeError for an unknown option or a value out of range.
 */
export function recall(options: ThresholdOptions = {}): Metric {
  return share("recall", options, (isTrue, isSaid) => and(isTrue, not(isSaid)));
}

/** How the scores of classes become one. */
export type F1Average = "macro" | "micro" | "weighted";

const averages: readonly F1Average[] = ["macro", "micro", "weighted"];

/** Options of {@linkcode f1Score}. */
export interface F1Options extends MetricOptions {
  /**
   * The mean over the classes (`macro`, the default), weighted by how often each is true (`weighted`), or the score of
   * all predictions together (`micro`).
   */
  readonly average?: F1Average;
  /**
   * Predictions above it mean 1; by default the largest along the last axis do, or for a single class what is above
   * 0.5, or 0 if the loss of the same output takes logits.
   */
  readonly threshold?: number | null;
  /** The number of classes; training finds it, so it is needed only for a metric that is used alone. */
  readonly classes?: number | null;
}

function f1Of(hits: number, wrong: number, missed: number): number {
  return hits === 0 ? 0 : 2 * hits / (2 * hits + wrong + missed);
}

/**
 * The F1 score, the harmonic mean of precision and recall, of each class over everything seen; shapes as for
 * {@linkcode precision}.
 *
 * @throws RangeError for an unknown option or average, or if the number of classes is not known.
 */
export function f1Score(options: F1Options = {}): Metric {
  const type = "f1Score";
  checkOptions(type, options, ["name", "average", "threshold", "classes"]);
  const { name = type, average = "macro", threshold = null, classes = null } = options;
  if (!averages.includes(average)) throw unknownName(`average of ${type}`, average, averages);
  if (threshold !== null) checkRange(type, "threshold", threshold);
  if (classes !== null) checkCount(`make ${type}`, classes, "classes");
  const metricOf = (name: string, count: number | null, ofLogits: boolean, fit?: Metric["fit"]): Metric =>
    metricOfSums(
      { type, name, options: { average, threshold, classes } },
      () => {
        if (count === null) {
          throw new RangeError(
            `Cannot make the state of ${name}: it is not known how many classes there are; give it classes`,
          );
        }
        return { hits: [count], wrong: [count], missed: [count] };
      },
      (target, prediction, weighting) => {
        const { isTrue, prediction: p, weight } = aligned(type, target, prediction, weighting);
        if (p.shape.length === 0 || count !== 1 && lastDim(p) !== count) {
          throw new TypeError(
            `Cannot compute ${name}: the prediction is ${
              printSpec(p)
            }, expected a last axis of ${count} classes`,
          );
        }
        const isSaid = saidBy(p, threshold, ofLogits, prediction);
        const kept = p.shape.length > 1 && lastDim(p) === count ? 1 : 0;
        const weightOf = (holds: Tensor) => reshape(weightWhere(holds, weight, kept), [count ?? 1]);
        return {
          hits: weightOf(and(isTrue, isSaid)),
          wrong: weightOf(and(not(isTrue), isSaid)),
          missed: weightOf(and(isTrue, not(isSaid))),
        };
      },
      (read) => averaged(average, read("hits"), read("wrong"), read("missed")),
      fit,
    );
  return metricOf(name, classes, false, function (this: Metric, loss, _target, prediction) {
    const last = prediction.shape.length < 2 ? 1 : lastDim(prediction);
    return metricOf(this.name, typeof last === "number" ? last : classes, takesLogits(loss));
  });
}

/** Which classes a prediction names, bool. */
function saidBy(p: Tensor, threshold: number | null, ofLogits: boolean, given: Tensor): Tensor {
  const classes = lastDim(p);
  if (threshold !== null || classes === 1 || p.shape.length < 2) {
    return greater(p, leastOf(threshold, ofLogits, given));
  }
  const { scores, known } = ranked(p);
  return and(equal(scores, max(scores, { axes: -1, keepDims: true })), expandDims(known, -1));
}

function averaged(average: F1Average, hits: Float64Array, wrong: Float64Array, missed: Float64Array): number {
  const sumOf = (values: ArrayLike<number>) => Array.from(values).reduce((a, b) => a + b, 0);
  if (average === "micro") return f1Of(sumOf(hits), sumOf(wrong), sumOf(missed));
  const scores = Array.from(hits, (hit, index) => f1Of(hit, wrong[index], missed[index]));
  if (average === "macro") return sumOf(scores) / scores.length;
  const support = Array.from(hits, (hit, index) => hit + missed[index]);
  const total = sumOf(support);
  return total === 0 ? 0 : sumOf(scores.map((score, index) => score * support[index])) / total;
}
