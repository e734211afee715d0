/** What cannot be resumed or saved is refused before anything runs, and what callbacks hold is saved. */
import {
  activation,
  adam,
  type Callback,
  cosineDecay,
  dense,
  earlyStopping,
  exponentialDecay,
  fit,
  type FitOptions,
  gru,
  init,
  key,
  mul,
  reduceLrOnPlateau,
  sequential,
  sgd,
  type Tensor,
  tensor,
} from "@cellfold/cellfold";
import { loadCheckpoint } from "@cellfold/cellfold/safetensors";
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { checkCallbacks } from "../../src/training/callbacks.ts";
import { valuesOf } from "./models.ts";
import { type Case, cases, numbersOf, type Saved, saver, train } from "./resume_cases.ts";

const [first] = cases;

Deno.test("a run of another model, optimizer, loss, order or kind of callbacks is refused, naming both", async () => {
  const saved: Saved[] = [];
  await train(first, { epochs: 1, callbacks: [saver(saved)] });
  const { bytes: resume } = saved[2];
  const refused = async (change: Partial<Case>, options: Partial<FitOptions>, message: string) => {
    let steps = 0;
    const callbacks: Callback[] = [{ onTrainBegin: () => void steps++ }];
    await assertRejects(
      () => train({ ...first, ...change }, { resume, callbacks, ...options }),
      RangeError,
      message,
    );
    assertEquals(steps, 0, "nothing ran");
  };
  const wider = sequential([...(first.model.layers ?? []).slice(0, -1), dense({ units: 1, useBias: false })]);
  await refused(
    { model: wider },
    {},
    "model.options.layers[4].options.useBias is true there, but false in this call",
  );
  await refused({}, { optimizer: "sgd" }, 'optimizer.type is "adam" there, but "sgd" in this call');
  const slower = adam({ learningRate: 0.01, amsgrad: true });
  await refused(
    {},
    { optimizer: slower },
    "optimizer.options.learningRate is 0.02 there, but 0.01 in this call",
  );
  const decaying = exponentialDecay({ initialLearningRate: 0.02, decaySteps: 3, decayRate: 0.5 });
  await refused(
    { callbacks: () => [] },
    { optimizer: adam({ learningRate: decaying, amsgrad: true }) },
    "optimizer.options.learningRate",
  );
  await refused({}, { loss: "mae" }, "outputs[0].loss.type");
  await refused({}, { metrics: [] }, "outputs[0].metrics[0]");
  await refused({}, { batchSize: 5 }, "batchSize is 4 there, but 5 in this call");
  await refused({}, { shuffle: false }, "shuffle is true there, but false in this call");
  await refused({}, { key: key(6) }, "key[1] is 5 there, but 6 in this call");
  await refused({}, { validation: { split: 0.3 } }, "samples is 17 there, but 15 in this call");
  await refused(
    { callbacks: () => [earlyStopping()] },
    {},
    "the callbacks that hold state are earlyStopping, reduceLrOnPlateau there, but earlyStopping in this call",
  );
  const other = () => [earlyStopping({ monitor: "loss" }), reduceLrOnPlateau()];
  await assertRejects(
    () => train({ ...first, callbacks: other }, { resume }),
    RangeError,
    'its state is of the monitor "val_loss", but it monitors "loss"',
  );
});

Deno.test("a model with functions of its own is resumed by the code that made it", async () => {
  const saved: Saved[] = [];
  const own = (units: number): Case => ({
    ...cases[2],
    model: sequential([gru({ units, dropout: 0.3 }), activation((x) => mul(x, 2)), dense({ units: 1 })]),
  });
  const expected = numbersOf(await train(own(3), { callbacks: [saver(saved)] }));
  assertEquals(numbersOf(await train(own(3), { resume: saved[4].bytes })), expected);
  assertThrows(() => loadCheckpoint(saved[4].bytes), SyntaxError, "its metadata have no model");
  await assertRejects(() => train(own(4), { resume: saved[4].bytes }), RangeError, "units is 3 there, but 4");
});

Deno.test("resume with options that contradict it, or that is none, is refused", async () => {
  const saved: Saved[] = [];
  const { optimizerState } = await train(first, { epochs: 1, callbacks: [saver(saved)] });
  const [{ bytes: resume }] = saved;
  await assertRejects(
    () => train(first, { resume, optimizerState }),
    TypeError,
    "optimizerState and resume are given",
  );
  await assertRejects(
    () => train(first, { resume, initialEpoch: 1 }),
    TypeError,
    "initialEpoch and resume are given",
  );
  const number = 3 as unknown as string;
  await assertRejects(() => train(first, { resume: number }), TypeError, "resume is the number 3, expected");
  const damaged = resume.with(resume.length - 1, resume[resume.length - 1] ^ 1);
  await assertRejects(
    () => train(first, { resume: damaged }),
    SyntaxError,
    "its bytes do not match its checksum",
  );
  await assertRejects(() => train(first, { resume: resume.slice(0, 99) }), SyntaxError, "Cannot read");
});

Deno.test("a state that is not finite is not saved", async () => {
  const kept: Saved[] = [];
  const model = dense({ units: 1 });
  const data = { x: tensor([[1], [1e30]]), y: tensor([[1], [1]]) };
  await assertRejects(
    () =>
      fit(model, init(model, key(0), data.x), data, {
        loss: "mse",
        optimizer: sgd({ learningRate: 1 }),
        batchSize: 1,
        shuffle: false,
        report: "none",
        callbacks: [saver(kept)],
      }),
    Error,
    "Cannot go on training",
  );
  assertEquals(kept.map(({ place }) => place), ["0/0", "0/1"]);
});

