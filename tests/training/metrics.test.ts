import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { traceFlat } from "../../src/program/trace.ts";
import { type HostTensor, spec, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import type { Weighting } from "../../src/training/alignment.ts";
import {
  binaryCrossentropy,
  type Loss,
  resolveLoss,
  sparseCategoricalCrossentropy,
} from "../../src/training/losses.ts";
import { type MetricLike, metricNames, resolveMetric } from "../../src/training/resolve_metric.ts";
import {
  accuracy,
  binaryAccuracy,
  categoricalAccuracy,
  lossMetric,
  type Metric,
  rootMeanSquaredError,
  sparseCategoricalAccuracy,
  sparseTopKCategoricalAccuracy,
  topKCategoricalAccuracy,
} from "../../src/training/metrics.ts";
import { sigmoid } from "../../src/operations/elementwise.ts";
import { softmax } from "../../src/operations/reduction.ts";
import { compile } from "../../src/transforms/compile.ts";
import { assertClose, mayReadCases, oracleCases, scalarOf, tensorOf } from "../support/oracle.ts";

const labels = (values: number[] | number[][]): HostTensor => tensor(values, { dtype: "int32" });

function once(metric: Metric, target: Tensor, prediction: Tensor, weighting?: Weighting): number {
  return metric.result(metric.update(metric.initState(), target, prediction, weighting));
}

/** Keras's class names as metrics of ours. */
function metricOf(layer: string, config: Readonly<Record<string, unknown>>): Metric {
  const name = layer.slice("metric:".length);
  if (name === "BinaryAccuracy") return binaryAccuracy({ threshold: Number(config.threshold) });
  if (name === "SparseCategoricalCrossentropy") {
    return lossMetric(sparseCategoricalCrossentropy({ fromLogits: config.from_logits === true }));
  }
  const ours = name[0].toLowerCase() + name.slice(1);
  return resolveMetric(ours as "accuracy", undefined, spec([null]), spec([null, 2])); // a name, or it throws
}

Deno.test({
  name: "metrics agree with Keras over several batches",
  ignore: !mayReadCases,
  async fn() {
    const cases = (await oracleCases("losses_layers")).filter(({ layer }) => layer.startsWith("metric:"));
    assert(cases.length >= 9);
    for (const { name, layer, config, steps } of cases) {
      const metric = metricOf(layer, config);
      let state = metric.initState();
      for (const { op, inputs = {}, outputs } of steps) {
        if (op === "reset_state") state = metric.initState();
        else {
          const prediction = tensorOf(inputs.y_pred ?? inputs.values);
          const target = inputs.y_true ? tensorOf(inputs.y_true) : prediction;
          const sampleWeight = inputs.sample_weight && tensorOf(inputs.sample_weight);
          state = metric.update(state, target, prediction, { sampleWeight });
        }
        assertClose(scalarOf(metric.result(state)), outputs.result, 1e-5, name);
      }
    }
  },
});

Deno.test("accuracy becomes the one that fits the loss and the shapes, and keeps its name", () => {
  const batch = (...rest: number[]) => spec([null, ...rest]);
  const sparse = resolveLoss("sparseCategoricalCrossentropy");
  const type = (...[metric, loss, target, prediction]: Parameters<typeof resolveMetric>) => {
    const found = resolveMetric(metric, loss, target, prediction);
    assertEquals(found.name, metric === "acc" ? "acc" : "accuracy");
    return found.type;
  };
  assertEquals(type("accuracy", sparse, batch(), batch(10)), "sparseCategoricalAccuracy");
  assertEquals(type("acc", sparse, batch(1), batch(10)), "sparseCategoricalAccuracy");
  assertEquals(type("accuracy", undefined, batch(1), batch(10)), "sparseCategoricalAccuracy");
  assertEquals(
    type(accuracy(), resolveLoss("categoricalCrossentropy"), batch(10), batch(10)),
    "categoricalAccuracy",
  );
  assertEquals(type(accuracy(), resolveLoss("binaryCrossentropy"), batch(), batch(1)), "binaryAccuracy");
  assertEquals(
    type(accuracy(), undefined, spec([null, null]), spec([null, null, 7])),
    "sparseCategoricalAccuracy",
  );
});

Deno.test("accuracies count what is right", () => {
  const scores = tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.2, 0.3, 0.5]]);
  assertAlmostEquals(once(sparseCategoricalAccuracy(), labels([1, 0, 0]), scores), 2 / 3);
  assertAlmostEquals(once(accuracy(), labels([[1], [0], [0]]), scores), 2 / 3);
  assertAlmostEquals(once(accuracy(), tensor([[0, 1, 0], [1, 0, 0], [1, 0, 0]]), scores), 2 / 3);
  assertEquals(once(binaryAccuracy(), tensor([1, 0]), tensor([[0.5], [0.2]])), 0.5);
  assertEquals(once(binaryAccuracy({ threshold: 0 }), tensor([[1], [0]]), tensor([[0.1], [-2]])), 1);
});

