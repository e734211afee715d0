/** Losses, metrics, optimizers, schedules and callbacks are data too: what a copy changes acts, or is refused. */
import * as cf from "@cellfold/cellfold";
import * as internal from "@cellfold/cellfold/internal";
import type { Callback, Loss, Metric, Optimizer, Schedule } from "@cellfold/cellfold";
import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { resolveLoss } from "../../src/training/losses.ts";
import { resolveOptimizer } from "../../src/training/optimizers.ts";
import { denseVariables, line } from "./models.ts";

const labels = cf.tensor([1, 0], { dtype: "int32" });
const values = cf.tensor([[0.2, 0.8], [0.6, 0.4]]);
const losses: Readonly<Record<string, () => Loss>> = {
  sparseCategoricalCrossentropy: cf.sparseCategoricalCrossentropy,
  categoricalCrossentropy: cf.categoricalCrossentropy,
  binaryCrossentropy: cf.binaryCrossentropy,
  meanSquaredError: cf.meanSquaredError,
  meanAbsoluteError: cf.meanAbsoluteError,
  huber: cf.huber,
};
const metrics: readonly Metric[] = [
  cf.accuracy(),
  cf.sparseCategoricalAccuracy(),
  cf.categoricalAccuracy(),
  cf.binaryAccuracy(),
  cf.topKCategoricalAccuracy(),
  cf.sparseTopKCategoricalAccuracy(),
  cf.rootMeanSquaredError(),
  cf.meanMetric(),
  internal.lossMetric(cf.huber()),
];
const optimizers: readonly Optimizer[] = [cf.sgd(), cf.rmsprop(), cf.adam(), cf.adamw()];
const schedules: readonly Schedule[] = [
  cf.exponentialDecay({ initialLearningRate: 1, decaySteps: 10, decayRate: 0.5 }),
  cf.cosineDecay({ initialLearningRate: 1, decaySteps: 10 }),
  cf.piecewiseConstantDecay({ boundaries: [1], values: [1, 2] }),
];

const message = (use: () => unknown) => assertThrows(use, TypeError).message;

/** A copy with an option changed, and one with an option beside the options. */
function copiesOf<T extends { readonly options: object }>(object: T): T[] {
  return [{ ...object, options: { ...object.options, extra: 1 } }, { ...object, extra: 1 }];
}

Deno.test("copies of losses with other options are refused; another reduction acts", async () => {
  for (const make of Object.values(losses)) {
    const loss = make();
    const target = loss.labels === "sparse" ? labels : values;
    for (const copy of copiesOf(loss)) {
      assertStringIncludes(message(() => cf.computeLoss(copy, target, values)), "copy");
      assertStringIncludes(message(() => resolveLoss(copy)), "copy");
      assertStringIncludes(message(() => internal.resolveMetric(copy, undefined, target, values)), "copy");
    }
    const total = cf.item(cf.computeLoss({ ...loss, reduction: "sum" }, target, values));
    assertEquals(total, cf.item(cf.sum(cf.computeLoss({ ...loss, reduction: "none" }, target, values))));
    assertThrows(() => (loss.options as { extra: number }).extra = 1, TypeError);
    const { values: detached } = loss;
    assertEquals(cf.toNested(detached(target, values)), cf.toNested(loss.values(target, values)));
  }
  const logits = { ...cf.sparseCategoricalCrossentropy(), fromLogits: true } as Loss;
  assertStringIncludes(
    message(() => cf.computeLoss(logits, labels, values)),
    "as in sparseCategoricalCrossentropy({ fromLogits: true })",
  );
  const quiet = { optimizer: "sgd", report: "none" } as const;
  const model = cf.dense({ units: 1 });
  await assertRejects(
    () =>
      cf.fit(model, denseVariables(1, 1), line(4), { ...quiet, loss: { ...cf.huber(), delta: 3 } as Loss }),
    TypeError,
    "as in huber({ delta: 3 })",
  );
});

Deno.test("copies of metrics with other options are refused; another name acts", async () => {
  for (const metric of metrics) {
    for (const copy of copiesOf(metric)) {
      assertStringIncludes(message(() => internal.resolveMetric(copy, undefined, labels, values)), "copy");
      assertStringIncludes(message(() => copy.update(copy.initState(), labels, values)), "copy");
    }
    const renamed = { ...metric, name: "other" };
    assertEquals(internal.resolveMetric(renamed, undefined, labels, values).name, "other");
  }
  const logs = await cf.evaluate(cf.dense({ units: 1 }), denseVariables(1, 1), line(4), {
    loss: "mse",
    metrics: [{ ...cf.meanAbsoluteError() }, { ...cf.rootMeanSquaredError(), name: "root" }],
  });
  assertEquals(Object.keys(logs), ["loss", "mae", "root"]);
});

Deno.test("copies of optimizers and schedules with other options are refused", async () => {
  const params = { w: cf.tensor(1) };
  for (const optimizer of optimizers) {
    for (const copy of copiesOf(optimizer)) {
      assertStringIncludes(message(() => copy.init(params)), "copy");
      assertStringIncludes(message(() => copy.update(params, optimizer.init(params), params)), "copy");
      assertStringIncludes(message(() => resolveOptimizer(copy)), "copy");
    }
    const { init, update } = optimizer;
    assertEquals(cf.toNested(update(params, init(params), params)[0].w) === 1, false);
  }
  const faster = { ...cf.adam(), learningRate: 0.1 } as Optimizer;
  await assertRejects(
    () =>
      cf.fit(cf.dense({ units: 1 }), denseVariables(1, 1), line(4), {
        loss: "mse",
        optimizer: faster,
        report: "none",
      }),
    TypeError,
    "as in adam({ learningRate: 0.1 })",
  );
  for (const schedule of schedules) {
    for (const copy of copiesOf(schedule)) {
      assertStringIncludes(message(() => copy.rate(cf.tensor(0, { dtype: "int32" }))), "copy");
    }
  }
});

Deno.test("copies of callbacks with other options are refused; with functions of their own they are taken", async () => {
  const data = line(4);
  const fit = (callback: Callback) =>
    cf.fit(cf.dense({ units: 1 }), denseVariables(1, 1), data, {
      loss: "mse",
      optimizer: "sgd",
      report: "none",
      epochs: 3,
      callbacks: [callback],
    });
  const patient = { ...cf.earlyStopping({ monitor: "loss" }), patience: 5 } as Callback;
  await assertRejects(() => fit(patient), TypeError, "as in earlyStopping({ patience: 5 })");
  const rare = { ...cf.saving({ save: () => {} }), every: 2 } as Callback;
  await assertRejects(() => fit(rare), TypeError, "as in saving({ every: 2 })");
  let ends = 0;
  await fit({ ...cf.saving({ save: () => {} }), onTrainEnd: () => void ends++ });
  assertEquals(ends, 1);
});
