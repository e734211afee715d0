import { assert, assertAlmostEquals, assertEquals, assertMatch, assertThrows } from "@std/assert";
import {
  activation,
  batchNormalization,
  dense,
  dropout,
  embedding,
  flatten,
  type Layer,
  layerNormalization,
  masking,
  reshapeLayer,
} from "../../src/layers/mod.ts";
import { initializerNames } from "../../src/options/initializers.ts";
import { init } from "../../src/models/init.ts";
import { logitsOf } from "../../src/operations/logits.ts";
import { key, normal } from "../../src/operations/random.ts";
import { zeros } from "../../src/operations/creation.ts";
import { type NestedNumbers } from "../../src/tensor/nested.ts";
import { host, type Spec, spec, type Tensor, tensor, toNested } from "../../src/tensor/tensor.ts";
import { compile } from "../../src/transforms/compile.ts";
import { outputSpecs } from "../../src/program/functions.ts";

const context = { training: false };
const nothing = { params: [], state: [] };
const one = (tree: unknown) => tree as Tensor; // these layers put out one tensor
const valuesOf = (tree: unknown): NestedNumbers => toNested(one(tree));
const float = (...shape: (number | null)[]) => spec(shape);

function shapeAfter(layer: Layer, input: Spec): string {
  const params = layer.initParams(key(0), input);
  const output = outputSpecs((x: Tensor) => {
    return layer.apply({ params, state: layer.initState(params, x) }, x, context).output;
  }, input);
  return String((output as Spec).shape);
}

Deno.test("every layer is traced with an open batch and time", () => {
  assertEquals(shapeAfter(dense({ units: 4 }), float(null, null, 3)), "batch,time,4");
  assertEquals(
    shapeAfter(embedding({ inputDim: 9, outputDim: 4 }), spec([null, null], "int32")),
    "batch,time,4",
  );
  assertEquals(shapeAfter(masking(), float(null, null, 3)), "batch,time,3");
  assertEquals(shapeAfter(batchNormalization(), float(null, null, 3)), "batch,time,3");
  assertEquals(shapeAfter(layerNormalization(), float(null, null, 3)), "batch,time,3");
  assertEquals(shapeAfter(layerNormalization({ axis: [1, 2] }), float(null, 4, 3)), "batch,4,3");
  assertEquals(shapeAfter(dropout({ rate: 0.5 }), float(null, null, 3)), "batch,time,3");
  assertEquals(shapeAfter(activation("relu"), float(null, null, 3)), "batch,time,3");
  assertEquals(shapeAfter(flatten(), float(null, null, 3)), "batch,3*time");
  assertEquals(shapeAfter(flatten(), float(null)), "batch,1");
  assertEquals(shapeAfter(reshapeLayer({ targetShape: [-1, 6] }), float(null, 4, 3)), "batch,2,6");
  assertEquals(shapeAfter(reshapeLayer({ targetShape: [-1] }), float(null, null, 3)), "batch,3*time");
});

Deno.test("a dense layer of another feature size names the layer and both shapes", () => {
  const layer = dense({ units: 10, name: "head" });
  const { params, state } = init(layer, key(0), float(null, 7));
  const error = assertThrows(() => layer.apply({ params, state }, zeros([2, 5]), context), TypeError);
  assertEquals(
    error.message,
    "Cannot use dense head with an input of shape [2, 5]: its kernel has shape [7, 10]",
  );
  assertThrows(() => layer.apply({ params, state }, zeros([7]), context), TypeError, "2 or more axes");
  assertThrows(
    () => layer.apply({ params, state }, [zeros([2, 7]), zeros([2, 7])], context),
    TypeError,
    "a tree of 2",
  );
  assertThrows(
    () => layer.apply({ params, state }, zeros([2, 7], { dtype: "int32" }), context),
    TypeError,
    "takes floats",
  );
  assertThrows(() => init(layer, key(0), spec([2, null])), TypeError, "known only at run time");
});

