/**
 * The conversions of layers that are not recurrent: nn.Linear, Embedding, LayerNorm, BatchNorm1d, convolutions and
 * MultiheadAttention.
 */
import type { BatchNormalizationState, NormalizationParams } from "../../src/layers/batch_normalization.ts";
import { namedTensors } from "../../src/layers/checks.ts";
import { layerName } from "../../src/layers/define.ts";
import type { DenseParams } from "../../src/layers/dense.ts";
import type { EmbeddingParams } from "../../src/layers/embedding.ts";
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { zeros } from "../../src/operations/creation.ts";
import { transpose as permute } from "../../src/operations/structure.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import { attention } from "./attention.ts";
import { type Conversion, COUNTER, type NamedTensors, noModule, transposed } from "./conversion.ts";

/** The params of a layer, after checking them. */
function paramsOf<Params>(layer: Layer, { params }: Variables, names: readonly string[]): Params {
  return namedTensors<Params>(layerName(layer), "params", params, names);
}

/** nn.Linear: `weight [out, in]` is the transposed kernel. */
function linear(layer: Layer): Conversion {
  const withBias = layer.options.useBias === true;
  return {
    toTorch: (variables) => {
      const { kernel, bias } = paramsOf<DenseParams>(
        layer,
        variables,
        withBias ? ["kernel", "bias"] : ["kernel"],
      );
      return { weight: transposed(kernel), ...(bias ? { bias } : {}) };
    },
    fromTorch: ({ weight, ...rest }, { state }) => ({
      params: { kernel: transposed(weight), ...rest },
      state,
    }),
  };
}

/** The kernel of a convolution, `[...kernelSize, in, out]`, as PyTorch's `[out, in, ...kernelSize]`. */
function channelsFirst(kernel: Tensor): Tensor {
  const axes = kernel.shape.length;
  const spatial = Array.from({ length: axes - 2 }, (_, axis) => axis);
  return permute(kernel, { permutation: [axes - 1, axes - 2, ...spatial] });
}

/** The way back. */
function channelsLast(weight: Tensor): Tensor {
  const axes = weight.shape.length;
  const spatial = Array.from({ length: axes - 2 }, (_, axis) => axis + 2);
  return permute(weight, { permutation: [...spatial, 1, 0] });
}

/**
 * nn.Conv1d to Conv3d, `weight [out, in / groups, ...kernelSize]`, and their transposes, which call `in` what is
 * called `out` here.
 */
function convolution(layer: Layer): Conversion {
  const withBias = layer.options.useBias === true;
  return {
    toTorch: (variables) => {
      const names = withBias ? ["kernel", "bias"] : ["kernel"];
      const { kernel, bias } = paramsOf<DenseParams>(layer, variables, names);
      return { weight: channelsFirst(kernel), ...(bias ? { bias } : {}) };
    },
    fromTorch: ({ weight, ...rest }, { state }) => ({
      params: { kernel: channelsLast(weight), ...rest },
      state,
    }),
  };
}

/** nn.Embedding: `weight [tokens, size]`. */
function table(layer: Layer): Conversion {
  return {
    toTorch: (variables) => ({
      weight: paramsOf<EmbeddingParams>(layer, variables, ["embeddings"]).embeddings,
    }),
    fromTorch: ({ weight }, { state }) => ({ params: { embeddings: weight }, state }),
  };
}

/** `weight` and `bias` of a normalization; PyTorch has both or neither. */
function affine(layer: Layer): Conversion {
  const { scale, center } = layer.options;
  if (scale !== center) {
    throw noModule(
      layer,
      `its scale is ${scale} and its center ${center}, expected both or none, as PyTorch has weight and bias`,
    );
  }
  return {
    toTorch: (variables) => {
      const { gamma, beta } = paramsOf<NormalizationParams>(layer, variables, scale ? ["gamma", "beta"] : []);
      return { ...(gamma ? { weight: gamma } : {}), ...(beta ? { bias: beta } : {}) };
    },
    fromTorch: ({ weight, bias }, { state }) => ({
      params: { ...(scale ? { gamma: weight, beta: bias } : {}) },
      state,
    }),
  };
}

/** nn.LayerNorm, over the last axes. */
function layerNorm(layer: Layer): Conversion {
  const { axis } = layer.options;
  const axes = (Array.isArray(axis) ? axis : [axis]).map(Number).sort((a, b) => a - b);
  if (axes.some((each, index) => each !== index - axes.length)) {
    throw noModule(
      layer,
      `its axis is ${JSON.stringify(axis)}, expected the last axes counted from the end, as -1 or [-2, -1]`,
    );
  }
  return affine(layer);
}

/** nn.BatchNorm1d: its running statistics are the state. */
function batchNorm(layer: Layer): Conversion {
  const { toTorch, fromTorch } = affine(layer);
  return {
    toTorch: (variables) => {
      const moving = namedTensors<BatchNormalizationState>(layerName(layer), "state", variables.state, [
        "movingMean",
        "movingVariance",
      ]);
      return {
        ...toTorch(variables),
        running_mean: moving.movingMean,
        running_var: moving.movingVariance,
        [COUNTER]: zeros([], { dtype: "int32" }),
      };
    },
    fromTorch: ({ running_mean, running_var, ...rest }: NamedTensors, template) => ({
      ...fromTorch(rest, template),
      state: { movingMean: running_mean, movingVariance: running_var },
    }),
  };
}

/** The conversion of each of these layers by its type. */
export const plainConversions: ReadonlyMap<string, (layer: Layer) => Conversion> = new Map([
  ["dense", linear],
  ["embedding", table],
  ["layerNormalization", layerNorm],
  ["batchNormalization", batchNorm],
  ...["conv1d", "conv2d", "conv3d", "conv1dTranspose", "conv2dTranspose", "conv3dTranspose"].map((type) =>
    [type, convolution] as const
  ),
  ["multiHeadAttention", attention],
]);
