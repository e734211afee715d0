/**
 * What the layers that convolve have in common: their window, bias and activation, what becomes of the mask, and
 * how one that looks back only is fed in chunks. A factory says which kernels there are and how they are applied.
 */
import { unknownName } from "../known_names.ts";
import { type ActivationLike, resolveActivation } from "../operations/activations.ts";
import { zeros } from "../operations/creation.ts";
import { add } from "../operations/elementwise.ts";
import { splitKey } from "../operations/random.ts";
import { concat, sliceAxis } from "../operations/structure.ts";
import type { MovingWindowOptions } from "../operations/windows.ts";
import { type InitializerLike, resolveInitializer } from "../options/initializers.ts";
import type { Json } from "../options/json.ts";
import { type PerAxis, perAxis } from "../options/per_axis.ts";
import { activationOption, initializerOption } from "../options/saved.ts";
import { weightOptionNames, type WeightOptions, weightRules } from "../options/weight_rules.ts";
import { printShape } from "../tensor/dims.ts";
import { fixedSize, type Spec, type Tensor } from "../tensor/tensor.ts";
import type { Tree } from "../tree/tree.ts";
import { featureSize, floatInput, namedTensors, oneMask } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { checkAxes, spatialNames } from "./plain.ts";
import { endedMask } from "./sequence.ts";

/** Options of all layers that convolve, named as in Keras. */
export interface ConvolutionLayerOptions extends LayerOptions, WeightOptions<"bias"> {
  /** The window, one size for all spatial axes or one for each. */
  readonly kernelSize: PerAxis;
  /** How far the window moves; default 1. */
  readonly strides?: PerAxis;
  /**
   * Zeros around the input: none (`valid`, default); as many as keep the size with stride 1 (`same`); for one
   * spatial axis also `causal`: all of them before the first step, so that no output depends on later steps.
   */
  readonly padding?: "valid" | "same" | "causal";
  /** The spacing of the window's positions; default 1. */
  readonly dilationRate?: PerAxis;
  /** A name or a function; default `linear`. */
  readonly activation?: ActivationLike;
  /** Default true; without a bias, its other options have no effect, as in Keras. */
  readonly useBias?: boolean;
  /** Default `zeros`. */
  readonly biasInitializer?: InitializerLike;
}

/** The names of these options, and of those of all layers. */
export const convolutionOptionNames = [
  "kernelSize",
  "strides",
  "padding",
  "dilationRate",
  "activation",
  "useBias",
  "biasInitializer",
  ...weightOptionNames("bias"),
  ...layerOptionNames,
] as const;

/** One of the kernels of a layer: its name in the params, how it begins, and its shape. */
export interface Kernel {
  readonly name: string;
  /** What it is called in options, as in `kernelInitializer`. */
  readonly optionName: string;
  readonly initializer: InitializerLike | undefined;
  /** Its shape for a window and a number of channels of the input. */
  shape(window: readonly number[], channels: number): readonly number[];
}

/** A layer that convolves; its factory has checked the names of its options. */
export interface ConvolutionDefinition<Options extends ConvolutionLayerOptions> {
  readonly type: string;
  /** The number of spatial axes. */
  readonly axes: number;
  readonly options: Options;
  /** The options that not all of these layers have, as they are saved, apart from those of the kernels. */
  readonly saved: { readonly [key: string]: Json };
  readonly kernels: readonly Kernel[];
  /** Whether a single spatial axis may be padded `causal`. */
  readonly takesCausal: boolean;
  /** The number of channels of the output; it throws if the layer cannot take so many of the input. */
  filters(layer: string, channels: number): number;
  /** The channels of the input that kernels were made for. */
  channels(params: Readonly<Record<string, Tensor>>): number;
  /** The output before bias and activation. */
  convolve(
    params: Readonly<Record<string, Tensor>>,
    x: Tensor,
    window: Required<MovingWindowOptions>,
  ): Tensor;
}

/** The input, after a check of its axes. */
function spatialInput<T extends Spec>(layer: string, input: unknown, axes: number): T {
  const x = floatInput<T>(layer, input, 1);
  checkAxes(layer, x, spatialNames(axes));
  return x;
}

/** The layer. */
export function convolutionLayer<Options extends ConvolutionLayerOptions>(
  definition: ConvolutionDefinition<Options>,
): Layer<Tensor> {
  return layerOf(definition, false);
}

