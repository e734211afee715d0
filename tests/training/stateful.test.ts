/** Stateful models in fit, evaluate and predict: their batch, their order, and what their carries go on from. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  batchNormalization,
  type Data,
  dense,
  evaluate,
  fit,
  type FitOptions,
  gru,
  init,
  key,
  lstm,
  normal,
  predict,
  resetStates,
  sequential,
  spec,
  type Variables,
} from "@cellfold/cellfold";
import { valuesOf } from "./models.ts";

const model = sequential([
  gru({ units: 3, stateful: true, returnSequences: true }),
  batchNormalization({ momentum: 0.5 }),
  lstm({ units: 2, stateful: true }),
  dense({ units: 1 }),
]);
const BATCH = 3;
const input = spec([BATCH, 4, 2]);
const initial = init(model, key(0), input);
const data: Data = { x: normal(key(1), [12, 4, 2]), y: normal(key(2), [12, 1]) };
const held: Data = { x: normal(key(3), [6, 4, 2]), y: normal(key(4), [6, 1]) };
const options: FitOptions = { loss: "mse", optimizer: "adam", report: "none" };

/** The same with fresh carries. */
const fresh = (variables: Variables): Variables => ({
  ...variables,
  state: resetStates(model, variables, input),
});

Deno.test("the batch of a stateful model is that of its state where none is given", async () => {
  const { variables } = await fit(model, initial, data, options);
  assertEquals(variables, (await fit(model, initial, data, { ...options, batchSize: BATCH })).variables);
  assertEquals(
    await predict(model, variables, held.x),
    await predict(model, variables, held.x, { batchSize: BATCH }),
  );
  assertEquals(
    await evaluate(model, variables, held, { loss: "mse" }),
    await evaluate(model, variables, held, { loss: "mse", batchSize: BATCH }),
  );
  // for 2 samples, as they come in a conversation, nothing is to be said either
  const two = init(model, key(0), spec([2, 4, 2]));
  assertEquals((await predict(model, two, normal(key(5), [2, 4, 2]))).shape, [2, 1]);
  const odd = normal(key(5), [4, 4, 2]);
  await assertRejects(() => predict(model, initial, odd), RangeError, "1 samples remain");
  await assertRejects(() => predict(model, initial, odd, { batchSize: 4 }), RangeError, "a batch of 3");
});

Deno.test("a stateful model keeps the order of its samples unless shuffling is asked for", async () => {
  const run = async (shuffle?: boolean) =>
    valuesOf((await fit(model, initial, data, { ...options, shuffle })).variables.params);
  const [stored, given, shuffled] = [await run(), await run(false), await run(true)];
  assertEquals(stored, given);
  assert(String(stored) !== String(shuffled));
});

Deno.test("a validation begins with fresh carries each time, with the statistics of training", async () => {
  const seen: Variables[] = [];
  const { history } = await fit(model, initial, data, {
    ...options,
    epochs: 3,
    validation: held,
    callbacks: [{ onEpochEnd: async ({ variables }) => void seen.push(await variables()) }],
  });
  for (const [epoch, variables] of seen.entries()) {
    const { loss } = await evaluate(model, fresh(variables), held, { loss: "mse" });
    assertEquals(history.val_loss[epoch], loss);
    // without, it would go on from training
    assert((await evaluate(model, variables, held, { loss: "mse" })).loss !== loss);
  }
});

Deno.test("training goes on with its own carries after a validation", async () => {
  const plain = await fit(model, initial, data, { ...options, epochs: 3 });
  const validated = await fit(model, initial, data, { ...options, epochs: 3, validation: held });
  assertEquals(validated.variables, plain.variables);
  assertEquals(validated.history.loss, plain.history.loss);
  const split = await fit(model, initial, data, { ...options, validation: { split: 0.5 } });
  assertEquals(split.history.val_loss.length, 1);
  await assertRejects(
    () => fit(model, initial, data, { ...options, validation: { split: 0.3 } }),
    RangeError,
    "samples remain",
  );
});

Deno.test("evaluate and predict go on from the carries that they are given", async () => {
  const { variables } = await fit(model, initial, data, options);
  const half = { x: normal(key(3), [3, 4, 2]) };
  const [going, anew] = [
    await predict(model, variables, half.x),
    await predict(model, fresh(variables), half.x),
  ];
  assert(String(valuesOf(going)) !== String(valuesOf(anew)));
  assertEquals(await predict(model, variables, half.x), going); // what was given stays as it is
});

for (const device of ["wasm", "webgpu"] as const) {
  Deno.test(`on ${device} epochs of a stateful model, a break and more epochs are all epochs`, async () => {
    const wholly = { ...options, device, validation: held };
    const whole = await fit(model, initial, data, { ...wholly, epochs: 4 });
    const first = await fit(model, initial, data, { ...wholly, epochs: 1 });
    const rest = await fit(model, first.variables, data, {
      ...wholly,
      epochs: 3,
      optimizerState: first.optimizerState,
    });
    assertEquals(rest.variables, whole.variables);
    assertEquals([...first.history.val_loss, ...rest.history.val_loss], whole.history.val_loss);
  });
}
