/** Objects that the library makes, whose methods and options a user calls and gives as freely as its functions. */
import * as cf from "@cellfold/cellfold";
import * as internal from "@cellfold/cellfold/internal";
import type { Subject } from "./walk.ts";

/** A thing with its methods, and what remakes it from options where it has some. */
interface Made {
  readonly name: string;
  readonly object: object;
  /** Makes it anew with some options changed. */
  readonly remake?: (changes: Readonly<Record<string, unknown>>) => unknown;
}

type Options = Readonly<Record<string, unknown>>;

/** A factory with options that are right, and the object that it makes of them. */
function madeBy<Given extends object>(factory: (options: Given) => object, options: Given): Made {
  const remake = (changes: Options) => factory({ ...options, ...changes });
  return { name: factory.name, object: factory(options), remake };
}

const units = { units: 2 };
const step = cf.dense(units);

const recurrent = cf.gru(units);
const recurrentVariables = cf.init(recurrent, cf.key(0), cf.spec([null, null, 3]));
const compiled = await cf.compile((x: cf.Tensor) => cf.tanh(x), { device: "reference" });

/** One of each kind that has methods. */
export const madeObjects: readonly Made[] = [
  madeBy(cf.dense, units),
  madeBy(cf.embedding, { inputDim: 4, outputDim: 2 }),
  madeBy(cf.lstm, units),
  madeBy(cf.gru, units),
  madeBy(cf.simpleRnn, units),
  madeBy(cf.layerNormLstm, units),
  madeBy(cf.convLstm1d, { filters: 2, kernelSize: 2 }),
  madeBy(cf.dropout, { rate: 0.5 }),
  madeBy(cf.flatten, {}),
  madeBy(cf.masking, {}),
  madeBy(cf.crf, {}),
  madeBy(cf.merge, { method: "add" }),
  madeBy(cf.reshapeLayer, { targetShape: [3, 1] }),
  madeBy(cf.batchNormalization, {}),
  madeBy(cf.layerNormalization, {}),
  madeBy(cf.maxPooling1d, { poolSize: 2, strides: 1 }),
  madeBy(cf.globalMaxPooling1d, { keepdims: true, countsMasked: true }),
  madeBy(cf.zeroPadding2d, { padding: [1, 2] }),
  madeBy(cf.cropping1d, { cropping: 1 }),
  madeBy(cf.upSampling2d, { size: 2 }),
  madeBy(cf.conv1d, { filters: 2, kernelSize: 2, groups: 1, padding: "causal" }),
  madeBy(cf.conv2dTranspose, { filters: 2, kernelSize: 2, strides: 2 }),
  madeBy(cf.separableConv1d, { filters: 2, kernelSize: 2, depthMultiplier: 1 }),
  madeBy(cf.attention, { scoreMode: "concat" as const, useScale: true, useCausalMask: true }),
  madeBy(cf.multiHeadAttention, { numHeads: 2, keyDim: 2, valueDim: 2, outputShape: 3, dropout: 0.1 }),
  madeBy(cf.repeatVector, { n: 2 }),
  madeBy(cf.permute, { dims: [2, 1] }),
  madeBy(cf.dot, { axes: 1, normalize: true }),
  madeBy(cf.reluLayer, { maxValue: 1, negativeSlope: 0.1, threshold: 0.5 }),
  madeBy(cf.leakyReluLayer, { negativeSlope: 0.1 }),
  madeBy(cf.eluLayer, { alpha: 1 }),
  madeBy(cf.prelu, { sharedAxes: [1] }),
  madeBy(cf.softmaxLayer, { axis: -1 }),
  madeBy(cf.unitNormalization, { axis: -1 }),
  madeBy(cf.spatialDropout1d, { rate: 0.5 }),
  madeBy(cf.gaussianNoise, { stddev: 0.1 }),
  { name: "activation", object: cf.activation("relu") },
  { name: "bidirectional", object: cf.bidirectional(cf.gru(units)) },
  { name: "timeDistributed", object: cf.timeDistributed(cf.dense(units)) },
  { name: "rnn", object: cf.rnn(cf.gruCell(units)) },
  { name: "sequential", object: cf.sequential([cf.dense(units), cf.dense(units)]) },
  { name: "model", object: graph() },
  madeBy(cf.lstmCell, units),
  madeBy(cf.gruCell, units),
  { name: "stackedCells", object: cf.stackedCells([cf.lstmCell(units), cf.gruCell(units)]) },
  madeBy(cf.sgd, { momentum: 0.9 }),
  madeBy(cf.rmsprop, {}),
  madeBy(cf.adam, {}),
  madeBy(cf.adamw, {}),
  madeBy(cf.nadam, { useEma: true }),
  madeBy(cf.exponentialDecay, { initialLearningRate: 0.1, decaySteps: 10, decayRate: 0.5 }),
  madeBy(cf.cosineDecay, { initialLearningRate: 0.1, decaySteps: 10 }),
  madeBy(cf.piecewiseConstantDecay, { boundaries: [1], values: [0.1, 0.2] }),
  madeBy(cf.sparseCategoricalCrossentropy, {}),
  madeBy(cf.categoricalCrossentropy, {}),
  madeBy(cf.binaryCrossentropy, {}),
  madeBy(cf.meanSquaredError, {}),
  madeBy(cf.huber, {}),
  madeBy(cf.ctc, {}),
  madeBy(cf.crfLoss, {}),
  madeBy(cf.mixtureDensity, { components: 2 }),
  madeBy(cf.accuracy, {}),
  madeBy(cf.binaryAccuracy, {}),
  madeBy(cf.precision, {}),
  madeBy(cf.auc, {}),
  madeBy(cf.topKCategoricalAccuracy, {}),
  madeBy(cf.meanMetric, {}),
  madeBy(cf.earlyStopping, {}),
  madeBy(cf.reduceLrOnPlateau, {}),
  { name: "learningRateSchedule", object: cf.learningRateSchedule((_epoch, rate) => rate) },
  { name: "grad", object: { call: cf.grad((x: cf.Tensor) => cf.sum(x)) } },
  { name: "valueAndGrad", object: { call: cf.valueAndGrad((x: cf.Tensor) => cf.sum(x)) } },
  { name: "compiled", object: compiled },
  { name: "compiled", object: { call: compiled } },
  {
    name: "streaming",
    object: cf.streaming(recurrent, recurrentVariables, { device: "reference", input: cf.spec([1, 4, 3]) }),
  },
  {
    name: "streams",
    object: cf.streams(recurrent, recurrentVariables, {
      capacity: 2,
      device: "reference",
      input: cf.spec([1, 4, 3]),
    }),
  },
  {
    name: "session",
    object: cf.streams(recurrent, recurrentVariables, {
      capacity: 2,
      device: "reference",
      input: cf.spec([1, 4, 3]),
    }).join(),
  },
  {
    name: "createTrainer",
    object: cf.createTrainer(step, { loss: "mse", optimizer: "sgd", device: "reference" }),
  },
];

