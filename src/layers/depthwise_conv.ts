/** The convolutions that take each channel by itself: depthwise, and separable ones, which mix them afterwards. */
import { checkCount } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { convolve } from "../operations/convolution.ts";
import { matmul } from "../operations/matmul.ts";
import { reshape } from "../operations/structure.ts";
import type { MovingWindowOptions } from "../operations/windows.ts";
import type { InitializerLike } from "../options/initializers.ts";
import { weightOptionNames, type WeightOptions } from "../options/weight_rules.ts";
import { multiplyDims } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  convolutionLayer,
  type ConvolutionLayerOptions,
  convolutionOptionNames,
  type Kernel,
  kernelSizeAt,
} from "./convolution_layer.ts";
import { layerName } from "./define.ts";
import type { Layer } from "./layer.ts";

/** Options of {@linkcode depthwiseConv1d} and {@linkcode depthwiseConv2d}, named as in Keras. */
export interface DepthwiseConvOptions extends ConvolutionLayerOptions, WeightOptions<"depthwise"> {
  /** How many channels of the output each one of the input has; default 1. */
  readonly depthMultiplier?: number;
  /** Default `glorotUniform`. */
  readonly depthwiseInitializer?: InitializerLike;
}

/** Options of {@linkcode separableConv1d} and {@linkcode separableConv2d}, named as in Keras. */
export interface SeparableConvOptions extends DepthwiseConvOptions, WeightOptions<"pointwise"> {
  /** The number of channels of the output. */
  readonly filters: number;
  /** Default `glorotUniform`. */
  readonly pointwiseInitializer?: InitializerLike;
}

/** Each channel of `x` with its own kernels, `[...window, channels, multiplier]`. */
function byChannel(x: Tensor, kernel: Tensor, window: MovingWindowOptions): Tensor {
  const [channels, multiplier] = kernel.shape.slice(-2);
  const grouped = reshape(kernel, [...kernel.shape.slice(0, -2), 1, multiplyDims(channels, multiplier)]);
  return convolve(x, grouped, { ...window, groups: kernelSizeAt(kernel, 2) });
}

function depthwiseKernel(name: string, options: DepthwiseConvOptions): Kernel {
  const { depthMultiplier = 1, depthwiseInitializer } = options;
  return {
    name,
    optionName: "depthwise",
    initializer: depthwiseInitializer,
    shape: (window, channels) => [...window, channels, depthMultiplier],
  };
}

function depthwiseConv(axes: number, options: DepthwiseConvOptions): Layer<Tensor> {
  const type = `depthwiseConv${axes}d`;
  checkOptions(type, options, [
    "depthMultiplier",
    "depthwiseInitializer",
    ...weightOptionNames("depthwise"),
    ...convolutionOptionNames,
  ]);
  const { depthMultiplier = 1, name } = options;
  checkCount(`make ${layerName({ type, name })}`, depthMultiplier, "depthMultiplier");
  return convolutionLayer({
    type,
    axes,
    options,
    saved: { depthMultiplier },
    takesCausal: true,
    kernels: [depthwiseKernel("kernel", options)],
    filters: (_, channels) => channels * depthMultiplier,
    channels: ({ kernel }) => kernelSizeAt(kernel, 2),
    convolve: ({ kernel }, x, window) => byChannel(x, kernel, window),
  });
}

/**
 * A convolution of sequences in which each channel has its own kernels and no other channel's values:
 * `[batch, steps, channels]` to `[batch, steps, channels · depthMultiplier]`. For its steps, its mask and what
 * can be fed in chunks see {@linkcode conv1d}. Params: `kernel` `[kernelSize, channels, depthMultiplier]` and
 * `bias` `[channels · depthMultiplier]`.
 *
 * @throws RangeError for an unknown option or name, a value out of range, or a window larger than the input;
 *   TypeError for an input with other axes or channels.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { depthwiseConv1d, init, key, spec, zeros } from "@cellfold/cellfold";
 * const layer = depthwiseConv1d({ kernelSize: 3, depthMultiplier: 2 });
 * const { output } = layer.apply(init(layer, key(0), spec([null, null, 4])), zeros([1, 5, 4]), { training: false });
 * assertEquals(output.shape, [1, 3, 8]);
 * ```
 */
export function depthwiseConv1d(options: DepthwiseConvOptions): Layer<Tensor> {
  return depthwiseConv(1, options);
}

/** The same for `[batch, height, width, channels]`; see {@linkcode depthwiseConv1d}. */
export function depthwiseConv2d(options: DepthwiseConvOptions): Layer<Tensor> {
  return depthwiseConv(2, options);
}

function separableConv(axes: number, options: SeparableConvOptions): Layer<Tensor> {
  const type = `separableConv${axes}d`;
  checkOptions(type, options, [
    "filters",
    "depthMultiplier",
    "depthwiseInitializer",
    "pointwiseInitializer",
    ...weightOptionNames("depthwise", "pointwise"),
    ...convolutionOptionNames,
  ]);
  const { filters, depthMultiplier = 1, pointwiseInitializer, name } = options;
  const own = layerName({ type, name });
  checkCount(`make ${own}`, filters, "filters");
  checkCount(`make ${own}`, depthMultiplier, "depthMultiplier");
  return convolutionLayer({
    type,
    axes,
    options,
    saved: { filters, depthMultiplier },
    takesCausal: true,
    kernels: [depthwiseKernel("depthwiseKernel", options), {
      name: "pointwiseKernel",
      optionName: "pointwise",
      initializer: pointwiseInitializer,
      shape: (window, channels) => [...window.map(() => 1), channels * depthMultiplier, filters],
    }],
    filters: () => filters,
    channels: ({ depthwiseKernel }) => kernelSizeAt(depthwiseKernel, 2),
    convolve: ({ depthwiseKernel, pointwiseKernel }, x, window) =>
      matmul(
        byChannel(x, depthwiseKernel, window),
        reshape(pointwiseKernel, pointwiseKernel.shape.slice(-2)),
      ),
  });
}

/**
 * A depthwise convolution of sequences whose channels are then mixed at each step by a product:
 * `[batch, steps, channels]` to `[batch, steps, filters]`. For its steps, its mask and what can be fed in chunks
 * see {@linkcode conv1d}. Params: `depthwiseKernel` `[kernelSize, channels, depthMultiplier]`, `pointwiseKernel`
 * `[1, channels · depthMultiplier, filters]` and `bias` `[filters]`.
 *
 * @throws RangeError for an unknown option or name, a value out of range, or a window larger than the input;
 *   TypeError for an input with other axes or channels.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { init, key, separableConv1d, spec, zeros } from "@cellfold/cellfold";
 * const layer = separableConv1d({ filters: 6, kernelSize: 3, padding: "same" });
 * const { output } = layer.apply(init(layer, key(0), spec([null, null, 4])), zeros([1, 5, 4]), { training: false });
 * assertEquals(output.shape, [1, 5, 6]);
 * ```
 */
export function separableConv1d(options: SeparableConvOptions): Layer<Tensor> {
  return separableConv(1, options);
}

/** The same for `[batch, height, width, channels]`; see {@linkcode separableConv1d}. */
export function separableConv2d(options: SeparableConvOptions): Layer<Tensor> {
  return separableConv(2, options);
}
