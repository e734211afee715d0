/** Layer normalization (Ba et al., 2016). */
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import { add, div, mul, sqrt } from "../operations/elementwise.ts";
import { splitKey } from "../operations/random.ts";
import { reshape } from "../operations/structure.ts";
import { resolveAxes } from "../operations/axes.ts";
import { printShape, sameShape } from "../tensor/dims.ts";
import type { Spec, Tensor } from "../tensor/tensor.ts";
import type { NormalizationParams } from "./batch_normalization.ts";
import { checkRange } from "../options/checks.ts";
import { featureSize, floatInput, namedTensors, oneMask } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import { type InitializerLike, resolveInitializer } from "../options/initializers.ts";
import type { Layer } from "./layer.ts";
import { moments } from "./moments.ts";
import { initializerOption } from "../options/saved.ts";
import { weightOptionNames, type WeightOptions, weightRules } from "../options/weight_rules.ts";

/** Options of {@linkcode layerNormalization}, named as in Keras. */
export interface LayerNormalizationOptions extends LayerOptions, WeightOptions<"gamma" | "beta"> {
  /** The axis or axes to normalize over; default -1, the last. */
  readonly axis?: number | readonly number[];
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
}

/**
 * Normalizes each sample and step over its features: `gamma · (x - mean) / √(variance + epsilon) + beta`,
 * with the population variance; if `axis` includes the time axis, over the steps that count. Input and output
 * have the same shape; the mask is passed on. Params: {@linkcode NormalizationParams}, whose shape is the
 * sizes of `axis`.
 *
 * @throws RangeError for an unknown option or an option out of range.
 * @throws TypeError when the input has another number of features, naming both shapes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { key, layerNormalization, tensor, toNested } from "@cellfold/cellfold";
 * const layer = layerNormalization({ epsilon: 1e-12 });
 * const x = tensor([[1, 3]]);
 * const { output } = layer.apply({ params: layer.initParams(key(0), x), state: [] }, x, { training: false });
 * assertEquals(toNested(output), [[-1, 1]]);
 * ```
 */
export function layerNormalization(options: LayerNormalizationOptions = {}): Layer<Tensor> {
  checkOptions("layerNormalization", options, [
    "axis",
    "epsilon",
    "center",
    "scale",
    "betaInitializer",
    "gammaInitializer",
    ...weightOptionNames("gamma", "beta"),
    ...layerOptionNames,
  ]);
  const { axis = -1, epsilon = 1e-3, center = true, scale = true, name, trainable } = options;
  const { betaInitializer = "zeros", gammaInitializer = "ones" } = options;
  const layer = layerName({ type: "layerNormalization", name });
  checkRange(layer, "epsilon", epsilon, { low: 0 });
  const axisList = typeof axis === "number" ? [axis] : axis;
  if (!Array.isArray(axisList) || !axisList.every(Number.isInteger)) {
    throw new RangeError(
      `Cannot make ${layer}: axis is ${quoted(axis)}, expected a whole number or a list`,
    );
  }
  const initialBeta = resolveInitializer(betaInitializer);
  const initialGamma = resolveInitializer(gammaInitializer);
  const axes = [...axisList]; // the caller may change the original list
  const axesOf = ({ shape }: Spec) => resolveAxes(axes, shape.length, "normalize");
  const rules = weightRules(layer, options, { gamma: ["gamma"], beta: ["beta"] });
  const names = [...(scale ? ["gamma"] : []), ...(center ? ["beta"] : [])];
  return defineLayer({
    type: "layerNormalization",
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    options: {
      axis,
      epsilon,
      center,
      scale,
      betaInitializer: initializerOption(layer, "betaInitializer", betaInitializer),
      gammaInitializer: initializerOption(layer, "gammaInitializer", gammaInitializer),
      ...rules.saved,
    },
    ...rules.functions,
    named: (name) => layerNormalization({ ...options, name }),
    initParams: (key, input) => {
      const x = floatInput(layer, input, 2);
      const shape = axesOf(x).map((at) => featureSize(layer, x.shape[at], at));
      const [forGamma, forBeta] = splitKey(key, 2);
      return {
        ...(scale ? { gamma: initialGamma(forGamma, shape) } : {}),
        ...(center ? { beta: initialBeta(forBeta, shape) } : {}),
      };
    },
    apply: ({ params, state }, input, { mask }) => {
      const x = floatInput<Tensor>(layer, input, 2);
      const { gamma, beta } = namedTensors<NormalizationParams>(layer, "params", params, names);
      const axes = axesOf(x);
      const sizes = axes.map((at) => x.shape[at]);
      const given = gamma ?? beta;
      if (given && !sameShape(given.shape, sizes)) {
        throw new TypeError(
          `Cannot use ${layer} with an input of shape ${printShape(x.shape)}: ` +
            `its ${gamma ? "gamma" : "beta"} has shape ${printShape(given.shape)}`,
        );
      }
      const wide = (y: Tensor) => reshape(y, x.shape.map((dim, at) => axes.includes(at) ? dim : 1));
      const { centered, variance } = moments(x, axes, oneMask(layer, mask));
      const normal = div(centered, sqrt(add(variance, epsilon)));
      const scaled = gamma ? mul(normal, wide(gamma)) : normal;
      return { output: beta ? add(scaled, wide(beta)) : scaled, state, mask };
    },
  });
}