function graph(): cf.Layer {
  const x = cf.input([3]);
  return cf.model({ inputs: x, outputs: cf.call(cf.dense(units), x) });
}

/** Methods that only the library calls, with what it made itself. */
const unwalked = ["walk"];

/** The methods of an object as functions of their arguments. */
export function methodsOf({ name, object }: Made): Subject[] {
  return Object.entries(object).flatMap(([key, value]) =>
    typeof value === "function" && !unwalked.includes(key)
      ? [{
        name: `${name}.${key}`,
        call: (...args: never[]) => Reflect.apply(value, object, args),
        arity: Math.min(Math.max(value.length, 1), 4),
      }]
      : []
  );
}

const data = { x: cf.tensor([[1, 2, 3], [4, 5, 6]]), y: cf.tensor([[1, 2], [3, 4]]) };
const variables = cf.init(step, cf.key(0), data.x);
const common = { loss: "mse", device: "reference" } as const;

/** The functions that train, with all their options. */
const runs: Readonly<
  Record<string, { readonly run: (options: Options) => unknown; readonly options: readonly string[] }>
> = {
  fit: {
    run: (options) =>
      cf.fit(
        step,
        variables,
        data,
        { ...common, optimizer: "sgd", report: "none", ...options } as cf.FitOptions,
      ),
    options: [
      "loss",
      "lossWeights",
      "metrics",
      "weightedMetrics",
      "optimizer",
      "device",
      "batchSize",
      "epochs",
      "initialEpoch",
      "shuffle",
      "key",
      "validation",
      "optimizerState",
      "resume",
      "callbacks",
      "signal",
      "report",
    ],
  },
  evaluate: {
    run: (options) => cf.evaluate(step, variables, data, { ...common, ...options } as cf.EvaluateOptions),
    options: ["loss", "lossWeights", "metrics", "weightedMetrics", "device", "batchSize"],
  },
  predict: {
    run: (options) =>
      cf.predict(step, variables, data.x, { device: "reference", ...options } as cf.PredictOptions),
    options: ["device", "batchSize"],
  },
  compile: {
    run: async (options) =>
      await (await cf.compile(
        (x: cf.Tensor) => cf.tanh(x),
        { device: "reference", ...options } as cf.CompileOptions,
      ))(
        data.x,
      ),
    options: ["device", "donate", "keep", "specs"],
  },
  scan: {
    run: (options) =>
      cf.scan(
        (state: cf.Tensor, input: cf.Tensor) => [state, cf.add(state, input)],
        cf.tensor([0]),
        cf.ones([1, 4]),
        {
          ...options,
        } as cf.ScanOptions,
      ),
    options: [
      "reverse",
      "mask",
      "lengths",
      "resets",
      "resetState",
      "maskedOutput",
      "checkpointEvery",
      "length",
    ],
  },
  streaming: {
    run: (options) => cf.streaming(recurrent, recurrentVariables, options as internal.StreamingOptions),
    options: ["batch", "input", "device"],
  },
  streams: {
    run: (options) =>
      cf.streams(recurrent, recurrentVariables, { capacity: 2, ...options } as internal.StreamsOptions),
    options: ["capacity", "input", "device"],
  },
  padSequences: {
    run: (options) => cf.padSequences([[1, 2], [3]], options as internal.PadOptions),
    options: ["length", "padding", "truncating", "value", "dtype"],
  },
  batches: {
    run: (options) => cf.batches(data, { batchSize: 1, ...options }),
    options: ["batchSize", "order", "first", "dropRemainder", "reuse"],
  },
  input: { run: (options) => cf.input([3], options), options: ["name", "dtype"] },
};

/** A subject for each option of the functions that train. */
export const runOptions: readonly Subject[] = Object.entries(runs).flatMap(([name, { run, options }]) =>
  options.map((option) => ({
    name: `the option ${option} of ${name}`,
    call: (value: never) => run({ [option]: value }),
    arity: 1,
  }))
);

/** A subject for each option, of which the argument is the value. */
export function optionsOf({ name, object, remake }: Made): Subject[] {
  if (!remake) return [];
  const { options = {} } = object as { readonly options?: Options }; // of whatever is made
  return ["name", ...Object.keys(options)].map((option) => ({
    name: `the option ${option} of ${name}`,
    call: (value: never) => remake({ [option]: value }),
    arity: 1,
  }));
}
