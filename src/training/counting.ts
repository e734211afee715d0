/**
 * Which values count. A loss or a metric gets a mask and sample weights, and may leave out values itself; in
 * targets and predictions, values that do not count are replaced before they are used. Replacing the result
 * afterwards would not be enough: the derivative of a value left out is 0 times that of its result, which is
 * NaN if that is infinite or NaN.
 */
import { and, cast, mul, notEqual, select } from "../operations/elementwise.ts";
import { changeLogits } from "../operations/logits.ts";
import { max, sizeAsTensor } from "../operations/reduction.ts";
import { broadcastTo, reshape, sum } from "../operations/structure.ts";
import { sizeOfShape } from "../tensor/dims.ts";
import { isFloat } from "../operations/infer.ts";
import type { Spec, Tensor } from "../tensor/tensor.ts";
import { outputSpecs } from "../program/functions.ts";
import { alignWeight, type Weighting } from "./alignment.ts";

/** The computation on targets and predictions: the functions of a loss, or of a metric. */
export interface Measure {
  /** One value per sample, or more trailing axes; the mask is that of the steps, bool `[batch, time]`. */
  readonly values: (target: Tensor, prediction: Tensor, mask?: Tensor) => Tensor;
  /** Whether values are one per sequence, `[batch]`: they leave out masked steps themselves. */
  readonly ofSequences?: boolean | undefined;
  /** bool of the shape of the values: which of them count. Absent: all. */
  readonly counted?: ((target: Tensor, prediction: Tensor) => Tensor) | undefined;
}

/** Values with their weights. */
export interface Weighed {
  /** 0 where the value does not count; not yet weighted. */
  readonly values: Tensor;
  /** bool of the shape of the values; undefined if all count. */
  readonly mask: Tensor | undefined;
  /** The sample weight in the shape of the values, 0 where the mask is false; undefined if none is given. */
  readonly weight: Tensor | undefined;
}

/** Replaces a prediction that does not count: losses and their derivatives are finite here. */
const HARMLESS_PREDICTION = 0.5;
/** Replaces such a target; it differs from the prediction, since a distance has no derivative at 0. */
const HARMLESS_TARGET = 0.25;

/** Which values count, in the shape of the values. */
export interface Counts {
  /** bool: where both the mask and the measure's own rule hold. */
  readonly mask: Tensor | undefined;
  /** The sample weight, regardless of the mask. */
  readonly weight: Tensor | undefined;
  /** bool: whether a value counts and has a weight other than 0. */
  readonly counts: Tensor;
  /** bool: which steps of the sequences count, if values are one per sequence, else the same as `counts`. */
  readonly steps: Tensor;
}

/**
 * Which values of `measure` count; undefined if nothing excludes any.
 *
 * @param what The loss or metric, for errors.
 * @throws TypeError for a mask or a weight that does not fit, naming both shapes.
 */
export function whatCounts(
  what: string,
  { values, counted, ofSequences }: Measure,
  target: Tensor,
  prediction: Tensor,
  { mask, sampleWeight }: Weighting,
): Counts | undefined {
  if (!mask && !sampleWeight && !counted) return undefined;
  const like = outputSpecs<Spec>(values, target, prediction);
  const own = counted && alignWeight(what, counted(target, prediction), like);
  const ofSteps = mask && cast(mask, "bool");
  const isReduced = ofSteps !== undefined && ofSequences === true && ofSteps.shape.length > like.shape.length;
  const given = ofSteps && alignWeight(what, isReduced ? anyStep(ofSteps) : ofSteps, like);
  const weight = sampleWeight && alignWeight(what, cast(sampleWeight, like.dtype), like);
  const inMask = both(given, own);
  const counts = both(inMask, weight && notEqual(weight, 0));
  if (!counts) return undefined;
  const steps = isReduced ? and(alignWeight(what, counts, ofSteps), ofSteps) : counts;
  return { mask: inMask, weight, counts, steps };
}

/** Which rows of a mask count: a sequence counts if any of its steps does. */
function anyStep(mask: Tensor): Tensor {
  return cast(max(cast(mask, "int32"), { axes: mask.shape.map((_, axis) => axis).slice(1) }), "bool");
}

/**
 * The values of `measure` with their weights. Where the mask or `counted` is false or the sample weight is 0,
 * targets and predictions may be anything, even NaN and invalid labels: they affect neither the values nor
 * their derivatives.
 *
 * @param what The loss or metric, for errors.
 * @throws TypeError for a mask or a weight that does not fit, naming both shapes.
 */
export function weigh(
  what: string,
  measure: Measure,
  target: Tensor,
  prediction: Tensor,
  weighting: Weighting = {},
): Weighed {
  const found = whatCounts(what, measure, target, prediction, weighting);
  if (!found) return { values: measure.values(target, prediction), mask: undefined, weight: undefined };
  const { mask, weight, counts, steps } = found;
  const values = measure.values(
    keepCounted(target, counts, HARMLESS_TARGET),
    keepCounted(prediction, steps, HARMLESS_PREDICTION),
    weighting.mask && cast(weighting.mask, "bool"),
  );
  return {
    values: select(counts, values, 0),
    mask,
    weight: weight && mask ? select(mask, weight, 0) : weight,
  };
}

/** The sum of the values, each times its weight. */
export function totalOf({ values, weight }: Weighed): Tensor {
  return sum(weight ? mul(values, weight) : values);
}

/** How many values count; with `weighted` the sum of their weights. */
export function countOf({ values, mask, weight }: Weighed, weighted: boolean): Tensor {
  if (weighted && weight) return sum(weight);
  return mask ? sum(cast(mask, values.dtype)) : sizeAsTensor(sizeOfShape(values.shape), values.dtype);
}

function both(a: Tensor | undefined, b: Tensor | undefined): Tensor | undefined {
  return a && b ? and(a, b) : a ?? b;
}

/**
 * `x` with placeholder values where it does not count: class 0 for integers. Logits behind `x` stay known.
 */
function keepCounted(x: Tensor, counts: Tensor, harmless: number): Tensor {
  const kept = countsOf(x, counts);
  const other = isFloat(x) ? harmless : 0;
  if (x.dtype === "bool") return and(x, kept);
  return changeLogits(select(kept, x, other), x, (logits) => select(kept, logits, 0));
}

/**
 * Which elements of `x` count, in its shape: axes are matched from the first, and an element counts if any
 * value that may depend on it counts.
 */
function countsOf(x: Spec, counts: Tensor): Tensor {
  const differs = counts.shape.findIndex((dim, axis) => x.shape[axis] !== dim);
  const shared = differs < 0 ? counts.shape.length : differs;
  const axes = counts.shape.slice(shared).map((_, index) => shared + index);
  const any = axes.length === 0 ? counts : cast(max(cast(counts, "int32"), { axes }), "bool");
  return broadcastTo(reshape(any, x.shape.map((dim, axis) => axis < shared ? dim : 1)), x.shape);
}
