/** Batch normalization (Ioffe and Szegedy, 2015). */
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import { add, div, greater, mul, select, sqrt, sub } from "../operations/elementwise.ts";
import { key as seedKey, splitKey } from "../operations/random.ts";
import { reshape } from "../operations/structure.ts";
import { resolveAxis } from "../operations/axes.ts";
import { printShape } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { checkRange } from "../options/checks.ts";
import { featureSize, floatInput, namedTensors, oneMask } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import { type InitializerLike, resolveInitializer } from "../options/initializers.ts";
import type { Layer } from "./layer.ts";
import { type Moments, moments } from "./moments.ts";
import { initializerOption } from "../options/saved.ts";
import { weightOptionNames, type WeightOptions, weightRules } from "../options/weight_rules.ts";

/** Options of {@linkcode batchNormalization}, named as in Keras. */
export interface BatchNormalizationOptions extends LayerOptions, WeightOptions<"gamma" | "beta"> {
  /** The axis of the features; statistics are taken over all others. Default -1, the last. */
  readonly axis?: number;
  /** How much of the moving statistics is kept at each training step; default 0.99. */
  readonly momentum?: number;
  /** Added to the variance; default 1e-3. */
  readonly epsilon?: number;
  /** Whether `beta` is added; default true. If not, its other options have no effect, as in Keras. */
  readonly center?: boolean;
  /** Whether `gamma` multiplies; default true. If not, its other options have no effect, as in Keras. */
  readonly scale?: boolean;
  /** Default `zeros`. */
  readonly betaInitializer?: InitializerLike;
  /** Default `ones`. */
  readonly gammaInitializer?: InitializerLike;
  /** Default `zeros`. */
  readonly movingMeanInitializer?: InitializerLike;
  /** Default `ones`. */
  readonly movingVarianceInitializer?: InitializerLike;
}

/** Parameters of a normalization. */
export interface NormalizationParams {
  /** `[features]`; absent without `scale`. */
  readonly gamma?: Tensor;
  /** `[features]`; absent without `center`. */
  readonly beta?: Tensor;
}

/** State of {@linkcode batchNormalization}, not trained. */
export interface BatchNormalizationState {
  /** `[features]`. */
  readonly movingMean: Tensor;
  /** `[features]`. */
  readonly movingVariance: Tensor;
}

/**
 * Normalizes each feature: `gamma · (x - mean) / √(variance + epsilon) + beta`.
 *
 * While training, the mean and population variance are those of the batch without its masked steps (which are
 * normalized all the same), and the moving statistics become `momentum · moving + (1 - momentum) · batch`,
 * unless everything is masked; otherwise, and always with `trainable: false`, the moving statistics are used.
 * Input and output have the same shape; the mask is passed on. Params: {@linkcode NormalizationParams};
 * state: {@linkcode BatchNormalizationState}.
 *
 * @throws RangeError for an unknown option or an option out of range.
 * @throws TypeError when the input has another number of features, naming both shapes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { batchNormalization, key, tensor, toNested } from "@cellfold/cellfold";
 * const layer = batchNormalization({ epsilon: 1e-12 });
 * const x = tensor([[1], [3]]);
 * const params = layer.initParams(key(0), x);
 * const variables = { params, state: layer.initState(params, x) };
 * const { output } = layer.apply(variables, x, { training: true });
 * assertEquals(toNested(output), [[-1], [1]]);
 * ```
 */
