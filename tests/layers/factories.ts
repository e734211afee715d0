/** A layer of each of the library's factories that take one tensor, for tests of what all layers have in common. */
import * as cf from "@cellfold/cellfold";
import type { Layer, Tensor } from "@cellfold/cellfold";
import { random } from "./helpers.ts";

/** The names of the exported functions that make a layer. */
type Exports = typeof cf;
type MakesLayer<Name extends keyof Exports> = Exports[Name] extends (...args: never[]) => infer Made
  ? Made extends Layer<unknown> ? Name : never
  : never;
type Factory = Exclude<
  { [Name in keyof Exports]: MakesLayer<Name> }[keyof Exports],
  | "defineLayer"
  | "fromJson"
  | "statefulLayer"
  | "merge"
  | "dot"
  | "attention"
  | "additiveAttention"
  | "multiHeadAttention"
>; // merge takes several inputs and has a test of its own; so do dot and attention

/** A layer, and the shape of an input that it takes. */
export interface Example {
  make(): Layer;
  readonly input: readonly number[];
  readonly takesTokens?: boolean;
}

/** The shape of sequences. */
export const sequence = [2, 4, 3];
/** A layer of each; a missing one is an error of the type. */
export const factories: { readonly [Name in Factory]: Example } = {
  activation: { make: () => cf.activation("tanh"), input: sequence },
  activityRegularization: { make: () => cf.activityRegularization({ l1: 0.1 }), input: sequence },
  batchNormalization: { make: () => cf.batchNormalization(), input: sequence },
  bidirectional: {
    make: () => cf.bidirectional(cf.gru({ units: 2, returnSequences: true })),
    input: sequence,
  },
  convLstm1d: { make: () => cf.convLstm1d({ filters: 2, kernelSize: 2 }), input: [2, 3, 4, 1] },
  convLstm2d: { make: () => cf.convLstm2d({ filters: 1, kernelSize: 2 }), input: [1, 2, 3, 3, 1] },
  convLstm3d: { make: () => cf.convLstm3d({ filters: 1, kernelSize: 2 }), input: [1, 2, 2, 3, 2, 1] },
  crf: { make: () => cf.crf(), input: sequence },
  dense: { make: () => cf.dense({ units: 2 }), input: sequence },
  dropout: { make: () => cf.dropout({ rate: 0.5 }), input: sequence },
  embedding: { make: () => cf.embedding({ inputDim: 5, outputDim: 2 }), input: [2, 4], takesTokens: true },
  flatten: { make: () => cf.flatten(), input: sequence },
  gru: { make: () => cf.gru({ units: 2 }), input: sequence },
  layerNormLstm: { make: () => cf.layerNormLstm({ units: 2 }), input: sequence },
  layerNormalization: { make: () => cf.layerNormalization(), input: sequence },
  lstm: { make: () => cf.lstm({ units: 2, returnSequences: true, stateful: true }), input: sequence },
  masking: { make: () => cf.masking(), input: sequence },
  model: {
    make: () => {
      const x = cf.input([null, 3]);
      return cf.model({
        inputs: x,
        outputs: cf.call(cf.lstm({ units: 2 }), cf.call(cf.dense({ units: 2 }), x)),
      });
    },
    input: sequence,
  },
  normalization: { make: () => cf.normalization({ mean: 2 }), input: sequence },
  reshapeLayer: { make: () => cf.reshapeLayer({ targetShape: [3, 4] }), input: sequence },
  rnn: {
    make: () => cf.rnn(cf.stackedCells([cf.lstmCell({ units: 2 }), cf.gruCell({ units: 2 })])),
    input: sequence,
  },
  sequential: {
    make: () => cf.sequential([cf.batchNormalization(), cf.simpleRnn({ units: 2 }), cf.dense({ units: 1 })]),
    input: sequence,
  },
  simpleRnn: { make: () => cf.simpleRnn({ units: 2 }), input: sequence },
  timeDistributed: {
    make: () => cf.timeDistributed(cf.sequential([cf.dense({ units: 2 }), cf.batchNormalization()])),
    input: sequence,
  },
  conv1d: { make: () => cf.conv1d({ filters: 2, kernelSize: 2, padding: "causal" }), input: sequence },
  conv2d: { make: () => cf.conv2d({ filters: 2, kernelSize: [2, 1] }), input: [1, 4, 2, 1] },
  conv3d: { make: () => cf.conv3d({ filters: 1, kernelSize: 1 }), input: [1, 2, 2, 2, 1] },
  conv1dTranspose: {
    make: () => cf.conv1dTranspose({ filters: 2, kernelSize: 2, strides: 2 }),
    input: sequence,
  },
  conv2dTranspose: { make: () => cf.conv2dTranspose({ filters: 1, kernelSize: 2 }), input: [1, 2, 2, 1] },
  conv3dTranspose: { make: () => cf.conv3dTranspose({ filters: 1, kernelSize: 2 }), input: [1, 2, 1, 2, 1] },
  depthwiseConv1d: { make: () => cf.depthwiseConv1d({ kernelSize: 2 }), input: sequence },
  depthwiseConv2d: {
    make: () => cf.depthwiseConv2d({ kernelSize: 2, depthMultiplier: 2 }),
    input: [1, 3, 2, 2],
  },
  separableConv1d: { make: () => cf.separableConv1d({ filters: 2, kernelSize: 2 }), input: sequence },
  separableConv2d: { make: () => cf.separableConv2d({ filters: 2, kernelSize: 2 }), input: [1, 3, 2, 2] },
  averagePooling1d: { make: () => cf.averagePooling1d(), input: sequence },
  averagePooling2d: { make: () => cf.averagePooling2d(), input: [1, 4, 2, 1] },
  averagePooling3d: { make: () => cf.averagePooling3d(), input: [1, 2, 2, 4, 1] },
  cropping1d: { make: () => cf.cropping1d({ cropping: [0, 1] }), input: sequence },
  cropping2d: { make: () => cf.cropping2d({ cropping: [[1, 0], 0] }), input: [1, 4, 2, 1] },
  cropping3d: { make: () => cf.cropping3d({ cropping: [0, 0, 1] }), input: [1, 2, 2, 4, 1] },
  eluLayer: { make: () => cf.eluLayer({ alpha: 0.5 }), input: sequence },
  gaussianNoise: { make: () => cf.gaussianNoise({ stddev: 0.1 }), input: sequence },
  globalAveragePooling1d: { make: () => cf.globalAveragePooling1d(), input: sequence },
  globalAveragePooling2d: { make: () => cf.globalAveragePooling2d(), input: [1, 4, 2, 1] },
  globalAveragePooling3d: { make: () => cf.globalAveragePooling3d(), input: [1, 2, 2, 4, 1] },
  globalMaxPooling1d: { make: () => cf.globalMaxPooling1d({ countsMasked: true }), input: sequence },
  globalMaxPooling2d: { make: () => cf.globalMaxPooling2d({ keepdims: true }), input: [1, 4, 2, 1] },
  globalMaxPooling3d: { make: () => cf.globalMaxPooling3d(), input: [1, 2, 2, 4, 1] },
  leakyReluLayer: { make: () => cf.leakyReluLayer(), input: sequence },
  maxPooling1d: { make: () => cf.maxPooling1d(), input: sequence },
  maxPooling2d: { make: () => cf.maxPooling2d({ padding: "same" }), input: [1, 4, 2, 1] },
  maxPooling3d: { make: () => cf.maxPooling3d(), input: [1, 2, 2, 4, 1] },
  permute: { make: () => cf.permute({ dims: [2, 1] }), input: sequence },
  prelu: { make: () => cf.prelu({ sharedAxes: [1] }), input: sequence },
  reluLayer: { make: () => cf.reluLayer({ maxValue: 1 }), input: sequence },
  repeatVector: { make: () => cf.repeatVector({ n: 3 }), input: [2, 4] },
  softmaxLayer: { make: () => cf.softmaxLayer({ axis: [1, 2] }), input: sequence },
  spatialDropout1d: { make: () => cf.spatialDropout1d({ rate: 0.5 }), input: sequence },
  spatialDropout2d: { make: () => cf.spatialDropout2d({ rate: 0.5 }), input: [1, 4, 2, 1] },
  unitNormalization: { make: () => cf.unitNormalization({ axis: [1, 2] }), input: sequence },
  spatialDropout3d: { make: () => cf.spatialDropout3d({ rate: 0.5 }), input: [1, 2, 2, 4, 1] },
  upSampling1d: { make: () => cf.upSampling1d({ size: 3 }), input: sequence },
  upSampling2d: { make: () => cf.upSampling2d(), input: [1, 4, 2, 1] },
  upSampling3d: { make: () => cf.upSampling3d({ size: [2, 1, 1] }), input: [1, 2, 2, 4, 1] },
  zeroPadding1d: { make: () => cf.zeroPadding1d(), input: sequence },
  zeroPadding2d: { make: () => cf.zeroPadding2d({ padding: [1, [0, 2]] }), input: [1, 4, 2, 1] },
  zeroPadding3d: { make: () => cf.zeroPadding3d(), input: [1, 2, 2, 4, 1] },
};

/** An input that the layer takes. */
export function inputOf({ input, takesTokens }: Example): Tensor {
  return takesTokens ? cf.tensor([[1, 2, 0, 4], [3, 3, 1, 2]], { dtype: "int32" }) : random(1, input);
}
