/** Data in parts that is no data, ends too early or breaks off: what is said, and that it is closed. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  BatchError,
  type Callback,
  type Data,
  dense,
  earlyStopping,
  evaluate,
  fit,
  init,
  key,
  lstm,
  NonFiniteLossError,
  normal,
  ones,
  predict,
  sequential,
  sgd,
  spec,
  tensor,
  zeros,
} from "@cellfold/cellfold";
import { valuesOf } from "./models.ts";
import { data, features, made, model, options, same, variables, watched } from "./streamed.ts";

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

Deno.test("an iterable that fails to close loses no weights, and hides no earlier error", async () => {
  const unclosable = () => ({
    *[Symbol.iterator]() {
      try {
        for (let seed = 0;; seed++) yield made(3, 4, seed);
      } finally {
        // deno-lint-ignore no-unsafe-finally -- this is the fault
        throw new Error("still open");
      }
    },
  });
  const some = { ...options, stepsPerEpoch: 3, epochs: 2 };
  for (const source of [unclosable, unclosable()]) { // closed after each epoch, and at the end
    const epoch = typeof source === "function" ? 0 : 1;
    const error = await assertBatchError(
      () => fit(model, variables, source, some),
      { batch: 2, epoch, text: "still open" },
    );
    const { variables: trained } = await fit(model, variables, unclosed(), { ...some, epochs: epoch + 1 });
    assertEquals(valuesOf(error.variables?.params ?? []), valuesOf(trained.params));
  }
  const callbacks: Callback[] = [{
    onBatchEnd() {
      throw new Error("earlier");
    },
  }];
  for (const source of [unclosable, unclosable()]) {
    await assertRejects(() => fit(model, variables, source, { ...some, callbacks }), Error, "earlier");
  }

  function* unclosed() {
    for (let seed = 0;; seed++) yield made(3, 4, seed);
  }
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
