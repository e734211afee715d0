import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as cf from "@cellfold/cellfold";
import { resolveMetric } from "../../src/training/resolve_metric.ts";

type Batch = [
  target: cf.Tensor,
  prediction: cf.Tensor,
  weighting?: { mask?: cf.Tensor; sampleWeight?: cf.Tensor },
];

function over(metric: cf.Metric, ...batches: Batch[]): number {
  return metric.result(batches.reduce((state, batch) => metric.update(state, ...batch), metric.initState()));
}

const truth = [1, 0, 1, 1, 0, 0, 1, 0, 1, 0], said = [0.9, 0.8, 0.7, 0.6, 0.55, 0.4, 0.3, 0.2, 0.15, 0.1];
const parts = [[0, 2], [2, 3], [3, 10]].map(([from, to]): Batch => [
  cf.tensor(truth.slice(from, to)),
  cf.tensor(said.slice(from, to)),
]);

Deno.test("precision, recall, F1 and areas are those of all batches, not means of batches", () => {
  assertAlmostEquals(over(cf.precision(), ...parts), 3 / 5);
  assertAlmostEquals(over(cf.recall(), ...parts), 3 / 5);
  assertAlmostEquals(over(cf.recall({ threshold: 0.2 }), ...parts), 4 / 5);
  assertAlmostEquals(over(cf.f1Score({ classes: 1 }), ...parts), 3 / 5);
  // The share of pairs that are in order.
  const pairs = truth.flatMap((a, i) => truth.map((b, j) => a > b ? Number(said[i] > said[j]) : undefined))
    .filter((pair) => pair !== undefined);
  const expected = pairs.reduce<number>((sum, pair) => sum + pair, 0) / pairs.length;
  assertAlmostEquals(over(cf.auc({ numThresholds: 2000 }), ...parts), expected, 1e-6);
  for (const metric of [cf.precision(), cf.recall(), cf.auc(), cf.f1Score({ classes: 1 })]) {
    assertEquals(metric.result(metric.initState()), 0);
  }
});

Deno.test("masks and weights of 0 leave out what is there, NaN too", () => {
  const target = cf.tensor([[[1], [0], [NaN]], [[0], [NaN], [NaN]]]);
  const prediction = cf.tensor([[[0.9], [0.8], [NaN]], [[0.7], [0.1], [0.1]]]);
  const mask = cf.tensor([[true, true, false], [true, false, false]]);
  const sampleWeight = cf.tensor([1, 0.5]);
  assertAlmostEquals(over(cf.precision(), [target, prediction, { mask }]), 1 / 3);
  assertAlmostEquals(over(cf.precision(), [target, prediction, { mask, sampleWeight }]), 1 / 2.5);
  assertAlmostEquals(over(cf.auc(), [target, prediction, { mask }]), 1, 1e-6);
});

Deno.test("class indices, one class of several, and logits", () => {
  const labels = cf.tensor([0, 2, 1, 2], { dtype: "int32" });
  const scores = cf.tensor([[0.8, 0.1, 0.1], [0.6, 0.1, 0.3], [0.1, 0.8, 0.1], [0.1, 0.2, 0.7]]);
  assertAlmostEquals(over(cf.precision(), [labels, scores]), 3 / 4);
  assertEquals(over(cf.recall({ classId: 2 }), [labels, scores]), 1 / 2);
  // Of the classes: 2/3, 1, 2/3.
  assertAlmostEquals(over(cf.f1Score({ classes: 3 }), [labels, scores]), 7 / 9);
  assertAlmostEquals(over(cf.f1Score({ classes: 3, average: "micro" }), [labels, scores]), 3 / 4);
  assertAlmostEquals(over(cf.f1Score({ classes: 3, average: "weighted" }), [labels, scores]), 3 / 4);
  const ofLogits = (name: "precision" | "auc" | "f1Score") =>
    resolveMetric(name, cf.binaryCrossentropy({ fromLogits: true }), cf.spec([null]), cf.spec([null, 1]));
  const batch: Batch = [cf.tensor([1, 0, 1]), cf.tensor([[0.2], [-3], [4]])];
  assertEquals(over(ofLogits("precision"), batch), 1);
  assertEquals(over(ofLogits("f1Score"), batch), 1);
  assertAlmostEquals(over(ofLogits("auc"), batch), 1, 1e-6);
});

Deno.test("perplexity is the exponential of the crossentropy of all labels", () => {
  const labels = (values: number[]) => cf.tensor(values, { dtype: "int32" });
  const probabilities = (...values: number[]) => cf.tensor(values.map((p) => [p, 1 - p]));
  const metric = cf.perplexity({ ignoreClass: -1 });
  const value = over(metric, [labels([0, 0, 0]), probabilities(0.5, 0.25, 0.125)], [
    labels([0, -1]),
    probabilities(0.5, 0.9),
  ]);
  assertAlmostEquals(value, 2 ** (7 / 4), 1e-5);
});

Deno.test("training finds the classes and the logits of metrics by name", async () => {
  const x = cf.normal(cf.key(1), [20, 3]);
  const y = cf.argmax(x);
  const model = cf.dense({ units: 3 });
  const variables = cf.init(model, cf.key(0), cf.spec([null, 3]));
  const logs = await cf.evaluate(
    model,
    {
      ...variables,
      params: {
        kernel: cf.mul(9, cf.cast(cf.equal(cf.iota([3, 1], { axis: 0 }), cf.iota([3])), "float32")),
        bias: cf.zeros([3]),
      },
    },
    { x, y },
    {
      loss: cf.sparseCategoricalCrossentropy({ fromLogits: true }),
      metrics: ["f1Score", "perplexity", "accuracy"],
      batchSize: 8,
      device: "reference",
    },
  );
  assertEquals([logs.f1Score, logs.accuracy], [1, 1]);
  assertAlmostEquals(logs.perplexity, Math.exp(logs.loss), 1e-6);
});

Deno.test("options are checked, and classes that are not known", () => {
  assertThrows(() => cf.f1Score().initState(), RangeError, "give it classes");
  assertThrows(() => cf.f1Score({ average: "mean" as "micro" }), RangeError, "average of f1Score"); // no average
  assertThrows(() => cf.auc({ numThresholds: 1 }), RangeError, "numThresholds");
  assertThrows(() => cf.auc({ curve: "roc" as "ROC" }), RangeError, "curve of auc"); // no curve
  assertThrows(
    () => over(cf.precision({ classId: 3 }), [cf.zeros([2, 3]), cf.zeros([2, 3])]),
    RangeError,
    "classId is 3, expected one of the 3 classes",
  );
  assertThrows(
    () => over(cf.f1Score({ classes: 4 }), [cf.zeros([2, 3]), cf.zeros([2, 3])]),
    TypeError,
    "4 classes",
  );
});
