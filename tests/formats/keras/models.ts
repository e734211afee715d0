/** Models of ours that Keras has too: what is written, read back, and loaded by Keras itself. */
import { gruCell, lstmCell, simpleRnnCell, stackedCells } from "../../../src/cells/mod.ts";
import { convLstm2dCell } from "../../../src/cells/conv_lstm.ts";
import {
  activation,
  activityRegularization,
  additiveAttention,
  attention,
  averagePooling1d,
  averagePooling2d,
  batchNormalization,
  bidirectional,
  conv1d,
  conv1dTranspose,
  conv2d,
  convLstm1d,
  convLstm3d,
  cropping1d,
  cropping2d,
  dense,
  depthwiseConv1d,
  dot,
  dropout,
  eluLayer,
  embedding,
  flatten,
  gaussianNoise,
  globalAveragePooling1d,
  globalMaxPooling1d,
  globalMaxPooling2d,
  gru,
  type Layer,
  layerNormalization,
  leakyReluLayer,
  lstm,
  masking,
  maxPooling1d,
  maxPooling2d,
  merge,
  multiHeadAttention,
  normalization,
  permute,
  prelu,
  reluLayer,
  repeatVector,
  reshapeLayer,
  rnn,
  separableConv1d,
  simpleRnn,
  softmaxLayer,
  spatialDropout1d,
  spatialDropout2d,
  timeDistributed,
  unitNormalization,
  upSampling1d,
  upSampling2d,
  type Variables,
  zeroPadding1d,
  zeroPadding2d,
} from "../../../src/layers/mod.ts";
import { apply, call, init, input, model, sequential } from "../../../src/models/mod.ts";
import { add, tanh } from "../../../src/operations/elementwise.ts";
import { foldIn, key, normal } from "../../../src/operations/random.ts";
import { cast, mul } from "../../../src/operations/mod.ts";
import { type Spec, spec, type Tensor, tensor, toNested } from "../../../src/tensor/tensor.ts";
import { flattenTree, type Tree, unflattenTree } from "../../../src/tree/tree.ts";

export interface Example {
  readonly model: Layer;
  /** Absent for a graph. */
  readonly input?: Spec;
  readonly x: Tree<Tensor>;
}

const floats = (seed: number, ...shape: number[]) => normal(key(seed), shape);
const tokens = (size: number, ...shape: number[]) => {
  const count = shape.reduce((product, dim) => product * dim);
  return tensor(Array.from({ length: count }, (_, index) => (index * 7) % size), { shape, dtype: "int32" });
};

function translator(): Layer {
  const source = input([null], { name: "source", dtype: "int32" });
  const target = input([null], { name: "target", dtype: "int32" });
  const embedded = call(embedding({ inputDim: 7, outputDim: 3, maskZero: true }), source);
  const [, state] = call(lstm({ units: 4, returnState: true }), embedded);
  const words = call(embedding({ inputDim: 6, outputDim: 3 }), target);
  const decoder = lstm({ units: 4, returnSequences: true });
  const decoded = call(decoder, words, { initialState: state });
  const both = bidirectional(gru({ units: 2, returnState: true }), { mergeMode: "mul" });
  const [summary] = call(both, embedded);
  return model({
    inputs: { source, target },
    outputs: [call(dense({ units: 6, activation: "softmax" }), decoded), summary],
  });
}

