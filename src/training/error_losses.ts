/** Losses of numbers and distributions: errors, angles, and divergences. */
import type { Tensor } from "../tensor/tensor.ts";
import { checkRange } from "../options/checks.ts";
import { checkOptions } from "../option_names.ts";
import {
  abs,
  add,
  clip,
  div,
  equal,
  exp,
  less,
  lessEqual,
  log,
  mul,
  neg,
  select,
  sqrt,
  square,
  stopGradient,
  sub,
} from "../operations/elementwise.ts";
import { logitsOf } from "../operations/logits.ts";
import { logSoftmax, max } from "../operations/reduction.ts";
import { sum } from "../operations/structure.ts";
import { made } from "../options/made.ts";
import type { CrossentropyOptions } from "./crossentropies.ts";
import { alignValues, meanPerSample, type Options } from "./alignment.ts";
import { checkReduction, EPSILON, type Loss, lossMaking, type LossOptions, type Reduction } from "./loss.ts";

/** Options of {@linkcode huber}. */
export interface HuberOptions extends LossOptions {
  /** Where the loss turns from quadratic to linear; default 1. */
  readonly delta?: number;
}

/** A loss that is the mean over the last axis of a function of the error `prediction - target`. */
function ofError(
  type: string,
  options: Options,
  reduction: Reduction,
  value: (error: Tensor) => Tensor,
): Loss {
  checkReduction(type, reduction);
  return made<Loss>({
    type,
    options,
    reduction,
    labels: "dense",
    values(target, prediction) {
      const [t, p] = alignValues(type, target, prediction);
      return meanPerSample(value(sub(p, t)));
    },
  }, lossMaking);
}

/** The mean over the last axis of `(prediction - target)²`. */
export function meanSquaredError(options: LossOptions = {}): Loss {
  checkOptions("meanSquaredError", options, ["reduction"]);
  const { reduction = "sumOverBatchSize" } = options;
  return ofError("meanSquaredError", { reduction }, reduction, square);
}

/** The mean over the last axis of `|prediction - target|`. */
export function meanAbsoluteError(options: LossOptions = {}): Loss {
  checkOptions("meanAbsoluteError", options, ["reduction"]);
  const { reduction = "sumOverBatchSize" } = options;
  return ofError("meanAbsoluteError", { reduction }, reduction, abs);
}

/**
 * The mean over the last axis of `e²/2` where `|e| ≤ delta`, else `delta · |e| - delta²/2`, with `e` the
 * error (Huber, 1964).
 *
 * @throws RangeError for an unknown option or reduction, or a delta that is not above 0.
 */
export function huber(options: HuberOptions = {}): Loss {
  checkOptions("huber", options, ["delta", "reduction"]);
  const { delta = 1, reduction = "sumOverBatchSize" } = options;
  checkRange("huber", "delta", delta, { above: 0 });
  return ofError("huber", { delta, reduction }, reduction, (error) => {
    const size = abs(error);
    return select(lessEqual(size, delta), mul(square(error), 0.5), sub(mul(size, delta), 0.5 * delta ** 2));
  });
}

/** Vectors along the last axis, divided by their norm, or by 1e-7 where that is larger, as in Keras. */
function unit(x: Tensor): Tensor {
  // Divided by its largest element first, so that no square overflows or underflows.
  const largest = stopGradient(max(abs(x), { axes: -1, keepDims: true }));
  const scale = select(equal(largest, 0), 1, largest);
  const scaled = div(x, scale);
  const squares = sum(square(scaled), { axes: -1, keepDims: true });
  const norm = sqrt(select(equal(squares, 0), 1, squares));
  return select(less(mul(norm, scale), EPSILON), div(x, EPSILON), div(scaled, norm));
}

/**
 * Minus the cosine of the angle between target and prediction along the last axis: -1 for one direction, 1 for
 * opposite ones, 0 if one of them is all zeros. Both have the shape `[..., features]`.
 *
 * @throws RangeError for an unknown option or reduction.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { computeLoss, cosineSimilarity, item, tensor } from "@cellfold/cellfold";
 * assertEquals(item(computeLoss(cosineSimilarity(), tensor([[0, 2]]), tensor([[0, 5]]))), -1);
 * ```
 */
export function cosineSimilarity(options: LossOptions = {}): Loss {
  const type = "cosineSimilarity";
  checkOptions(type, options, ["reduction"]);
  const { reduction = "sumOverBatchSize" } = options;
  checkReduction(type, reduction);
  return made<Loss>({
    type,
    options: { reduction },
    reduction,
    labels: "dense",
    values(target, prediction) {
      const [t, p] = alignValues(type, target, prediction);
      return neg(sum(mul(unit(t), unit(p)), { axes: -1 }));
    },
  }, lossMaking);
}

/**
 * The Kullback-Leibler divergence of distributions: `Σ t · log(t / p)` over the last axis. Targets have the
 * shape of the predictions.
 *
 * Both are clipped to [1e-7, 1], as in Keras; with logits, given or found behind a softmax, the result is exact, as no
 * probability is 0 then.
 *
 * @throws RangeError for an unknown option or reduction.
 */
export function klDivergence(options: CrossentropyOptions = {}): Loss {
  const type = "klDivergence";
  checkOptions(type, options, ["fromLogits", "reduction"]);
  const { fromLogits = false, reduction = "sumOverBatchSize" } = options;
  checkReduction(type, reduction);
  return made<Loss>({
    type,
    options: { fromLogits, reduction },
    reduction,
    labels: "dense",
    values(target, prediction) {
      const [t, p] = alignValues(type, target, prediction);
      const wanted = clip(t, { min: EPSILON, max: 1 });
      const logits = logitsOf(prediction, "softmax") ?? (fromLogits ? p : undefined);
      const logs = logits ? logSoftmax(logits) : log(clip(p, { min: EPSILON, max: 1 }));
      return sum(mul(logits ? t : wanted, sub(log(wanted), logs)), { axes: -1 });
    },
  }, lossMaking);
}

/** Options of {@linkcode poisson}. */
export interface PoissonOptions extends LossOptions {
  /** Whether predictions are the logarithms of rates, of any size, instead of rates; default false. */
  readonly logInput?: boolean;
}

/**
 * For counts: minus the logarithm of the Poisson distribution without the term that depends on the target
 * alone, the mean over the last axis of `p - t · log(p + 1e-7)`, with p the rate. With `logInput` predictions
 * are logarithms of rates, as in PyTorch: `exp(p) - t · p`.
 *
 * @throws RangeError for an unknown option or reduction.
 */
export function poisson(options: PoissonOptions = {}): Loss {
  const type = "poisson";
  checkOptions(type, options, ["logInput", "reduction"]);
  const { logInput = false, reduction = "sumOverBatchSize" } = options;
  checkReduction(type, reduction);
  return made<Loss>({
    type,
    options: { logInput, reduction },
    reduction,
    labels: "dense",
    values(target, prediction) {
      const [t, p] = alignValues(type, target, prediction);
      return meanPerSample(logInput ? sub(exp(p), mul(t, p)) : sub(p, mul(t, log(add(p, EPSILON)))));
    },
  }, lossMaking);
}