Deno.test("unknown options, activations and sizes are refused", () => {
  // deno-lint-ignore no-explicit-any -- what a user without types could write
  const wrong = (options: unknown) => options as any;
  assertThrows(() => dense(wrong({ unit: 3 })), RangeError, 'did you mean "units"?');
  assertThrows(() => dense({ units: 0 }), RangeError, "units is 0");
  assertThrows(() => dense({ units: 3, activation: wrong("rellu") }), RangeError, 'did you mean "relu"?');
  assertThrows(
    () => embedding(wrong({ inputDim: 3, outputDim: 2, maskzero: true })),
    RangeError,
    '"maskZero"',
  );
  assertThrows(() => masking(wrong({ value: 1 })), RangeError, "maskValue");
  assertThrows(() => masking({ maskValue: NaN }), RangeError, "maskValue is NaN");
  assertThrows(() => batchNormalization({ momentum: 2 }), RangeError, "momentum is 2");
  assertThrows(() => layerNormalization({ epsilon: -1 }), RangeError, "epsilon is -1");
  assertThrows(() => dropout({ rate: 1 }), RangeError, "rate is 1");
  assertThrows(() => activation("sofmax" as "softmax"), RangeError, '"softmax"');
  assertThrows(() => flatten(wrong({ axis: 1 })), RangeError, "axis");
  assertThrows(() => reshapeLayer({ targetShape: [-1, -1] }), RangeError, "one may be -1");
});

Deno.test("a token outside the vocabulary is found before anything runs", () => {
  const layer = embedding({ inputDim: 5, outputDim: 2 });
  const check = (values: NestedNumbers) => layer.checkInput?.(tensor(values, { dtype: "int32" }));
  check([[0, 4]]);
  const error = assertThrows(() => check([[0, 4, 1], [2, 5, 3]]), RangeError);
  assertEquals(
    error.message,
    "Cannot use embedding with the token 5 at [1, 1]: its vocabulary has 5 tokens, 0 to 4",
  );
  assertThrows(() => check([[-1]]), RangeError, "token -1 at [0, 0]");
  assertThrows(() => init(layer, key(0), float(null, 3)), TypeError, "tokens are int32");
});

Deno.test("masks are made, passed on and dropped as in Keras", () => {
  const x = tensor([[[1, 0], [0, 0]]]);
  const mask = tensor([[true, false]]);
  const pass = (layer: Layer) => {
    const variables = init(layer, key(0), x);
    return layer.apply(variables, x, { training: false, mask }).mask;
  };
  for (
    const layer of [
      dense({ units: 2 }),
      dropout({ rate: 0.5 }),
      activation("tanh"),
      layerNormalization(),
      batchNormalization(),
    ]
  ) {
    assert(pass(layer) === mask, layer.type);
  }
  assertEquals(pass(flatten()), undefined);
  assertEquals(pass(reshapeLayer({ targetShape: [4] })), undefined);
  assertEquals(valuesOf(masking().apply(nothing, x, context).mask), [[1, 0]]);
  assertEquals(
    valuesOf(masking({ maskValue: 1 }).apply(nothing, tensor([[[1, 1], [1, 0]]]), context).output),
    [[[0, 0], [1, 0]]],
  );
  const tokens = tensor([[3, 0]], { dtype: "int32" });
  const table = embedding({ inputDim: 4, outputDim: 1, maskZero: true });
  assertEquals(valuesOf(table.apply(init(table, key(0), tokens), tokens, context).mask), [[1, 0]]);
});

Deno.test("batch norm moves its statistics while training, not when it is frozen", () => {
  const x = tensor([[1], [3]]);
  const train = { training: true };
  const layer = batchNormalization({ momentum: 0.5 });
  const variables = init(layer, key(0), x);
  const { state } = layer.apply(variables, x, train);
  assertEquals(Object.fromEntries(Object.entries(state).map(([name, value]) => [name, valuesOf(value)])), {
    movingMean: [1],
    movingVariance: [1],
  });
  assert(layer.apply(variables, x, context).state === variables.state);
  assert(layer.apply(variables, x, { training: true, frozen: true }).state === variables.state);
  const frozen = batchNormalization({ trainable: false });
  assert(frozen.apply(variables, x, train).state === variables.state);
  assertEquals(frozen.trainableLeaves(variables.params), [false, false]);
});

