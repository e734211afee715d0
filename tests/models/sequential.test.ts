import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  batchNormalization,
  bidirectional,
  dense,
  dropout,
  embedding,
  flatten,
  type Layer,
  lstm,
  masking,
  reshapeLayer,
  timeDistributed,
} from "../../src/layers/mod.ts";
import { getWeights, init, sequential } from "../../src/models/mod.ts";
import { logitsOf } from "../../src/operations/logits.ts";
import { key, normal } from "../../src/operations/random.ts";
import { zeros } from "../../src/operations/creation.ts";
import { host, spec, type Tensor, tensor, toNested } from "../../src/tensor/tensor.ts";
import { grad } from "../../src/transforms/mod.ts";
import { outputSpecs } from "../../src/program/functions.ts";
import { sum } from "../../src/operations/structure.ts";
import { evaluate, fit, predict } from "../../src/training/mod.ts";
import { streaming } from "../../src/layers/mod.ts";
import { assertClose } from "../layers/helpers.ts";
import type { Tree } from "../../src/tree/tree.ts";

const context = { training: false };

Deno.test("params and state are arrays with an entry per layer", () => {
  const layer = sequential([
    lstm({ units: 3 }),
    batchNormalization(),
    dropout({ rate: 0.5 }),
    dense({ units: 2 }),
  ]);
  const variables = init(layer, key(0), spec([null, null, 4]));
  assertEquals(getWeights(variables).map(({ path, tensor }) => `${path} [${tensor.shape}]`), [
    "params.0.bias [12]",
    "params.0.kernel [4,12]",
    "params.0.recurrentKernel [3,12]",
    "params.1.beta [3]",
    "params.1.gamma [3]",
    "params.3.bias [2]",
    "params.3.kernel [3,2]",
    "state.1.movingMean [3]",
    "state.1.movingVariance [3]",
  ]);
});

Deno.test("a sequential model is the layers one after another", () => {
  const [first, second] = [dense({ units: 3, activation: "tanh" }), dense({ units: 2 })];
  const layer = sequential([first, sequential([second])]);
  const x = normal(key(1), [4, 5]);
  const { params, state } = init(layer, key(0), x);
  const [a, [b]] = params as [Tree<Tensor>, [Tree<Tensor>]];
  const between = first.apply({ params: a, state: [] }, x, context).output;
  const expected = second.apply({ params: b, state: [] }, between, context).output;
  const { output } = layer.apply({ params, state }, x, context);
  assertEquals(toNested(output), toNested(expected));
});

Deno.test("a mask reaches the layer that reads it, through those that pass it on", () => {
  const layer = sequential([masking(), dense({ units: 2 }), lstm({ units: 3 })]);
  const whole = normal(key(1), [1, 3, 2]);
  const variables = init(layer, key(0), whole);
  const padded = tensor([...host(whole).data, 0, 0], { shape: [1, 4, 2] });
  const run = (x: Tensor) => toNested(layer.apply(variables, x, context).output);
  assertEquals(run(padded), run(whole));
  const tail = sequential([masking(), lstm({ units: 3, returnSequences: true })]);
  const { mask } = tail.apply(init(tail, key(0), padded), padded, context);
  assertEquals(toNested(mask as Tensor), [[1, 1, 1, 0]]);
  const dropped = sequential([masking(), flatten()]);
  assertEquals(dropped.apply(init(dropped, key(0), padded), padded, context).mask, undefined);
});

Deno.test("a container that is not trainable freezes everything inside, statistics too", () => {
  const inner = sequential([dense({ units: 2 }), sequential([batchNormalization()])], { trainable: false });
  const layer = sequential([inner, dense({ units: 1 })]);
  const x = normal(key(1), [4, 3]);
  const variables = init(layer, key(0), x);
  assertEquals(layer.trainableLeaves(variables.params), [false, false, false, false, true, true]);
  const { state } = layer.apply(variables, x, { training: true });
  assertEquals(state, variables.state);
  const thawed = sequential([sequential(inner.layers ?? []), dense({ units: 1 })]);
  assert(
    String(getWeights({ params: [], state: thawed.apply(variables, x, { training: true }).state })[0]) !== "",
  );
});

Deno.test("each layer draws with a key of its own", () => {
  const layer = sequential([dropout({ rate: 0.5 }), dropout({ rate: 0.5 })]);
  const x = tensor(new Float32Array(64).fill(1), { shape: [1, 64] });
  const { output } = layer.apply(init(layer, key(0), x), x, { training: true, key: key(2) });
  assert(host(output).data.some((value) => value === 4));
  // With one key for both, what the first keeps the second would keep: no zero beside a value of 2.
  const kept = Array.from(host(output).data).filter((value) => value !== 0).length;
  assert(kept > 4 && kept < 30, `${kept} of 64 were kept by both`);
});

Deno.test("the last layer's tree is passed on as it is; a layer that cannot take it says so", () => {
  const layer = sequential([lstm({ units: 2, returnState: true })]);
  const x = zeros([1, 3, 2]);
  const { output } = layer.apply(init(layer, key(0), x), x, context);
  assert(Array.isArray(output) && output.length === 2);
  const wrong = sequential([lstm({ units: 2, returnState: true }), dense({ units: 1 })]);
  const error = assertThrows(() => init(wrong, key(0), x), TypeError);
  assertEquals(
    error.message,
    "Cannot use dense with a tree of 3 tensors: it takes one tensor, in dense of sequential",
  );
});

