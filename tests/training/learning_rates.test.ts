import {
  adam,
  type Callback,
  type CallbackContext,
  dense,
  fit,
  init,
  key,
  learningRateSchedule,
  normal,
  reduceLrOnPlateau,
  sgd,
  zeros,
} from "@cellfold/cellfold";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";

const model = dense({ units: 1 });
const data = { x: normal(key(1), [4, 2]), y: zeros([4, 1]) };

/** The rates that a callback sets where the monitored log has these values, one per epoch. */
async function ratesFor(callback: Callback, values: readonly number[]): Promise<number[]> {
  let rate = 1;
  const rates: number[] = [];
  const context = (epoch: number, logs: Record<string, number>) => ({
    epoch,
    logs,
    names: ["loss"],
    learningRate: () => Promise.resolve(rate),
    setLearningRate: (next: number) => void (rate = next),
  } as Partial<CallbackContext> as CallbackContext);
  await callback.onTrainBegin?.(context(0, {}));
  for (const [epoch, loss] of values.entries()) {
    await callback.onEpochEnd?.(context(epoch, { loss }));
    rates.push(rate);
  }
  return rates;
}

Deno.test("reduceLrOnPlateau: the rate falls after patience epochs without improvement, as in Keras", async () => {
  const plateau = (options: Parameters<typeof reduceLrOnPlateau>[0]) =>
    reduceLrOnPlateau({ monitor: "loss", factor: 0.5, ...options });
  // Expected: what keras.callbacks.ReduceLROnPlateau of Keras 3 does with these losses, by its formulas.
  assertEquals(await ratesFor(plateau({ patience: 2 }), [5, 5, 5, 5, 5]), [1, 1, 0.5, 0.5, 0.25]);
  assertEquals(await ratesFor(plateau({ patience: 1, cooldown: 2 }), [5, 5, 5, 5, 5]), [
    1,
    0.5,
    0.5,
    0.25,
    0.25,
  ]);
  assertEquals(await ratesFor(plateau({ patience: 1, minLearningRate: 0.4 }), [5, 5, 5, 5]), [
    1,
    0.5,
    0.4,
    0.4,
  ]);
  assertEquals(await ratesFor(plateau({ patience: 1, minDelta: 1 }), [5, 4.5, 3]), [1, 0.5, 0.5]);
  assertEquals(await ratesFor(plateau({ patience: 1, mode: "max" }), [5, 6, 6]), [1, 1, 0.5]);
  assertEquals(await ratesFor(plateau({ patience: 1 }), [NaN, 5, 5]), [0.5, 0.5, 0.25]);
});

Deno.test("learningRateSchedule: each epoch takes the rate of the function", async () => {
  const given: (readonly [number, number])[] = [];
  const callback = learningRateSchedule((epoch, rate) => {
    given.push([epoch, rate]);
    return rate / 2;
  });
  const start = init(model, key(0), data.x);
  const train = (callbacks: Callback[], learningRate: number, epochs: number) =>
    fit(model, start, data, {
      loss: "mse",
      optimizer: sgd({ learningRate }),
      report: "none",
      epochs,
      callbacks,
    });
  const { variables } = await train([callback], 0.5, 1);
  assertEquals(given, [[0, 0.5]]);
  assertEquals(variables, (await train([], 0.25, 1)).variables);
  given.length = 0;
  await train([callback], 0.5, 3);
  assertEquals(given, [[0, 0.5], [1, 0.25], [2, 0.125]]);
});

Deno.test("a rate in the state is the rate of every optimizer", async () => {
  const start = init(model, key(0), data.x);
  const optimizer = adam({ learningRate: 0.5 });
  const { optimizerState } = await fit(model, start, data, {
    loss: "mse",
    optimizer,
    report: "none",
    callbacks: [learningRateSchedule(() => 0.125)],
  });
  const { learningRate } = optimizerState;
  assertEquals("data" in learningRate && [...learningRate.data as Float32Array], [0.125]);
  const params = { w: zeros([1]) };
  const { learningRate: _, ...without } = optimizer.init(params);
  assertThrows(
    () => optimizer.update(params, without, params),
    TypeError,
    "Cannot update with adam: the learningRate in the state is undefined, expected a float32 scalar",
  );
});

Deno.test("a log that there is not, an optimizer with a schedule, and odd options are refused", async () => {
  const start = init(model, key(0), data.x);
  const options = { loss: "mse", optimizer: "sgd", report: "none" } as const;
  await assertRejects(
    () => fit(model, start, data, { ...options, callbacks: [reduceLrOnPlateau()] }),
    RangeError,
    'Cannot monitor "val_loss": the logs have loss',
  );
  const wrong = learningRateSchedule(() => NaN);
  await assertRejects(
    () => fit(model, start, data, { ...options, callbacks: [wrong] }),
    RangeError,
    "it is NaN",
  );
  assertThrows(() => reduceLrOnPlateau({ factor: 1 }), RangeError, "factor is 1");
  assertThrows(() => reduceLrOnPlateau({ patience: -1 }), RangeError, "patience is -1");
  assertThrows(
    () => learningRateSchedule(0.1 as never),
    TypeError,
    "rate is the number 0.1, expected a function",
  );
});