Deno.test("top-k accuracies count labels among the k largest, ties included", () => {
  const scores = tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.3, 0.3, 0.4]]);
  assertAlmostEquals(once(sparseTopKCategoricalAccuracy({ k: 2 }), labels([2, 2, 0]), scores), 2 / 3);
  const oneHot = tensor([[0, 0, 1], [0, 0, 1], [1, 0, 0]]);
  assertAlmostEquals(once(topKCategoricalAccuracy({ k: 2 }), oneHot, scores), 2 / 3);
  assertEquals(once(topKCategoricalAccuracy(), oneHot, scores), 1);
  assertThrows(() => topKCategoricalAccuracy({ k: 0 }), RangeError, "k is 0");
});

Deno.test("top-k accuracies follow Keras where predictions are equal, and NaN is never among the k largest", () => {
  const at = (k: number, label: number, ...row: number[]) =>
    once(sparseTopKCategoricalAccuracy({ k }), labels([label]), tensor([row]));
  // Only what is above the label's keeps it out: of equal ones each is in.
  for (const label of [0, 1, 2]) assertEquals(at(1, label, 0.3, 0.3, 0.3), 1);
  assertEquals([at(1, 0, 0.3, 0.3, 0.4), at(2, 0, 0.3, 0.3, 0.4)], [0, 1]);
  for (const k of [1, 2, 3, 10]) {
    for (const label of [0, 1, 2]) assertEquals(at(k, label, NaN, NaN, NaN), 0);
    assertEquals(at(k, 0, NaN, 0.5, 0.2), 0);
    assertEquals(at(k, 7, 0.5, 0.5, 0.5), 0, "no class");
    assertEquals(at(k, -1, 0, 0, 0), 0, "no class");
  }
  // NaN elsewhere takes a place among the largest.
  assertEquals([at(1, 1, NaN, 0.5, 0.2), at(2, 1, NaN, 0.5, 0.2), at(2, 2, NaN, 0.5, 0.2)], [0, 1, 0]);
  assertEquals([at(1, 1, 0, Infinity, 1), at(1, 0, -Infinity, -Infinity, -1)], [1, 0]);
  const oneHot = tensor([[0, 1, 0]]);
  assertEquals(once(topKCategoricalAccuracy({ k: 3 }), oneHot, tensor([[0, NaN, 0]])), 0);
});

Deno.test("behind a softmax predictions are ranked by their logits, as far apart as they may be", () => {
  const logits = tensor([[900, 300, 200, 100, 0], [0, 1e-9, 0, 0, 0], [Infinity, 0, 0, 0, 0], [
    NaN,
    0,
    0,
    0,
    0,
  ]]);
  const found = (metric: Metric, ...given: number[]) => once(metric, labels(given), softmax(logits));
  // Of the first row all probabilities but one are 0.
  assertEquals(found(sparseTopKCategoricalAccuracy({ k: 2 }), 4, 1, 1, 1), 1 / 4);
  assertEquals(found(sparseTopKCategoricalAccuracy({ k: 2 }), 1, 1, 1, 1), 2 / 4);
  assertEquals(
    found(sparseTopKCategoricalAccuracy({ k: 5 }), 1, 1, 0, 0),
    2 / 4,
    "NaN is not among the 5 largest",
  );
  assertEquals(found(sparseCategoricalAccuracy(), 0, 1, 0, 0), 2 / 4);
});

Deno.test("a prediction or target that is NaN is never right, and errors of it are NaN", () => {
  const rows = tensor([[NaN, NaN, NaN], [NaN, 1, 0], [2, NaN, 1], [2, 1, NaN], [3, 2, 1]]);
  assertEquals(once(sparseCategoricalAccuracy(), labels([0, 1, 0, 0, 0]), rows), 1 / 5);
  assertEquals(once(sparseCategoricalAccuracy(), labels([0, 0, 1, 2, 1]), rows), 0);
  const first = tensor([[1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0], [1, 0, 0]]);
  assertEquals(once(categoricalAccuracy(), first, rows), 1 / 5);
  assertEquals(once(categoricalAccuracy(), rows, rows), 1 / 5);
  for (const threshold of [null, 0, 0.5]) {
    const accuracy = binaryAccuracy({ threshold });
    assertEquals(once(accuracy, tensor([0, 1, 0, 1]), tensor([NaN, NaN, -1, 1])), 0.5);
    assertEquals(once(accuracy, tensor([NaN, NaN]), tensor([0, 1])), 0);
  }
  for (const name of ["mse", "mae", "huber", "rmse", "mean"] as const) {
    const metric = resolveMetric(name, undefined, spec([null]), spec([null]));
    assert(Number.isNaN(once(metric, tensor([0, 0]), tensor([NaN, 1]))), name);
  }
});

