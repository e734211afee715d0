import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { batchNormalization } from "../../src/layers/batch_normalization.ts";
import { defineLayer } from "../../src/layers/define.ts";
import { dense } from "../../src/layers/dense.ts";
import { dropout } from "../../src/layers/dropout.ts";
import type { Layer } from "../../src/layers/layer.ts";
import { greater, mul } from "../../src/operations/elementwise.ts";
import { key as randomKey, uniform } from "../../src/operations/random.ts";
import { sum } from "../../src/operations/structure.ts";
import { ones, zeros } from "../../src/operations/creation.ts";
import { type HostTensor, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { fit, type FitOptions } from "../../src/training/fit.ts";
import { NonFiniteLossError } from "../../src/training/non_finite.ts";
import { adam, adamw, sgd } from "../../src/training/optimizers.ts";
import { evaluate } from "../../src/training/predict.ts";
import { chain, denseVariables, lambda, line, valuesOf } from "./models.ts";

const model = dense({ units: 1 });
const quiet = { loss: "mse", optimizer: sgd({ learningRate: 0.1 }), report: "none" } as const;

/** 3 classes: which of 3 features is the largest. */
function classes(samples: number) {
  const x = uniform(randomKey(5), [samples, 3]) as HostTensor; // eager
  const y = Int32Array.from({ length: samples }, (_, i) => {
    const row = [...x.data.subarray(3 * i, 3 * i + 3)];
    return row.indexOf(Math.max(...row));
  });
  return { x, y: tensor(y, { dtype: "int32" }) };
}

Deno.test("the loss falls on what can be learnt, and the history has every name", async () => {
  const softmaxModel = dense({ units: 3, activation: "softmax" });
  const { history, variables, stopped } = await fit(softmaxModel, denseVariables(3, 3), classes(70), {
    loss: "sparseCategoricalCrossentropy",
    optimizer: adam({ learningRate: 0.1 }),
    metrics: ["accuracy"],
    epochs: 12,
    batchSize: 16,
    validation: { split: 0.2 },
    report: "none",
  });
  assertEquals(Object.keys(history), ["loss", "accuracy", "val_loss", "val_accuracy"]);
  for (const values of Object.values(history)) assertEquals(values.length, 12);
  assert(history.loss[11] < 0.6 * history.loss[0]);
  // Chance is 1/3; how far above it 12 epochs come depends on the order of the samples.
  assert(history.accuracy[11] > 0.75 && history.val_accuracy[11] > 0.75);
  assertEquals(stopped, undefined);
  assertEquals(variables.state, []);
});

Deno.test("an epoch's loss is the mean over its samples, also with a smaller last batch", async () => {
  const variables = denseVariables(1, 1);
  const frozen = { ...quiet, optimizer: sgd({ learningRate: 0 }) };
  const { history } = await fit(model, variables, line(7), { ...frozen, batchSize: 3 });
  const { loss } = await evaluate(model, variables, line(7), { loss: "mse" });
  assertAlmostEquals(history.loss[0], loss, 1e-6 * loss);
});

Deno.test("validation is that of evaluate after the epoch, and the split takes the last samples", async () => {
  const data = line(10);
  const { history, variables } = await fit(model, denseVariables(1, 1), data, {
    ...quiet,
    validation: { split: 0.3 },
  });
  const last = { x: tensor([[0.7], [0.8], [0.9]]), y: tensor([[2.4], [2.6], [2.8]]) };
  const { loss } = await evaluate(model, variables, last, { loss: "mse" });
  assertAlmostEquals(history.val_loss[0], loss, 1e-6);
  await assertRejects(
    () => fit(model, denseVariables(1, 1), data, { ...quiet, validation: { split: 1 } }),
    RangeError,
    "validation.split is 1",
  );
});

Deno.test("the same key gives the same weights, another key others", async () => {
  const noisy = chain(dropout({ rate: 0.5 }), dense({ units: 1 }));
  const variables = { params: [[], denseVariables(3, 1).params], state: [[], []] };
  const data = { x: classes(20).x, y: ones([20, 1]) };
  const run = async (seed: number) =>
    valuesOf((await fit(noisy, variables, data, { ...quiet, batchSize: 6, key: randomKey(seed) })).variables);
  assertEquals(await run(1), await run(1));
  assert(String(await run(1)) !== String(await run(2)));
});

Deno.test("shuffling changes the order and nothing else", async () => {
  const seen: number[][] = [];
  const watch = (shuffle: boolean) =>
    fit(model, denseVariables(1, 1), line(6), {
      ...quiet,
      optimizer: sgd({ learningRate: 0 }),
      batchSize: 1,
      shuffle,
      epochs: 2,
      callbacks: [{
        onEpochBegin: () => void seen.push([]),
        onBatchEnd: ({ logs }) => void seen.at(-1)?.push(logs.loss),
      }],
    });
  await watch(true);
  const [first, second] = seen;
  await watch(false);
  const [, , third, fourth] = seen;
  assertEquals(third, fourth);
  assert(String(first) !== String(second) && String(first) !== String(third));
  assertAlmostEquals(first[5], third[5], 1e-5 * third[5]); // the mean of all, in whatever order
});

Deno.test("training goes on where it ended, as if there had been no break", async () => {
  const noisy = chain(dropout({ rate: 0.5 }), dense({ units: 1 }));
  const variables = { params: [[], denseVariables(1, 1).params], state: [[], []] };
  const options = { ...quiet, optimizer: adam(), batchSize: 3 };
  const whole = await fit(noisy, variables, line(8), { ...options, epochs: 4 });
  const half = await fit(noisy, variables, line(8), { ...options, epochs: 2 });
  const rest = await fit(noisy, half.variables, line(8), {
    ...options,
    epochs: 4,
    initialEpoch: 2,
    optimizerState: half.optimizerState,
  });
  assertEquals(valuesOf(rest.variables), valuesOf(whole.variables));
  assertEquals([...half.history.loss, ...rest.history.loss], whole.history.loss);
});

Deno.test("frozen layers stay as they are, with weight decay too", async () => {
  const partly = chain(dense({ units: 2, trainable: false }), dense({ units: 1 }));
  const params = [denseVariables(1, 2).params, denseVariables(2, 1, 1).params];
  const { variables, optimizerState } = await fit(partly, { params, state: [[], []] }, line(8), {
    ...quiet,
    optimizer: adamw({ weightDecay: 0.5, learningRate: 0.1 }),
  });
  const after = variables.params as readonly unknown[]; // a chain's params are a list
  assertEquals(valuesOf(after[0]), valuesOf(params[0]));
  assert(String(valuesOf(after[1])) !== String(valuesOf(params[1])));
  assertEquals((optimizerState.momentum as unknown[]).length, 2); // kernel and bias of the second layer
  const none = await fit(dense({ units: 1, trainable: false }), denseVariables(1, 1), line(4), quiet);
  assertEquals(valuesOf(none.variables), valuesOf(denseVariables(1, 1)));
});

Deno.test("batch-norm statistics move while training, and validation leaves them", async () => {
  const normalized = chain(batchNormalization({ momentum: 0.5 }), dense({ units: 1 }));
  const statistics = { movingMean: zeros([1]), movingVariance: ones([1]) };
  const variables = {
    params: [{ gamma: ones([1]), beta: zeros([1]) }, denseVariables(1, 1).params],
    state: [statistics, []],
  };
  const data = { x: tensor([[2], [4]]), y: tensor([[1], [2]]) };
  const { variables: after } = await fit(normalized, variables, data, { ...quiet, validation: data });
  assertEquals(valuesOf(after.state), [1.5, 1]); // half of the way to mean 3 and variance 1
});

/** Two outputs by name: `x` and `2x`, each with a scale of its own. */
const twoHeads: Layer = defineLayer({
  type: "twoHeads",
  options: {},
  initParams: () => ({ a: ones([]), b: ones([]) }),
  apply({ params, state }, x) {
    const { a, b } = params as { a: Tensor; b: Tensor };
    return { output: { first: mul(x as Tensor, a), second: [mul(x as Tensor, b)] }, state };
  },
});

Deno.test("several outputs have losses, weights and metrics of their own, logged by their names", async () => {
  const variables = { params: { a: ones([]), b: ones([]) }, state: [] };
  const x = tensor([[1], [2]]);
  const data = { x, y: { first: tensor([[2], [3]]), second: [tensor([[3], [4]])] } };
  const common = { optimizer: sgd({ learningRate: 0 }), report: "none" } as const;
  const options: FitOptions = {
    ...common,
    loss: { first: "mse", second: ["mae"] },
    lossWeights: { second: [0.5] },
    metrics: { first: ["mae"] },
  };
  const { history } = await fit(twoHeads, variables, data, options);
  assertEquals(history, { loss: [2], first_loss: [1], second_0_loss: [2], first_mae: [1] });
  const each = await fit(twoHeads, variables, data, { ...common, loss: "mse", metrics: ["mae"] });
  assertEquals(each.history, {
    loss: [5],
    first_loss: [1],
    second_0_loss: [4],
    first_mae: [1],
    second_0_mae: [2],
  });
  await assertRejects(
    () => fit(twoHeads, variables, data, { ...options, loss: { first: "mse", secnd: "mae" } }),
    RangeError,
    'did you mean "second"?',
  );
});

Deno.test("both heads are trained by the sum of their losses", async () => {
  const variables = { params: { a: ones([]), b: ones([]) }, state: [] };
  const x = tensor([[1], [2]]);
  const data = { x, y: { first: mul(x, 2), second: [mul(x, 3)] } };
  const { variables: after } = await fit(twoHeads, variables, data, { ...quiet, epochs: 60 });
  const [a, b] = valuesOf(after.params);
  assertAlmostEquals(a, 2, 1e-3);
  assertAlmostEquals(b, 3, 1e-3);
});

Deno.test("the mask of the output reaches loss and metrics", async () => {
  const masked: Layer = {
    ...lambda((x) => x),
    apply: ({ state }, x) => ({ output: x, state, mask: greater(sum(x as Tensor, { axes: -1 }), 0) }),
  };
  const x = tensor([[[1], [0]], [[2], [3]]]); // the second step of the first row does not count
  const data = { x, y: zeros([2, 2, 1]) };
  const logs = await evaluate(masked, { params: [], state: [] }, data, { loss: "mse", metrics: ["mae"] });
  assertAlmostEquals(logs.loss, (1 + 4 + 9) / 3, 1e-6);
  assertAlmostEquals(logs.mae, (1 + 2 + 3) / 3, 1e-6);
});

Deno.test("sample weights scale what a sample teaches", async () => {
  const variables = denseVariables(1, 1);
  const data = { x: tensor([[1], [2]]), y: tensor([[5], [9]]) };
  const first = { x: tensor([[1]]), y: tensor([[5]]) };
  const weighted = await fit(model, variables, { ...data, sampleWeight: tensor([2, 0]) }, quiet);
  const alone = await fit(model, variables, first, quiet);
  const [a, b] = [weighted, alone].map(({ variables }) => valuesOf(variables));
  a.forEach((value, index) => assertAlmostEquals(value, b[index], 1e-5));
});

Deno.test("a loss that is NaN stops training, says where, and keeps the last good weights", async () => {
  const initial = denseVariables(1, 1);
  const data = line(8);
  const x = tensor(data.x.data, { shape: [8, 1] });
  x.data[5] = NaN;
  const error = await assertRejects(
    () => fit(model, initial, { x, y: data.y }, { ...quiet, batchSize: 2, shuffle: false }),
    NonFiniteLossError,
    "the loss is NaN at step 3 of epoch 1",
  );
  assertEquals([error.epoch, error.step, error.history.loss.length], [0, 2, 0]);
  assert(valuesOf(error.variables).every(Number.isFinite));
});

Deno.test("weights that run away give an error with good weights and the epochs before", async () => {
  const error = await assertRejects(
    () =>
      fit(model, denseVariables(1, 1), line(8), {
        ...quiet,
        optimizer: sgd({ learningRate: 1e6 }),
        epochs: 50,
      }),
    NonFiniteLossError,
    "the loss is Infinity",
  );
  assert(error.epoch > 1);
  assertEquals(error.history.loss.length, error.epoch);
  assert(valuesOf(error.variables).every(Number.isFinite));
  const { loss } = await evaluate(model, error.variables, line(8), { loss: "mse" });
  assert(Number.isFinite(loss));
});

Deno.test("weights that the last update broke are not handed out as good", async () => {
  const initial = denseVariables(1, 1);
  const error = await assertRejects(
    () => fit(model, initial, line(4), { ...quiet, optimizer: sgd({ learningRate: 3e38 }) }),
    NonFiniteLossError,
    "weights are no longer finite",
  );
  assertEquals(valuesOf(error.variables), valuesOf(initial));
});

Deno.test("a validation loss that is NaN stops training and keeps the last good weights", async () => {
  const data = line(8);
  const x = tensor(data.x.data, { shape: [8, 1] });
  x.data[7] = NaN;
  const initial = denseVariables(1, 1);
  const error = await assertRejects(
    () => fit(model, initial, data, { ...quiet, epochs: 3, validation: { x, y: data.y } }),
    NonFiniteLossError,
    "the loss of the validation is NaN after epoch 1",
  );
  assertEquals([error.validation, error.epoch, error.history.val_loss.length], [true, 0, 0]);
  assertEquals(valuesOf(error.variables), valuesOf(initial)); // only their loss is known to be finite
});

Deno.test("a validation that becomes infinite leaves the weights of the epoch before", async () => {
  const data = line(4);
  const weights: number[][] = [];
  const x = tensor(data.x.data, { shape: [4, 1] });
  const error = await assertRejects(
    () =>
      fit(model, denseVariables(1, 1), data, {
        ...quiet,
        epochs: 3,
        validation: { x, y: data.y },
        callbacks: [{
          onEpochEnd: async ({ epoch, variables }) => {
            weights.push(valuesOf(await variables()));
            if (epoch === 1) x.data[3] = NaN;
          },
        }],
      }),
    NonFiniteLossError,
    "after epoch 3",
  );
  assertEquals([error.epoch, error.history.val_loss.length, weights.length], [2, 2, 2]);
  assertEquals(valuesOf(error.variables), weights[1]);
});

Deno.test("an abort ends training after the present step, and gives what there is", async () => {
  const controller = new AbortController();
  const { history, stopped, variables } = await fit(model, denseVariables(1, 1), line(8), {
    ...quiet,
    batchSize: 2,
    epochs: 5,
    signal: controller.signal,
    callbacks: [{
      onBatchEnd: ({ epoch, step }) => epoch === 1 && step === 2 ? controller.abort() : undefined,
    }],
  });
  assertEquals([stopped, history.loss.length], ["aborted", 1]);
  assert(String(valuesOf(variables)) !== String(valuesOf(denseVariables(1, 1))));
});

Deno.test("an abort from a timer is seen", async () => {
  // Without, it would go on for days.
  const { stopped } = await fit(model, denseVariables(1, 1), line(8), {
    ...quiet,
    epochs: 1e9,
    signal: AbortSignal.timeout(150),
  });
  assertEquals(stopped, "aborted");
});

Deno.test("a line is reported per epoch", async () => {
  const lines: string[] = [];
  await fit(model, denseVariables(1, 1), line(4), {
    ...quiet,
    epochs: 2,
    report: (line) => void lines.push(line),
  });
  assertEquals(lines.map((line) => line.replace(/[\d.]+$/, "")), ["epoch 1/2  loss: ", "epoch 2/2  loss: "]);
});

Deno.test("options of fit are checked before anything runs", async () => {
  const run = (options: object) =>
    fit(model, denseVariables(1, 1), line(4), { ...quiet, callbacks: [{ onTrainBegin: fail }], ...options });
  const fail = () => {
    throw new Error("training began");
  };
  await assertRejects(() => run({ batchsize: 2 }), RangeError, 'did you mean "batchSize"?');
  await assertRejects(() => run({ batchSize: 0 }), RangeError, "batchSize is 0");
  await assertRejects(() => run({ loss: "msee" }), RangeError, 'did you mean "mse"?');
  await assertRejects(() => run({ optimizer: "adm" }), RangeError, 'did you mean "adam"?');
  await assertRejects(() => run({ metrics: ["acuracy"] }), RangeError, 'did you mean "accuracy"?');
  await assertRejects(() => run({ metrics: ["mae", "mae"] }), RangeError, 'two metrics of the name "mae"');
  await assertRejects(() => run({ validation: line(0) }), RangeError);
  await assertRejects(() => run({ device: "gpu" }), RangeError, 'Cannot use the device "gpu"');
});
