/**
 * Mixture density networks (Bishop, 1994): the model gives the parameters of a mixture of normal distributions,
 * and the loss is minus the logarithm of its density at the target. In two dimensions the distributions may be
 * correlated, as for handwriting (Graves, "Generating sequences with recurrent neural networks", 2013).
 */
import { checkRange } from "../options/checks.ts";
import { checkCount } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { softplus } from "../operations/activations.ts";
import { add, cast, div, log, mul, neg, square, sub, tanh } from "../operations/elementwise.ts";
import { logSoftmax, logSumExp } from "../operations/reduction.ts";
import { at, expandDims, sliceAxis } from "../operations/structure.ts";
import { made } from "../options/made.ts";
import { checkTensor, printSpec, type Tensor } from "../tensor/tensor.ts";
import { sameShape } from "../tensor/dims.ts";
import { lastDim, requirePrediction } from "./alignment.ts";
import { checkReduction, type Loss, lossMaking, type LossOptions } from "./loss.ts";

/** How a model's numbers are read as a mixture. */
export interface MixtureOptions {
  /** How many distributions are mixed. */
  readonly components: number;
  /** The number of dimensions; default 1. */
  readonly dimensions?: number;
  /** Whether the two dimensions are correlated; default false. */
  readonly correlated?: boolean;
  /** The smallest standard deviation, so that the density at a target stays finite; default 0.001. */
  readonly minDeviation?: number;
  /** The largest correlation, from 0 to below 1; default 0.95. */
  readonly maxCorrelation?: number;
}

/** Options of {@linkcode mixtureDensity}. */
export interface MixtureDensityOptions extends MixtureOptions, LossOptions {}

/** The parameters of a mixture; one component for each place of the last axes. */
export interface Mixture {
  /** Logarithms of the weights, `[..., components]`. */
  readonly logWeights: Tensor;
  /** For each dimension, `[..., components]`. */
  readonly means: readonly Tensor[];
  /** Standard deviations: for each dimension, `[..., components]`. */
  readonly deviations: readonly Tensor[];
  /** `[..., components]`; absent if the dimensions are independent. */
  readonly correlation?: Tensor;
}

const optionNames = ["components", "dimensions", "correlated", "minDeviation", "maxCorrelation"] as const;

/** The options with their defaults, checked. */
function mixtureOptions(what: string, options: MixtureOptions): Required<MixtureOptions> {
  const { components, dimensions = 1, correlated = false, minDeviation = 1e-3, maxCorrelation = 0.95 } =
    options;
  checkCount(`make ${what}`, components, "components");
  checkCount(`make ${what}`, dimensions, "dimensions");
  checkRange(what, "minDeviation", minDeviation, { above: 0 });
  checkRange(what, "maxCorrelation", maxCorrelation, { low: 0, below: 1 });
  if (correlated && dimensions !== 2) {
    throw new RangeError(
      `Cannot make ${what}: correlated is true with ${dimensions} dimensions, expected 2 of them`,
    );
  }
  return { components, dimensions, correlated, minDeviation, maxCorrelation };
}

/** How many numbers describe a mixture. */
function sizeOf({ components, dimensions, correlated }: Required<MixtureOptions>): number {
  return components * (1 + 2 * dimensions + (correlated ? 1 : 0));
}

/**
 * The mixture that a model's numbers describe, to draw from it: see {@linkcode mixtureDensity}.
 *
 * @param numbers float `[..., components · (1 + 2 · dimensions)]`, and `components` more if correlated.
 * @throws TypeError for another last size; RangeError for an unknown option or a value out of range.
 */
export function mixtureOf(numbers: Tensor, options: MixtureOptions): Mixture {
  checkTensor("mixtureOf", numbers, "the numbers");
  checkOptions("mixtureOf", options, optionNames);
  return read("mixtureOf", numbers, mixtureOptions("mixtureOf", options));
}

