import { assertEquals, assertThrows } from "@std/assert";
import type { RecurrentCell } from "../../src/cells/cell.ts";
import { lstmCell, stackedCells } from "../../src/cells/mod.ts";
import * as cf from "@cellfold/cellfold";
import {
  activation,
  batchNormalization,
  bidirectional,
  convLstm2d,
  dense,
  dropout,
  embedding,
  flatten,
  gru,
  type Layer,
  layerNormalization,
  lstm,
  masking,
  reshapeLayer,
  rnn,
  simpleRnn,
  timeDistributed,
} from "../../src/layers/mod.ts";
import type { Json } from "../../src/options/json.ts";
import { fromJson, getWeights, init, sequential, setWeights, toJson } from "../../src/models/mod.ts";
import { relu } from "../../src/operations/activations.ts";
import { add, tanh } from "../../src/operations/elementwise.ts";
import { key } from "../../src/operations/random.ts";
import { zeros } from "../../src/operations/creation.ts";
import { spec, type Tensor, tensor, toNested } from "../../src/tensor/tensor.ts";

/** Through text, as a file would hold it. */
const saved = (layer: Layer) => JSON.parse(JSON.stringify(toJson(layer)));

Deno.test("every layer is read back with its options", () => {
  const layers: Layer[] = [
    activation("gelu"),
    activation(relu),
    batchNormalization({ axis: 1, momentum: 0.9, scale: false, trainable: false }),
    bidirectional(lstm({ units: 2 }), { mergeMode: "sum" }),
    convLstm2d({ filters: 2, kernelSize: 3 }),
    dense({
      units: 3,
      activation: "tanh",
      useBias: false,
      kernelInitializer: { name: "constant", value: 2 },
      name: "d",
    }),
    dropout({ rate: 0.1, noiseShape: [null, 1] }),
    embedding({ inputDim: 3, outputDim: 2, maskZero: true }),
    flatten(),
    gru({ units: 2, resetAfter: false }),
    layerNormalization({ axis: [1, 2] }),
    lstm({ units: 2, returnState: true }),
    masking({ maskValue: -1 }),
    reshapeLayer({ targetShape: [2, -1] }),
    rnn(stackedCells([lstmCell({ units: 2 }), lstmCell({ units: 3 })])),
    simpleRnn({ units: 2, goBackwards: true }),
    timeDistributed(dense({ units: 2 })),
    cf.zeroPadding2d({ padding: [[1, 2], 3] }),
    cf.cropping1d({ cropping: [0, 2] }),
    cf.upSampling3d({ size: [1, 2, 3] }),
    cf.maxPooling1d({ poolSize: 3, strides: 1, padding: "same" }),
    cf.averagePooling2d(),
    cf.globalMaxPooling1d({ countsMasked: true, keepdims: true }),
    cf.globalAveragePooling3d(),
    cf.reluLayer({ maxValue: 2, negativeSlope: 0.5, threshold: 1 }),
    cf.leakyReluLayer({ negativeSlope: 0.1 }),
    cf.eluLayer({ alpha: 2 }),
    cf.prelu({ sharedAxes: [1], alphaInitializer: "ones" }),
    cf.softmaxLayer({ axis: [1, 2] }),
    cf.unitNormalization({ axis: [1, 2] }),
    cf.spatialDropout1d({ rate: 0.2 }),
    cf.gaussianNoise({ stddev: 0.2 }),
    cf.dot({ axes: [1, 2], normalize: true }),
    cf.permute({ dims: [2, 1] }),
    cf.repeatVector({ n: 2 }),
  ];
  const nested = sequential([
    ...layers,
    sequential([dense({ units: 1 })], { name: "inner", trainable: false }),
  ]);
  assertEquals(saved(fromJson(saved(nested))), saved(nested));
});

const leakyCell = (options: { readonly leak: number }): RecurrentCell => ({
  type: "leakyCell",
  options,
  initParams: () => [],
  initState: (_, input) => zeros((input as Tensor).shape),
  step: () => (state, input) => {
    const next = tanh(add(state as Tensor, input as Tensor));
    return [next, next];
  },
});

