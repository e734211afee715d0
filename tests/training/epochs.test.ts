/** The loss and the metrics of an epoch are those of all its data, however it is cut into batches, in any order. */
import fc from "fast-check";
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { takeRows } from "../../src/data/batches.ts";
import { defineLayer } from "../../src/layers/define.ts";
import { cast, greaterEqual, less, select } from "../../src/operations/elementwise.ts";
import { foldIn, key as randomKey, normal, uniform } from "../../src/operations/random.ts";
import { at, broadcastTo } from "../../src/operations/structure.ts";
import { ones } from "../../src/operations/creation.ts";
import { item, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { fit } from "../../src/training/fit.ts";
import { computeLoss } from "../../src/training/compute_loss.ts";
import {
  type Loss,
  meanSquaredError,
  type Reduction,
  sparseCategoricalCrossentropy,
} from "../../src/training/losses.ts";
import { meanMetric, type Metric, sparseTopKCategoricalAccuracy } from "../../src/training/metrics.ts";
import type { Data, ObjectiveOptions } from "../../src/training/objective.ts";
import { sgd } from "../../src/training/optimizers.ts";
import { evaluate } from "../../src/training/predict.ts";
import { addToSums, initSums, meanOfSums } from "../../src/training/running.ts";
import { createTrainer } from "../../src/training/trainer.ts";
import { compile } from "../../src/transforms/compile.ts";
import type { Tree } from "../../src/tree/tree.ts";
import { exampleCount } from "../support/examples.ts";

const variables = { params: [], state: [] };
const TIME = 5;
const CLASSES = 3;

/** Puts out its first input, masked where the second is above 0. */
const maskedBySecond = defineLayer({
  type: "maskedBySecond",
  options: {},
  initParams: () => [],
  apply: ({ state }, x) => {
    const [output, flag] = x as readonly Tensor[]; // the tests give a list
    return { output, state, mask: less(0, flag) };
  },
});

/** The same, with both heads of a model that has two. */
const twoHeads = defineLayer({
  type: "twoHeads",
  options: {},
  initParams: () => [],
  apply: ({ state }, x) => {
    const [output, flag] = x as readonly Tensor[]; // the tests give a list
    return {
      output: { a: output, b: at(output, 0, { axis: -1 }) },
      state,
      mask: { a: less(0, flag), b: undefined },
    };
  },
});

/** A loss of one's own that leaves out targets below 0. */
const positive = (reduction: Reduction): Loss => ({
  ...meanSquaredError({ reduction }),
  type: "positive",
  values: (t, p) => meanSquaredError().values(t, p),
  counted: (t) => greaterEqual(at(t, 0, { axis: -1 }), 0),
});

const losses: Readonly<Record<string, (reduction: Reduction) => Loss>> = {
  mse: (reduction) => meanSquaredError({ reduction }),
  positive,
  ignoring: (reduction) => sparseCategoricalCrossentropy({ reduction, fromLogits: true, ignoreClass: -1 }),
};

interface Example {
  readonly samples: number;
  readonly seed: number;
  readonly loss: string;
  readonly reduction: Reduction;
  readonly weights: "none" | "samples" | "steps";
  readonly batchSizes: readonly number[];
}

const anyExample: fc.Arbitrary<Example> = fc.record({
  samples: fc.integer({ min: 1, max: 23 }),
  seed: fc.integer({ min: 0, max: 1e6 }),
  loss: fc.constantFrom(...Object.keys(losses)),
  reduction: fc.constantFrom<Reduction>("sumOverBatchSize", "mean", "meanWithSampleWeight", "sum"),
  weights: fc.constantFrom("none", "samples", "steps"),
  batchSizes: fc.array(fc.integer({ min: 1, max: 24 }), { minLength: 2, maxLength: 2 }),
});

/** Data with steps that the mask leaves out, labels that the loss leaves out, and weights of which some are 0. */
function dataOf({ samples, seed, loss, weights }: Example): Data & { readonly y: Tensor } {
  const draw = (part: number) => foldIn(randomKey(seed), part);
  const output = normal(draw(0), [samples, TIME, CLASSES]);
  const flag = normal(draw(1), [samples, TIME]);
  const drawn = cast(uniform(draw(2), [samples, TIME], { min: -1, max: CLASSES }), "int32");
  const y = loss === "ignoring"
    ? select(less(uniform(draw(3), [samples, TIME]), 0.3), -1, drawn)
    : normal(draw(4), [samples, TIME, CLASSES]);
  const shape = weights === "samples" ? [samples] : [samples, TIME];
  const raw = uniform(draw(5), shape, { min: 0, max: 2 });
  const sampleWeight = select(less(uniform(draw(6), shape), 0.3), 0, raw);
  return { x: [output, flag], y, ...(weights !== "none" && { sampleWeight }) };
}

function assertClose(actual: number, expected: number, message: string) {
  // Sums of at most 23 · 5 float32 numbers in another order, of both signs nowhere.
  const tolerance = 2e-6 * Math.max(1, Math.abs(expected));
  assert(Math.abs(actual - expected) <= tolerance, `${message}: ${actual} is not ${expected}`);
}

Deno.test("the loss of an evaluation is that of all data, for batches of any size", () =>
  fc.assert(
    fc.asyncProperty(anyExample, async (example) => {
      const data = dataOf(example);
      const [output, flag] = data.x as readonly Tensor[]; // dataOf makes a list
      const loss = losses[example.loss](example.reduction);
      const expected = item(
        computeLoss(loss, data.y, output, { mask: less(0, flag), sampleWeight: data.sampleWeight as Tensor }),
      );
      const metrics = example.loss === "ignoring" ? ["accuracy", loss] as const : ["mae", loss] as const;
      const options = { loss, metrics, weightedMetrics: ["accuracy"] } satisfies ObjectiveOptions;
      const found = [];
      for (const batchSize of [...example.batchSizes, 1, example.samples]) {
        const order = Int32Array.from({ length: example.samples }, (_, index) => index).sort((a, b) =>
          ((a * 7 + example.seed) % 11) - ((b * 7 + example.seed) % 11)
        );
        const logs = await evaluate(maskedBySecond, variables, takeRows(data, order), {
          ...options,
          batchSize,
          device: "reference",
        });
        assertClose(logs.loss, expected, `batchSize ${batchSize}`);
        found.push(logs);
      }
      for (const logs of found) {
        for (const [name, value] of Object.entries(logs)) assertClose(value, found[0][name], name);
      }
    }),
    { numRuns: exampleCount(60) },
  ));

Deno.test("the logs of a fit and its validation are those of all data, shuffled, for batches of any size", () =>
  fc.assert(
    fc.asyncProperty(anyExample, async (example) => {
      const data = dataOf(example);
      const loss = losses[example.loss](example.reduction);
      const options = { loss, metrics: ["accuracy"] } satisfies ObjectiveOptions;
      const [batchSize, evaluated] = example.batchSizes;
      const expected = await evaluate(maskedBySecond, variables, data, {
        ...options,
        batchSize: evaluated,
        device: "reference",
      });
      const { history } = await fit(maskedBySecond, variables, data, {
        ...options,
        batchSize,
        validation: data,
        optimizer: sgd(),
        device: "reference",
        report: "none",
      });
      for (const name of ["loss", "accuracy"]) {
        assertClose(history[name][0], expected[name], name);
        assertClose(history[`val_${name}`][0], expected[name], `val_${name}`);
      }
    }),
    { numRuns: exampleCount(30) },
  ));

Deno.test("with several outputs the loss is the weighted sum of the outputs' losses over all data", () =>
  fc.assert(
    fc.asyncProperty(anyExample, fc.double({ min: 0, max: 3, noNaN: true }), async (example, weight) => {
      const { x, sampleWeight } = dataOf(example);
      const y = dataOf({ ...example, loss: "mse" }).y;
      const [output, flag] = x as readonly Tensor[]; // dataOf makes a list
      const [a, b] = [positive(example.reduction), meanSquaredError({ reduction: example.reduction })];
      const data = { x, y: { a: y, b: at(y, 1, { axis: -1 }) }, ...(sampleWeight && { sampleWeight }) };
      const given = sampleWeight as Tensor | undefined;
      const ofA = item(computeLoss(a, y, output, { mask: less(0, flag), sampleWeight: given }));
      const perSample = given && given.shape.length === 1 ? given : undefined;
      if (given && !perSample) return; // the second output has values for [samples, time] without features
      const ofB = item(
        computeLoss(b, at(y, 1, { axis: -1 }), at(output, 0, { axis: -1 }), { sampleWeight: perSample }),
      );
      for (const batchSize of example.batchSizes) {
        const logs = await evaluate(twoHeads, variables, data, {
          loss: { a, b },
          lossWeights: { b: weight },
          batchSize,
          device: "reference",
        });
        assertClose(logs.a_loss, ofA, "a");
        assertClose(logs.b_loss, ofB, "b");
        assertClose(logs.loss, ofA + weight * ofB, "both");
      }
    }),
    { numRuns: exampleCount(30) },
  ));

Deno.test("metrics leave out what the mask and the loss leave out, one's own metrics too", async () => {
  const x = tensor([[[5, 0], [0, 5], [5, 0], [5, 0]], [[5, 0], [NaN, 5], [0, 5], [0, 5]]]);
  const flag = tensor([[1, 1, 1, 1], [1, -1, 1, 1]]);
  const y = tensor([[0, 1, -1, -1], [1, 0, -1, 1]], { dtype: "int32" });
  const seen: Metric = {
    ...meanMetric({ name: "seen" }),
    update: (state, target, _, weighting) =>
      meanMetric().update(state, target, weighting?.mask ? cast(weighting.mask, "float32") : ones([1])),
  };
  for (const batchSize of [1, 2]) {
    const logs = await evaluate(maskedBySecond, variables, { x: [x, flag] as Tree<Tensor>, y }, {
      loss: sparseCategoricalCrossentropy({ fromLogits: true, ignoreClass: -1 }),
      metrics: [
        "accuracy",
        "sparseCategoricalAccuracy",
        sparseTopKCategoricalAccuracy({ k: 1, name: "top" }),
        "sparseCategoricalCrossentropy",
        seen,
      ],
      weightedMetrics: ["acc"],
      batchSize,
      device: "reference",
    });
    for (const name of ["accuracy", "sparseCategoricalAccuracy", "top", "acc"]) {
      assertAlmostEquals(logs[name], 3 / 4, 1e-6);
    }
    assertAlmostEquals(logs.sparseCategoricalCrossentropy, logs.loss, 1e-6);
    assertAlmostEquals(logs.seen, 4 / 8, 1e-6);
  }
});

Deno.test("the gradient of a step is that of its batch's loss, and the logs of one batch are its loss", async () => {
  const data = dataOf({
    samples: 4,
    seed: 5,
    loss: "mse",
    reduction: "mean",
    weights: "steps",
    batchSizes: [],
  });
  using trainer = createTrainer(maskedBySecond, { loss: "mse", optimizer: sgd(), device: "reference" });
  const { logs } = await trainer.trainOnBatch({ variables }, data);
  const [output, flag] = data.x as readonly Tensor[]; // dataOf makes a list
  const loss = computeLoss(meanSquaredError(), data.y, output, {
    mask: less(0, flag),
    sampleWeight: data.sampleWeight as Tensor,
  });
  assertAlmostEquals(logs.loss, item(loss), 1e-6);
});

Deno.test("an output of weight 0 is watched, and may be NaN", async () => {
  const x = [normal(randomKey(0), [6, TIME, CLASSES]), normal(randomKey(1), [6, TIME])];
  const y = {
    a: normal(randomKey(2), [6, TIME, CLASSES]),
    b: select(less(normal(randomKey(3), [6, TIME]), 0), NaN, 1),
  };
  const { history } = await fit(twoHeads, variables, { x, y }, {
    loss: "mse",
    lossWeights: { b: 0 },
    optimizer: sgd(),
    epochs: 2,
    batchSize: 4,
    validation: { x, y },
    device: "reference",
    report: "none",
  });
  assertEquals(history.loss, history.a_loss);
  assertEquals(history.val_loss, history.val_a_loss);
  assert(Number.isFinite(history.loss[1]));
  assert(Number.isNaN(history.b_loss[0]));
});

Deno.test("addToSums: the mean of many batches keeps its precision, and the order does not matter", async () => {
  const device = { name: "wasm", threads: 1 } as const;
  const step = compile(addToSums, { device, keep: true, donate: [0] });
  const count = 70_001;
  const values = Float32Array.from({ length: count }, (_, i) => 0.1 + 1e-3 * ((i * 7919) % 997));
  const exact = [...values].reduce((sum, value) => sum + value, 0) / count;
  for (const order of [values, values.toReversed(), values.toSorted()]) {
    let sums = initSums();
    for (const value of order) sums = await step(sums, { total: tensor(value), count: tensor(1) });
    const mean = meanOfSums({ total: await read(sums.total), count: await read(sums.count) });
    // 17 levels of sums, each rounded to 2^-24 of its value.
    assertAlmostEquals(mean / exact, 1, 17 * 2 ** -24);
  }
  step[Symbol.dispose]();

  async function read(x: Tensor): Promise<Tensor> {
    return x.kind === "device" ? await x.read() : x;
  }
});

Deno.test("addToSums: batches in which nothing counts change nothing, NaN stays, and beyond the last level sums go on", () => {
  let sums = initSums();
  const add = (total: number, count: number) =>
    sums = addToSums(sums, { total: tensor(total), count: tensor(count) });
  for (let i = 0; i < 5; i++) add(0, 0);
  assertEquals(meanOfSums(sums), 0);
  for (let i = 1; i <= 13; i++) {
    add(i, 2);
    add(0, 0);
  }
  assertEquals(meanOfSums(sums), 91 / 26);
  add(-4, 4); // a weight may be negative
  assertEquals(meanOfSums(sums), 87 / 30);
  add(NaN, 1);
  for (let i = 0; i < 7; i++) add(1, 1);
  assert(Number.isNaN(meanOfSums(sums)));
  const [levels] = initSums().total.shape;
  const full = broadcastTo(tensor(1), [levels]);
  sums = { total: full, count: full };
  for (let i = 0; i < 3; i++) add(3, 1);
  assertEquals(meanOfSums(sums), (Number(levels) + 9) / (Number(levels) + 3));
});

Deno.test("a mean of everything as a metric: the sum of all values over their number", async () => {
  const x = normal(randomKey(8), [7, TIME, CLASSES]);
  const flag = normal(randomKey(9), [7, TIME]);
  const logs = await Promise.all(
    [1, 2, 7].map((batchSize) =>
      evaluate(maskedBySecond, variables, { x: [x, flag] as Tree<Tensor>, y: x }, {
        loss: "mse",
        metrics: [meanMetric({ name: "mean" })],
        batchSize,
        device: "reference",
      })
    ),
  );
  for (const { mean } of logs) assertAlmostEquals(mean, logs[0].mean, 1e-6);
});
