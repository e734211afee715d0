/** Models to export: every kind of layer, and the models of the guide. */
import {
  activation,
  add,
  apply,
  averagePooling1d,
  batchNormalization,
  bidirectional,
  call,
  type Cell,
  concat,
  convLstm1dCell,
  cropping1d,
  cumsum,
  dense,
  embedding,
  flatten,
  globalAveragePooling1d,
  globalMaxPooling1d,
  gru,
  gruCell,
  input,
  type Layer,
  layerNormalization,
  layerNormLstm,
  lstm,
  lstmCell,
  masking,
  matmul,
  maxPooling1d,
  model,
  permute,
  prelu,
  type RecurrentCell,
  relu,
  reluLayer,
  repeatVector,
  reshapeLayer,
  rnn,
  sequential,
  simpleRnn,
  softmaxLayer,
  spec,
  splitKey,
  stackedCells,
  tanh,
  type Tensor,
  tensor,
  timeDistributed,
  type Tree,
  uniform,
  upSampling1d,
  type Variables,
  zeroPadding1d,
  zeros,
} from "@cellfold/cellfold";
import type { ToOnnxOptions } from "@cellfold/cellfold/onnx";
import { nestedCell, usedVariables } from "../../../../examples/support/guide_models.ts";
import { noise } from "../../../../examples/support/section.ts";

/** A model to export, and an input of it. */
export interface ExportCase {
  readonly name: string;
  readonly layer: Layer;
  readonly options: ToOnnxOptions;
  /** Data of the input; sizes that the file leaves open are those of the data. */
  readonly data: Tree<Tensor>;
  /** Operators that the file has. */
  readonly operators: readonly string[];
  /** Operators that it has not. */
  readonly without?: readonly string[];
}

const [BATCH, TIME, FEATURES] = [3, 5, 4];
const sequence = spec([null, null, FEATURES]);
const steps = noise([BATCH, TIME, FEATURES], 7);
const tokens = tensor([[3, 1, 2, 0, 0], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5]], { dtype: "int32" });
/** Padding in the middle and at the beginning. */
const holes = tensor([[3, 0, 2, 0, 1], [0, 2, 0, 0, 4], [1, 2, 3, 4, 5]], { dtype: "int32" });

function plain(
  name: string,
  layer: Layer,
  operators: readonly string[],
  without: readonly string[] = [],
): ExportCase {
  return { name, layer, options: { input: sequence }, data: steps, operators, without };
}

/** A cell of the user's own, of closures. */
function ownCell(
  units: number,
): RecurrentCell<{ readonly w: Tensor; readonly u: Tensor }, Tensor, Tensor, Tensor> {
  return {
    type: "lstmCell", // a name that is taken, by a cell that is another
    options: { units },
    initParams: (key, { shape }) => {
      const [first, second] = splitKey(key, 2);
      return { w: uniform(first, [Number(shape[1]), units]), u: uniform(second, [units, units]) };
    },
    initState: (_, { shape }) => zeros([shape[0], units]),
    step: ({ w, u }): Cell<Tensor, Tensor, Tensor> => (h, x) => {
      const next = tanh(add(matmul(x, w), matmul(h, u)));
      return [relu(next), next];
    },
  };
}

function encoderDecoder(): Layer {
  const [source, target] = [
    input([null], { name: "source", dtype: "int32" }),
    input(["steps"], { name: "target", dtype: "int32" }),
  ];
  const embedded = call(embedding({ inputDim: 6, outputDim: 4 }), source);
  const [, ...state] = call(lstm({ units: 5, returnState: true, name: "encoder" }), embedded);
  const [stateH, stateC] = state[0] as Iterable<typeof source> as unknown as [typeof source, typeof source];
  const decoded = call(
    lstm({ units: 5, name: "decoder" }),
    call(embedding({ inputDim: 6, outputDim: 4 }), target),
    { initialState: [stateH, stateC] },
  );
  return model({ inputs: { source, target }, outputs: call(dense({ units: 3 }), decoded) });
}

/** Sequences packed into rows, for both directions. */
function packed(): Layer {
  const [x, resets] = [input([null, FEATURES]), input([null], { dtype: "bool" })];
  const both = call(bidirectional(lstm({ units: 5, returnSequences: true })), x, { resets });
  return model({
    inputs: { resets, x },
    outputs: call(gru({ units: 3, returnSequences: true }), both, { resets }),
  });
}

/** Running sums of every kind. */
function runningSums(): Layer {
  const x = input([null, 4]);
  const sums = [false, true].flatMap((exclusive) =>
    [false, true].flatMap((reverse) =>
      [1, 2].map((axis) => apply((x) => cumsum(x, { axis, exclusive, reverse }), x))
    )
  );
  return model({ inputs: x, outputs: sums });
}

