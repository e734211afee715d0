/** Data in parts: batches and samples from iterables, read ahead, checked one by one, and closed. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  adam,
  BatchError,
  batches,
  type Callback,
  createTrainer,
  type Data,
  dense,
  dropout,
  earlyStopping,
  evaluate,
  evaluateWith,
  fit,
  type FitOptions,
  fitWith,
  gru,
  type HostTensor,
  init,
  key,
  lstm,
  masking,
  NonFiniteLossError,
  normal,
  ones,
  predict,
  predictWith,
  sequential,
  sgd,
  spec,
  splitKey,
  tensor,
  toHost,
  type Variables,
  zeros,
} from "@cellfold/cellfold";
import { valuesOf } from "./models.ts";

const features = 3;
const model = sequential([
  gru({ units: 4 }),
  dropout({ rate: 0.3 }),
  dense({ units: 2, activation: "softmax" }),
]);
const variables = init(model, key(0), spec([null, null, features]));
const classes = (count: number, shift = 0) =>
  tensor(Array.from({ length: count }, (_, i) => (i * 7 + shift) % 3 % 2), { dtype: "int32" });
const data = { x: normal(key(1), [22, 5, features]) as HostTensor, y: classes(22) };
const options = {
  loss: "sparseCategoricalCrossentropy",
  metrics: ["accuracy"],
  optimizer: adam({ learningRate: 0.01 }),
  report: "none",
} satisfies FitOptions;

/** A batch of random sequences. */
function made(samples: number, steps: number, seed: number): Data & { x: HostTensor; y: HostTensor } {
  return { x: normal(key(seed), [samples, steps, features]) as HostTensor, y: classes(samples, seed) };
}

/** An async iterable that counts what is asked of it. */
function watched<T>(items: Iterable<T>, wait = () => Promise.resolve()) {
  const seen = { asked: 0, opened: 0, closed: 0 };
  const source = {
    async *[Symbol.asyncIterator]() {
      seen.opened++;
      try {
        for (const item of items) {
          seen.asked++;
          await wait();
          yield item;
        }
      } finally {
        seen.closed++;
      }
    },
  };
  return { seen, source };
}

function same(a: Variables, b: Variables): void {
  assertEquals(valuesOf(a.params), valuesOf(b.params));
}

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

/** Asserts that training rejects with a BatchError of a batch, and that training from it works. */
async function assertBatchError(
  run: () => Promise<unknown>,
  expected: { readonly batch: number; readonly epoch?: number; readonly text: string; readonly use?: string },
): Promise<BatchError> {
  const error = await run().then(() => undefined, (error: unknown) => error);
  assert(error instanceof BatchError, String(error));
  const { batch, epoch = 0, text, use = "training" } = expected;
  assertEquals([error.batch, error.epoch, error.use], [batch, epoch, use]);
  assertStringIncludes(error.message, text);
  return error;
}

Deno.test("a label outside the classes in the 1,000th batch is named, and the weights before it are kept", async () => {
  const small = dense({ units: 3, activation: "softmax" });
  const initial = init(small, key(0), spec([null, 2]));
  const labels = (at: number) => tensor(at === 999 ? [0, 2, 3, 1] : [0, 1, 2, 1], { dtype: "int32" });
  const batch = (at: number) => ({ x: normal(key(at), [4, 2]), y: labels(at) });
  const part = async function* (to: number) {
    for (let at = 0; at < to; at++) yield await Promise.resolve(batch(at));
  };
  const error = await assertBatchError(() => fit(small, initial, part(2000), options), {
    batch: 999,
    text:
      "Cannot use batch 1000 of epoch 1: Cannot compute sparseCategoricalCrossentropy: label 3 at sample 2",
  });
  assert(error.cause instanceof RangeError);
  const before = await fit(small, initial, part(999), options);
  same(error.variables!, before.variables);
  assertEquals(valuesOf(error.optimizerState!), valuesOf(before.optimizerState));
  const rest = (function* () {
    for (let at = 1000; at < 1010; at++) yield batch(at);
  })();
  await fit(small, error.variables!, rest, { ...options, optimizerState: error.optimizerState });
});

