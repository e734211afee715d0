/** Long calls give timers and abort signals their turn, end where they are aborted, and give their memory back. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  add,
  batchNormalization,
  compile,
  createTrainer,
  type Data,
  dense,
  type Device,
  evaluate,
  evaluateWith,
  fit,
  init,
  key,
  lstm,
  ones,
  predict,
  predictWith,
  sequential,
  spec,
  streaming,
  type Tensor,
  tensor,
  type TrainingState,
  treeLeaves,
  zeros,
} from "@cellfold/cellfold";
import { giveTurn, turnClock } from "../../src/pause.ts";
import { eventually } from "../support/eventually.ts";
import { valuesOf } from "./models.ts";

/** A device that computes at once: where nothing is waited for, nobody else gets a turn by itself. */
const device: Device = { name: "wasm", threads: 1, shareFrom: 0 };

// Batches of one sample of so many last for minutes where nobody can break them off.
const SAMPLES = 5_000_000;
const long: Data = { x: zeros([SAMPLES, 1]), y: zeros([SAMPLES, 1]) };
const model = dense({ units: 1 });
const variables = init(model, key(0), long.x);
const objective = { loss: "mse", device } as const;
const training = { ...objective, optimizer: "sgd", report: "none" } as const;

/** A signal that a timer aborts at the first turn that it gets, and the reason. */
function soon(): { readonly signal: AbortSignal; readonly reason: Error } {
  const controller = new AbortController();
  const reason = new Error("enough");
  setTimeout(() => controller.abort(reason));
  return { signal: controller.signal, reason };
}

/** Asserts that calls in a row give a timer its turn. */
async function assertTurns(call: () => Promise<unknown>): Promise<void> {
  let fired = 0;
  const timer = setInterval(() => fired++);
  try {
    // What takes a microsecond lasts for ten seconds, if nobody gets a turn.
    for (let calls = 0; calls < 10_000_000 && fired < 3; calls++) await call();
    assert(fired >= 3);
  } finally {
    clearInterval(timer);
  }
}

async function assertReason(run: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const { signal, reason } = soon();
  assert(await run(signal).then(() => undefined, (error) => error) === reason);
}

for (const name of ["reference", "wasm", "webgpu"] as const) {
  Deno.test({
    name: `on ${name} predict and evaluate are broken off by a timer, with the signal's reason`,
    sanitizeResources: false, // a device outlives a test
    sanitizeOps: false,
    fn: async () => {
      const device: Device = name === "wasm" ? { name, threads: 1 } : name;
      await assertReason((signal) => predict(model, variables, long.x, { batchSize: 1, device, signal }));
      await assertReason((signal) =>
        evaluate(model, variables, long, { loss: "mse", batchSize: 1, device, signal })
      );
    },
  });
}

Deno.test("the forms with a trainer are broken off too, and an abort beforehand begins nothing", async () => {
  using trainer = createTrainer(model, objective);
  await assertReason((signal) => predictWith(trainer, variables, long.x, { batchSize: 1, signal }));
  await assertReason((signal) => evaluateWith(trainer, variables, long, { batchSize: 1, signal }));
  const signal = AbortSignal.abort("no");
  let applied = 0;
  const counted = {
    ...model,
    apply: (...args: Parameters<typeof model.apply>) => (applied++, model.apply(...args)),
  };
  const x = zeros([2, 1]);
  for (
    const run of [
      () => predict(counted, variables, x, { device, signal }),
      () => evaluate(counted, variables, { x, y: x }, { ...objective, signal }),
    ]
  ) assertEquals(await run().then(() => undefined, (error) => error), "no");
  assertEquals(applied, 0);
});

Deno.test("what is no abort signal is refused", async () => {
  const x = zeros([2, 1]);
  // deno-lint-ignore no-explicit-any -- on purpose: what TypeScript would refuse
  const signal: any = new AbortController();
  const message = "expected an AbortSignal";
  await assertRejects(() => predict(model, variables, x, { signal }), TypeError, message);
  await assertRejects(
    () => evaluate(model, variables, { x, y: x }, { ...objective, signal }),
    TypeError,
    message,
  );
  await assertRejects(() => fit(model, variables, { x, y: x }, { ...training, signal }), TypeError, message);
});

Deno.test("an abort breaks off training's validation: its epoch is in the weights, not in the history", async () => {
  const data = { x: tensor([[1], [2]]), y: tensor([[2], [3]]) };
  const options = { ...training, batchSize: 1, shuffle: false };
  const controller = new AbortController();
  const once = await fit(model, variables, data, options);
  const { history, stopped, variables: after } = await fit(model, variables, data, {
    ...options,
    epochs: 3,
    validation: long,
    signal: controller.signal,
    callbacks: [{ onBatchEnd: ({ step }) => void (step === 1 && setTimeout(() => controller.abort())) }],
  });
  assertEquals([stopped, history.loss, history.val_loss], ["aborted", [], []]);
  assertEquals(after, once.variables);
});

