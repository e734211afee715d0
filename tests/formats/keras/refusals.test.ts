/** What Keras has no place for is refused when it is written, naming it. */
import { assert, assertStringIncludes } from "@std/assert";
import { saveKerasWeights, toKeras } from "../../../formats/keras/mod.ts";
import type { RecurrentCell } from "../../../src/cells/cell.ts";
import {
  activation,
  bidirectional,
  dense,
  embedding,
  globalAveragePooling1d,
  globalMaxPooling1d,
  gru,
  type Layer,
  layerNormLstm,
  lstm,
  masking,
  merge,
  rnn,
  spatialDropout1d,
  timeDistributed,
} from "../../../src/layers/mod.ts";
import { defineLayer } from "../../../src/layers/define.ts";
import { apply, call, init, input, model, sequential } from "../../../src/models/mod.ts";
import { add, mul } from "../../../src/operations/elementwise.ts";
import { key } from "../../../src/operations/random.ts";
import { zeros } from "../../../src/operations/creation.ts";
import { type Spec, spec, type Tensor } from "../../../src/tensor/tensor.ts";
import type { Tree } from "../../../src/tree/tree.ts";
import { errorOf } from "./support.ts";

const leakyCell: RecurrentCell = {
  type: "leakyCell",
  options: {},
  initParams: () => [],
  initState: (_, x) => zeros((x as Spec).shape),
  step: () => (h, x) => [h, add(h as Tensor, x as Tensor)],
};

async function refused(layer: Layer, x: Tree<Spec>, ...words: string[]): Promise<void> {
  const variables = init(layer, key(0), x);
  const options = layer.type === "model" ? {} : { input: x };
  const error = await errorOf(toKeras(layer, variables, options));
  assert(error instanceof TypeError || error instanceof RangeError, `${error.name}: ${error.message}`);
  for (const word of words) assertStringIncludes(error.message, word);
}

const sequence = spec([null, null, 3]);
const flat = spec([null, 3]);

Deno.test("cells and layers of one's own cannot be written, with or without configuration", async () => {
  await refused(
    rnn(leakyCell, { name: "own" }),
    sequence,
    "leakyCell",
    "rnn own",
    "code is not part of its files",
  );
  await refused(
    sequential([layerNormLstm({ units: 2 })]),
    sequence,
    "layerNormLstm",
    "no such layer",
    "LSTM",
  );
  const own = defineLayer({
    type: "scale",
    options: {},
    initParams: () => ({ by: zeros([1]) as never }),
    apply: (_, x) => ({ output: x, state: [] }),
  });
  await refused(own, flat, "the layer scale", "no such layer");
  const variables = init(rnn(leakyCell), key(0), sequence);
  assertStringIncludes((await errorOf(saveKerasWeights(rnn(leakyCell), variables))).message, "leakyCell");
});

Deno.test("a model itself has no activity regularizer in Keras, and no function is written", async () => {
  const inner = dense({ units: 2 });
  const words = ["sequential", "activityRegularization(...)"];
  const own = spatialDropout1d({ rate: 0.5, activityRegularizer: "l2" });
  await refused(own, sequence, "the option activityRegularizer of spatialDropout1d", "Keras does not have");
  await refused(sequential([inner], { activityRegularizer: "l2" }), flat, ...words);
  await refused(sequential([sequential([inner], { activityRegularizer: "l2" })]), flat, ...words);
  await refused(
    dense({ units: 2, kernelRegularizer: (w) => mul(w, 0) }),
    flat,
    "kernelRegularizer is a function",
  );
});

Deno.test("options that are functions cannot be written", async () => {
  await refused(
    dense({ units: 2, activation: (x) => mul(x, 2), name: "mine" }),
    flat,
    "dense mine",
    "activation",
  );
  await refused(bidirectional(gru({ units: 2 }), { mergeMode: (a) => a }), sequence, "mergeMode", "function");
  await refused(activation((x) => mul(x, 2)), flat, "activation");
});

Deno.test("an option of ours that Keras does not have cannot be written, unless it asks for nothing", async () => {
  const layer = lstm({ units: 2, name: "memory" });
  const later = lstm({ units: 2, clip: 3, name: "memory" });
  await refused(later, sequence, "the option clip of lstm memory is 3");
  await toKeras(lstm({ units: 2, checkpointEvery: 4 }), init(layer, key(0), sequence), { input: sequence });
});

