/** Losses and metrics: one value for each place that counts, then sums over samples and steps in plain loops. */
import type { Options } from "../description.ts";
import { logSoftmax, softplus } from "./activations.ts";
import { countsAt } from "./counts.ts";
import { at, flat, list, type Nested, rounded, shapeOf, sum, vector } from "./nested.ts";
import type { Value } from "./types.ts";

/** What a head's loss or metric is computed from: one entry per sample. */
export interface HeadData {
  readonly outputs: readonly Value[];
  readonly targets: readonly Nested[];
  /** A number for the sample, or one for each of its steps. */
  readonly weights?: readonly Nested[];
}

/** A sum of weighted values, and what it is divided by. */
export interface Sums {
  readonly total: number;
  readonly count: number;
}

/** The value of one place: its prediction `[classes]`, the logits behind it, and its target. */
type PlaceValue = (
  prediction: readonly number[],
  target: Nested,
  logits: { readonly kind: "softmax" | "sigmoid"; readonly x: readonly number[] } | undefined,
) => number;

/** The bounds as float32 has them. */
const [LEAST, MOST] = [Math.fround(1e-7), Math.fround(1 - 1e-7)];
const clipped = (p: number) => Math.min(MOST, Math.max(LEAST, p));
const mean = (xs: readonly number[]) => rounded(sum(xs) / xs.length);

/** A loss that is a mean over the last axis of something of the error. */
const ofError = (fn: (error: number) => number): PlaceValue => (prediction, target) => {
  const t = typeof target === "number" ? [target] : vector(target);
  return mean(prediction.map((p, i) => rounded(fn(rounded(p - t[i])))));
};

/** Logarithms of probabilities, from whatever the prediction is. */
function logProbabilities(
  prediction: readonly number[],
  logits: Parameters<PlaceValue>[2],
  fromLogits: unknown,
  probabilities: (p: readonly number[]) => readonly number[],
): readonly number[] {
  if (logits?.kind === "softmax") return logSoftmax(logits.x);
  return fromLogits ? logSoftmax(prediction) : probabilities(prediction);
}

function placeLoss(type: string, options: Options): PlaceValue {
  const { fromLogits = false, delta = 1 } = options;
  const smoothing = Number(options.labelSmoothing ?? 0);
  switch (type) {
    case "meanSquaredError":
    case "mse":
      return ofError((e) => e * e);
    case "meanAbsoluteError":
    case "mae":
      return ofError(Math.abs);
    case "huber": {
      const d = Number(delta);
      return ofError((e) => Math.abs(e) <= d ? e * e / 2 : d * Math.abs(e) - d * d / 2);
    }
    case "sparseCategoricalCrossentropy":
      return (prediction, target, logits) =>
        -logProbabilities(
          prediction,
          logits,
          fromLogits,
          (p) => logSoftmax(p.map((p) => Math.log(clipped(p)))),
        )[
          labelOf(target)
        ];
    case "categoricalCrossentropy":
      return (prediction, target, logits) => {
        const logs = logProbabilities(prediction, logits, fromLogits, (p) => {
          const total = sum(p);
          return p.map((p) => Math.log(clipped(p / total)));
        });
        return -sum(
          vector(target).map((t, i) =>
            rounded((t * (1 - smoothing) + smoothing / prediction.length) * logs[i])
          ),
        );
      };
    case "binaryCrossentropy":
      return (prediction, target, logits) => {
        const t = (typeof target === "number" ? [target] : vector(target)).map((t) =>
          t * (1 - smoothing) + 0.5 * smoothing
        );
        const z = logits?.kind === "sigmoid" ? logits.x : fromLogits ? prediction : undefined;
        if (z) return mean(z.map((z, i) => rounded(rounded(softplus(z)) - rounded(t[i] * z))));
        return -mean(
          prediction.map((p, i) =>
            rounded(t[i] * Math.log(clipped(p)) + (1 - t[i]) * Math.log(rounded(1 - clipped(p))))
          ),
        );
      };
  }
  throw new RangeError(`the interpreter has no loss ${type}`);
}

const labelOf = (target: Nested) => typeof target === "number" ? target : vector(target)[0];

/** Index of the largest; the first of equals. */
function argmax(v: readonly number[]): number {
  return v.reduce((best, x, i) => x > v[best] ? i : best, 0);
}

