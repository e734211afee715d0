import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { traceFlat } from "../../src/program/trace.ts";
import { type HostTensor, spec, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import type { Weighting } from "../../src/training/alignment.ts";
import { resolveLoss, sparseCategoricalCrossentropy } from "../../src/training/losses.ts";
import {
  accuracy,
  binaryAccuracy,
  lossMetric,
  type Metric,
  metricNames,
  resolveMetric,
  rootMeanSquaredError,
  sparseCategoricalAccuracy,
  sparseTopKCategoricalAccuracy,
  topKCategoricalAccuracy,
} from "../../src/training/metrics.ts";
import { assertClose, oracleCases, oracleMissing, scalarOf, tensorOf } from "../support/oracle.ts";

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
  ignore: oracleMissing,
  fn() {
    const cases = oracleCases("losses_layers").filter(({ layer }) => layer.startsWith("metric:"));
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
    const sparse = name.startsWith("sparse");
    const [target, prediction] = [sparse ? spec([null], "int32") : spec([null, 3]), spec([null, 3])];
    const metric = resolveMetric(name, undefined, target, prediction);
    const { total, count } = metric.initState();
    traceFlat([target, prediction, total, count], ([t, p, ...sums]) => {
      const state = metric.update({ total: sums[0], count: sums[1] }, t, p);
      assertEquals([state.total.shape, state.count.shape], [total.shape, count.shape]);
      return { outputs: [state.total, state.count], result: undefined };
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
