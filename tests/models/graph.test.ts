import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import {
  batchNormalization,
  dense,
  dropout,
  embedding,
  gru,
  lstm,
  masking,
  reshapeLayer,
  simpleRnn,
} from "../../src/layers/mod.ts";
import {
  apply,
  call,
  fromJson,
  getWeights,
  init,
  input,
  model,
  type Node,
  sequential,
  toJson,
} from "../../src/models/mod.ts";
import { add, mul, notEqual } from "../../src/operations/elementwise.ts";
import { key, normal } from "../../src/operations/random.ts";
import { concat, sliceAxis, sum } from "../../src/operations/structure.ts";
import { zeros } from "../../src/operations/creation.ts";
import { oneHot } from "../../src/operations/indexing.ts";
import { host, type Spec, spec, type Tensor, tensor, toNested } from "../../src/tensor/tensor.ts";
import { compile, grad } from "../../src/transforms/mod.ts";
import { outputSpecs } from "../../src/program/functions.ts";
import { mapTree, type Tree, treeLeaves } from "../../src/tree/tree.ts";
import { assertClose } from "../layers/helpers.ts";
import type { Layer } from "../../src/layers/mod.ts";

const context = { training: false };
const run = (layer: Layer, variables: Parameters<Layer["apply"]>[0], x: Tree<Tensor>) =>
  layer.apply(variables, x, context).output;
const nested = (tree: Tree<Tensor>) => mapTree(tree, (leaf: Tensor) => tensor([...host(leaf).data]));

/** An encoder whose state is where the decoder begins. */
function encoderDecoder() {
  const source = input([null], { name: "source", dtype: "int32" });
  const target = input(["targetTime"], { name: "target", dtype: "int32" });
  const encoder = lstm({ units: 4, returnState: true, name: "encoder" });
  const [, state] = call(encoder, call(embedding({ inputDim: 8, outputDim: 3, maskZero: true }), source));
  const decoded = call(
    lstm({ units: 4 }),
    call(embedding({ inputDim: 9, outputDim: 3, maskZero: true }), target),
    {
      initialState: state,
    },
  );
  return model({
    inputs: { source, target },
    outputs: call(dense({ units: 2 }), decoded),
    name: "translator",
  });
}

const specs = { source: spec([null, null], "int32"), target: spec([null, "targetTime"], "int32") };
const tokens = (values: number[][]) => tensor(values, { dtype: "int32" });

Deno.test("a graph model is the calls written out", () => {
  const layer = encoderDecoder();
  const variables = init(layer, key(0), specs);
  const x = { source: tokens([[1, 2, 3]]), target: tokens([[4, 5]]) };
  const params = variables.params as Tree<Tensor>[];
  const [table, encoder, targetTable, decoder, head] = layer.layers ?? [];
  const at = (inner: Layer, index: number, x: Tree<Tensor>, extras = {}) =>
    inner.apply({ params: params[index], state: [] }, x, { training: false, ...extras }).output;
  const [, state] = at(encoder, 1, at(table, 0, x.source)) as Tree<Tensor>[];
  const decoded = at(decoder, 3, at(targetTable, 2, x.target), { initialState: state });
  assertEquals(toNested(run(layer, variables, x) as Tensor), toNested(at(head, 4, decoded) as Tensor));
});

Deno.test("masks travel through a graph, also into a layer with an initial state", () => {
  const layer = encoderDecoder();
  const variables = init(layer, key(0), specs);
  const whole = run(layer, variables, { source: tokens([[1, 2]]), target: tokens([[4, 5]]) });
  const padded = run(layer, variables, { source: tokens([[1, 2, 0]]), target: tokens([[4, 5, 0, 0]]) });
  assertEquals(toNested(padded as Tensor), toNested(whole as Tensor));
});