Deno.test("fit is broken off by a timer between its steps", async () => {
  const { signal } = soon();
  const { stopped, history } = await fit(model, variables, long, { ...training, batchSize: 1, signal });
  assertEquals([stopped, history.loss], ["aborted", []]);
});

Deno.test("batches, steps and compiled calls in a loop give turns", async () => {
  using trainer = createTrainer(model, { ...objective, optimizer: "sgd" });
  const x = zeros([1, 1]);
  await assertTurns(() => trainer.predictOnBatch(variables, x));
  await assertTurns(() => trainer.testOnBatch(variables, { x, y: x }));
  let state: TrainingState = { variables };
  await assertTurns(async () => state = await trainer.trainOnBatch(state, { x, y: x }));
  using next = compile((x: Tensor) => add(x, 1), { device });
  await assertTurns(() => next(x));
  await assertTurns(() => predict(model, variables, x, { device }));
});

Deno.test("steps of a stream give turns, one by one and all at once, and stay in order", async () => {
  const layer = lstm({ units: 2, returnSequences: true });
  const { params } = init(layer, key(0), spec([null, null, 1]));
  using stream = streaming(layer, { params, state: [] }, { device });
  const [step, chunk] = [ones([1, 1]), ones([1, 3, 1])];
  await assertTurns(() => stream.step(step));
  await assertTurns(() => stream.push(chunk));
  // A buffer that is used again, as sound comes in: what a call was given is read at once.
  const input = tensor([[0]]);
  const inputs = Array.from({ length: 3000 }, (_, index) => Math.sin(index));
  const run = async (waits: boolean): Promise<number[]> => {
    stream.reset();
    let fired = 0;
    const timer = setInterval(() => fired++);
    const outputs: Promise<unknown>[] = [];
    for (const value of inputs) {
      input.data[0] = value;
      outputs.push(stream.step(waits ? input : tensor([[value]])));
      if (waits) await outputs.at(-1);
    }
    const values = valuesOf(await Promise.all(outputs));
    clearInterval(timer);
    return values;
  };
  assertEquals(await run(false), await run(true));
});

Deno.test("steps that nobody waits for give turns", async () => {
  const layer = lstm({ units: 64, returnSequences: true });
  const { params } = init(layer, key(0), spec([null, null, 64]));
  using stream = streaming(layer, { params, state: [] }, { device });
  const chunk = ones([1, 50, 64]);
  await stream.push(chunk);
  const clock = turnClock();
  await giveTurn();
  let fired = 0, over = false;
  const timer = setInterval(() => fired++);
  const rest: Promise<unknown>[] = [];
  // Calls are made until a turn was due within one task, so that the calls after it wait.
  for (let calls = 0; calls < 2000 || !over; calls++) {
    rest.push(stream.push(chunk));
    over ||= clock();
  }
  await Promise.all(rest);
  clearInterval(timer);
  assert(fired > 0);
});

Deno.test({
  name: "what was broken off leaves nothing on the device",
  sanitizeResources: false,
  sanitizeOps: false,
  fn: async () => {
    const probe = compile((x: Tensor) => add(x, 1), { device });
    await probe(tensor(0));
    const used = () => Number(probe.explain().match(/(\d+) bytes of its memory in use/)?.[1]);
    // State that goes from batch to batch: carries and statistics.
    const model = sequential([lstm({ units: 5, stateful: true }), batchNormalization(), dense({ units: 1 })]);
    const x = zeros([1_000_000, 2, 1]), y = zeros([1_000_000, 1]);
    const variables = init(model, key(0), spec([1, 2, 1]));
    const few = { x: zeros([2, 2, 1]), y: zeros([2, 1]) };
    const validation = few;
    // What these compile stays, for later calls.
    await predict(model, variables, few.x, { device });
    await evaluate(model, variables, few, objective);
    await fit(model, variables, few, { ...training, validation, epochs: 1 });
    const before = used();
    assert(before >= 0);
    await assertReason((signal) => predict(model, variables, x, { device, signal }));
    assertEquals(await eventually(used, before), before);
    await assertReason((signal) => evaluate(model, variables, { x, y }, { ...objective, signal }));
    assertEquals(await eventually(used, before), before);
    const { signal } = soon();
    const { stopped } = await fit(model, variables, few, { ...training, validation: { x, y }, signal });
    assertEquals([stopped, await eventually(used, before)], ["aborted", before]);
    {
      using trainer = createTrainer(model, objective);
      const live = await trainer.upload(variables);
      const loaded = used();
      await assertReason((signal) => predictWith(trainer, live, x, { signal }));
      await assertReason((signal) => evaluateWith(trainer, live, { x, y }, { signal }));
      assert(used() >= loaded); // what was given is still there, beside the compiled steps
      for (const leaf of treeLeaves<Tensor>(live)) if (leaf.kind === "device") leaf[Symbol.dispose]();
    }
    assertEquals(await eventually(used, before), before);
  },
});
