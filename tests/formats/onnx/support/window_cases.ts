/** Convolutions, pooling and attention to export. */
import * as cf from "@cellfold/cellfold";
import { noise } from "../../../../examples/support/section.ts";
import type { ExportCase } from "./cases.ts";

const sequence = cf.spec([null, null, 4]);
const steps = noise([2, 6, 4], 11);
const image = cf.spec([null, 5, 6, 4]);
const pixels = noise([2, 5, 6, 4], 12);

function ofSteps(name: string, layer: cf.Layer, operators: readonly string[]): ExportCase {
  return { name, layer, options: { input: sequence }, data: steps, operators };
}

function ofPixels(name: string, layer: cf.Layer, operators: readonly string[]): ExportCase {
  return { name, layer, options: { input: image }, data: pixels, operators };
}

/** Attention of masked steps to those of another sequence, and to the steps before. */
function attending(layer: (name: string) => cf.Layer): cf.Layer {
  const [query, value] = [cf.input([null, 4], { name: "query" }), cf.input(["steps", 4], { name: "value" })];
  const seen = cf.call(cf.masking(), value);
  return cf.model({ inputs: { query, value }, outputs: cf.call(layer("attention"), [query, seen]) });
}

/** Steps of which the last are padding. */
const padded = cf.mul(
  noise([2, 5, 4], 13),
  cf.tensor([1, 1, 1, 1, 0, 1, 1, 0, 0, 0], { shape: [2, 5, 1] }),
);

function ofAttention(name: string, layer: (name: string) => cf.Layer): ExportCase {
  return {
    name,
    layer: attending(layer),
    options: { input: { query: sequence, value: cf.spec([null, "steps", 4]) } },
    data: { query: noise([2, 3, 4], 14), value: padded },
    operators: ["MatMul", "Exp"],
  };
}

export const windowCases: readonly ExportCase[] = [
  ofSteps(
    "causal convolutions before a recurrent layer",
    cf.sequential([
      cf.conv1d({ filters: 6, kernelSize: 3, dilationRate: 2, padding: "causal", activation: "relu" }),
      cf.conv1d({ filters: 4, kernelSize: 2, padding: "causal", strides: 2 }),
      cf.gru({ units: 3 }),
    ]),
    ["Conv", "GRU"],
  ),
  ofSteps(
    "convolutions over steps: same, in groups, of one step, depthwise, separable, transposed",
    cf.sequential([
      cf.conv1d({ filters: 6, kernelSize: 3, padding: "same", groups: 2 }),
      cf.conv1d({ filters: 4, kernelSize: 1, activation: "tanh" }),
      cf.depthwiseConv1d({ kernelSize: 3, padding: "same", depthMultiplier: 2 }),
      cf.separableConv1d({ filters: 3, kernelSize: 2 }),
      cf.conv1dTranspose({ filters: 2, kernelSize: 3, strides: 2 }),
    ]),
    ["Conv"],
  ),
  ofPixels(
    "convolutions over two axes: same with strides, depthwise, separable, transposed",
    cf.sequential([
      cf.conv2d({ filters: 6, kernelSize: [3, 2], padding: "same", strides: [2, 1], activation: "relu" }),
      cf.depthwiseConv2d({ kernelSize: 2, depthMultiplier: 2 }),
      cf.separableConv2d({ filters: 3, kernelSize: 2, padding: "same" }),
      cf.conv2dTranspose({ filters: 2, kernelSize: 2, strides: 2, padding: "same" }),
    ]),
    ["Conv"],
  ),
  ofPixels(
    "pooling over two axes, and a convolution of what is left as steps",
    cf.sequential([
      cf.maxPooling2d({ poolSize: 2, strides: 1 }),
      cf.averagePooling2d({ poolSize: [1, 2], padding: "same" }),
      cf.reshapeLayer({ targetShape: [4, 12] }),
      cf.conv1d({ filters: 3, kernelSize: 2 }),
      cf.globalMaxPooling1d(),
    ]),
    ["Conv"],
  ),
  ofPixels("the mean of an image", cf.sequential([cf.globalAveragePooling2d()]), []),
  ofAttention("attention by products", (name) => cf.attention({ name, useScale: true })),
  ofAttention("attention by sums", (name) => cf.additiveAttention({ name })),
  ofAttention(
    "attention with several heads",
    (name) => cf.multiHeadAttention({ name, numHeads: 2, keyDim: 3 }),
  ),
  {
    name: "causal attention of a sequence to itself, with its weights",
    layer: (() => {
      const x = cf.input([null, 4]);
      const layer = cf.multiHeadAttention({
        numHeads: 2,
        keyDim: 2,
        useCausalMask: true,
        returnAttentionScores: true,
      });
      return cf.model({ inputs: x, outputs: cf.call(layer, [x, x]) });
    })(),
    options: { input: sequence },
    data: steps,
    operators: ["MatMul", "Exp"],
  },
];