Deno.test("a mask given to a call takes the place of the one that travels", () => {
  const x = input([3, 2]);
  const step = (value: Tensor) => notEqual(sum(value, { axes: -1 }), 0);
  const layer = model({ inputs: x, outputs: call(lstm({ units: 2 }), x, { mask: apply(step, x) }) });
  const masked = sequential([masking(), lstm({ units: 2 })]);
  const value = tensor([[[1, 2], [0, 0], [3, 1]]]);
  const { params } = init(layer, key(0), value);
  const [weights] = params as Tree<Tensor>[];
  assertEquals(
    toNested(run(layer, { params, state: [[]] }, value) as Tensor),
    toNested(run(masked, { params: [[], weights], state: [[], []] }, value) as Tensor),
  );
});

Deno.test("a layer called twice shares its params, and its state goes from call to call", () => {
  const [left, right] = [input([3], { name: "left" }), input([3], { name: "right" })];
  const shared = dense({ units: 2 });
  const norm = batchNormalization({ momentum: 0 });
  const outputs = apply(add, call(norm, call(shared, left)), call(norm, call(shared, right)));
  const layer = model({ inputs: [left, right], outputs });
  assertEquals(layer.layers?.map(({ type }) => type), ["dense", "batchNormalization"]);
  const [a, b] = [normal(key(1), [4, 3]), normal(key(2), [4, 3])];
  const variables = init(layer, key(0), [a, b]);
  const { state } = layer.apply(variables, [a, b], { training: true });
  const [weights] = variables.params as Tree<Tensor>[];
  const y = shared.apply({ params: weights, state: [] }, b, context).output as Tensor;
  const means = host((state as { movingMean: Tensor }[])[1].movingMean).data;
  const expected = host(mul(sum(y, { axes: 0 }), 1 / 4)).data;
  means.forEach((value, index) => assertAlmostEquals(value, expected[index], 1e-6));
});

Deno.test("inputs and outputs are lists or named, and outputs have masks", () => {
  const video = input([null, 3], { name: "video" });
  const sequence = call(lstm({ units: 2, returnSequences: true }), call(masking(), video));
  const layer = model({
    inputs: { video },
    outputs: { sequence, last: [call(dense({ units: 1 }), sequence)] },
  });
  const x = { video: tensor([[[1, 2, 3], [0, 0, 0]]]) };
  const { output, mask } = layer.apply(init(layer, key(0), x), x, context);
  const shapes = mapTree(output, (leaf: Spec) => tensor([...leaf.shape] as number[]));
  assertEquals(
    nested(shapes),
    nested({ sequence: tensor([1, 2, 2]), last: [tensor([1, 2, 1])] }),
  );
  assertEquals(toNested((mask as { sequence: Tensor }).sequence), [[1, 0]]);
});

Deno.test("a graph model compiles, differentiates and nests", async () => {
  const x = input([4]);
  const inner = model({ inputs: x, outputs: call(dense({ units: 3, activation: "tanh" }), x) });
  const y = input([4]);
  const layer = model({
    inputs: y,
    outputs: apply((a, b) => concat([a, b]), call(inner, y), call(dropout({ rate: 0.5 }), y)),
  });
  const value = normal(key(1), [2, 4]);
  const { params, state } = init(layer, key(0), value);
  const loss = (params: Tree<Tensor>) => sum(layer.apply({ params, state }, value, context).output as Tensor);
  assertEquals(getWeights({ params: grad(loss)(params), state: [] }).map(({ path }) => path), [
    "params.0.0.bias",
    "params.0.0.kernel",
  ]);
  const compiled = compile((x: Tensor) => layer.apply({ params, state }, x, context).output as Tensor);
  // Eager calls run on the reference backend, compiled ones on one that rounds differently.
  assertClose(await compiled(value), run(layer, { params, state }, value), 1e-6);
  const traced = outputSpecs(
    (x: Tensor) => run(layer, { params, state }, x) as Tensor,
    spec([null, 4]) as Tensor,
  );
  assertEquals(String(traced.shape), "batch,7");
});

Deno.test("graphs that are not connected are refused by name", () => {
  const [a, b] = [input([2], { name: "audio" }), input([2], { name: "text" })];
  const joined = apply(add, a, b);
  assertThrows(() => model({ inputs: [a], outputs: joined }), RangeError, "depends on the input text");
  assertThrows(
    () => model({ inputs: [a, b], outputs: call(dense({ units: 1 }), a) }),
    RangeError,
    "no output depends on the input text",
  );
  assertThrows(() => model({ inputs: [a, a], outputs: a }), RangeError, "audio is among its inputs twice");
  assertThrows(() => model({ inputs: joined, outputs: joined }), TypeError, "made by input");
  assertThrows(
    () => call(dense({ units: 1 }), zeros([1, 2]) as unknown as Node),
    TypeError,
    "expected a node",
  );
});