export function batchNormalization(options: BatchNormalizationOptions = {}): Layer<Tensor> {
  checkOptions("batchNormalization", options, [
    "axis",
    "momentum",
    "epsilon",
    "center",
    "scale",
    "betaInitializer",
    "gammaInitializer",
    ...weightOptionNames("gamma", "beta"),
    "movingMeanInitializer",
    "movingVarianceInitializer",
    ...layerOptionNames,
  ]);
  const { axis = -1, momentum = 0.99, epsilon = 1e-3, center = true, scale = true } = options;
  const { betaInitializer = "zeros", gammaInitializer = "ones", name, trainable } = options;
  const { movingMeanInitializer = "zeros", movingVarianceInitializer = "ones" } = options;
  const layer = layerName({ type: "batchNormalization", name });
  if (!Number.isInteger(axis)) {
    throw new RangeError(`Cannot make ${layer}: axis is ${quoted(axis)}, expected a whole number`);
  }
  checkRange(layer, "momentum", momentum, { low: 0, high: 1 });
  checkRange(layer, "epsilon", epsilon, { low: 0 });
  const initialBeta = resolveInitializer(betaInitializer);
  const initialGamma = resolveInitializer(gammaInitializer);
  const initialMean = resolveInitializer(movingMeanInitializer);
  const initialVariance = resolveInitializer(movingVarianceInitializer);
  const sizeOf = (input: unknown) => {
    const { shape } = floatInput(layer, input, 2);
    const at = resolveAxis(axis, shape.length, "normalize");
    return featureSize(layer, shape[at], at);
  };
  const rules = weightRules(layer, options, { gamma: ["gamma"], beta: ["beta"] });
  const names = [...(scale ? ["gamma"] : []), ...(center ? ["beta"] : [])];
  const stateNames = ["movingMean", "movingVariance"];
  return defineLayer({
    type: "batchNormalization",
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    options: {
      axis,
      momentum,
      epsilon,
      center,
      scale,
      betaInitializer: initializerOption(layer, "betaInitializer", betaInitializer),
      gammaInitializer: initializerOption(layer, "gammaInitializer", gammaInitializer),
      movingMeanInitializer: initializerOption(layer, "movingMeanInitializer", movingMeanInitializer),
      movingVarianceInitializer: initializerOption(
        layer,
        "movingVarianceInitializer",
        movingVarianceInitializer,
      ),
      ...rules.saved,
    },
    ...rules.functions,
    named: (name) => batchNormalization({ ...options, name }),
    initParams: (key, input) => {
      const size = sizeOf(input);
      const [forGamma, forBeta] = splitKey(key, 2);
      return {
        ...(scale ? { gamma: initialGamma(forGamma, [size]) } : {}),
        ...(center ? { beta: initialBeta(forBeta, [size]) } : {}),
      };
    },
    initState: (_, input) => {
      const size = sizeOf(input);
      // State is made without a key: a random initializer gives the same numbers each time.
      const key = seedKey(0);
      return { movingMean: initialMean(key, [size]), movingVariance: initialVariance(key, [size]) };
    },
    apply: ({ params, state }, input, { training, frozen = false, mask: masks }) => {
      const x = floatInput<Tensor>(layer, input, 2);
      const mask = oneMask(layer, masks);
      const { gamma, beta } = namedTensors<NormalizationParams>(layer, "params", params, names);
      const moving = namedTensors<BatchNormalizationState>(layer, "state", state, stateNames);
      const at = resolveAxis(axis, x.shape.length, "normalize");
      if (x.shape[at] !== moving.movingMean.shape[0]) {
        throw new TypeError(
          `Cannot use ${layer} with an input of shape ${printShape(x.shape)}: ` +
            `its statistics along axis ${axis} have shape ${printShape(moving.movingMean.shape)}`,
        );
      }
      const along = x.shape.map((dim, i) => i === at ? dim : 1);
      const wide = (y: Tensor) => reshape(y, along);
      const update = training && !frozen;
      const others = x.shape.map((_, axis) => axis).filter((axis) => axis !== at);
      const { mean, variance, count }: Pick<Moments, "mean" | "variance" | "count"> = update
        ? moments(x, others, checkedMask(layer, x, mask, at))
        : { mean: wide(moving.movingMean), variance: wide(moving.movingVariance), count: undefined };
      const normal = div(sub(x, mean), sqrt(add(variance, epsilon)));
      const scaled = gamma ? mul(normal, wide(gamma)) : normal;
      const output = beta ? add(scaled, wide(beta)) : scaled;
      if (!update) return { output, state, mask };
      const moved = (before: Tensor, now: Tensor) => {
        const next = add(mul(before, momentum), mul(reshape(now, before.shape), 1 - momentum));
        return count ? select(greater(reshape(count, []), 0), next, before) : next; // if any counts
      };
      const next: BatchNormalizationState = {
        movingMean: moved(moving.movingMean, mean),
        movingVariance: moved(moving.movingVariance, variance),
      };
      return { output, state: { ...next }, mask };
    },
  });
}

/** The mask, if its axes are leading axes of the input without the feature axis. */
function checkedMask(layer: string, x: Tensor, mask: Tensor | undefined, at: number): Tensor | undefined {
  if (!mask) return undefined;
  if (at < mask.shape.length || mask.shape.some((dim, axis) => dim !== x.shape[axis])) {
    throw new TypeError(
      `Cannot use ${layer} with an input of shape ${printShape(x.shape)} and a mask of shape ` +
        `${
          printShape(mask.shape)
        }: a mask has the leading axes of the input, without axis ${at} of the features`,
    );
  }
  return mask;
}
