import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Variables } from "../../src/layers/layer.ts";
import { dense } from "../../src/layers/dense.ts";
import { type Callback, type CallbackContext, earlyStopping, saving } from "../../src/training/callbacks.ts";
import { fit } from "../../src/training/fit.ts";
import { lossNames } from "../../src/training/losses.ts";
import type { MonitorMode } from "../../src/training/monitor.ts";
import { sgd } from "../../src/training/optimizers.ts";
import { metricNames } from "../../src/training/resolve_metric.ts";
import { denseVariables, line, valuesOf } from "./models.ts";

const model = dense({ units: 1 });
const common = { loss: "mse", report: "none", batchSize: 4 } as const;

/** Trains on a line; `rate` 0 never improves. */
function train(callbacks: Callback[], options: { rate?: number; epochs?: number } = {}) {
  const { rate = 0.1, epochs = 10 } = options;
  return fit(model, denseVariables(1, 1), line(8), {
    ...common,
    optimizer: sgd({ learningRate: rate }),
    epochs,
    callbacks,
    validation: line(4),
  });
}

Deno.test("callbacks are called in order, with what is known by then", async () => {
  const calls: string[] = [];
  const note = (name: keyof Callback): Callback => ({
    async [name]({ epoch, step, logs }: { epoch: number; step: number; logs: object }) {
      await Promise.resolve();
      calls.push(`${name} ${epoch} ${step} ${Object.keys(logs).join()}`);
    },
  });
  const names = ["onTrainBegin", "onEpochBegin", "onBatchEnd", "onEpochEnd", "onTrainEnd"] as const;
  await train(names.map(note), { epochs: 1 });
  assertEquals(calls, [
    "onTrainBegin 0 0 ",
    "onEpochBegin 0 0 ",
    "onBatchEnd 0 1 loss",
    "onBatchEnd 0 2 loss",
    "onEpochEnd 0 2 loss,val_loss",
    "onTrainEnd 1 0 loss,val_loss",
  ]);
});

Deno.test("a callback reads the weights, and ends training", async () => {
  const seen: number[][] = [];
  const { variables, history, stopped } = await train([{
    async onEpochEnd(context) {
      seen.push(valuesOf((await context.variables()).params));
      if (context.epoch === 1) context.stop();
    },
  }]);
  assertEquals([stopped, history.loss.length, seen.length], ["callback", 2, 2]);
  assertEquals(seen[1], valuesOf(variables.params));
  assert(seen[0][0] !== seen[1][0]);
});

Deno.test("a callback that stops at a step ends training there, without that epoch in the history", async () => {
  let steps = 0;
  const { history, stopped } = await train([{ onBatchEnd: (context) => void (++steps, context.stop()) }]);
  assertEquals([steps, stopped, history.loss.length], [1, "callback", 0]);
});

Deno.test("early stopping waits for as many epochs as patience says", async () => {
  const { history } = await train([earlyStopping({ patience: 3 })], { rate: 0 });
  assertEquals(history.loss.length, 4); // the first is the best
  const impatient = await train([earlyStopping({ monitor: "loss" })], { rate: 0 });
  assertEquals(impatient.history.loss.length, 2);
  const improving = await train([earlyStopping({ monitor: "loss", patience: 1 })], { rate: 0.01 });
  assertEquals(improving.stopped, undefined);
});

Deno.test("early stopping counts only changes above minDelta, and none before startFromEpoch", async () => {
  const early = await train([earlyStopping({ minDelta: 1e9, patience: 1 })]);
  assertEquals(early.history.loss.length, 2);
  const late = await train([earlyStopping({ minDelta: 1e9, patience: 1, startFromEpoch: 3 })]);
  assertEquals(late.history.loss.length, 5);
});