Deno.test("an iterable that throws, ends early, or gives something else stops training with its weights", async () => {
  const good = [made(3, 4, 1), made(3, 4, 2)];
  const trained = await fit(model, variables, good, options);
  const after = function* (last: () => unknown) {
    yield* good;
    yield last() as Data;
  };
  const run = (last: () => unknown) => () => fit(model, variables, after(last), options);
  const broken = new Error("the disk is full of errors");
  const thrown = await assertBatchError(
    run(() => {
      throw broken;
    }),
    { batch: 2, text: broken.message },
  );
  assertEquals(thrown.cause, broken);
  same(thrown.variables!, trained.variables);
  const { x, y } = made(3, 4, 3);
  for (
    const [wrong, text] of [
      [{ x, y, sampleWeight: ones([3]) }, "sampleWeight"],
      [{ x }, "the data has no y"],
      [{ x, y: tensor([0, 1], { dtype: "int32" }) }, "x has 3 samples, y has 2"],
      [{ x: [x], y }, "x"],
      [{ x: zeros([3, 4, 2]), y }, "[batch, 4, 2]"],
      [{ x, y: ones([3, 1]) }, "float32[batch, 1]"],
      [{ x: zeros([0, 4, features]), y: tensor([], { dtype: "int32" }) }, "0 samples"],
      [[x, y], "expected { x, y }"],
      [Promise.resolve({ x, y }), "expected { x, y }"],
      [undefined, "expected { x, y }"],
    ] as const
  ) {
    const error = await assertBatchError(run(() => wrong), { batch: 2, text });
    same(error.variables!, trained.variables);
  }
  const short = await assertBatchError(
    () => fit(model, variables, good, { ...options, stepsPerEpoch: 3, epochs: 2 }),
    { batch: 2, text: "the iterable has ended after 2 batches, expected 3 (stepsPerEpoch)" },
  );
  same(short.variables!, trained.variables);
  const once = await assertBatchError(
    () =>
      fit(
        model,
        variables,
        (function* () {
          yield* good;
        })(),
        { ...options, epochs: 2 },
      ),
    { batch: 0, epoch: 1, text: "give a function that makes one per epoch" },
  );
  assertEquals(once.history!.loss.length, 1);
  same(once.variables!, trained.variables);
});

Deno.test("a validation that cannot be read is named, too", async () => {
  const validation = function* (epoch: number) {
    yield made(2, 3, 1);
    if (epoch === 1) throw new Error("gone");
  };
  const error = await assertBatchError(
    () => fit(model, variables, data, { ...options, epochs: 3, validation }),
    { batch: 1, epoch: 1, use: "validation", text: "batch 2 of the validation after epoch 2: gone" },
  );
  assertEquals(error.history!.val_loss.length, 1);
});

Deno.test("evaluate and predict name the batch, but have no weights", async () => {
  const { optimizer: _, report: _report, ...objective } = options;
  const wrong = [made(2, 3, 1), { ...made(2, 3, 2), y: tensor([0, 9], { dtype: "int32" }) }];
  const error = await assertBatchError(() => evaluate(model, variables, wrong, objective), {
    batch: 1,
    use: "evaluation",
    text: "Cannot use batch 2: Cannot compute sparseCategoricalCrossentropy: label 9 at sample 1",
  });
  assertEquals(error.variables, undefined);
  await assertBatchError(() => predict(model, variables, new Set([data.x, data.y])), {
    batch: 1,
    use: "prediction",
    text: "Cannot use batch 2",
  });
  await assertBatchError(() => predict(model, variables, function* () {}), {
    batch: 0,
    use: "prediction",
    text: "the iterable gave nothing",
  });
  const tagger = sequential([lstm({ units: 2, returnSequences: true })]);
  await assertRejects(
    () => predict(tagger, init(tagger, key(0), data.x), new Set([zeros([2, 3, 3]), zeros([2, 4, 3])])),
    TypeError,
    "output is float32[2, 4, 2], expected the sizes of the batches before it, [rows, 3, 2]",
  );
});

Deno.test("what does not fit in the first batch is refused as for data in memory", async () => {
  await assertRejects(() => fit(model, variables, [{ ...data, y: ones([22, 3]) }], options), TypeError);
  await assertRejects(
    () => fit(model, variables, [data], { ...options, metrics: ["acuracy" as "accuracy"] }),
    RangeError,
  );
  await assertRejects(
    () => fit(model, variables, [data], { ...options, batchSize: 4 }),
    RangeError,
    'give single samples and items: "samples"',
  );
  await assertRejects(
    () => fit(model, variables, data, { ...options, items: "batches" }),
    RangeError,
    "the data is in memory",
  );
  await assertRejects(
    () => fit(model, variables, data, { ...options, stepsPerEpoch: 2 }),
    RangeError,
    "in memory",
  );
  await assertRejects(
    () => fit(model, variables, [data], { ...options, shuffle: true }),
    RangeError,
    "shuffle there",
  );
  await assertRejects(
    () => fit(model, variables, [data], { ...options, validation: { split: 0.5 } }),
    RangeError,
    "give validation other data",
  );
  const uneven = [{ x: zeros([5, 3]), y: zeros([]) }, { x: zeros([4, 3]), y: zeros([]) }];
  await assertRejects(
    () => fit(model, variables, uneven, { ...options, items: "samples" }),
    BatchError,
    "sample 1.x is float32[4, 3], expected a tensor on the host like float32[5, 3] in sample 0; for sequences of " +
      "different lengths use bucketByLength",
  );
  const error = await assertBatchError(() => fit(model, variables, (() => 7) as never, options), {
    batch: 0,
    text: "what the function gave is the number 7",
  });
  same(error.variables!, variables);
});