/** Two layers of one class at different depths, a shared one, models inside, and operations. */
function graph(): Layer {
  const left = input([null, 3], { name: "left" });
  const right = input([null, 3]);
  const shared = dense({ units: 4 });
  const inside = input([null, 4]);
  const inner = model({
    inputs: inside,
    outputs: call(gru({ units: 4, returnSequences: true }), inside),
    name: "inner",
  });
  const a = call(shared, call(masking({ maskValue: 0.5 }), left));
  const b = call(
    sequential([dense({ units: 4 }), activation("softsign")], { name: "stack" }),
    call(shared, right),
  );
  const c = call(inner, apply(add, a, b));
  const d = call(inner, call(inner, call(merge({ method: "maximum" }), [a, b])));
  const m = call(merge({ method: "multiply" }), [a, call(masking({ maskValue: 0.25 }), b)]);
  const n = call(merge({ method: "minimum" }), [m, a, b]);
  const e = call(merge({ method: "concatenate" }), [c, d, apply(tanh, n)]);
  const f = call(merge({ method: "subtract" }), [call(lstm({ units: 3 }), e), call(lstm({ units: 3 }), m)]);
  return model({ inputs: [left, right], outputs: { c, f, g: call(dense({ units: 1 }), f) } });
}

/** Regularizers and constraints of every kind. */
function regularized(): Layer {
  const x = input([4, 3]);
  const rules = {
    kernelRegularizer: "l2",
    recurrentRegularizer: { name: "orthogonal", factor: 0.3, mode: "columns" },
    biasRegularizer: { l1: 0.1, l2: 0.2 },
    kernelConstraint: { name: "minMaxNorm", minValue: 0.5, axis: [0, 1] },
    recurrentConstraint: "unitNorm",
    biasConstraint: "nonNeg",
  } as const;
  const a = call(
    bidirectional(gru({ units: 2, returnSequences: true, activityRegularizer: "l1", ...rules }), {
      activityRegularizer: { l2: 0.4 },
    }),
    x,
  );
  const { recurrentRegularizer: _, recurrentConstraint: __, ...ofDense } = rules;
  const attended = call(
    multiHeadAttention({
      numHeads: 2,
      keyDim: 2,
      ...ofDense,
      kernelRegularizer: { l1: 0.1 },
      activityRegularizer: "l2",
    }),
    [a, a],
  );
  const b = call(
    rnn(stackedCells([lstmCell({ units: 2, ...rules }), simpleRnnCell({ units: 3 })])),
    attended,
  );
  const c = call(activityRegularization({ l1: 0.3, l2: 0.2 }), b);
  const frozen = dense({ units: 2, trainable: false, ...ofDense, activityRegularizer: { l1: 0.5 } });
  return model({
    inputs: x,
    outputs: [call(frozen, c), call(conv1d({ filters: 2, kernelSize: 2, ...ofDense }), attended)],
  });
}

/** What is done to sequences, pictures and volumes between layers that learn, masks among them. */
function windows(): Layer {
  const ids = input([6], { name: "ids", dtype: "int32" });
  const picture = input([5, 8, 2], { name: "picture" });
  const words = call(embedding({ inputDim: 9, outputDim: 4, maskZero: true }), ids);
  const hidden = call(gru({ units: 4, returnSequences: true }), words);
  const scores = call(flatten(), call(dense({ units: 1 }), hidden));
  const context = call(dot({ axes: [1, 1] }), [call(softmaxLayer(), scores), hidden]);
  const flat = [
    zeroPadding2d({ padding: [[1, 0], 2] }),
    maxPooling2d({ poolSize: [2, 3], strides: [2, 1], padding: "same" }),
    averagePooling2d({ strides: 1 }),
    cropping2d({ cropping: [[1, 0], [0, 2]] }),
    upSampling2d({ size: [2, 1] }),
    spatialDropout2d({ rate: 0.3 }),
    prelu({ sharedAxes: [1, 2] }),
  ].reduce((x, layer) => call(layer, x), picture);
  return model({
    inputs: { ids, picture },
    outputs: {
      context,
      largest: call(globalMaxPooling1d({ countsMasked: true }), words),
      mean: call(globalAveragePooling1d({ keepdims: true }), call(leakyReluLayer(), hidden)),
      flat: call(globalMaxPooling2d({ countsMasked: true }), flat),
      cosines: call(dot({ axes: -1, normalize: true }), [hidden, words]),
    },
  });
}

