/** Models that TensorFlow.js has too: what is written, read back, and loaded by TensorFlow.js itself. */
import * as cf from "../../../mod.ts";

export interface Example {
  readonly model: cf.Layer;
  /** Absent for a graph. */
  readonly input?: cf.Spec;
  readonly x: cf.Tree<cf.Tensor>;
}

const tokens = () => cf.tensor([1, 2, 3, 0, 0, 4, 5, 6, 7, 8], { shape: [2, 5], dtype: "int32" });

/** A model inside that is called twice, a shared layer, several inputs and outputs. */
function graph(): cf.Layer {
  const signal = cf.input([5, 4], { name: "signal" });
  const words = cf.input([5], { name: "words", dtype: "int32" });
  const x = cf.input([5, 4]);
  const within = cf.call(cf.lstm({ units: 4, returnSequences: true, name: "within" }), x);
  const inner = cf.model({ inputs: x, outputs: within, name: "inner" });
  const shared = cf.dense({ units: 4 });
  const embedded = cf.call(cf.embedding({ inputDim: 9, outputDim: 4 }), words);
  const both = cf.call(cf.merge({ method: "add" }), [
    embedded,
    cf.call(inner, cf.call(inner, cf.call(shared, signal))),
  ]);
  const last = cf.call(cf.gru({ units: 3, resetAfter: false }), both);
  const back = cf.call(cf.lstm({ units: 2, goBackwards: true }), cf.call(shared, both));
  return cf.model({ inputs: [signal, words], outputs: [cf.call(cf.dense({ units: 2 }), last), back] });
}

export const examples: Readonly<Record<string, () => Example>> = {
  regularized: () => ({
    model: cf.sequential([
      cf.lstm({
        units: 3,
        kernelRegularizer: "l2",
        recurrentRegularizer: { l1: 0.1 },
        biasConstraint: "nonNeg",
        recurrentConstraint: { name: "maxNorm", maxValue: 3, axis: 1 },
        returnSequences: true,
      }),
      cf.bidirectional(cf.simpleRnn({ units: 2, biasRegularizer: { l1: 0.5, l2: 0.25 } })),
      cf.dense({
        units: 2,
        kernelConstraint: "unitNorm",
        biasRegularizer: "orthogonal",
        activityRegularizer: "l1",
      }),
    ]),
    input: cf.spec([null, 4, 2]),
    x: cf.normal(cf.key(4), [2, 4, 2]),
  }),
  sequential: () => ({
    model: cf.sequential([
      cf.masking(),
      cf.lstm({ units: 3, returnSequences: true }),
      cf.batchNormalization(),
      cf.layerNormalization(),
      cf.gru({
        units: 3,
        returnSequences: true,
        resetAfter: false,
        recurrentActivation: "hardSigmoidKeras2",
      }),
      cf.bidirectional(cf.simpleRnn({ units: 2, returnSequences: true }), { mergeMode: "ave" }),
      cf.timeDistributed(cf.dense({ units: 3, activation: "silu" })),
      cf.dropout({ rate: 0.1 }),
      cf.rnn(cf.stackedCells([cf.lstmCell({ units: 2 }), cf.simpleRnnCell({ units: 3 })])),
      cf.dense({ units: 2, kernelInitializer: "lecunNormal" }),
    ]),
    input: cf.spec([null, 5, 4]),
    x: cf.normal(cf.key(1), [2, 5, 4]),
  }),
  graph: () => ({ model: graph(), x: [cf.normal(cf.key(1), [2, 5, 4]), tokens()] }),
  windows: () => ({
    model: cf.sequential([
      cf.conv1d({ filters: 4, kernelSize: 3, padding: "same", activation: "relu" }),
      cf.maxPooling1d(),
      cf.spatialDropout1d({ rate: 0.2 }),
      cf.conv1d({ filters: 4, kernelSize: 2, dilationRate: 2 }),
      cf.averagePooling1d({ poolSize: 2, strides: 1, padding: "same" }),
      cf.lstm({ units: 3, returnSequences: true }),
      cf.permute({ dims: [2, 1] }),
      cf.globalMaxPooling1d(),
      cf.repeatVector({ n: 2 }),
      cf.gaussianNoise({ stddev: 0.1 }),
      cf.globalAveragePooling1d(),
    ]),
    input: cf.spec([null, 8, 4]),
    x: cf.normal(cf.key(1), [2, 8, 4]),
  }),
  images: () => ({
    model: cf.sequential([
      cf.conv2d({ filters: 4, kernelSize: [3, 2], strides: [1, 2] }),
      cf.leakyReluLayer({ negativeSlope: 0.2 }),
      cf.zeroPadding2d({ padding: [[1, 0], [0, 1]] }),
      cf.depthwiseConv2d({ kernelSize: 2, depthMultiplier: 2 }),
      cf.prelu({ sharedAxes: [1, 2] }),
      cf.separableConv2d({ filters: 3, kernelSize: 2, padding: "same" }),
      cf.eluLayer(),
      cf.upSampling2d({ size: [1, 2] }),
      cf.cropping2d({ cropping: [[1, 0], [0, 1]] }),
      cf.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: "same" }),
      cf.reluLayer({ maxValue: 1 }),
      cf.maxPooling2d({ poolSize: 2, padding: "same" }),
      cf.averagePooling2d({ poolSize: [2, 1] }),
      cf.softmaxLayer(),
      cf.globalAveragePooling2d(),
    ]),
    input: cf.spec([null, 6, 5, 2]),
    x: cf.normal(cf.key(2), [2, 6, 5, 2]),
  }),
  convolutions: () => ({
    model: cf.sequential([
      cf.convLstm2d({ filters: 2, kernelSize: 2 }),
      cf.flatten(),
      cf.dense({ units: 1 }),
    ]),
    input: cf.spec([null, 3, 4, 4, 2]),
    x: cf.normal(cf.key(1), [2, 3, 4, 4, 2]),
  }),
  words: () => ({
    model: cf.sequential([
      cf.embedding({ inputDim: 9, outputDim: 4, maskZero: true }),
      cf.bidirectional(cf.lstm({ units: 3 })),
      cf.reshapeLayer({ targetShape: [3, 2] }),
    ]),
    input: cf.spec([null, 5], "int32"),
    x: tokens(),
  }),
};

/** Variables that are all different, so that none can be taken for another. */
export function variablesOf({ model, input, x }: Example): cf.Variables {
  return cf.mapTree(cf.init(model, cf.key(3), input ?? x), (leaf: cf.Tensor) => {
    return cf.add(leaf, cf.mul(cf.square(cf.normal(cf.key(leaf.shape.length), leaf.shape)), 0.1));
  }) as cf.Variables;
}