/** The layer; `inChunks` if it keeps the steps that the next call looks back at. */
function layerOf<Options extends ConvolutionLayerOptions>(
  definition: ConvolutionDefinition<Options>,
  inChunks: boolean,
): Layer<Tensor> {
  const { type, axes, options, kernels, takesCausal } = definition;
  const { name, trainable, activation, useBias = true, biasInitializer = "zeros", padding = "valid" } =
    options;
  const layer = layerName({ type, name });
  const kernelSize = perAxis(layer, "kernelSize", options.kernelSize, axes);
  const strides = perAxis(layer, "strides", options.strides ?? 1, axes);
  const dilation = perAxis(layer, "dilationRate", options.dilationRate ?? 1, axes);
  const paddings = axes === 1 && takesCausal ? ["valid", "same", "causal"] : ["valid", "same"];
  if (!paddings.includes(padding)) throw unknownName("padding", padding, paddings);
  const activate = resolveActivation(activation);
  const initialBias = resolveInitializer(biasInitializer);
  const initial = kernels.map(({ initializer = "glorotUniform" }) => resolveInitializer(initializer));
  const names = [...kernels.map(({ name }) => name), ...(useBias ? ["bias"] : [])];
  const rules = weightRules(layer, options, {
    ...Object.fromEntries(kernels.map(({ name, optionName }) => [optionName, [name]])),
    bias: ["bias"],
  });
  /** How many steps before its own an output depends on, with the padding `causal`. */
  const before = (kernelSize[0] - 1) * dilation[0];
  const isStepByStep = padding === "causal" && strides[0] === 1 && before > 0;
  const window = { strides, dilation };
  return defineLayer({
    type,
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    options: {
      ...definition.saved,
      kernelSize,
      strides,
      padding,
      dilationRate: dilation,
      activation: activationOption(layer, "activation", activation),
      useBias,
      ...Object.fromEntries(
        kernels.map(({ optionName, initializer = "glorotUniform" }) => {
          const option = `${optionName}Initializer`;
          return [option, initializerOption(layer, option, initializer)];
        }),
      ),
      biasInitializer: initializerOption(layer, "biasInitializer", biasInitializer),
      ...rules.saved,
    },
    ...rules.functions,
    named: (name) => layerOf({ ...definition, options: { ...options, name } }, inChunks),
    initParams: (key, input) => {
      const { shape } = spatialInput(layer, input, axes);
      const channels = featureSize(layer, shape[axes + 1], axes + 1);
      const filters = definition.filters(layer, channels);
      const keys = splitKey(key, kernels.length + 1);
      return {
        ...Object.fromEntries(
          kernels.map((kernel, index) => [
            kernel.name,
            initial[index](keys[index], kernel.shape(kernelSize, channels)),
          ]),
        ),
        ...(useBias ? { bias: initialBias(keys[kernels.length], [filters]) } : {}),
      };
    },
    initState: (_, input): Tree<Tensor> => {
      if (!inChunks) return [];
      const x = spatialInput(layer, input, axes);
      return { carry: zeros([x.shape[0], before, x.shape[2]], { dtype: x.dtype }) };
    },
    ...(isStepByStep && !inChunks ? { withStateful: () => layerOf(definition, true) } : {}),
    apply: ({ params, state }, input, context) => {
      const x = spatialInput<Tensor>(layer, input, axes);
      const tensors = namedTensors<Record<string, Tensor>>(layer, "params", params, names);
      const channels = definition.channels(tensors);
      if (x.shape[axes + 1] !== channels) {
        throw new TypeError(
          `Cannot use ${layer} with an input of shape ${printShape(x.shape)}: its ${names[0]}, of shape ${
            printShape(tensors[names[0]].shape)
          }, is for ${channels} channels`,
        );
      }
      const mask = endedMask(oneMask(layer, context.mask), context);
      const finish = (product: Tensor) => activate(useBias ? add(product, tensors.bias) : product);
      if (inChunks) {
        const { carry } = namedTensors<{ readonly carry: Tensor }>(layer, "state", state, ["carry"]);
        const whole = concat([carry, x], { axis: 1 });
        const output = finish(definition.convolve(tensors, whole, { ...window, padding: "valid" }));
        return { output, state: { carry: sliceAxis(whole, 1, x.shape[1], before) }, mask };
      }
      const around = padding === "causal" ? { low: [before], high: [0] } : padding;
      return { output: finish(definition.convolve(tensors, x, { ...window, padding: around })), state, mask };
    },
  });
}

/** The channels of the input of a kernel, along one of its axes counted from the end. */
export function kernelSizeAt(kernel: Tensor, fromEnd: number): number {
  return fixedSize(kernel, kernel.shape.length - fromEnd);
}