/** One of each: a model and what it is given. */
export const examples: Readonly<Record<string, () => Example>> = {
  regularized: () => ({ model: regularized(), x: floats(11, 2, 4, 3) }),
  normalized: () => ({
    model: sequential([
      masking({ maskValue: 0.25 }),
      normalization({ mean: [0.5, -1, 2], variance: [4, 0.25, 1], name: "scale" }),
      normalization({ axis: [2, 1] }),
      gru({ units: 3, returnSequences: true }),
      normalization({ axis: [], mean: 3, variance: 2, invert: true }),
    ]),
    input: spec([null, 5, 3]),
    x: floats(7, 4, 5, 3),
  }),
  layers: () => ({
    model: sequential([
      masking({ maskValue: 0.25 }),
      lstm({ units: 4, returnSequences: true, recurrentActivation: "hardSigmoid", unitForgetBias: false }),
      batchNormalization({ scale: false, momentum: 0.8 }),
      dropout({ rate: 0.4, noiseShape: [null, 1, 4] }),
      gru({ units: 3, returnSequences: true, resetAfter: false, useBias: false }),
      layerNormalization({ center: false, epsilon: 1e-5 }),
      timeDistributed(dense({ units: 4, activation: "leakyRelu", kernelInitializer: "heNormal" })),
      simpleRnn({ units: 5, activation: "elu", goBackwards: true, trainable: false, name: "frozen" }),
      dense({ units: 6, biasInitializer: { name: "constant", value: 0.5 } }),
      reshapeLayer({ targetShape: [3, -1] }),
      flatten(),
      activation("logSoftmax"),
    ], { name: "all" }),
    input: spec([null, null, 2]),
    x: floats(1, 3, 5, 2),
  }),
  directions: () => ({
    model: sequential([
      embedding({ inputDim: 9, outputDim: 3, maskZero: true }),
      bidirectional(gru({ units: 2, returnSequences: true }), { mergeMode: "ave", name: "first" }),
      bidirectional(lstm({ units: 2, returnSequences: true })),
      bidirectional(simpleRnn({ units: 3 }), {
        backwardLayer: simpleRnn({ units: 3, goBackwards: true, activation: "softsign" }),
        mergeMode: "sum",
      }),
    ]),
    input: spec([null, null], "int32"),
    x: tokens(9, 2, 6),
  }),
  cells: () => ({
    model: sequential([
      rnn(stackedCells([lstmCell({ units: 3 }), gruCell({ units: 4 }), lstmCell({ units: 2 })]), {
        returnSequences: true,
      }),
      rnn(simpleRnnCell({ units: 3, dropout: 0.1 }), { returnSequences: true, unroll: true }),
      timeDistributed(sequential([dense({ units: 2 }), layerNormalization()])),
      rnn(lstmCell({ units: 2, recurrentDropout: 0.2 })),
    ]),
    input: spec([null, 4, 3]),
    x: floats(2, 2, 4, 3),
  }),
  convolutions: () => ({
    model: sequential([
      rnn(convLstm2dCell({ filters: 2, kernelSize: [2, 3], padding: "same" }), { returnSequences: true }),
      reshapeLayer({ targetShape: [3, 4, 6] }),
      convLstm1d({ filters: 3, kernelSize: 2, strides: 2, returnSequences: true }),
      reshapeLayer({ targetShape: [3, 2, 3, 1, 1] }),
      convLstm3d({ filters: 1, kernelSize: [2, 1, 1], dilationRate: 1 }),
      flatten(),
    ]),
    input: spec([null, 3, 4, 3, 2]),
    x: floats(3, 2, 3, 4, 3, 2),
  }),
  windows: () => ({
    model: windows(),
    x: { ids: tokens(9, 3, 6), picture: floats(8, 3, 5, 8, 2) },
  }),
  sequenceOfPlain: () => ({
    model: sequential([
      zeroPadding1d({ padding: [2, 0] }),
      averagePooling1d({ poolSize: 3, strides: 1, padding: "same" }),
      gaussianNoise({ stddev: 0.2 }),
      reluLayer({ maxValue: 1.5, negativeSlope: 0.1, threshold: 0.2 }),
      cropping1d({ cropping: [0, 1] }),
      upSampling1d({ size: 3 }),
      maxPooling1d({ poolSize: 2 }),
      eluLayer({ alpha: 0.5 }),
      unitNormalization({ axis: [1, 2] }),
      spatialDropout1d({ rate: 0.1 }),
      globalMaxPooling1d({ countsMasked: true }),
      repeatVector({ n: 4 }),
      permute({ dims: [2, 1] }),
      softmaxLayer({ axis: [1, 2] }),
      prelu({ alphaInitializer: "ones" }),
      lstm({ units: 2 }),
    ]),
    input: spec([null, null, 3]),
    x: floats(9, 2, 5, 3),
  }),
  attending: () => {
    const words = input([null], { name: "words", dtype: "int32" });
    const notes = input([null, 4], { name: "notes" });
    const embedded = call(embedding({ inputDim: 7, outputDim: 4, maskZero: true }), words);
    const masked = call(masking(), notes);
    const seen = call(attention({ useScale: true }), [embedded, masked]);
    const [added, scores] = call(additiveAttention({ returnAttentionScores: true }), [masked, embedded]);
    const heads = multiHeadAttention({ numHeads: 2, keyDim: 3, outputShape: 5, useCausalMask: true });
    const outputs = [
      call(gru({ units: 2 }), seen),
      call(lstm({ units: 2 }), added),
      scores,
      call(lstm({ units: 2 }), call(heads, [call(dense({ units: 3 }), embedded), notes, masked])),
    ];
    const x = { words: tokens(5, 2, 6), notes: floats(11, 2, 6, 4) };
    return { model: model({ inputs: { words, notes }, outputs }), x };
  },
  convolved: () => ({
    model: sequential([
      conv1d({ filters: 4, kernelSize: 3, padding: "causal", dilationRate: 2, activation: "elu" }),
      conv1d({ filters: 6, kernelSize: 2, strides: 2, groups: 2, padding: "same", useBias: false }),
      depthwiseConv1d({ kernelSize: 3, depthMultiplier: 2, depthwiseInitializer: "heNormal" }),
      separableConv1d({ filters: 3, kernelSize: 2, padding: "same" }),
      conv1dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: "same" }),
      reshapeLayer({ targetShape: [2, -1, 2] }),
      conv2d({ filters: 2, kernelSize: [1, 2] }),
      flatten(),
    ]),
    input: spec([null, 12, 3]),
    x: floats(8, 2, 12, 3),
  }),
  stateful: () => ({
    model: sequential([lstm({ units: 2, stateful: true })]),
    input: spec([2, 3, 2]),
    x: floats(4, 2, 3, 2),
  }),
  single: () => ({ model: lstm({ units: 3 }), input: spec([null, null, 2]), x: floats(5, 2, 4, 2) }),
  translator: () => ({ model: translator(), x: { source: tokens(7, 2, 5), target: tokens(6, 2, 3) } }),
  graph: () => {
    const left = toNested(floats(6, 2, 4, 3)) as number[][][];
    left[1][3] = [0.5, 0.5, 0.5]; // a masked step
    return { model: graph(), x: [tensor(left), floats(7, 2, 4, 3)] };
  },
};

/** Variables of which no weight is zero or symmetric, so that none can be mistaken for another. */
export function variablesOf({ model, input, x }: Example): Variables {
  const variables = init(model, key(3), input ?? x);
  const { leaves, paths, structure } = flattenTree<Tensor>(variables);
  return unflattenTree<Variables>(
    structure,
    leaves.map((leaf, index) => {
      if (paths[index].includes("carry")) return leaf; // no weight, and zeros in Keras
      const noise = normal(foldIn(key(9), index), leaf.shape);
      return add(leaf, cast(mul(mul(noise, noise), 0.1), leaf.dtype));
    }),
  );
}
