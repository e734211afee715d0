/**
 * The area under a curve of how often predictions of 0 or 1 are right: what is counted at each threshold is summed over
 * all batches, and the curve is that of the sums, as in Keras.
 */
import { checkCount } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { unknownName } from "../known_names.ts";
import { and, greater, not, sigmoid } from "../operations/elementwise.ts";
import { logitsOf } from "../operations/logits.ts";
import { reshape } from "../operations/structure.ts";
import { sizeOfShape } from "../tensor/dims.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { aligned, metricOfSums, weightWhere } from "./confusion_metrics.ts";
import { type Metric, type MetricOptions, takesLogits } from "./metric.ts";

/** Options of {@linkcode auc}. */
export interface AucOptions extends MetricOptions {
  /** The receiver operating characteristic (default), or precision over recall. */
  readonly curve?: "ROC" | "PR";
  /** How many thresholds, at equal distances from 0 to 1, the curve has; default 200. */
  readonly numThresholds?: number;
  /** How the area between two thresholds is found; default `interpolation`, by Davis and Goadrich (2006) for PR. */
  readonly summationMethod?: "interpolation" | "minoring" | "majoring";
  /** Whether predictions are logits; default: whether the loss of the same output takes them. */
  readonly fromLogits?: boolean | null;
}

const curves = ["ROC", "PR"] as const;
const methods = ["interpolation", "minoring", "majoring"] as const;

/**
 * The area under a curve of all thresholds, an approximation by `numThresholds` of them, as in Keras; shapes as for
 * {@linkcode precision}, all classes together. Predictions are from 0 to 1, or logits.
 *
 * @throws RangeError for an unknown option, curve or method, or a value out of range.
 *
 * @example
 * ```ts
 * import { assertAlmostEquals } from "@std/assert";
 * import { auc, tensor } from "@cellfold/cellfold";
 * const metric = auc();
 * const state = metric.update(metric.initState(), tensor([0, 0, 1, 1]), tensor([0, 0.5, 0.3, 0.9]));
 * assertAlmostEquals(metric.result(state), 0.75, 1e-6);
 * ```
 */
export function auc(options: AucOptions = {}): Metric {
  const type = "auc";
  checkOptions(type, options, ["name", "curve", "numThresholds", "summationMethod", "fromLogits"]);
  const { name = type, curve = "ROC", numThresholds = 200, summationMethod = "interpolation" } = options;
  const { fromLogits = null } = options;
  if (!curves.includes(curve)) throw unknownName(`curve of ${type}`, curve, curves);
  if (!methods.includes(summationMethod)) {
    throw unknownName(`summationMethod of ${type}`, summationMethod, methods);
  }
  checkCount(`make ${type}`, numThresholds, "numThresholds", 2);
  const thresholds = Array.from({ length: numThresholds }, (_, index) => index / (numThresholds - 1));
  thresholds[0] = -1e-7; // below 0 and above 1, as in Keras
  thresholds[numThresholds - 1] = 1 + 1e-7;
  const metricOf = (name: string, ofLogits: boolean, fit?: Metric["fit"]) =>
    metricOfSums(
      { type, name, options: { curve, numThresholds, summationMethod, fromLogits } },
      () => ({ hits: [numThresholds], wrong: [numThresholds], positives: [], negatives: [] }),
      (target, prediction, weighting) => {
        const found = aligned(type, target, prediction, weighting);
        const p = ofLogits && !logitsOf(prediction, "sigmoid") ? sigmoid(found.prediction) : found.prediction;
        const column = (x: Tensor) => reshape(x, [sizeOfShape(x.shape), 1]);
        const isAbove = greater(column(p), tensor(thresholds, { dtype: p.dtype }));
        const [isTrue, weight] = [column(found.isTrue), column(found.weight)];
        return {
          hits: weightWhere(and(isTrue, isAbove), weight, 1),
          wrong: weightWhere(and(not(isTrue), isAbove), weight, 1),
          positives: weightWhere(isTrue, weight),
          negatives: weightWhere(not(isTrue), weight),
        };
      },
      (read) => {
        const counts = {
          hits: read("hits"),
          wrong: read("wrong"),
          positives: read("positives")[0],
          negatives: read("negatives")[0],
        };
        return curve === "PR" && summationMethod === "interpolation"
          ? interpolatedPrecision(counts)
          : areaUnder(counts, curve, summationMethod);
      },
      fit,
    );
  if (fromLogits !== null) return metricOf(name, fromLogits);
  return metricOf(name, false, function (this: Metric, loss) {
    return metricOf(this.name, takesLogits(loss));
  });
}

/** What was counted at each threshold. */
interface CurveCounts {
  readonly hits: Float64Array;
  readonly wrong: Float64Array;
  readonly positives: number;
  readonly negatives: number;
}

function ratio(a: number, b: number): number {
  return b === 0 ? 0 : a / b;
}

function areaUnder(
  { hits, wrong, positives, negatives }: CurveCounts,
  curve: "ROC" | "PR",
  method: (typeof methods)[number],
): number {
  const point = (index: number) => {
    const recalled = ratio(hits[index], positives);
    return curve === "ROC"
      ? { x: ratio(wrong[index], negatives), y: recalled }
      : { x: recalled, y: ratio(hits[index], hits[index] + wrong[index]) };
  };
  let area = 0;
  for (let index = 0; index + 1 < hits.length; index++) {
    const [a, b] = [point(index), point(index + 1)];
    const height = method === "interpolation"
      ? (a.y + b.y) / 2
      : method === "minoring"
      ? Math.min(a.y, b.y)
      : Math.max(a.y, b.y);
    area += (a.x - b.x) * height;
  }
  return area;
}

/**
 * The area under precision over recall: between two thresholds the hits grow in proportion to what is said (Davis and
 * Goadrich, "The relationship between precision-recall and ROC curves", 2006).
 */
function interpolatedPrecision({ hits, wrong, positives }: CurveCounts): number {
  let area = 0;
  for (let index = 0; index + 1 < hits.length; index++) {
    const [said, saidNext] = [index, index + 1].map((at) => hits[at] + wrong[at]);
    const more = hits[index] - hits[index + 1];
    const slope = ratio(more, Math.max(said - saidNext, 0));
    const intercept = hits[index + 1] - slope * saidNext;
    const logRatio = said > 0 && saidNext > 0 ? Math.log(said / saidNext) : 0;
    area += ratio(slope * (more + intercept * logRatio), positives);
  }
  return area;
}
