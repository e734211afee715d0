/** Data in parts: batches and samples from iterables, read ahead. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  BatchError,
  batches,
  type Callback,
  createTrainer,
  type Data,
  dense,
  evaluate,
  evaluateWith,
  fit,
  fitWith,
  init,
  key,
  lstm,
  masking,
  ones,
  predict,
  predictWith,
  sequential,
  spec,
  splitKey,
  tensor,
  toHost,
  zeros,
} from "@cellfold/cellfold";
import { data, features, made, model, options, same, variables, watched } from "./streamed.ts";

Deno.test("batches from any iterable train as the same data in memory, bit for bit", async () => {
  const whole = await fit(model, variables, data, { ...options, epochs: 3, shuffle: false, batchSize: 8 });
  const cut = () => batches(data, { batchSize: 8 });
  const sources: Parameters<typeof fit>[2][] = [
    [...cut()],
    { [Symbol.iterator]: cut },
    watched([...cut()]).source,
    cut,
    (epoch) => Promise.resolve(epoch % 2 ? [...cut()] : watched([...cut()]).source),
    new Set([...cut()]),
  ];
  for (const source of sources) {
    const { variables: after, history } = await fit(model, variables, source, { ...options, epochs: 3 });
    same(after, whole.variables);
    assertEquals(history, whole.history);
  }
});

Deno.test("single samples are gathered into batches", async () => {
  const whole = await fit(model, variables, data, { ...options, epochs: 2, shuffle: false, batchSize: 4 });
  const samples = Array.from({ length: 22 }, (_, i) => ({
    x: tensor(data.x.data.slice(i * 15, i * 15 + 15), { shape: [5, features] }),
    y: tensor(data.y.data[i], { dtype: "int32" }),
  }));
  for (const source of [samples, watched(samples).source, () => samples]) {
    const common = { batchSize: 4, items: "samples" } as const;
    const result = await fit(model, variables, source, { ...options, ...common, epochs: 2 });
    same(result.variables, whole.variables);
    const { optimizer: _, report: _report, ...objective } = options;
    const logs = await evaluate(model, variables, source, { ...objective, ...common });
    assertEquals(logs, await evaluate(model, variables, data, { ...objective, batchSize: 4 }));
  }
  const inputs = samples.map(({ x }) => x);
  const joined = await predict(model, variables, new Set(inputs), { items: "samples", batchSize: 7 });
  assertEquals(joined, await predict(model, variables, data.x, { batchSize: 7 }));
});

Deno.test("batches may differ in their numbers of samples and steps", async () => {
  const parts = [made(4, 5, 2), made(1, 9, 3), made(7, 2, 4), made(3, 5, 5)];
  const { report: _, ...forTrainer } = options;
  using trainer = createTrainer(model, forTrainer);
  const { history, variables: after } = await fitWith(trainer, variables, parts, { report: "none" });
  let state: Parameters<typeof trainer.trainOnBatch>[0] = { variables };
  const before = await evaluateWith(trainer, variables, parts);
  // The same updates one by one: fit draws dropout with the second part of its key.
  const [, dropoutKey] = splitKey(key(0), 2);
  for (const part of parts) state = await trainer.trainOnBatch(state, part, { key: dropoutKey });
  same(after, await toHost(state.variables));
  assertEquals(history.loss.length, 1);
  let [total, count] = [0, 0];
  for (const part of parts) {
    const samples = part.x.shape[0];
    total += (await evaluateWith(trainer, variables, part)).loss * samples;
    count += samples;
  }
  assert(Math.abs(before.loss - total / count) < 1e-6);
  const outputs = await predictWith(trainer, variables, () => parts.map(({ x }) => x));
  assertEquals(outputs.shape, [15, 2]);
  assertEquals(
    outputs.data.slice(10, 24),
    (await predictWith(trainer, variables, parts[2].x)).data,
  );
});

Deno.test("a validation is read from an iterable after each epoch", async () => {
  const validation = [made(6, 4, 8), made(5, 6, 9)];
  const { source, seen } = watched(validation);
  const common = { ...options, epochs: 2, shuffle: false } as const;
  const { history } = await fit(model, variables, data, { ...common, validation: source });
  assertEquals([seen.opened, seen.closed], [2, 2]);
  assertEquals(history.val_loss.length, 2);
  const again = await fit(model, variables, () => batches(data, { batchSize: 32 }), {
    ...common,
    validation: () => validation,
  });
  assertEquals(again.history, history);
  const inMemory = await fit(model, variables, [data], { ...common, validation: made(6, 4, 8) });
  assertEquals(inMemory.history.val_loss.length, 2);
});

Deno.test("with stepsPerEpoch an iterable is read on from epoch to epoch", async () => {
  const endless = watched((function* () {
    for (let seed = 0;; seed++) yield made(3, 4, seed);
  })());
  const steps: unknown[] = [];
  const callbacks: Callback[] = [{ onEpochEnd: ({ step, steps: of }) => void steps.push([step, of]) }];
  const common = { ...options, stepsPerEpoch: 5, epochs: 2, callbacks };
  const result = await fit(model, variables, endless.source, common);
  assertEquals(steps, [[5, 5], [5, 5]]);
  assertEquals([endless.seen.opened, endless.seen.closed], [1, 1]);
  assert(endless.seen.asked >= 10 && endless.seen.asked <= 12, `${endless.seen.asked} batches`);
  const ten = Array.from({ length: 10 }, (_, seed) => made(3, 4, seed));
  same(result.variables, (await fit(model, variables, ten, { ...options })).variables);
  // A function is called for each epoch, and what it gives is closed.
  const epochs: number[] = [];
  let open = 0;
  const result2 = await fit(model, variables, (epoch) => {
    epochs.push(epoch);
    return (function* () {
      open++;
      try {
        for (let seed = epoch * 5;; seed++) yield made(3, 4, seed);
      } finally {
        open--;
      }
    })();
  }, { ...common, initialEpoch: 0 });
  assertEquals([epochs, open], [[0, 1], 0]);
  same(result2.variables, result.variables);
});

Deno.test("at most two batches are read ahead of the one in use", async () => {
  let used = 0, most = 0;
  const { source, seen } = watched(Array.from({ length: 40 }, (_, seed) => made(2, 3, seed)));
  const callbacks: Callback[] = [{
    async onBatchEnd() {
      used++;
      await new Promise((resolve) => setTimeout(resolve, 1));
      most = Math.max(most, seen.asked - used);
    },
  }];
  await fit(model, variables, source, { ...options, callbacks });
  assertEquals([used, seen.asked], [40, 40]);
  assertEquals(most, 2);
});

Deno.test("the number of steps is unknown unless the iterable says its length", async () => {
  const known: unknown[] = [];
  const callbacks: Callback[] = [{ onBatchEnd: ({ steps }) => void known.push(steps) }];
  const parts = [made(2, 3, 1), made(2, 3, 2)];
  await fit(model, variables, parts, { ...options, callbacks });
  await fit(model, variables, new Set(parts), { ...options, callbacks });
  await fit(model, variables, parts, { ...options, callbacks, stepsPerEpoch: 1 });
  assertEquals(known, [2, 2, undefined, undefined, 1]);
});

Deno.test("a stateful model takes batches of its size alone, and its validation begins afresh", async () => {
  const stateful = sequential([masking(), lstm({ units: 3, stateful: true }), dense({ units: 1 })]);
  const own = init(stateful, key(0), spec([2, null, 3]));
  const target = (batch: Data) => ({ x: batch.x, y: ones([2, 1]) });
  const parts = [made(2, 4, 1), made(2, 3, 2), made(2, 4, 3)].map(target);
  const common = { loss: "mse", optimizer: "sgd", report: "none", epochs: 2 } as const;
  const { history } = await fit(stateful, own, () => parts, { ...common, validation: parts });
  const arrays = await fit(stateful, own, parts[0], { ...common, batchSize: 2, validation: parts });
  assertEquals([history.val_loss.length, arrays.history.val_loss.length], [2, 2]);
  await assertRejects(
    () => fit(stateful, own, [...parts, { x: ones([3, 4, 3]), y: ones([3, 1]) }], common),
    BatchError,
    "batch 4 of epoch 1: Cannot use a batch of 3 samples",
  );
});

Deno.test("memory stays as it is over 2 GB of batches that are made on the fly", async () => {
  const wide = sequential([masking(), dense({ units: 1 })]);
  const own = init(wide, key(0), spec([null, 64, 64]));
  const megabyte = async function* () {
    for (let at = 0; at < 2000; at++) {
      const values = new Float32Array(64 * 64 * 64).fill(at % 7 / 7);
      yield await Promise.resolve({ x: tensor(values, { shape: [64, 64, 64] }), y: zeros([64, 64, 1]) });
    }
  };
  const resident: number[] = [];
  const callbacks: Callback[] = [{
    onBatchEnd({ step }) {
      if (step % 100 === 0) resident.push(Deno.memoryUsage().rss / 2 ** 20);
    },
  }];
  await fit(wide, own, megabyte(), { loss: "mse", optimizer: "sgd", report: "none", callbacks });
  // Batches that nobody holds lie about until the engine collects them, so the most of each half is compared.
  const grown = Math.max(...resident.slice(10)) - Math.max(...resident.slice(0, 10));
  assert(grown < 200, `${grown.toFixed()} MB more, of ${resident.map(Math.round)}`);
});
