/** A run that is cut into several calls is the same run: nothing random begins again. */
import { assert, assertEquals } from "@std/assert";
import { batchNormalization } from "../../src/layers/batch_normalization.ts";
import { dense } from "../../src/layers/dense.ts";
import { dropout } from "../../src/layers/dropout.ts";
import type { Variables } from "../../src/layers/layer.ts";
import { lstm } from "../../src/layers/lstm.ts";
import { init } from "../../src/models/init.ts";
import { sequential } from "../../src/models/sequential.ts";
import { key, normal } from "../../src/operations/random.ts";
import { fit, type FitOptions } from "../../src/training/fit.ts";
import type { FitResult } from "../../src/training/fit_options.ts";
import {
  adam,
  type OptimizerLike,
  type OptimizerState,
  rmsprop,
  sgd,
} from "../../src/training/optimizers.ts";
import { exponentialDecay } from "../../src/training/schedules.ts";
import { loadCheckpoint, saveCheckpoint } from "../../formats/safetensors/mod.ts";
import { valuesOf } from "./models.ts";

const data = { x: normal(key(1), [13, 4, 3]), y: normal(key(2), [13, 1]) };
const model = sequential([
  lstm({ units: 3, dropout: 0.2, recurrentDropout: 0.2 }),
  batchNormalization(),
  dropout({ rate: 0.5 }),
  dense({ units: 1 }),
]);

/** Calls of `fit` one after the other, with the checkpoint written and read in between. */
async function inCalls(epochs: readonly number[], options: FitOptions): Promise<FitResult> {
  let variables: Variables = init(model, key(0), data.x);
  let optimizerState: OptimizerState | undefined;
  let last: FitResult | undefined;
  const loss: number[] = [];
  for (const count of epochs) {
    last = await fit(model, variables, data, { ...options, epochs: count, optimizerState });
    loss.push(...last.history.loss);
    const bytes = saveCheckpoint({ model, variables: last.variables, optimizerState: last.optimizerState });
    ({ variables, optimizerState } = loadCheckpoint(bytes));
  }
  if (!last) throw new Error("no call");
  return { ...last, history: { loss } };
}

const optimizers: readonly OptimizerLike[] = [
  adam({ learningRate: exponentialDecay({ initialLearningRate: 0.01, decaySteps: 3, decayRate: 0.9 }) }),
  sgd({ momentum: 0.9, nesterov: true }),
  rmsprop({ momentum: 0.5, centered: true }),
  sgd(),
];

for (const device of ["reference", "wasm"] as const) {
  Deno.test({
    name: `calls of fit that hand on the optimizer's state are one run, on ${device}`,
    sanitizeResources: false,
    sanitizeOps: false,
    async fn() {
      for (const optimizer of device === "wasm" ? optimizers : optimizers.slice(0, 1)) {
        const options: FitOptions = { loss: "mse", optimizer, batchSize: 4, report: "none", device };
        const whole = await inCalls([4], options);
        for (const calls of device === "wasm" ? [[2, 2], [1, 1, 1, 1], [1, 3]] : [[2, 2]]) {
          const cut = await inCalls(calls, options);
          assertEquals(cut.history.loss, whole.history.loss);
          assertEquals(valuesOf(cut.variables), valuesOf(whole.variables));
          assertEquals(valuesOf(cut.optimizerState), valuesOf(whole.optimizerState));
        }
      }
    },
  });
}

Deno.test("a key makes a run; the same key in a call that goes on draws anew", async () => {
  const options: FitOptions = { loss: "mse", optimizer: "sgd", batchSize: 4, report: "none", key: key(7) };
  const variables = init(model, key(0), data.x);
  const first = await fit(model, variables, data, options);
  assertEquals((await fit(model, variables, data, options)).history, first.history);
  const other = await fit(model, variables, data, { ...options, key: key(8) });
  assert(other.history.loss[0] !== first.history.loss[0]);
  // The same weights again, counted as trained for one epoch: only what is drawn differs.
  const { optimizerState } = first;
  const later = await fit(model, variables, data, { ...options, optimizerState });
  assert(later.history.loss[0] !== first.history.loss[0]);
});

Deno.test("initialEpoch numbers epochs and changes nothing that is drawn", async () => {
  const options: FitOptions = { loss: "mse", optimizer: "adam", batchSize: 4, report: "none" };
  const start = init(model, key(0), data.x);
  const { variables, optimizerState } = await fit(model, start, data, options);
  const numbered = await fit(model, variables, data, {
    ...options,
    optimizerState,
    initialEpoch: 1,
    epochs: 2,
  });
  const plain = await fit(model, variables, data, { ...options, optimizerState });
  assertEquals(numbered.history, plain.history);
});