Deno.test("variables that Keras has no place for are not lost in silence", async () => {
  const layer = dense({ units: 2 });
  const variables = init(layer, key(0), flat);
  const more = { ...variables, params: { ...variables.params as Record<string, Tensor>, extra: zeros([1]) } };
  assertStringIncludes((await errorOf(saveKerasWeights(layer, more))).message, "params.0.extra");
});

Deno.test("a sequential model needs its input, and a graph has its own", async () => {
  const layer = sequential([dense({ units: 2 })]);
  const variables = init(layer, key(0), flat);
  assertStringIncludes((await errorOf(toKeras(layer, variables))).message, "give the spec of its one input");
  const x = input([3]);
  const graph = model({ inputs: x, outputs: call(dense({ units: 2 }), x) });
  const error = await errorOf(toKeras(graph, init(graph, key(0), flat), { input: flat }));
  assertStringIncludes(error.message, "leave the option input out");
  assertStringIncludes(
    (await errorOf(toKeras(layer, variables, { input: flat, name: "a/b" }))).message,
    '"a/b"',
  );
});

Deno.test("pooling that counts masked steps otherwise than Keras cannot be written", async () => {
  const tokens = spec([null, null], "int32");
  const masked = () => embedding({ inputDim: 5, outputDim: 2, maskZero: true });
  await refused(sequential([masked(), globalMaxPooling1d()]), tokens, "countsMasked: true");
  const ids = input([null], { dtype: "int32" });
  const outputs = call(globalAveragePooling1d({ countsMasked: true }), call(masked(), ids));
  await refused(model({ inputs: ids, outputs }), tokens, "countsMasked: false");
  const unmasked = sequential([embedding({ inputDim: 5, outputDim: 2 }), globalMaxPooling1d()]);
  await toKeras(unmasked, init(unmasked, key(0), tokens), { input: tokens }); // nothing to count otherwise
});

Deno.test("functions and calls that Keras would compute otherwise cannot be written", async () => {
  const x = input([3], { name: "x" });
  const ours = function twice(x: Tensor) {
    return mul(x, 2);
  };
  await refused(
    model({ inputs: x, outputs: apply(ours, x) }),
    flat,
    "the function twice",
    "code is not part",
  );
  const words = input([null], { dtype: "int32" });
  const state = input([4]);
  const masked = call(embedding({ inputDim: 5, outputDim: 2, maskZero: true }), words);
  const decoded = call(gru({ units: 4 }), masked, { initialState: state });
  const decoder = model({ inputs: [words, state], outputs: decoded });
  await refused(
    decoder,
    [spec([null, null], "int32"), spec([null, 4])],
    "a call of gru",
    "an initial state and an input with a mask",
    "Keras drops",
  );
});

Deno.test("a merging layer says what it cannot take", async () => {
  const pair = [input([3]), input([2])];
  await refusedSoon(() => merge({ method: "join" as "add" }), "join");
  await refusedSoon(() => merge({ method: "add", axis: 1 }), "axis is 1");
  await refusedSoon(() => call(merge({ method: "subtract" }), [...pair, pair[0]]), "a list of two tensors");
  await refusedSoon(() => call(merge({ method: "add" }), pair[0]), "a list of two or more");
  await refusedSoon(() => call(merge({ method: "concatenate", axis: 0 }), [pair[0], pair[0]]), "the batch");
});

async function refusedSoon(run: () => unknown, word: string): Promise<void> {
  const error = await errorOf((async () => await run())());
  assertStringIncludes(error.message, word);
}

Deno.test("a sequential model whose masks Keras would reorder or drop is refused, where they matter", async () => {
  const backwards = gru({ units: 2, goBackwards: true, returnSequences: true });
  const refusal = "in the order of the input";
  await refused(sequential([masking(), backwards, lstm({ units: 2 })]), sequence, "gru", refusal);
  await refused(
    sequential([masking(), backwards, sequential([lstm({ units: 2 })])]),
    sequence,
    "gru",
    refusal,
  );
  const words = timeDistributed(embedding({ inputDim: 9, outputDim: 2, maskZero: true }));
  const sentences = sequential([words, timeDistributed(gru({ units: 2 }))]);
  await refused(sentences, spec([null, null, 3], "int32"), "timeDistributed", "drops it");
  for (const model of [[backwards, lstm({ units: 2 })], [masking(), backwards, dense({ units: 2 })]]) {
    const whole = sequential(model);
    const input = sequence;
    assert((await toKeras(whole, init(whole, key(0), input), { input })).length > 0);
  }
});