Deno.test("a call that cannot be is refused when it is written", () => {
  const x = input([5]);
  const tree = () => {
    // @ts-expect-error: a layer of one tensor gives one node
    const [output] = call(dense({ units: 1 }), x);
    return output;
  };
  assertThrows(tree, TypeError, "Cannot take apart a single node");
  assertThrows(() => call(lstm({ units: 1 }), x), TypeError, "[batch, 5]");
  assertThrows(() => apply(add, x, input([4])), TypeError, "do not broadcast");
});

Deno.test("what a model is given must fit its inputs", () => {
  const layer = encoderDecoder();
  const variables = init(layer, key(0), specs);
  const wrong = { source: tensor([[1]]), target: tokens([[1]]) };
  assertThrows(
    () => run(layer, variables, wrong),
    TypeError,
    "float32[1, 1] for source: expected int32[batch, time]",
  );
  assertThrows(() => run(layer, variables, [tokens([[1]])]), TypeError, "the inputs of model translator");
  assertThrows(
    () => layer.checkInput?.({ source: tokens([[1]]), target: tokens([[9]]) }),
    RangeError,
    "the token 9",
  );
});

Deno.test("a graph saved and read computes the same; its functions are handed in", () => {
  const layer = encoderDecoder();
  const saved = JSON.stringify(toJson(layer));
  const read = fromJson(JSON.parse(saved));
  assertEquals(JSON.stringify(toJson(read)), saved);
  const variables = init(layer, key(0), specs);
  const x = { source: tokens([[1, 2]]), target: tokens([[4]]) };
  assertEquals(toNested(run(read, variables, x) as Tensor), toNested(run(layer, variables, x) as Tensor));

  const [a, b] = [input([2]), input([2])];
  const joined = JSON.parse(JSON.stringify(toJson(model({ inputs: [a, b], outputs: apply(add, a, b) }))));
  assertThrows(() => fromJson(joined), RangeError, "{ functions: { add } }");
  const again = fromJson(joined, { functions: { add } });
  assertEquals(
    toNested(run(again, { params: [], state: [] }, [tensor([[1, 2]]), tensor([[3, 4]])]) as Tensor),
    [[4, 6]],
  );
  assertThrows(
    () => toJson(model({ inputs: a, outputs: apply((x) => add(x, 1), a) })),
    TypeError,
    "Cannot save model",
  );
});

Deno.test("stateful layers inside a graph are found, and drawing layers draw apart", () => {
  const x = input([null, 2]);
  const layer = model({ inputs: x, outputs: call(lstm({ units: 2 }), x) });
  const stateful = layer.withStateful?.();
  assert(stateful);
  const fixed = spec([3, null, 2]);
  assertEquals(
    getWeights(init(stateful, key(0), fixed)).filter(({ path }) => path.includes("carry")).length,
    2,
  );
  const drop = dropout({ rate: 0.5 });
  const y = input([64]);
  const twice = model({ inputs: y, outputs: [call(drop, y), call(drop, y)] });
  const ones = tensor(new Float32Array(64).fill(1), { shape: [1, 64] });
  const [first, second] = twice.apply(init(twice, key(0), ones), ones, { training: true, key: key(1) })
    .output;
  assert(String(host(first).data) !== String(host(second).data));
});

