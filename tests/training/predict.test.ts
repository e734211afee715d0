import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { defineLayer } from "../../src/layers/define.ts";
import { dense } from "../../src/layers/dense.ts";
import { add, mul } from "../../src/operations/elementwise.ts";
import { ones, zeros } from "../../src/operations/creation.ts";
import { type HostTensor, type Tensor, tensor, toNested } from "../../src/tensor/tensor.ts";
import { toHost } from "../../src/tree/to_host.ts";
import { mapTree } from "../../src/tree/tree.ts";
import { fit } from "../../src/training/fit.ts";
import { NonFiniteLossError } from "../../src/training/non_finite.ts";
import { adam, sgd } from "../../src/training/optimizers.ts";
import { evaluate, evaluateWith, predict, predictWith } from "../../src/training/predict.ts";
import { createTrainer } from "../../src/training/trainer.ts";
import { denseVariables, lambda, line, valuesOf } from "./models.ts";

const none = { params: [], state: [] };

Deno.test("predict joins the rows of all batches, the smaller last one too", async () => {
  const double = lambda((x) => mul(x as Tensor, 2)); // its input is one tensor
  const x = tensor([[1], [2], [3], [4], [5]]);
  for (const batchSize of [1, 2, 3, 5, 32]) {
    const output = await predict(double, none, x, { batchSize });
    assertEquals(toNested(output), [[2], [4], [6], [8], [10]]);
  }
});

Deno.test("predict takes and gives trees", async () => {
  const swap = lambda((input) => {
    const { a, b } = input as { a: Tensor; b: Tensor }; // as given below
    return { sum: add(a, b), list: [b, a] };
  });
  const x = { a: tensor([[1], [2], [3]]), b: tensor([[10], [20], [30]]) };
  const output = await predict(swap, none, x, { batchSize: 2 });
  assertEquals(toNested(output.sum), [[11], [22], [33]]);
  assertEquals(output.list.map(toNested), [[[10], [20], [30]], [[1], [2], [3]]]);
});

Deno.test("a smaller last batch counts for as many samples as it has", async () => {
  const model = dense({ units: 1 });
  const variables = denseVariables(1, 1);
  const data = line(7);
  const options = { loss: "mse", metrics: ["mae", "rmse"] } as const;
  const whole = await evaluate(model, variables, data, { ...options, batchSize: 7 });
  const parts = await evaluate(model, variables, data, { ...options, batchSize: 3 });
  for (const name of ["loss", "mae", "rmse"]) {
    assertAlmostEquals(parts[name], whole[name], 1e-6 * whole[name]);
  }
  const output = valuesOf(await predict(model, variables, data.x));
  const expected = output.reduce((total, p, i) => total + (p - data.y.data[i]) ** 2, 0) / 7;
  assertAlmostEquals(whole.loss, expected, 1e-5 * expected);
});

Deno.test("sample weights weight the loss and weightedMetrics, not metrics, as in Keras", async () => {
  const zero = lambda((x) => mul(x as Tensor, 0));
  const data = { x: tensor([[1], [1]]), y: tensor([[1], [2]]), sampleWeight: tensor([3, 1]) };
  const logs = await evaluate(zero, none, data, {
    loss: "mse",
    metrics: ["mse"],
    weightedMetrics: ["mse", "mae"],
  });
  assertEquals(logs, {
    loss: (3 * 1 + 1 * 4) / 2, // the mean over samples
    mse: (1 + 4) / 2,
    weighted_mse: (3 * 1 + 1 * 4) / 4, // the mean over weights
    mae: (3 * 1 + 1 * 2) / 4,
  });
});

Deno.test("the one-batch forms share their executables and keep the weights on the device", async () => {
  const model = dense({ units: 1 });
  const initial = denseVariables(1, 1);
  const data = line(4);
  using trainer = createTrainer(model, { loss: "mse", optimizer: sgd({ learningRate: 0.1 }) });
  const before = await trainer.testOnBatch(initial, data);
  const first = await trainer.trainOnBatch({ variables: initial }, data);
  assertEquals(first.logs, before); // the loss is that before the update
  const second = await trainer.trainOnBatch(first, data);
  assertEquals(second.step, 2);
  assert(second.logs.loss < first.logs.loss);
  const fitted = await fit(model, initial, data, {
    loss: "mse",
    optimizer: sgd({ learningRate: 0.1 }),
    epochs: 2,
    shuffle: false,
    report: "none",
  });
  assertEquals(valuesOf(await toHost(second.variables.params)), valuesOf(fitted.variables.params));
  const rows = await trainer.predictOnBatch(second.variables, data.x);
  assertEquals(rows, await predictWith(trainer, second.variables, data.x));
  assertEquals(
    await evaluateWith(trainer, second.variables, data),
    await trainer.testOnBatch(fitted.variables, data),
  );
});

Deno.test("a batch whose loss is NaN is an error that leaves the training state as it was", async () => {
  const model = dense({ units: 1 });
  const data = line(4);
  using trainer = createTrainer(model, { loss: "mse", optimizer: adam({ learningRate: 0.1 }) });
  const state = await trainer.trainOnBatch({ variables: denseVariables(1, 1) }, data);
  const good = valuesOf(await toHost(state.variables));
  const error = await assertRejects(
    () => trainer.trainOnBatch(state, { x: tensor([[0], [1], [NaN], [2]]), y: data.y }),
    NonFiniteLossError,
    "the loss is NaN at step 2",
  );
  assertEquals([error.step, error.validation], [1, false]);
  assertEquals(valuesOf(error.variables), good);
  const next = await trainer.trainOnBatch(state, data); // it is not used up
  assert(next.logs.loss < state.logs.loss);
  await assertRejects(() => trainer.trainOnBatch(state, data), Error, "disposed"); // now it is
});