Deno.test("an iterable is closed when training stops, by a callback, an error or a signal", async () => {
  const endless = () =>
    watched((function* () {
      for (let seed = 0;; seed++) yield made(3, 4, seed);
    })());
  const stopping = endless();
  const callbacks: Callback[] = [{ onBatchEnd: ({ step, stop }) => step === 3 ? stop() : undefined }];
  const stopped = await fit(model, variables, stopping.source, { ...options, callbacks });
  assertEquals([stopped.stopped, stopping.seen.closed], ["callback", 1]);

  const failing = endless();
  const failure = new Error("no");
  const fails: Callback[] = [{
    onBatchEnd() {
      throw failure;
    },
  }];
  await assertRejects(
    () => fit(model, variables, failing.source, { ...options, callbacks: fails }),
    Error,
    "no",
  );
  assertEquals(failing.seen.closed, 1);

  const wrong = watched([
    made(2, 2, 1),
    { ...made(2, 2, 2), y: tensor([5, 5], { dtype: "int32" }) },
    made(2, 2, 3),
  ]);
  await assertRejects(() => fit(model, variables, wrong.source, options), BatchError);
  assertEquals(wrong.seen.closed, 1);

  const early = endless();
  const patient = { ...options, stepsPerEpoch: 2, epochs: 50, optimizer: sgd({ learningRate: 0 }) };
  const ended = await fit(model, variables, early.source, {
    ...patient,
    callbacks: [earlyStopping({ monitor: "accuracy", minDelta: 2 })],
  });
  assertEquals([ended.stopped, early.seen.closed], ["callback", 1]);

  const aborted = endless();
  const controller = new AbortController();
  const result = await fit(model, variables, aborted.source, {
    ...options,
    signal: controller.signal,
    callbacks: [{ onBatchEnd: ({ step }) => step === 4 ? controller.abort() : undefined }],
  });
  assertEquals([result.stopped, aborted.seen.closed], ["aborted", 1]);
});

Deno.test("a signal is heard while a batch is waited for that never comes", async () => {
  for (const count of [0, 2]) {
    const never = Promise.withResolvers<void>();
    let given = 0;
    const { source } = watched(
      Array.from({ length: 5 }, (_, seed) => made(2, 3, seed)),
      () => given++ < count ? Promise.resolve() : never.promise,
    );
    const waiting = AbortSignal.timeout(50);
    const { stopped, history } = await fit(model, variables, source, { ...options, signal: waiting });
    assertEquals([stopped, history.loss ?? []], ["aborted", []]);
    given = 0;
    const { optimizer: _, report: _report, ...objective } = options;
    const signal = AbortSignal.timeout(50);
    await assertRejects(() => evaluate(model, variables, source, { ...objective, signal }), DOMException);
    never.resolve();
  }
});

Deno.test("a loss that is NaN is found in an iterable, and it is closed", async () => {
  const { source, seen } = watched([made(2, 3, 1), {
    ...made(2, 3, 2),
    x: tensor([[[NaN, 0, 0]], [[0, 0, 0]]]),
  }]);
  await assertRejects(() => fit(model, variables, source, options), NonFiniteLossError);
  assertEquals(seen.closed, 1);
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

Deno.test("memory stays as it is over 500 MB of batches that are made on the fly", async () => {
  const wide = sequential([masking(), dense({ units: 1 })]);
  const own = init(wide, key(0), spec([null, 64, 64]));
  const megabyte = async function* () {
    for (let at = 0; at < 500; at++) {
      const values = new Float32Array(64 * 64 * 64).fill(at % 7 / 7);
      yield await Promise.resolve({ x: tensor(values, { shape: [64, 64, 64] }), y: zeros([64, 64, 1]) });
    }
  };
  const resident: number[] = [];
  const callbacks: Callback[] = [{
    onBatchEnd({ step }) {
      if (step % 50 === 0) resident.push(Deno.memoryUsage().rss / 2 ** 20);
    },
  }];
  await fit(wide, own, megabyte(), { loss: "mse", optimizer: "sgd", report: "none", callbacks });
  const grown = Math.max(...resident.slice(2)) - Math.max(...resident.slice(0, 2));
  assert(grown < 100, `${grown.toFixed()} MB more, of ${resident.map(Math.round)}`);
});