Deno.test("errors say in which layer, by its unique name", () => {
  const layer = sequential([dense({ units: 3 }), dense({ units: 4 })], { name: "head" });
  const variables = init(layer, key(0), spec([null, 2]));
  const other = init(sequential([dense({ units: 5 }), dense({ units: 4 })]), key(0), spec([null, 2]));
  const mixed = {
    ...variables,
    params: [(other.params as Tree<Tensor>[])[0], (variables.params as Tree<Tensor>[])[1]],
  };
  const error = assertThrows(() => layer.apply(mixed, zeros([1, 2]), context), TypeError);
  assertEquals(
    error.message,
    "Cannot use dense with an input of shape [1, 5]: its kernel has shape [3, 4], in dense_1 of sequential head",
  );
  assertThrows(
    () => layer.apply({ params: [], state: [] }, zeros([1, 2]), context),
    TypeError,
    "an array of 0, expected an array of 2",
  );
});

Deno.test("containers that cannot be are refused", () => {
  const shared = dense({ units: 1 });
  assertThrows(() => sequential([]), RangeError, "one or more layers");
  assertThrows(() => sequential([shared, shared]), RangeError, "are the same dense");
  const named = () => dense({ units: 1, name: "a" });
  assertThrows(() => sequential([named(), named()]), RangeError, 'named "a"');
  const layer = sequential([lstm({ units: 1 })]);
  const x = zeros([1, 2, 1]);
  const given = () =>
    layer.apply(init(layer, key(0), x), x, { training: false, initialState: zeros([1, 1]) });
  assertThrows(given, TypeError, "Cannot give sequential an initial state");
});

Deno.test("tokens are checked by the layer that they reach, through containers", () => {
  const layer = sequential([sequential([embedding({ inputDim: 3, outputDim: 2 })]), lstm({ units: 1 })]);
  assertThrows(() => layer.checkInput?.(tensor([[3]], { dtype: "int32" })), RangeError, "token 3 at [0, 0]");
});

Deno.test("logits stay known behind a container, and gradients reach every layer", () => {
  const layer = sequential([lstm({ units: 2 }), sequential([dense({ units: 2, activation: "softmax" })])]);
  const x = normal(key(1), [2, 3, 4]);
  const { params, state } = init(layer, key(0), x);
  const { output } = layer.apply({ params, state }, x, context);
  assert(logitsOf(output, "softmax") !== undefined);
  const loss = (params: Tree<Tensor>) => sum(layer.apply({ params, state }, x, context).output);
  assertEquals(getWeights({ params: grad(loss)(params), state }).length, 5);
});

Deno.test("a model with a stateful layer needs a fixed batch, and streams", async () => {
  const layer = sequential([lstm({ units: 2, returnSequences: true }), timeDistributed(dense({ units: 1 }))]);
  const stateful = layer.withStateful?.();
  assert(stateful);
  assertThrows(() => init(stateful, key(0), spec([null, null, 3])), RangeError, "fixed batch size");
  const x = normal(key(1), [1, 4, 3]);
  const variables = init(layer, key(0), x);
  using stream = streaming(layer, variables);
  // The stream may run on a backend that rounds differently from the eager call.
  assertClose(await stream.push(x), layer.apply(variables, x, context).output, 1e-6);
  const backwards = sequential([bidirectional(lstm({ units: 2 }))]);
  assertThrows(() => backwards.withStateful?.(), TypeError, "in chunks");
});

Deno.test("shapes stay open through a model", () => {
  const layer = sequential([
    embedding({ inputDim: 9, outputDim: 4, maskZero: true }),
    lstm({ units: 3 }),
    dense({ units: 2 }),
  ]);
  const tokens = spec([null, null], "int32");
  const { params, state } = init(layer, key(0), tokens);
  const output = outputSpecs(
    (x: Tensor) => layer.apply({ params, state }, x, context).output,
    tokens,
  );
  assertEquals(String(output.shape), "batch,2");
});

Deno.test("tokens are checked behind layers that only give their input another shape", async () => {
  const tokens = tensor([[0, 1, 2, 1], [1, 2, 3, 0]], { dtype: "int32" });
  const fine = tensor([[0, 1, 2, 1], [1, 2, 2, 0]], { dtype: "int32" });
  const embed = () => embedding({ inputDim: 3, outputDim: 2 });
  const models: Record<string, Layer> = {
    reshape: sequential([reshapeLayer({ targetShape: [2, -1] }), flatten(), embed(), flatten()]),
    nested: sequential([sequential([reshapeLayer({ targetShape: [2, 2] })]), embed(), flatten()]),
    steps: sequential([
      reshapeLayer({ targetShape: [2, 2, 1] }),
      timeDistributed(flatten()),
      embed(),
      flatten(),
    ]),
  };
  const places: Record<string, string> = {
    reshape: "[1, 2]",
    nested: "[1, 1, 0]",
    steps: "[1, 1, 0]",
  };
  for (const [name, model] of Object.entries(models)) {
    const variables = init(model, key(0), fine);
    const data = (x: Tensor) => ({ x, y: zeros([2, 8]) });
    const message = `token 3 at ${places[name]}`;
    await predict(model, variables, fine);
    await assertRejects(() => predict(model, variables, tokens), RangeError, message);
    await assertRejects(() => evaluate(model, variables, data(tokens), { loss: "mse" }), RangeError, message);
    await assertRejects(
      () => fit(model, variables, data(tokens), { loss: "mse", optimizer: "sgd", report: "none" }),
      RangeError,
      message,
    );
  }
});

Deno.test("data for fit where the input is expected is refused with the remedy", () => {
  const layer = sequential([dense({ units: 2 })]);
  assertThrows(
    () => init(layer, key(0), { x: zeros([4, 3]), y: zeros([4, 2]) }),
    TypeError,
    "init(model, key, train.x)",
  );
});