Deno.test("cells and layers of one's own are handed in at load; without them the error says what to pass", () => {
  const layer = sequential([rnn(leakyCell({ leak: 0.5 }))]);
  const json = saved(layer);
  assertThrows(() => fromJson(json), RangeError, "{ cells: { leakyCell: (options) => … } }");
  const read = fromJson(json, { cells: { leakyCell: (options) => leakyCell(options as { leak: number }) } });
  assertEquals(saved(read), json);
  const own = { type: "scale", options: { by: 2 } };
  assertThrows(() => fromJson(own), RangeError, "{ layers: { scale: (options) => … } }");
  const made = fromJson(own, { layers: { scale: ({ by }) => activation((x) => add(x, Number(by))) } });
  assertEquals(made.type, "activation");
});

Deno.test("functions are refused when a layer is saved, naming layer and option", () => {
  const own = dense({ units: 2, activation: (x) => x, name: "mine" });
  assertThrows(() => toJson(sequential([own])), TypeError, "Cannot save dense mine: its option activation");
  const weights = dense({
    units: 2,
    kernelInitializer: (_, shape) => tensor([[1, 2]], { shape: [...shape] }),
  });
  assertThrows(() => toJson(weights), TypeError, "kernelInitializer");
});

Deno.test("what is no saved layer is refused", () => {
  assertThrows(() => fromJson([]), TypeError, "expected an object");
  assertThrows(() => fromJson({ options: {} }), TypeError, "its type is undefined");
  assertThrows(() => fromJson({ type: "dens", options: {} }), RangeError, 'did you mean "dense"?');
  assertThrows(() => fromJson({ type: "dense", options: { unit: 1 } }), RangeError, 'did you mean "units"?');
  assertThrows(
    () => fromJson({ type: "sequential", options: { layers: 3 } }),
    TypeError,
    "expected an array",
  );
});

Deno.test("weights go out and in by path or in order", () => {
  const layer = sequential([dense({ units: 2 }), batchNormalization()]);
  const variables = init(layer, key(0), spec([null, 3]));
  const other = init(layer, key(1), spec([null, 3]));
  assertEquals(setWeights(variables, getWeights(other)), other);
  assertEquals(setWeights(variables, getWeights(other).map(({ tensor }) => tensor)), other);
  const bias = tensor([1, 2]);
  const changed = setWeights(variables, { "params.0.bias": bias });
  assertEquals(getWeights(changed).map(({ tensor }) => toNested(tensor)).slice(0, 1), [[1, 2]]);
  assertEquals(getWeights(changed).slice(1), getWeights(variables).slice(1));
});

Deno.test("weights that do not fit are refused by path", () => {
  const variables = init(sequential([dense({ units: 2 })]), key(0), spec([null, 3]));
  assertThrows(
    () => setWeights(variables, { "params.0.bais": zeros([2]) }),
    RangeError,
    'did you mean "params.0.bias"?',
  );
  assertThrows(
    () => setWeights(variables, { "params.0.kernel": zeros([2, 3]) }),
    TypeError,
    "Cannot set the weight params.0.kernel: current value is float32[2, 3], expected float32[3, 2]",
  );
  assertThrows(() => setWeights(variables, [zeros([2])]), RangeError, "1 are given, expected 2");
});

Deno.test("fromJson: layers in layers in layers are refused before the stack is full", () => {
  const nested = (depth: number): Json => {
    let json: Json = toJson(dense({ units: 1 }));
    for (let level = 0; level < depth; level++) json = { type: "sequential", options: { layers: [json] } };
    return json;
  };
  assertEquals(fromJson(nested(99)).type, "sequential");
  for (const depth of [100, 5000, 200_000]) {
    assertThrows(() => fromJson(nested(depth)), RangeError, "nested more than 100 levels deep");
  }
  assertThrows(() => fromJson({ type: "rnn", options: { cell: nested(5000) } }), RangeError, "is unknown");
});