Deno.test("a callback of one's own keeps numbers, lists and tensors; it needs all three members", async () => {
  const states: unknown[] = [];
  const held = {
    best: Infinity,
    none: null,
    list: [NaN, -0, "a"],
    tensors: { w: tensor([1, 2]) },
    absent: undefined,
  };
  const own = (): Callback => ({
    type: "own",
    state: () => held,
    restore: (state) => void states.push(state),
  });
  const saved: Saved[] = [];
  const one = { ...cases[2], callbacks: () => [own()] };
  await train(one, { epochs: 1, callbacks: [saver(saved)] });
  await train(one, { epochs: 1, resume: saved[0].bytes });
  const { absent: _, ...expected } = held;
  assertEquals(states, [expected]);

  const onlyState = { type: "own", state: () => null };
  for (const callback of [onlyState, { restore: () => {} }, { state: () => null, restore: () => {} }]) {
    let message = "";
    try {
      checkCallbacks([callback as Callback]);
    } catch (error) {
      message = String(error);
    }
    assert(/callbacks\[0\]\.(restore|state|type) is undefined/.test(message), message);
  }
});

Deno.test("a callback's state that a file would not give back is refused before the first step", async () => {
  const kinds: readonly (readonly [unknown, string])[] = [
    [new Map([["a", 1]]), "an object of the class Map"],
    [{ seen: new Set([1]) }, "an object of the class Set"],
    [{ at: [new Date(0)] }, "an object of the class Date"],
    [{ window: new Float32Array(3) }, "a Float32Array of 3"],
    [Promise.resolve({}), "a Promise"],
    [{ count: 5n }, "the bigint 5"],
  ];
  for (const [held, name] of kinds) {
    let steps = 0;
    const own: Callback = {
      type: "own",
      state: () => held as null, // as JavaScript would return it
      restore: () => {},
      onBatchEnd: () => void steps++,
    };
    await assertRejects(
      () => train({ ...cases[2], callbacks: () => [own] }, { callbacks: [saver([])] }),
      TypeError,
      `Cannot save the state of a callback: it has ${name}`,
    );
    assertEquals(steps, 0);
  }
});

Deno.test("a state of another version is refused, naming both, whether its checksum fits or not", async () => {
  const saved: Saved[] = [];
  await train(cases[2], { epochs: 1, callbacks: [saver(saved)] });
  const { bytes } = saved[1];
  const text = new TextDecoder().decode(bytes.subarray(0, 6000)); // the header, which is ASCII
  const checksum = '{"checksum":"';
  for (const before of ['"version":"1', '\\"version\\":1']) {
    const resume = bytes.slice();
    resume[text.indexOf(before) + before.length - 1] = "7".charCodeAt(0);
    const refused = async (of: new (message: string) => Error, start: string) => {
      const { message } = await assertRejects(() => train(cases[2], { resume }), of);
      assertStringIncludes(message, start);
      assert(/its format is cellfold.*, version 7, expected cellfold, version 1/.test(message), message);
    };
    await refused(SyntaxError, "its bytes do not match its checksum; its format is");
    const place = text.indexOf(checksum) + checksum.length;
    resume.fill("0".charCodeAt(0), place, place + 64);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", resume));
    resume.set(new TextEncoder().encode(digest.toHex()), place);
    await refused(RangeError, "Cannot resume training from the given bytes: its format is");
  }
});

Deno.test("onRelease is called last, however training ends", async () => {
  const calls: string[] = [];
  const callback = (fail: boolean): Callback => ({
    onTrainEnd: () => void calls.push("end"),
    onRelease: () => void calls.push("release"),
    onEpochEnd() {
      if (fail) throw new Error("on purpose");
    },
  });
  await train(cases[2], { epochs: 1, callbacks: [callback(false)] });
  await assertRejects(() => train(cases[2], { epochs: 1, callbacks: [callback(true)] }), Error, "on purpose");
  assertEquals(calls, ["end", "release", "release"]);
});

Deno.test("the rate that a callback sets is the one in the optimizer's state", async () => {
  const rates: number[] = [];
  const setter: Callback = {
    async onEpochBegin(context) {
      rates.push(await context.learningRate());
      context.setLearningRate(0.25);
    },
  };
  const one: Case = { ...cases[2], callbacks: () => [setter] };
  const { optimizerState } = await train(one, { epochs: 2, optimizer: sgd({ learningRate: 0.5 }) });
  assertEquals([rates, valuesOf(optimizerState.learningRate as Tensor)], [[0.5, 0.25], [0.25]]);
  const decaying = sgd({ learningRate: cosineDecay({ initialLearningRate: 0.1, decaySteps: 5 }) });
  await assertRejects(
    () => train(one, { optimizer: decaying }),
    TypeError,
    "give the optimizer a number instead",
  );
  const wrong: Callback = { onEpochBegin: (context) => context.setLearningRate(-1) };
  await assertRejects(
    () => train({ ...one, callbacks: () => [wrong] }, {}),
    RangeError,
    "it is -1, expected",
  );
});