Deno.test("a stateful layer called twice in a graph goes on from its first call, without its gradient", () => {
  const layer = simpleRnn({ units: 3, stateful: true });
  const [a, b] = [input(spec([2, null, 4])), input(spec([2, null, 4]))];
  const both = model({ inputs: [a, b], outputs: [call(layer, a), call(layer, b)] });
  const data = [normal(key(1), [2, 3, 4]), normal(key(2), [2, 2, 4])];
  const specs = data.map(({ shape }) => spec(shape));
  const variables = init(both, key(3), specs);
  const gradient = grad((params: typeof variables.params) => {
    const [first, second] = treeLeaves<Tensor>(both.apply({ ...variables, params }, data, context).output);
    return add(sum(first), sum(mul(second, second)));
  })(variables.params);

  // The same by two calls, the second of which starts from values.
  const alone = init(layer, key(0), specs[0]);
  const [params] = variables.params as readonly (typeof alone.params)[]; // the graph has one layer
  const one = layer.apply({ params, state: alone.state }, data[0], context);
  const byHand = grad((params: typeof alone.params) => {
    const first = layer.apply({ params, state: alone.state }, data[0], context).output as Tensor;
    const second = layer.apply({ params, state: one.state }, data[1], context).output as Tensor;
    return add(sum(first), sum(mul(second, second)));
  })(params);
  const [got, expected] = [gradient, byHand].map((tree) => treeLeaves<Tensor>(tree));
  assertEquals(got.length, 3);
  got.forEach((leaf, at) => assertClose(leaf, expected[at]));
});

Deno.test("tokens are checked behind layers and functions that only rearrange them", () => {
  const ids = input([4], { name: "ids", dtype: "int32" });
  const embed = () => embedding({ inputDim: 3, outputDim: 2 });
  const reshaped = model({
    inputs: ids,
    outputs: call(embed(), call(reshapeLayer({ targetShape: [2, 2] }), ids)),
  });
  const firstHalf = (x: Tensor) => sliceAxis(x, 1, 0, 2);
  const sliced = model({ inputs: ids, outputs: call(embed(), apply(firstHalf, ids)) });
  const check = (layer: Layer, values: number[][]) => layer.checkInput?.(tensor(values, { dtype: "int32" }));
  check(reshaped, [[0, 1, 2, 0]]);
  assertThrows(() => check(reshaped, [[0, 1, 3, 0]]), RangeError, "token 3 at [0, 1, 0]");
  check(sliced, [[0, 1, 3, 0]]); // that half is not looked up
  assertThrows(() => check(sliced, [[0, 3, 1, 0]]), RangeError, "token 3 at [0, 1]");
  const halved = sequential([model({ inputs: ids, outputs: apply(firstHalf, ids) }), embed()]);
  check(halved, [[0, 1, 3, 0]]);
  assertThrows(() => check(halved, [[0, 3, 1, 0]]), RangeError, "token 3 at [0, 1]");
});

Deno.test("values are looked at only where a layer checks them", () => {
  const x = input([null, 2]), ids = input([null], { dtype: "int32" });
  const embedded = call(embedding({ inputDim: 3, outputDim: 2 }), ids);
  const behind = call(gru({ units: 2 }), apply((x) => mul(x, 2), x));
  const models = {
    list: sequential([gru({ units: 2 })]),
    nested: sequential([sequential([dense({ units: 2 })]), gru({ units: 2 })]),
    graph: model({ inputs: x, outputs: behind }),
    features: model({ inputs: x, outputs: apply((x) => mul(x, 2), x) }),
    oneHot: model({ inputs: ids, outputs: call(gru({ units: 2 }), apply((ids) => oneHot(ids, 3), ids)) }),
    tokens: sequential([embedding({ inputDim: 3, outputDim: 2 }), gru({ units: 2 })]),
    both: model({ inputs: { x, ids }, outputs: [behind, embedded] }),
  };
  const looking = Object.entries(models).filter(([, { checkInput }]) => checkInput).map(([name]) => name);
  assertEquals(looking, ["tokens", "both"]);
});

Deno.test("inputs may be named x and y, as data for fit is", () => {
  const pair = (x: Tensor, y: Tensor) => concat([x, y]);
  const [x, y] = [input([3]), input([2])];
  const layer = model({ inputs: { x, y }, outputs: call(dense({ units: 1 }), apply(pair, x, y)) });
  const variables = init(layer, key(0), { x: zeros([4, 3]), y: zeros([4, 2]) });
  assertEquals(getWeights(variables).map(({ tensor }) => tensor.shape.join()), ["1", "5,1"]);
});