Deno.test("binary accuracies know whether their loss takes logits", () => {
  const ofLogits = binaryCrossentropy({ fromLogits: true });
  const [target, prediction] = [tensor([[1], [1], [0], [0]]), tensor([[0.2], [3], [-0.1], [-4]])];
  const found = (metric: MetricLike, loss: Loss, p: Tensor = prediction) =>
    once(resolveMetric(metric, loss, target, p), target, p);
  for (const metric of ["accuracy", "acc", "binaryAccuracy", accuracy(), binaryAccuracy()] as const) {
    assertEquals(found(metric, ofLogits), 1);
    assertEquals(found(metric, binaryCrossentropy()), 0.75, "0.2 as a probability means no");
    // The loss finds the logits behind a sigmoid; what the metric sees are probabilities.
    assertEquals(found(metric, ofLogits, sigmoid(prediction)), 1);
    assertEquals(found(metric, binaryCrossentropy(), sigmoid(prediction)), 1);
  }
  assertEquals(found(binaryAccuracy({ threshold: 0.5 }), ofLogits), 0.75, "what is asked for is done");
  assertEquals(found(binaryAccuracy({ threshold: 0 }), binaryCrossentropy()), 1);
  const own: Loss = { ...ofLogits, type: "own" };
  assertEquals(found("accuracy", own), 1);
});

Deno.test("with a binary crossentropy accuracy is binary, however many outputs there are", () => {
  const target = tensor([[1, 0, 1], [0, 0, 1]]);
  const logits = tensor([[2, 0.1, 0.4], [-1, -2, -3]]);
  const found = (loss: Loss, p: Tensor) => once(resolveMetric("accuracy", loss, target, p), target, p);
  assertAlmostEquals(found(binaryCrossentropy({ fromLogits: true }), logits), 4 / 6);
  assertAlmostEquals(found(binaryCrossentropy(), sigmoid(logits)), 4 / 6);
  assertEquals(found(resolveLoss("categoricalCrossentropy"), logits), 0.5);
});

Deno.test("a crossentropy by name takes logits where the loss does, one made by a function what it says", () => {
  const logits = tensor([[3, -1, 0], [0, 2, 1]]);
  const target = labels([0, 2]);
  const loss = sparseCategoricalCrossentropy({ fromLogits: true });
  const found = (metric: MetricLike, given: Loss, t: Tensor = target, p: Tensor = logits) =>
    once(resolveMetric(metric, given, t, p), t, p);
  const expected = found(loss, loss);
  assertAlmostEquals(found("sparseCategoricalCrossentropy", loss), expected);
  const oneHot = tensor([[1, 0, 0], [0, 0, 1]]);
  assertAlmostEquals(found("categoricalCrossentropy", loss, oneHot), expected);
  const [bits, score] = [tensor([[1], [0]]), tensor([[2], [-3]])];
  const ofLogits = binaryCrossentropy({ fromLogits: true });
  assertAlmostEquals(
    found("binaryCrossentropy", ofLogits, bits, score),
    (Math.log1p(Math.exp(-2)) + Math.log1p(Math.exp(-3))) / 2,
    1e-6,
  );
  assertEquals(
    found("binaryCrossentropy", resolveLoss("mse"), bits, score),
    found(binaryCrossentropy(), ofLogits, bits, score),
  );
  assertEquals(found("mse", ofLogits, bits, score), 5, "no option of its own");
});

Deno.test("masks and weights enter as in the loss", () => {
  const scores = tensor([[[1, 0], [0, 1]], [[1, 0], [1, 0]]]);
  const target = labels([[0, 0], [0, 1]]);
  const mask = tensor([[true, false], [true, true]]);
  assertEquals(once(sparseCategoricalAccuracy(), target, scores), 0.5);
  assertAlmostEquals(once(sparseCategoricalAccuracy(), target, scores, { mask }), 2 / 3);
  const sampleWeight = tensor([3, 1]);
  assertAlmostEquals(once(sparseCategoricalAccuracy(), target, scores, { mask, sampleWeight }), 4 / 5);
});

