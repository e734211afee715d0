/** The fully connected layer. */
import { checkCount } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { type ActivationLike, resolveActivation } from "../operations/activations.ts";
import { add } from "../operations/elementwise.ts";
import { matmul } from "../operations/matmul.ts";
import { splitKey } from "../operations/random.ts";
import { printShape } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { featureSize, floatInput, namedTensors, oneMask } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import { type InitializerLike, resolveInitializer } from "../options/initializers.ts";
import type { Layer } from "./layer.ts";
import { endedMask } from "./sequence.ts";
import { activationOption, initializerOption } from "../options/saved.ts";
import { weightOptionNames, type WeightOptions, weightRules } from "../options/weight_rules.ts";

/** Options of {@linkcode dense}, named as in Keras. */
export interface DenseOptions extends LayerOptions, WeightOptions<"kernel" | "bias"> {
  /** The size of the output's last axis. */
  readonly units: number;
  /**
   * A name or a function; default `linear`. With a softmax or sigmoid given by name, losses can use its
   * logits.
   */
  readonly activation?: ActivationLike;
  /** Default true; without a bias, its other options have no effect, as in Keras. */
  readonly useBias?: boolean;
  /** Default `glorotUniform`. */
  readonly kernelInitializer?: InitializerLike;
  /** Default `zeros`. */
  readonly biasInitializer?: InitializerLike;
}

/** Parameters of {@linkcode dense}. */
export interface DenseParams {
  /** `[features, units]`. */
  readonly kernel: Tensor;
  /** `[units]`; absent without bias. */
  readonly bias?: Tensor;
}

/**
 * A fully connected layer: `activation(x · kernel + bias)` over the last axis.
 *
 * Input `[batch, ..., features]`, output `[batch, ..., units]`; the mask is passed on. Params:
 * {@linkcode DenseParams}.
 *
 * @throws RangeError for an unknown option or activation, or if `units` is not a valid size.
 * @throws TypeError when the input has another number of features, naming both shapes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, init, key, spec, zeros } from "@cellfold/cellfold";
 * const layer = dense({ units: 10, activation: "softmax" });
 * const { output } = layer.apply(init(layer, key(0), spec([null, 64])), zeros([2, 64]), { training: false });
 * assertEquals(output.shape, [2, 10]);
 * ```
 */
export function dense(options: DenseOptions): Layer<Tensor> {
  checkOptions("dense", options, [
    "units",
    "activation",
    "useBias",
    "kernelInitializer",
    "biasInitializer",
    ...weightOptionNames("kernel", "bias"),
    ...layerOptionNames,
  ]);
  const { units, activation, useBias = true, name, trainable } = options;
  const { kernelInitializer = "glorotUniform", biasInitializer = "zeros" } = options;
  const layer = layerName({ type: "dense", name });
  checkCount(`make ${layer}`, units, "units");
  const activate = resolveActivation(activation);
  const initialKernel = resolveInitializer(kernelInitializer);
  const initialBias = resolveInitializer(biasInitializer);
  const rules = weightRules(layer, options, { kernel: ["kernel"], bias: ["bias"] });
  const names = useBias ? ["kernel", "bias"] : ["kernel"];
  return defineLayer({
    type: "dense",
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    options: {
      units,
      activation: activationOption(layer, "activation", activation),
      useBias,
      kernelInitializer: initializerOption(layer, "kernelInitializer", kernelInitializer),
      biasInitializer: initializerOption(layer, "biasInitializer", biasInitializer),
      ...rules.saved,
    },
    ...rules.functions,
    named: (name) => dense({ ...options, name }),
    initParams: (key, input) => {
      const { shape } = floatInput(layer, input, 2);
      const features = featureSize(layer, shape[shape.length - 1], shape.length - 1);
      const [forKernel, forBias] = splitKey(key, 2);
      const kernel = initialKernel(forKernel, [features, units]);
      return { kernel, ...(useBias ? { bias: initialBias(forBias, [units]) } : {}) };
    },
    apply: ({ params, state }, input, context) => {
      const x = floatInput<Tensor>(layer, input, 2);
      const { kernel, bias } = namedTensors<DenseParams>(layer, "params", params, names);
      if (x.shape[x.shape.length - 1] !== kernel.shape[0]) {
        throw new TypeError(
          `Cannot use ${layer} with an input of shape ${printShape(x.shape)}: ` +
            `its kernel has shape ${printShape(kernel.shape)}`,
        );
      }
      const product = matmul(x, kernel);
      const given = oneMask(layer, context.mask);
      const mask = given && given.shape.length < x.shape.length ? given : endedMask(given, context); // else it mixes steps
      return { output: activate(bias ? add(product, bias) : product), state, mask };
    },
  });
}