function twoInputs(): Layer {
  const [left, right] = [input([4], { name: "left" }), input([4], { name: "right" })];
  const shared = dense({ units: 2, activation: "softmax" });
  return model({
    inputs: { left, right },
    outputs: { sum: apply(add, call(shared, left), call(shared, right)), left: call(shared, left) },
  });
}

const activationNames = [
  "relu",
  "softsign",
  "softplus",
  "linear",
  "leakyRelu",
  "hardSigmoid",
  "hardSigmoidKeras2",
  "elu",
] as const;

/** Every case. */
export const exportCases: readonly ExportCase[] = [
  plain("lstm", sequential([lstm({ units: 6 }), batchNormalization(), dense({ units: 3 })]), [
    "LSTM",
    "BatchNormalization",
  ], ["Scan"]),
  plain("lstm returning sequences and state", lstm({ units: 6, returnSequences: true, returnState: true }), [
    "LSTM",
  ]),
  plain("lstm without bias", lstm({ units: 6, useBias: false }), ["LSTM"]),
  plain("lstm backwards", lstm({ units: 6, goBackwards: true, returnSequences: true }), ["LSTM"]),
  plain("gru with the reset after", gru({ units: 6, returnSequences: true }), ["GRU"]),
  plain("gru with the reset before", gru({ units: 6, resetAfter: false }), ["GRU"]),
  plain("gru without bias", gru({ units: 6, useBias: false, goBackwards: true }), ["GRU"]),
  plain("simple rnn", simpleRnn({ units: 6 }), ["RNN"]),
  plain("rnn around an lstm cell", rnn(lstmCell({ units: 6 })), ["LSTM"], ["Scan"]),
  ...activationNames.map((name) =>
    plain(`gru with ${name}`, gru({ units: 6, activation: name, recurrentActivation: "hardSigmoid" }), [
      "GRU",
    ], ["Scan"])
  ),
  plain("lstm with gelu", lstm({ units: 6, activation: "gelu", returnSequences: true }), ["Scan"], ["LSTM"]),
  ...(["concat", "sum", "mul", "ave", null] as const).flatMap((mergeMode) => [
    plain(
      `bidirectional lstm, ${mergeMode}, of sequences`,
      bidirectional(lstm({ units: 3, returnSequences: true }), { mergeMode }),
      ["LSTM"],
      ["Scan"],
    ),
    plain(
      `bidirectional gru, ${mergeMode}`,
      bidirectional(gru({ units: 3, returnState: true }), { mergeMode }),
      ["GRU"],
    ),
  ]),
  plain(
    "bidirectional with a merge of its own",
    bidirectional(lstm({ units: 3, returnSequences: true }), { mergeMode: (a, b) => concat([a, b]) }),
    ["Scan"],
  ),
  plain(
    "two deep",
    sequential([
      bidirectional(lstm({ units: 4, returnSequences: true })),
      bidirectional(lstm({ units: 3 })),
      dense({ units: 2, activation: "softmax" }),
    ]),
    ["LSTM"],
    ["Scan"],
  ),
  plain("layer-norm lstm", sequential([layerNormLstm({ units: 5 }), dense({ units: 2 })]), ["Scan"]),
  plain("a cell of one's own", rnn(ownCell(4), { returnSequences: true, returnState: true }), ["Scan"], [
    "LSTM",
  ]),
  plain("a cell of one's own backwards", rnn(ownCell(4), { returnSequences: true, goBackwards: true }), [
    "Scan",
  ]),
  plain("stacked cells", rnn(stackedCells([lstmCell({ units: 4 }), gruCell({ units: 3 })])), ["Scan"]),
  plain(
    "layers between",
    sequential([
      layerNormalization(),
      lstm({ units: 4, returnSequences: true }),
      batchNormalization(),
      timeDistributed(dense({ units: 3, activation: "gelu" })),
      activation("silu"),
    ]),
    ["LSTM", "LayerNormalization", "BatchNormalization"],
  ),
  {
    name: "flatten and reshape",
    layer: sequential([
      reshapeLayer({ targetShape: [2, 10] }),
      lstm({ units: 3, returnSequences: true }),
      flatten(),
    ]),
    options: { input: spec([null, 5, FEATURES]) },
    data: steps,
    operators: ["LSTM", "Reshape"],
  },
  {
    name: "pooling, padding and rectifiers",
    layer: sequential([
      embedding({ inputDim: 6, outputDim: 4, maskZero: true }),
      zeroPadding1d({ padding: [2, 1] }),
      maxPooling1d({ poolSize: 3, strides: 2, padding: "same" }),
      averagePooling1d({ poolSize: 2, strides: 1 }),
      upSampling1d({ size: 2 }),
      cropping1d({ cropping: [1, 0] }),
      prelu({ sharedAxes: [1], alphaInitializer: "ones" }),
      reluLayer({ maxValue: 1, negativeSlope: 0.1, threshold: 0.2 }),
      permute({ dims: [2, 1] }),
      softmaxLayer({ axis: [1, 2] }),
    ]),
    options: { input: spec([null, 5], "int32") },
    data: holes,
    operators: ["Pad", "Slice", "Transpose"],
  },
  {
    name: "what counts, pooled",
    layer: sequential([
      embedding({ inputDim: 6, outputDim: 4, maskZero: true }),
      globalAveragePooling1d(),
      repeatVector({ n: 3 }),
      globalMaxPooling1d(),
    ]),
    options: { input: spec([null, null], "int32") },
    data: holes,
    operators: ["ReduceSum", "ReduceMax"],
  },
  {
    name: "masked lstm with holes",
    layer: sequential([
      embedding({ inputDim: 6, outputDim: 4, maskZero: true }),
      lstm({ units: 5, returnSequences: true }),
    ]),
    options: { input: spec([null, null], "int32") },
    data: holes,
    operators: ["Scan", "Gather"],
    without: ["LSTM"],
  },
  ...[false, true].flatMap((zeroOutputForMask) =>
    [false, true].flatMap((returnSequences) =>
      [false, true].map((goBackwards): ExportCase => ({
        name:
          `right-padded lstm, zeros ${zeroOutputForMask}, sequences ${returnSequences}, backwards ${goBackwards}`,
        layer: sequential([
          embedding({ inputDim: 6, outputDim: 4, maskZero: true }),
          lstm({ units: 5, returnSequences, goBackwards, zeroOutputForMask, returnState: true }),
        ]),
        options: { input: spec([null, null], "int32"), rightPadded: true },
        data: tokens,
        operators: ["LSTM"],
        without: ["Scan"],
      }))
    )
  ),
  {
    name: "right-padded bidirectional gru",
    layer: sequential([
      embedding({ inputDim: 6, outputDim: 4, maskZero: true }),
      bidirectional(gru({ units: 3, returnSequences: true })),
      bidirectional(gru({ units: 2 })),
    ]),
    options: { input: spec([null, null], "int32"), rightPadded: true },
    data: tokens,
    operators: ["GRU"],
    without: ["Scan"],
  },
  {
    name: "masking by a value",
    layer: sequential([masking(), gru({ units: 3 })]),
    options: { input: sequence },
    data: steps,
    operators: ["Scan"],
  },
  {
    name: "encoder and decoder",
    layer: encoderDecoder(),
    options: { input: { source: spec([null, null], "int32"), target: spec([null, "steps"], "int32") } },
    data: { source: tokens, target: holes },
    operators: ["LSTM"],
    without: ["Scan"],
  },
  {
    name: "packed sequences",
    layer: packed(),
    options: { input: { resets: spec([null, null], "bool"), x: sequence } },
    data: {
      resets: tensor([[0, 0, 1, 0, 0], [1, 0, 0, 0, 1], [0, 1, 1, 0, 0]].map((row) => row.map(Boolean))),
      x: steps,
    },
    operators: ["Scan"],
    without: ["LSTM", "GRU"],
  },
  {
    name: "named inputs and outputs",
    layer: twoInputs(),
    options: { input: { left: spec([null, 4]), right: spec([null, 4]) } },
    data: { left: noise([2, 4], 1), right: noise([2, 4], 2) },
    operators: ["MatMul"],
  },
  {
    name: "nested inputs",
    layer: rnn(nestedCell(3, 2, 4)),
    options: { input: [spec([null, null, 4]), spec([null, null, 3, 2])] },
    data: [noise([2, 5, 4], 1), noise([2, 5, 3, 2], 2)],
    operators: ["Scan"],
  },
  plain("running sums", runningSums(), ["CumSum"]),
  {
    name: "convolutional lstm",
    layer: rnn(convLstm1dCell({ filters: 2, kernelSize: 3, padding: "same" }), { returnSequences: true }),
    options: { input: spec([null, null, 6, 2]) },
    data: noise([2, 4, 6, 2], 3),
    operators: ["Scan"],
  },
];

/** Variables of a case, with statistics and biases that are no zeros or ones. */
export function variablesOf({ layer, options }: ExportCase): Variables {
  return usedVariables(layer, options.input);
}
