/** What losses and metrics share: bringing targets and weights to the shape of predictions and values. */
import type { Json } from "../options/json.ts";
import { add, cast, div, equal, select } from "../operations/elementwise.ts";
import { isFloat } from "../operations/infer.ts";
import { mean } from "../operations/reduction.ts";
import { broadcastTo, expandDims, reshape, squeeze } from "../operations/structure.ts";
import { type Dim, printShape, sameShape } from "../tensor/dims.ts";
import { checkSpec, checkTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";

/** The context of a loss or metric, besides target and prediction. */
export interface Weighting {
  /** The weight of each sample (`[batch]`) or each step (`[batch, time]`). */
  readonly sampleWeight?: Tensor;
  /** bool `[batch, time]`: which steps of the prediction count. */
  readonly mask?: Tensor;
}

/** Options as they are saved. */
export type Options = { readonly [key: string]: Json };

/** The size of the last axis. */
export function lastDim(x: Spec): Dim {
  return x.shape[x.shape.length - 1];
}

/** Throws unless `prediction` is a float with at least one axis. */
export function requirePrediction(what: string, prediction: Spec): void {
  checkSpec(`compute ${what}`, prediction, "the prediction");
  if (!isFloat(prediction) || prediction.shape.length === 0) {
    throw new TypeError(
      `Cannot compute ${what}: the prediction is ${
        printSpec(prediction)
      }, expected floats with at least one axis`,
    );
  }
}

/**
 * Target and prediction with the same shape and dtype: a last axis of size 1 that only one of them has is
 * added to the other, and the target becomes a float.
 *
 * @throws TypeError that names both shapes.
 */
export function alignValues(what: string, target: Tensor, prediction: Tensor): [Tensor, Tensor] {
  requirePrediction(what, prediction);
  checkTensor(what, target, "the target");
  let [t, p] = [cast(target, prediction.dtype), prediction];
  if (t.shape.length === p.shape.length - 1 && lastDim(p) === 1) t = expandDims(t, -1);
  if (p.shape.length === t.shape.length - 1 && lastDim(t) === 1) p = expandDims(p, -1);
  if (!sameShape(t.shape, p.shape)) {
    throw new TypeError(
      `Cannot compute ${what}: the target is ${printSpec(target)}, the prediction ${
        printSpec(prediction)
      }, ` +
        `expected one shape`,
    );
  }
  return [t, p];
}

/** The mean over the last axis; `[batch]` has one value per sample already. */
export function meanPerSample(values: Tensor): Tensor {
  return values.shape.length < 2 ? values : mean(values, { axes: -1 });
}

/**
 * Class indices (int32) with the shape of `prediction` without its last axis; a last axis of size 1 is
 * dropped.
 *
 * @throws TypeError that names both shapes, or the dtype.
 */
export function alignLabels(what: string, target: Tensor, prediction: Tensor): Tensor {
  requirePrediction(what, prediction);
  checkTensor(what, target, "the target");
  const labels = target.shape.length === prediction.shape.length && lastDim(target) === 1
    ? squeeze(target, { axes: -1 })
    : target;
  const expected = prediction.shape.slice(0, -1);
  if (!sameShape(labels.shape, expected)) {
    throw new TypeError(
      `Cannot compute ${what}: the labels are ${printSpec(target)}, the prediction ${
        printSpec(prediction)
      }, ` +
        `expected labels of shape ${printShape(expected)} or ${printShape([...expected, 1])}`,
    );
  }
  if (labels.dtype !== "int32") {
    throw new TypeError(
      `Cannot compute ${what}: the labels are ${printSpec(target)}, expected int32 class numbers; ` +
        `use tensor(labels, { dtype: "int32" })`,
    );
  }
  return labels;
}

/**
 * `weight` repeated to the shape of `values`: its axes are the leading ones of `values`, and a last axis of
 * size 1 that `values` does not have is dropped.
 *
 * @throws TypeError that names both shapes.
 */
export function alignWeight(what: string, weight: Tensor, values: Spec): Tensor {
  const [rank, wanted] = [weight.shape.length, values.shape.length];
  const dropped = rank === wanted + 1 && lastDim(weight) === 1 ? squeeze(weight, { axes: -1 }) : weight;
  const padded = Array.from({ length: wanted }, (_, axis) => dropped.shape[axis] ?? 1);
  const fits = dropped.shape.length <= wanted &&
    padded.every((dim, axis) => dim === 1 || dim === values.shape[axis]);
  if (!fits) {
    throw new TypeError(
      `Cannot weight ${what}: the ${weight.dtype === "bool" ? "mask" : "sample weight"} is ${
        printSpec(weight)
      }, ` +
        `expected a shape that begins ${printShape(values.shape)}`,
    );
  }
  return broadcastTo(reshape(dropped, padded), values.shape);
}

/** `a / b`, or 0 if `b` is 0. */
export function divideOrZero(a: Tensor, b: Tensor): Tensor {
  const none = equal(b, 0);
  return select(none, 0, div(a, add(b, cast(none, b.dtype))));
}
