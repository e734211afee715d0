/** Weights of classes: as sample weights made by hand. */
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import {
  call,
  type Data,
  dense,
  embedding,
  fit,
  type FitOptions,
  gather,
  host,
  init,
  input,
  key,
  type Layer,
  lstm,
  model as graph,
  normal,
  oneHot,
  sequential,
  sgd,
  spec,
  tensor,
} from "@cellfold/cellfold";
import { valuesOf } from "./models.ts";

const x = normal(key(1), [10, 4]);
const labels = tensor([0, 2, 1, 2, 2, 0, 1, 2, 2, 2], { dtype: "int32" });
const classes = dense({ units: 3, activation: "softmax" });
const variables = init(classes, key(0), x);
const options = {
  loss: "sparseCategoricalCrossentropy",
  optimizer: sgd({ learningRate: 0.3 }),
  weightedMetrics: ["accuracy"],
  report: "none",
  epochs: 2,
  batchSize: 4,
} satisfies FitOptions;
const byClass = { 0: 2.5, 2: 0.25 };
const weights = gather(tensor([2.5, 1, 0.25]), labels);

async function trained(data: Data, more: Partial<FitOptions>, layer: Layer = classes, own = variables) {
  const { variables: after, history } = await fit(layer, own, data, { ...options, ...more });
  return { params: valuesOf(after.params), history };
}

Deno.test("weights of classes are sample weights, in memory and from an iterable", async () => {
  const byHand = await trained({ x, y: labels, sampleWeight: weights }, {});
  assertEquals(await trained({ x, y: labels }, { classWeight: byClass }), byHand);
  const column = tensor(labels.data, { shape: [10, 1], dtype: "int32" });
  assertEquals((await trained({ x, y: column }, { classWeight: byClass })).params, byHand.params);
  const oneHots = { x, y: oneHot(labels, 3) };
  const dense = await trained(oneHots, { loss: "categoricalCrossentropy", classWeight: byClass });
  dense.params.forEach((value, index) => assertAlmostEquals(value, byHand.params[index], 1e-6));
  const { batchSize: _, ...whole } = options;
  const streamed = await fit(classes, variables, [{ x, y: labels }], { ...whole, classWeight: byClass });
  const batch = await fit(classes, variables, [{ x, y: labels, sampleWeight: weights }], whole);
  assertEquals(valuesOf(streamed.variables.params), valuesOf(batch.variables.params));
});

Deno.test("weights of classes multiply the sample weights, and leave the validation alone", async () => {
  const own = host(normal(key(5), [10])).data.map(Math.abs);
  const both = tensor(
    Float32Array.from(own, (weight: number, index) => weight * [2.5, 1, 0.25][labels.data[index]]),
  );
  for (const shape of [[10], [10, 1]]) {
    const data = { x, y: labels, sampleWeight: tensor(own, { shape }) };
    const found = await trained(data, { classWeight: byClass, validation: { split: 0.3 } });
    const byHand = await trained({ ...data, sampleWeight: both }, { validation: { split: 0.3 } });
    assertEquals(found.params, byHand.params);
    const { history } = await trained(data, { validation: { split: 0.3 }, epochs: 1 });
    // After one epoch with other weights the validation differs; with the same ones it does not.
    const first = await trained(data, {
      classWeight: byClass,
      optimizer: sgd({ learningRate: 0 }),
      validation: data,
      epochs: 1,
    });
    const plain = await trained(data, { optimizer: sgd({ learningRate: 0 }), validation: data, epochs: 1 });
    assertEquals(first.history.val_loss, plain.history.val_loss);
    assert(first.history.loss[0] !== plain.history.loss[0]);
    assertEquals(history.val_loss.length, 1);
  }
});