Deno.test("a trainer that was disposed compiles nothing more", async () => {
  const model = dense({ units: 1 });
  const x = ones([2, 3]), y = ones([2, 1]);
  const variables = denseVariables(3, 1);
  for (const isUsedBefore of [false, true]) {
    const trainer = createTrainer(model, { loss: "mse", optimizer: "sgd", device: "reference" });
    if (isUsedBefore) await trainer.trainOnBatch({ variables }, { x, y });
    trainer[Symbol.dispose]();
    const uses: (() => Promise<unknown>)[] = [
      () => trainer.trainOnBatch({ variables }, { x, y }),
      () => trainer.testOnBatch(variables, { x, y }),
      () => trainer.predictOnBatch(variables, x),
    ];
    for (const use of uses) {
      await assertRejects(use, Error, "it was disposed; make another with createTrainer");
    }
  }
});

/** Counts its calls per row: the state is a carry, as a stateful recurrent layer has it. */
const counter = defineLayer({
  type: "counter",
  options: {},
  initParams: () => [],
  apply({ state }, x) {
    const { carry } = state as { carry: Tensor }; // as given below
    const next = add(carry, x as Tensor);
    return { output: next, state: { carry: next } };
  },
});

Deno.test("a stateful model goes on from batch to batch, in batches of its own size", async () => {
  const variables = { params: [], state: { carry: zeros([2, 1]) } };
  const x = tensor([[1], [10], [2], [20], [3], [30]]);
  const output = await predict(counter, variables, x, { batchSize: 2 });
  assertEquals(toNested(output), [[1], [10], [3], [30], [6], [60]]);
  assertEquals(await predict(counter, variables, x, { batchSize: 2 }), output);
  assertEquals(await predict(counter, variables, x), output);
  await assertRejects(
    () => predict(counter, variables, x, { batchSize: 3 }),
    RangeError,
    "its state is of a batch of 2",
  );
  const odd = tensor([[1], [2], [3]]);
  await assertRejects(
    () => predict(counter, variables, odd, { batchSize: 2 }),
    RangeError,
    "1 samples remain",
  );
});

Deno.test("bad data is refused by name before anything runs", async () => {
  const model = dense({ units: 3 });
  const variables = denseVariables(2, 3);
  const x = tensor([[1, 2], [3, 4]]);
  const labels = tensor([0, 1], { dtype: "int32" });
  const loss = "sparseCategoricalCrossentropy";
  const run = (y: Tensor, input: Tensor = x) => evaluate(model, variables, { x: input, y }, { loss });
  await assertRejects(() => run(tensor([0, 3], { dtype: "int32" })), RangeError, "label 3 at sample 1");
  await assertRejects(() => run(tensor([0, 1])), TypeError, "expected int32 class numbers");
  await assertRejects(() => run(tensor([0], { dtype: "int32" })), TypeError, "x has 2 samples, y has 1");
  await assertRejects(() => run(zeros([0]), zeros([0, 2])), RangeError, "x has 0 samples");
  await assertRejects(() => run(labels, tensor([[1, 2, 3], [4, 5, 6]])), TypeError);
  await assertRejects(() => predict(model, variables, zeros([0, 2])), RangeError, "x has 0 samples");
  await assertRejects(
    () => evaluate(model, variables, { x, y: zeros([2, 4]) }, { loss: "mse" }),
    TypeError,
    "float32[batch, 4]",
  );
  await assertRejects(
    () => evaluate(model, variables, { x, y: [labels] }, { loss }),
    TypeError,
    "Cannot pair the model's output with y",
  );
  const misspelt = { loss, batchsize: 2 } as { loss: typeof loss };
  await assertRejects(
    () => evaluate(model, variables, { x, y: labels }, misspelt),
    RangeError,
    '"batchSize"?',
  );
});

Deno.test("predict: an array of batches, which is one input, is refused with what to give instead", async () => {
  const model = dense({ units: 3 });
  const variables = denseVariables(2, 3);
  const remedy = "an array is one input of 2 parts, for batches give x.values()";
  for (
    const x of [[zeros([4, 2]), zeros([4, 2])], [zeros([4, 2]), zeros([3, 2])], [
      zeros([4, 2]),
      zeros([4, 5]),
    ]]
  ) {
    await assertRejects(() => predict(model, variables, x), TypeError, remedy);
    const trainer = createTrainer(model, { device: "reference" });
    await assertRejects(() => predictWith(trainer, variables, x), TypeError, remedy);
  }
  const parts = [zeros([4, 2]), zeros([3, 2])];
  assertEquals((await predict(model, variables, parts.values())).shape, [7, 3]);
});

Deno.test("values that no trace sees are checked by the model", async () => {
  const picky = {
    ...lambda((x) => x),
    checkInput(x: unknown) {
      mapTree(x, ({ data }: HostTensor) => {
        if (data.includes(7)) throw new RangeError("7 is outside the vocabulary");
        return 0;
      });
    },
  };
  await assertRejects(() => predict(picky, none, tensor([[1], [7]])), RangeError, "outside the vocabulary");
  const data = { x: tensor([[7]]), y: tensor([[7]]) };
  await assertRejects(
    () => evaluate(picky, none, data, { loss: "mse" }),
    RangeError,
    "outside the vocabulary",
  );
});