Deno.test("early stopping restores the weights of the best epoch", async () => {
  const weights: number[][] = [];
  const recorder: Callback = {
    async onEpochEnd(context) {
      weights.push(valuesOf((await context.variables()).params));
    },
  };
  // With mode max on a falling loss the first epoch is the best.
  const stopping = earlyStopping({ mode: "max", patience: 2, restoreBestWeights: true });
  const { variables, history } = await train([recorder, stopping], { rate: 0.01 });
  assertEquals(history.loss.length, 3);
  assertEquals(valuesOf(variables.params), weights[0]);
});

Deno.test("saving hands the weights over every few epochs, or when they are the best", async () => {
  const saved: { epoch: number; variables: Variables }[] = [];
  const save = (variables: Variables, { epoch }: { epoch: number }) => void saved.push({ epoch, variables });
  const { variables } = await train([saving({ save, every: 2 })], { epochs: 4 });
  assertEquals(saved.map(({ epoch }) => epoch), [1, 3]);
  assertEquals(valuesOf(saved[1].variables), valuesOf(variables));
  saved.length = 0;
  await train([saving({ save, saveBestOnly: true, monitor: "loss" })], { rate: 0 });
  assertEquals(saved.map(({ epoch }) => epoch), [0]);
});

Deno.test("a log that there will not be is refused before training, with those that there will", async () => {
  const run = (callbacks: Callback[]) =>
    fit(model, denseVariables(1, 1), line(8), { ...common, optimizer: "sgd", callbacks });
  await assertRejects(
    () => run([earlyStopping()]),
    RangeError,
    "the logs have loss; give fit the option validation",
  );
  await assertRejects(
    () => run([saving({ save: () => {}, saveBestOnly: true, monitor: "val_acuracy" })]),
    RangeError,
    'Cannot monitor "val_acuracy": the logs have loss',
  );
});

/** How many epochs early stopping lets pass while a log grows. */
async function epochsWhileGrowing(monitor: string, mode?: MonitorMode): Promise<number> {
  const callback = earlyStopping({ monitor, mode });
  let epochs = 0;
  let stopped = false;
  const context = { names: [monitor], stop: () => stopped = true } as unknown as CallbackContext; // all it reads
  await callback.onTrainBegin?.(context);
  while (!stopped && epochs < 5) {
    await callback.onEpochEnd?.({ ...context, epoch: epochs, logs: { [monitor]: epochs } });
    epochs++;
  }
  return epochs;
}

Deno.test("more is better of metrics that measure what is right, less of losses", async () => {
  const more = ["accuracy", "acc", "auc", "precision", "recall", "f1Score", "topKCategoricalAccuracy"];
  for (const name of more.flatMap((name) => [name, `val_${name}`, `val_digits_${name}`])) {
    assertEquals([name, await epochsWhileGrowing(name)], [name, 5]);
  }
  const less = ["loss", "rmse", "perplexity", ...lossNames];
  for (const name of less.flatMap((name) => [name, `val_${name}`, `val_digits_${name}`])) {
    assertEquals([name, await epochsWhileGrowing(name)], [name, 2]);
  }
});

Deno.test("a mode is wanted for a log whose name does not say what is better", async () => {
  for (const name of ["mean", "val_pr", "aucs", "myloss"]) {
    await assertRejects(
      () => epochsWhileGrowing(name),
      RangeError,
      `Cannot monitor "${name}": its name does`,
    );
    assertEquals([await epochsWhileGrowing(name, "max"), await epochsWhileGrowing(name, "min")], [5, 2]);
  }
});

Deno.test("every metric by name can be monitored, but the mean of what is predicted", async () => {
  for (const name of metricNames.filter((name) => name !== "mean")) await epochsWhileGrowing(name);
});

Deno.test("options that do not act are refused", () => {
  assertThrows(() => earlyStopping({ patience: -1 }), RangeError, "patience is -1");
  const misspelt = { patiense: 1 } as object;
  assertThrows(() => earlyStopping(misspelt), RangeError, 'did you mean "patience"?');
  assertThrows(() => saving({ save: () => {}, monitor: "loss" }), RangeError, "only with saveBestOnly");
});
