/** The convolutions over one to three spatial axes, and their transposes. */
import { checkCount } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { convolve, convolveTransposed } from "../operations/convolution.ts";
import { matmul } from "../operations/matmul.ts";
import { reshape } from "../operations/structure.ts";
import type { InitializerLike } from "../options/initializers.ts";
import { weightOptionNames, type WeightOptions } from "../options/weight_rules.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  convolutionLayer,
  type ConvolutionLayerOptions,
  convolutionOptionNames,
  kernelSizeAt,
} from "./convolution_layer.ts";
import { layerName } from "./define.ts";
import type { Layer } from "./layer.ts";

/** Options of {@linkcode conv1d} and its siblings, named as in Keras. */
export interface ConvOptions extends ConvolutionLayerOptions, WeightOptions<"kernel"> {
  /** The number of channels of the output. */
  readonly filters: number;
  /**
   * Into how many groups the channels are divided: those of the output see only those of their own group of the
   * input; default 1.
   */
  readonly groups?: number;
  /** Default `glorotUniform`. */
  readonly kernelInitializer?: InitializerLike;
}

/** Parameters of {@linkcode conv1d} and its siblings. */
export interface ConvParams {
  /** `[...kernelSize, channels / groups, filters]`. */
  readonly kernel: Tensor;
  /** `[filters]`; absent without bias. */
  readonly bias?: Tensor;
}

function conv(axes: number, options: ConvOptions): Layer<Tensor> {
  const type = `conv${axes}d`;
  checkOptions(type, options, [
    "filters",
    "groups",
    "kernelInitializer",
    ...weightOptionNames("kernel"),
    ...convolutionOptionNames,
  ]);
  const { filters, groups = 1, name } = options;
  const own = layerName({ type, name });
  checkCount(`make ${own}`, filters, "filters");
  checkCount(`make ${own}`, groups, "groups");
  if (filters % groups !== 0) throw noMultiple(own, "filters", filters, groups);
  return convolutionLayer({
    type,
    axes,
    options,
    saved: { filters, groups },
    takesCausal: true,
    kernels: [{
      name: "kernel",
      optionName: "kernel",
      initializer: options.kernelInitializer,
      shape: (window, channels) => [...window, channels / groups, filters],
    }],
    filters: (layer, channels) => {
      if (channels % groups !== 0) throw noMultiple(layer, "the number of channels", channels, groups);
      return filters;
    },
    channels: ({ kernel }) => groups * kernelSizeAt(kernel, 2),
    convolve: ({ kernel }, x, window) => {
      const isProduct = groups === 1 &&
        [...kernel.shape.slice(0, -2), ...window.strides].every((size) => size === 1);
      // A window of one step is a dense layer, which a stream knows to need no other step.
      return isProduct
        ? matmul(x, reshape(kernel, kernel.shape.slice(-2)))
        : convolve(x, kernel, { ...window, groups });
    },
  });
}

function noMultiple(layer: string, what: string, count: number, groups: number): RangeError {
  return new RangeError(
    `Cannot make ${layer}: ${what} is ${count}, expected a multiple of its ${groups} groups`,
  );
}

/**
 * A convolution of sequences: each output step is a product of the kernel with the `kernelSize` steps in its
 * window, `dilationRate` apart.
 *
 * Input `[batch, steps, channels]`; output `[batch, steps, filters]` of ⌊(time - span) / stride⌋ + 1 steps
 * (`valid`), where span is (kernelSize - 1) · dilationRate + 1, or ⌈time / stride⌉ (`same` and `causal`). A
 * mask is dropped, as in Keras. Params: {@linkcode ConvParams}. With the padding `causal` and stride 1 it can be
 * fed in chunks; its state is then the steps that the next chunk looks back at.
 *
 * @throws RangeError for an unknown option or name, a value out of range, filters or channels that the groups do
 *   not divide, or a window larger than the input; TypeError for an input with other axes or channels.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { conv1d, init, key, spec, zeros } from "@cellfold/cellfold";
 * const layer = conv1d({ filters: 8, kernelSize: 3, padding: "causal", activation: "relu" });
 * const { output } = layer.apply(init(layer, key(0), spec([null, null, 2])), zeros([1, 5, 2]), { training: false });
 * assertEquals(output.shape, [1, 5, 8]);
 * ```
 */
export function conv1d(options: ConvOptions): Layer<Tensor> {
  return conv(1, options);
}

/** A convolution of `[batch, height, width, channels]`; see {@linkcode conv1d}. */
export function conv2d(options: ConvOptions): Layer<Tensor> {
  return conv(2, options);
}

/** A convolution of `[batch, depth, height, width, channels]`; see {@linkcode conv1d}. */
export function conv3d(options: ConvOptions): Layer<Tensor> {
  return conv(3, options);
}

/** Options of {@linkcode conv1dTranspose} and its siblings, named as in Keras. */
export interface ConvTransposeOptions extends ConvolutionLayerOptions, WeightOptions<"kernel"> {
  /** The number of channels of the output. */
  readonly filters: number;
  /** Without (`valid`, default), or such that the size becomes `size · stride` (`same`). */
  readonly padding?: "valid" | "same";
  /** Default `glorotUniform`. */
  readonly kernelInitializer?: InitializerLike;
}

function convTranspose(axes: number, options: ConvTransposeOptions): Layer<Tensor> {
  const type = `conv${axes}dTranspose`;
  checkOptions(type, options, [
    "filters",
    "kernelInitializer",
    ...weightOptionNames("kernel"),
    ...convolutionOptionNames,
  ]);
  const { filters, name } = options;
  checkCount(`make ${layerName({ type, name })}`, filters, "filters");
  return convolutionLayer({
    type,
    axes,
    options,
    saved: { filters },
    takesCausal: false,
    kernels: [{
      name: "kernel",
      optionName: "kernel",
      initializer: options.kernelInitializer,
      shape: (window, channels) => [...window, filters, channels],
    }],
    filters: () => filters,
    channels: ({ kernel }) => kernelSizeAt(kernel, 1),
    convolve: ({ kernel }, x, window) => convolveTransposed(x, kernel, window),
  });
}

/**
 * The transpose of a convolution of sequences, which makes them longer: each step adds the kernel, multiplied by
 * it, to the output.
 *
 * Input `[batch, steps, channels]`; output `[batch, steps, filters]` of `time · stride` steps (`same`), or as many
 * more as the window is longer than the stride (`valid`). A mask is dropped. Params: `kernel`
 * `[...kernelSize, filters, channels]` and `bias` `[filters]`.
 *
 * @throws RangeError for an unknown option or name, or a value out of range; TypeError for an input with other
 *   axes or channels.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { conv1dTranspose, init, key, spec, zeros } from "@cellfold/cellfold";
 * const layer = conv1dTranspose({ filters: 3, kernelSize: 4, strides: 2, padding: "same" });
 * const { output } = layer.apply(init(layer, key(0), spec([null, null, 2])), zeros([1, 5, 2]), { training: false });
 * assertEquals(output.shape, [1, 10, 3]);
 * ```
 */
export function conv1dTranspose(options: ConvTransposeOptions): Layer<Tensor> {
  return convTranspose(1, options);
}

/** The transpose for `[batch, height, width, channels]`; see {@linkcode conv1dTranspose}. */
export function conv2dTranspose(options: ConvTransposeOptions): Layer<Tensor> {
  return convTranspose(2, options);
}

/** The transpose for `[batch, depth, height, width, channels]`; see {@linkcode conv1dTranspose}. */
export function conv3dTranspose(options: ConvTransposeOptions): Layer<Tensor> {
  return convTranspose(3, options);
}