Deno.test("a metric accumulates over batches of different size, and begins at 0", () => {
  const metric = rootMeanSquaredError();
  let state = metric.initState();
  assertEquals(metric.result(state), 0);
  state = metric.update(state, tensor([[0], [0], [0]]), tensor([[1], [1], [1]]));
  state = metric.update(state, tensor([[0]]), tensor([[3]]));
  assertAlmostEquals(metric.result(state), Math.sqrt(12 / 4));
});

Deno.test("a loss is a metric, with Keras's short names and its own ignoreClass", () => {
  const named = (metric: Parameters<typeof resolveMetric>[0]) =>
    resolveMetric(metric, undefined, spec([null, 2]), spec([null, 2])).name;
  assertEquals(named("mse"), "mse");
  assertEquals(named(resolveLoss("meanSquaredError")), "mse");
  assertEquals(named(resolveLoss("meanAbsoluteError")), "mae");
  assertEquals(named("rmse"), "rmse");
  assertEquals(named(sparseCategoricalCrossentropy()), "sparseCategoricalCrossentropy");
  assertEquals(named(binaryAccuracy({ name: "hits" })), "hits");
  const loss = sparseCategoricalCrossentropy({ fromLogits: true, ignoreClass: -1 });
  assertAlmostEquals(once(lossMetric(loss), labels([0, -1]), tensor([[0, 0], [9, 0]])), Math.LN2, 1e-6);
});

Deno.test("every metric can be traced with a symbolic batch", () => {
  for (const name of metricNames) {
    const isChain = name.startsWith("crf");
    const isSparse = isChain || name.startsWith("sparse") || name === "perplexity";
    const target = name === "ctc" || isChain
      ? spec([null, null], "int32")
      : isSparse
      ? spec([null], "int32")
      : spec([null, 3]);
    const prediction = isChain
      ? spec([null, null, 3, 3])
      : name === "ctc"
      ? spec([null, null, 3])
      : spec([null, 3]);
    const metric = resolveMetric(name, undefined, target, prediction);
    const state = metric.initState();
    const names = Object.keys(state);
    traceFlat([target, prediction, ...Object.values(state)], ([t, p, ...sums]) => {
      const next = metric.update(Object.fromEntries(sums.map((sum, index) => [names[index], sum])), t, p);
      assertEquals(Object.keys(next), names);
      for (const each of names) assertEquals(next[each].shape, state[each].shape);
      return { outputs: Object.values(next), result: undefined };
    });
  }
});

Deno.test("unknown names and options are refused", () => {
  const resolve = (metric: unknown) => () =>
    resolveMetric(metric as "mse", undefined, spec([null]), spec([null])); // wrong on purpose
  assertThrows(resolve("acuracy"), RangeError, 'did you mean "accuracy"');
  assertThrows(resolve("toString"), RangeError, "unknown");
  assertThrows(resolve({}), TypeError);
  assertThrows(() => binaryAccuracy({ treshold: 1 } as object), RangeError, 'did you mean "threshold"'); // no option
});

for (const device of ["reference", "wasm", "webgpu"] as const) {
  Deno.test({
    name: `on ${device}, predictions that are NaN are never right`,
    ignore: device === "webgpu" && !(await navigator.gpu?.requestAdapter()),
    sanitizeResources: false, // a device and workers outlive a test
    sanitizeOps: false,
    async fn() {
      const metrics = {
        sparse: sparseCategoricalAccuracy(),
        top1: sparseTopKCategoricalAccuracy({ k: 1 }),
        top9: sparseTopKCategoricalAccuracy({ k: 9 }),
      };
      const states = Object.fromEntries(Object.entries(metrics).map(([name, m]) => [name, m.initState()]));
      const update = compile(
        (t: Tensor, p: Tensor) =>
          Object.fromEntries(
            Object.entries(metrics).map(([name, metric]) => [name, metric.update(states[name], t, p)]),
          ),
        { device },
      );
      // 0/0 is a NaN with its sign set on x86.
      const negative = new Float32Array(new Uint32Array([0xffc00000]).buffer)[0];
      for (const nan of [NaN, negative]) {
        const rows = tensor(Float32Array.from([nan, nan, nan, nan, 1, 0, 3, 2, 1]), { shape: [3, 3] });
        const found = await update(labels([0, 1, 0]), rows);
        const result = (name: keyof typeof metrics) => metrics[name].result(found[name]);
        assertAlmostEquals(result("sparse"), 1 / 3);
        assertAlmostEquals(result("top1"), 1 / 3);
        assertAlmostEquals(result("top9"), 2 / 3);
      }
      update[Symbol.dispose]();
    },
  });
}