Deno.test("batch norm normalizes any axis; without a valid step its batch has mean and variance 0", () => {
  const layer = batchNormalization({ axis: 1, epsilon: 1e-12 });
  const x = tensor([[[1, 3], [0, 4]], [[1, 3], [0, 4]]]);
  const { output } = layer.apply(init(layer, key(0), x), x, { training: true });
  assertEquals(valuesOf(output), [[[-1, 1], [-1, 1]], [[-1, 1], [-1, 1]]]);
  const masked = batchNormalization({ momentum: 0 });
  const mask = tensor([[false, false], [false, false]]);
  const { state } = masked.apply(init(masked, key(0), x), x, { training: true, mask });
  assertEquals(valuesOf((state as Record<string, Tensor>).movingMean), [0, 0]);
  const wrong = () => layer.apply(init(layer, key(0), x), x, { training: true, mask });
  assertMatch(assertThrows(wrong, TypeError).message, /a mask has the leading axes of the input/);
});

Deno.test("dropout keeps the mean, needs a key, and draws once for a size of 1 in noiseShape", () => {
  const layer = dropout({ rate: 0.25 });
  const x = tensor(new Float32Array(4000).fill(1), { shape: [40, 100] });
  const { data } = host(one(layer.apply(nothing, x, { training: true, key: key(3) }).output));
  const values = new Set(Array.from(data, (value) => value.toFixed(4)));
  assertEquals([...values].sort(), ["0.0000", "1.3333"]);
  // The mean of 4000 draws lies within five standard deviations, √(0.25 / 0.75 / 4000), of 1.
  assertAlmostEquals(
    Array.from(data).reduce((total, value) => total + value, 0) / data.length,
    1,
    5 * Math.sqrt(1 / 12000),
  );
  assert(layer.apply(nothing, x, context).output === x);
  assertThrows(() => layer.apply(nothing, x, { training: true }), TypeError, "without a random key");
  const rows = dropout({ rate: 0.5, noiseShape: [null, 1] });
  const drawn = rows.apply(nothing, x, { training: true, key: key(1) }).output;
  for (const row of valuesOf(drawn) as number[][]) assertEquals(new Set(row).size, 1);
});

Deno.test("the logits behind a dense softmax are known to losses", () => {
  const layer = dense({ units: 3, activation: "softmax" });
  const x = tensor([[1, 2]]);
  const output = one(layer.apply(init(layer, key(0), x), x, context).output);
  assertEquals(logitsOf(output, "softmax")?.shape, [1, 3]);
});

Deno.test("a compiled layer puts out what the same layer does at once", async () => {
  const layer = batchNormalization();
  const x = normal(key(5), [3, 4, 2]);
  const mask = tensor([[true, true, false, true], [true, false, false, false], [true, true, true, true]]);
  const variables = init(layer, key(0), x);
  const compiled = compile((x: Tensor, mask: Tensor) =>
    layer.apply(variables, x, { training: true, mask }).output as Tensor
  );
  const eager = host(one(layer.apply(variables, x, { training: true, mask }).output)).data;
  const traced = host(await compiled(x, mask)).data;
  eager.forEach((value, index) => assertAlmostEquals(traced[index], value, 1e-6));
  compiled[Symbol.dispose]();
});

Deno.test("every initializer by name makes a kernel", () => {
  for (const kernelInitializer of initializerNames) {
    const { params } = init(dense({ units: 3, kernelInitializer }), key(0), float(null, 3));
    assertEquals((params as Record<string, Tensor>).kernel.shape, [3, 3]);
  }
});