function read(what: string, numbers: Tensor, options: Required<MixtureOptions>): Mixture {
  requirePrediction(what, numbers);
  const { components, dimensions, correlated, minDeviation, maxCorrelation } = options;
  if (lastDim(numbers) !== sizeOf(options)) {
    throw new TypeError(
      `Cannot compute ${what}: the prediction is ${printSpec(numbers)}, expected a last axis of ` +
        `${sizeOf(options)}, for ${components} components of ${dimensions} dimensions`,
    );
  }
  const part = (index: number) => sliceAxis(numbers, -1, index * components, components);
  const perDimension = (from: number) => Array.from({ length: dimensions }, (_, index) => part(from + index));
  return {
    logWeights: logSoftmax(part(0)),
    means: perDimension(1),
    deviations: perDimension(1 + dimensions).map((scale) => add(softplus(scale), minDeviation)),
    ...(correlated && { correlation: mul(tanh(part(1 + 2 * dimensions)), maxCorrelation) }),
  };
}

/** The logarithm of each component's density, without the constant factor of each dimension. */
function logDensities(values: readonly Tensor[], { means, deviations, correlation }: Mixture): Tensor {
  const sumOf = (terms: readonly Tensor[]) => terms.reduce((a, b) => add(a, b));
  const scaled = values.map((value, index) => div(sub(value, means[index]), deviations[index]));
  const squares = sumOf(scaled.map(square));
  const logScales = sumOf(deviations.map(log));
  if (!correlation) return neg(add(mul(squares, 0.5), logScales));
  const left = sub(1, square(correlation));
  const distance = sub(squares, mul(2, mul(correlation, mul(scaled[0], scaled[1]))));
  return neg(add(div(distance, mul(2, left)), add(logScales, mul(0.5, log(left)))));
}

/**
 * Minus the logarithm of the density of a mixture of normal distributions at the target.
 *
 * Targets are floats `[..., dimensions]`; for one dimension the last axis may be missing. Predictions are any
 * numbers, as a dense layer gives them, `[..., components · (1 + 2 · dimensions)]`: first the logits of the
 * weights, then for each dimension the means, then for each dimension numbers whose softplus plus
 * `minDeviation` is the standard deviation; with `correlated` also numbers whose hyperbolic tangent times
 * `maxCorrelation` is the correlation. {@linkcode mixtureOf} reads them, to draw values.
 *
 * @throws RangeError for an unknown option or reduction, or a value out of range; TypeError for shapes that do not
 *   fit.
 *
 * @example
 * ```ts
 * import { assertAlmostEquals } from "@std/assert";
 * import { computeLoss, item, mixtureDensity, tensor } from "@cellfold/cellfold";
 * const loss = mixtureDensity({ components: 1, minDeviation: 1e-6 });
 * const deviation = Math.log(Math.E - 1); // its softplus is 1
 * const value = item(computeLoss(loss, tensor([[0]]), tensor([[0, 0, deviation]])));
 * assertAlmostEquals(value, Math.log(Math.sqrt(2 * Math.PI)), 1e-5);
 * ```
 */
export function mixtureDensity(options: MixtureDensityOptions): Loss {
  const type = "mixtureDensity";
  checkOptions(type, options, [...optionNames, "reduction"]);
  const { reduction = "sumOverBatchSize" } = options;
  checkReduction(type, reduction);
  const full = mixtureOptions(type, options);
  return made<Loss>({
    type,
    options: { ...full, reduction },
    reduction,
    labels: "dense",
    values(target, prediction) {
      const mixture = read(type, prediction, full);
      checkTensor(type, target, "the target");
      const leading = prediction.shape.slice(0, -1);
      const isBare = full.dimensions === 1 && sameShape(target.shape, leading);
      const points = cast(isBare ? expandDims(target, -1) : target, prediction.dtype);
      if (!sameShape(points.shape, [...leading, full.dimensions])) {
        throw new TypeError(
          `Cannot compute ${type}: the target is ${printSpec(target)}, the prediction ${
            printSpec(prediction)
          }, ` +
            `expected targets with a last axis of ${full.dimensions}`,
        );
      }
      const values = mixture.means.map((_, index) => expandDims(at(points, index, { axis: -1 }), -1));
      const logs = add(mixture.logWeights, logDensities(values, mixture));
      return sub(0.5 * full.dimensions * Math.log(2 * Math.PI), logSumExp(logs));
    },
  }, lossMaking);
}