Deno.test("steps are weighted by their class, and what is masked may be no class", async () => {
  const tokens = tensor([[1, 2, 3], [4, 5, 0], [6, 0, 0]], { dtype: "int32" });
  const y = tensor([[0, 1, 1], [1, 0, -1], [1, -1, -1]], { dtype: "int32" });
  const tagger = sequential([
    embedding({ inputDim: 8, outputDim: 3, maskZero: true }),
    lstm({ units: 3, returnSequences: true }),
    dense({ units: 2, activation: "softmax" }),
  ]);
  const own = init(tagger, key(0), spec([null, null], "int32"));
  const sampleWeight = tensor(Float32Array.from(y.data, (label) => label === 1 ? 3 : 1), { shape: [3, 3] });
  const byHand = await trained({ x: tokens, y, sampleWeight }, {}, tagger, own);
  assertEquals(await trained({ x: tokens, y }, { classWeight: { 1: 3 } }, tagger, own), byHand);
  const perSample = tensor([1, 2, 0.5]);
  const product = tensor(
    Float32Array.from(sampleWeight.data, (w, i) => w * perSample.data[Math.floor(i / 3)]),
    {
      shape: [3, 3],
    },
  );
  assertEquals(
    await trained({ x: tokens, y, sampleWeight: perSample }, { classWeight: { 1: 3 } }, tagger, own),
    await trained({ x: tokens, y, sampleWeight: product }, {}, tagger, own),
  );
});

Deno.test("binary targets are classes 0 and 1", async () => {
  const binary = dense({ units: 1, activation: "sigmoid" });
  const own = init(binary, key(3), x);
  const y = tensor([0, 1, 1, 0, 0, 0, 1, 0, 0, 1], { dtype: "float32" });
  const sampleWeight = tensor(Float32Array.from(y.data, (value) => value === 1 ? 4 : 1));
  const loss = { loss: "binaryCrossentropy" } as const;
  const byHand = await trained({ x, y, sampleWeight }, loss, binary, own);
  assertEquals(await trained({ x, y }, { ...loss, classWeight: { 1: 4 } }, binary, own), byHand);
  const column = tensor(y.data, { shape: [10, 1] });
  assertEquals(
    (await trained({ x, y: column }, { ...loss, classWeight: { 1: 4 } }, binary, own)).params,
    byHand.params,
  );
});

Deno.test("each of several outputs has weights of its own", async () => {
  const at = input([4]);
  const outputs = ["a", "b", "c"].map((
    name,
  ) => [name, call(dense({ units: 3, activation: "softmax", name }), at)]);
  const three = graph({ inputs: at, outputs: Object.fromEntries(outputs) });
  const own = init(three, key(0), x);
  const y = { a: labels, b: labels, c: labels };
  const found = await trained({ x, y }, { classWeight: { a: byClass, c: { 1: 2 } } }, three, own);
  const sampleWeight = { a: weights, c: gather(tensor([1, 2, 1]), labels) };
  assertEquals(found, await trained({ x, y, sampleWeight }, {}, three, own));
  assertEquals(
    await trained({ x, y }, { classWeight: byClass }, three, own),
    await trained({ x, y, sampleWeight: weights }, {}, three, own),
  );
  const list = graph({ inputs: at, outputs: [outputs[0][1], outputs[1][1]] as never });
  const ofList = init(list, key(0), x);
  assertEquals(
    await trained({ x, y: [labels, labels] }, { classWeight: [null, byClass] as never }, list, ofList),
    await trained(
      { x, y: [labels, labels], sampleWeight: [tensor(new Array(10).fill(1)), weights] },
      {},
      list,
      ofList,
    ),
  );
});

Deno.test("weights that fit no class, and targets that are none, are refused", async () => {
  const data = { x, y: labels };
  const refused = async (given: unknown, error: typeof TypeError | typeof RangeError, text: string) =>
    await assertRejects(() => trained(data, { classWeight: given as never }), error, text);
  await refused({ 0: 1, 3: 2 }, RangeError, "classWeight has the class 3, but they are 0 … 2");
  await refused({ 0: NaN }, RangeError, 'classWeight["0"] is NaN, expected a finite number');
  await refused({ 0: "2" }, RangeError, "expected a finite number");
  await refused({ first: 1 }, TypeError, "expected weights by class index, such as { 0: 1, 1: 5 }");
  await refused([1, 2, 3], TypeError, "expected weights by class index");
  await refused(5, TypeError, "classWeight is the number 5");
  await refused({ a: { 0: 1 } }, TypeError, "classWeight");
  const regression = dense({ units: 1 });
  await assertRejects(
    () =>
      trained(
        { x, y: tensor([0, 1, 0.5, 0, 0, 0, 0, 0, 0, 0]) },
        { loss: "mse", weightedMetrics: [], classWeight: { 1: 2 } },
        regression,
        init(regression, key(0), x),
      ),
    RangeError,
    "the target at sample 2 is 0.5, expected the number of a class",
  );
});