/** Goes over the places of a head that count, with their weight. */
function places(
  { outputs, targets, weights }: HeadData,
  visit: (place: {
    readonly prediction: readonly number[];
    readonly target: Nested;
    readonly logits: Parameters<PlaceValue>[2];
    readonly weight: number;
  }) => void,
): void {
  outputs.forEach(({ x, counts, logits }, row) => {
    const leading = shapeOf(x).slice(0, -1);
    const walk = (index: readonly number[]): void => {
      if (index.length < leading.length) {
        for (let i = 0; i < leading[index.length]; i++) walk([...index, i]);
        return;
      }
      if (!countsAt(counts, index)) return;
      const pick = (from: Nested) => index.reduce<Nested>((part, i) => list(part)[i], from);
      const given = weights?.[row] ?? 1;
      visit({
        prediction: vector(pick(x)),
        target: pick(targets[row]),
        logits: logits && { kind: logits.kind, x: vector(pick(logits.x)) },
        weight: typeof given === "number" ? given : at(given, index.slice(0, shapeOf(given).length)),
      });
    };
    walk([]);
  });
}

/** The sum and the divisor of a loss over the given samples. */
export function lossSums(type: string, options: Options, data: HeadData): Sums {
  const { reduction = "sumOverBatchSize", ignoreClass = null } = options;
  const value = placeLoss(type, options);
  let total = 0, count = 0;
  places(data, ({ prediction, target, logits, weight }) => {
    if (ignoreClass !== null && type === "sparseCategoricalCrossentropy" && labelOf(target) === ignoreClass) {
      return;
    }
    total = rounded(total + rounded(weight * value(prediction, target, logits)));
    count += reduction === "meanWithSampleWeight" ? weight : 1;
  });
  return { total, count: reduction === "sum" ? 1 : count };
}

/** Total over count; nothing counts as 0. */
export function quotient({ total, count }: Sums): number {
  return count === 0 ? 0 : total / count;
}

/** Names of metrics that are losses. */
const isLoss = (type: string) =>
  ["mse", "mae", "huber", "meanSquaredError", "meanAbsoluteError"].includes(type) ||
  type.endsWith("Crossentropy");

/** The metric of a head over all samples; `loss` is the head's, by which `accuracy` is chosen. */
export function metricValue(
  type: string,
  options: Options,
  loss: { readonly type: string; readonly options: Options },
  data: HeadData,
): number {
  if (isLoss(type)) {
    return quotient(lossSums(type, { ...options, reduction: "meanWithSampleWeight" }, data));
  }
  if (type === "accuracy" || type === "acc") {
    const [chosen, chosenOptions] = accuracyFor(loss, data.outputs[0], options);
    return metricValue(chosen, chosenOptions, loss, data);
  }
  const { ignoreClass = null, threshold = 0.5, k = 5 } = options;
  let total = 0, count = 0;
  places(data, ({ prediction, target, logits, weight }) => {
    // Probabilities become equal when logits are far apart, or large and near each other; the logits do not.
    const scores = logits?.kind === "softmax" ? logits.x : prediction;
    const add = (value: number) => {
      total += weight * value;
      count += weight;
    };
    switch (type) {
      case "rootMeanSquaredError":
      case "rmse":
        return prediction.forEach((p, i) =>
          add((p - (typeof target === "number" ? target : vector(target)[i])) ** 2)
        );
      case "binaryAccuracy": {
        const t = flat(target);
        return prediction.forEach((p, i) => add(t[i] === (p > Number(threshold) ? 1 : 0) ? 1 : 0));
      }
      case "sparseCategoricalAccuracy":
        if (ignoreClass !== null && labelOf(target) === ignoreClass) return;
        return add(argmax(scores) === labelOf(target) ? 1 : 0);
      case "categoricalAccuracy":
        return add(argmax(scores) === argmax(vector(target)) ? 1 : 0);
      case "sparseTopKCategoricalAccuracy":
        return add(scores.filter((s) => s > scores[labelOf(target)]).length < Number(k) ? 1 : 0);
      case "topKCategoricalAccuracy":
        return add(
          scores.filter((s) => s > scores[argmax(vector(target))]).length < Number(k) ? 1 : 0,
        );
      case "mean":
        return prediction.forEach((p) => add(p));
    }
    throw new RangeError(`the interpreter has no metric ${type}`);
  });
  const value = quotient({ total, count });
  return type === "rmse" || type === "rootMeanSquaredError" ? Math.sqrt(value) : value;
}

/** An accuracy follows its loss: what the loss takes for a prediction and what it ignores. */
function accuracyFor(
  loss: { readonly type: string; readonly options: Options },
  { x, logits: known }: Value,
  own: Options,
): [string, Options] {
  if (loss.type === "sparseCategoricalCrossentropy") {
    return ["sparseCategoricalAccuracy", { ...own, ignoreClass: loss.options.ignoreClass ?? null }];
  }
  // A sigmoid's own output is a probability, whatever the loss computes with.
  const logits = loss.type === "binaryCrossentropy" && loss.options.fromLogits && known?.kind !== "sigmoid";
  if (shapeOf(x).at(-1) === 1) return ["binaryAccuracy", { ...own, threshold: logits ? 0 : 0.5 }];
  return ["categoricalAccuracy", own];
}
