/** The classes of convolutions, with their options and the weights that a file has of them. */
import type { JsonOptions } from "../../src/options/json.ts";
import { multiplyDims, type Shape } from "../../src/tensor/dims.ts";
import type { ClassRow } from "./class_row.ts";
import { count, last, param, type WeightRow } from "./weight_row.ts";

const common = {
  kernel_size: "counts",
  strides: "counts",
  dilation_rate: "counts",
  activation: "activation",
  use_bias: "flag",
  bias_initializer: "initializer",
} as const;

const dense = { filters: "count", kernel_initializer: "initializer" } as const;
const depthwise = { depth_multiplier: "count", depthwise_initializer: "initializer" } as const;
const separable = { filters: "count", ...depthwise, pointwise_initializer: "initializer" } as const;

/** Keras computes with the channels last only on some devices; its files say what they are for. */
const fixed = { data_format: ["channels_last", null] } as const;

/** The classes of convolutions. */
export const convRows: readonly ClassRow[] = [
  ...[1, 2, 3].map((axes): ClassRow => ({
    className: `Conv${axes}D`,
    type: `conv${axes}d`,
    options: { ...dense, ...common, groups: "count", padding: axes === 1 ? "causal" : "padding" },
    fixed,
  })),
  ...[1, 2, 3].map((axes): ClassRow => ({
    className: `Conv${axes}DTranspose`,
    type: `conv${axes}dTranspose`,
    options: { ...dense, ...common, padding: "padding" },
    fixed,
  })),
  ...[1, 2].map((axes): ClassRow => ({
    className: `DepthwiseConv${axes}D`,
    type: `depthwiseConv${axes}d`,
    options: { ...depthwise, ...common, padding: "padding" },
    fixed,
  })),
  ...[1, 2].map((axes): ClassRow => ({
    className: `SeparableConv${axes}D`,
    type: `separableConv${axes}d`,
    options: { ...separable, ...common, padding: "padding" },
    fixed,
  })),
];

/** The window of a layer: saved as a list. */
const windowOf = ({ kernelSize }: JsonOptions) => kernelSize as readonly number[];

/** The kernels, and the bias, which has as many elements as the output has channels. */
function withBias(
  options: JsonOptions,
  kernels: readonly WeightRow[],
  filters: WeightRow["shape"],
): WeightRow[] {
  return [...kernels, ...(options.useBias ? [param("bias", filters)] : [])];
}

function conv(options: JsonOptions): WeightRow[] {
  const [filters, groups] = [count(options, "filters"), count(options, "groups")];
  // Channels that the groups do not divide are refused when the layer is called.
  const kernel = (input: Shape) => [...windowOf(options), Math.floor(Number(last(input)) / groups), filters];
  return withBias(options, [param("kernel", kernel)], () => [filters]);
}

function convTranspose(options: JsonOptions): WeightRow[] {
  const filters = count(options, "filters");
  return withBias(
    options,
    [param("kernel", (input) => [...windowOf(options), filters, last(input)])],
    () => [filters],
  );
}

function depthwiseConv(options: JsonOptions): WeightRow[] {
  const multiplier = count(options, "depthMultiplier");
  return withBias(
    options,
    [param("kernel", (input) => [...windowOf(options), last(input), multiplier])],
    (input) => [multiplyDims(last(input), multiplier)],
  );
}

function separableConv(options: JsonOptions): WeightRow[] {
  const [multiplier, filters] = [count(options, "depthMultiplier"), count(options, "filters")];
  const window = windowOf(options);
  return withBias(
    options,
    [
      param("depthwiseKernel", (input) => [...window, last(input), multiplier]),
      param(
        "pointwiseKernel",
        (input) => [...window.map(() => 1), multiplyDims(last(input), multiplier), filters],
      ),
    ],
    () => [filters],
  );
}

/** Their weights in Keras's order, by our type. */
export const convWeights: Readonly<Record<string, (options: JsonOptions) => readonly WeightRow[]>> = {
  conv1d: conv,
  conv2d: conv,
  conv3d: conv,
  conv1dTranspose: convTranspose,
  conv2dTranspose: convTranspose,
  conv3dTranspose: convTranspose,
  depthwiseConv1d: depthwiseConv,
  depthwiseConv2d: depthwiseConv,
  separableConv1d: separableConv,
  separableConv2d: separableConv,
};
