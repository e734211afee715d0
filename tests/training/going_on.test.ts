/** Training that was broken off goes on as if there had been no break: what is drawn depends on the steps made alone. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  adam,
  batchNormalization,
  createTrainer,
  type Data,
  dense,
  dropout,
  exponentialDecay,
  fit,
  type FitOptions,
  type FitResult,
  gru,
  init,
  type Layer,
  lstm,
  normal,
  type Optimizer,
  type OptimizerState,
  rmsprop,
  sequential,
  sgd,
  tensor,
  toHost,
  type TrainingState,
  zeros,
} from "@cellfold/cellfold";
import { loadCheckpoint, saveCheckpoint } from "@cellfold/cellfold/safetensors";
import { key } from "../../src/operations/random.ts";
import { denseVariables, line, valuesOf } from "./models.ts";

const data: Data = { x: normal(key(1), [11, 4, 3]), y: normal(key(2), [11, 2]) };

/** A value of any type, as JavaScript would pass it. */
// deno-lint-ignore no-explicit-any -- on purpose: what TypeScript would refuse
const loose = (value: unknown): any => value;

/** Everything that draws or remembers: dropout on inputs, between steps and between layers, and statistics. */
const noisy = (): Layer =>
  sequential([
    gru({ units: 3, dropout: 0.25, recurrentDropout: 0.5, returnSequences: true }),
    batchNormalization({ momentum: 0.5 }),
    lstm({ units: 3 }),
    dropout({ rate: 0.5 }),
    dense({ units: 2 }),
  ]);

const learningRate = exponentialDecay({ initialLearningRate: 0.05, decaySteps: 3, decayRate: 0.5 });
const optimizers = {
  adam: adam({ learningRate, amsgrad: true }),
  sgd: sgd({ learningRate, momentum: 0.9, nesterov: true }),
  rmsprop: rmsprop({ learningRate, momentum: 0.5, centered: true }),
};

for (const [device, name] of [["reference", "adam"], ["wasm", "sgd"], ["webgpu", "rmsprop"]] as const) {
  Deno.test(`on ${device} two epochs, a checkpoint and two more are four, with ${name}`, async () => {
    const model = noisy();
    const options: FitOptions = {
      loss: "mse",
      optimizer: optimizers[name],
      batchSize: 4,
      key: key(7),
      report: "none",
      device,
    };
    const initial = init(model, key(0), data.x);
    const whole = await fit(model, initial, data, { ...options, epochs: 4 });
    const first = await fit(model, initial, data, { ...options, epochs: 2 });
    const loaded = loadCheckpoint(
      saveCheckpoint({ model, variables: first.variables, optimizerState: first.optimizerState }),
    );
    const rest = await fit(loaded.model, loaded.variables, data, {
      ...options,
      epochs: 2,
      optimizerState: loaded.optimizerState,
    });
    assertEquals(rest.variables, whole.variables);
    assertEquals(rest.optimizerState, whole.optimizerState);
    assertEquals([...first.history.loss, ...rest.history.loss], whole.history.loss);
  });
}

Deno.test("epoch by epoch is the same as all epochs in one call, whatever the epochs are numbered", async () => {
  const model = noisy();
  const options: FitOptions = { loss: "mse", optimizer: "adam", batchSize: 3, report: "none" };
  const whole = await fit(model, init(model, key(0), data.x), data, { ...options, epochs: 3 });
  for (const numbered of [false, true]) {
    let variables = init(model, key(0), data.x);
    let optimizerState: OptimizerState | undefined;
    const losses: number[] = [];
    for (let epoch = 0; epoch < 3; epoch++) {
      const numbers = numbered ? { initialEpoch: epoch, epochs: epoch + 1 } : {};
      const result: FitResult = await fit(model, variables, data, { ...options, ...numbers, optimizerState });
      ({ variables, optimizerState } = result);
      losses.push(...result.history.loss);
    }
    assertEquals(losses, whole.history.loss);
    assertEquals(variables, whole.variables);
  }
});

Deno.test("fit goes on from trainOnBatch, and trainOnBatch from fit", async () => {
  const model = noisy();
  const initial = init(model, key(0), data.x);
  const objective = { loss: "mse", optimizer: "sgd" } as const;
  const options: FitOptions = { ...objective, batchSize: 11, shuffle: false, report: "none" };
  using trainer = createTrainer(model, objective);
  const once = await trainer.trainOnBatch({ variables: initial }, data);
  assertEquals(once.step, 1);
  const held: TrainingState = await toHost({
    variables: once.variables,
    optimizerState: once.optimizerState,
  });
  const then = await fit(model, held.variables, data, { ...options, optimizerState: held.optimizerState });
  assertEquals(valuesOf(then.optimizerState.step), [2]);
  const last = await trainer.trainOnBatch(then, data);
  assertEquals(last.step, 3);
});

Deno.test("trainOnBatch in a loop drops other units each time, and the same ones again from the same state", async () => {
  // Nothing is learnt, so that the losses differ by what was dropped alone.
  const model = sequential([dropout({ rate: 0.5 }), dense({ units: 1 })]);
  const batch = { x: normal(key(3), [6, 5]), y: zeros([6, 1]) };
  const run = async (steps: number): Promise<number[]> => {
    using trainer = createTrainer(model, { loss: "mse", optimizer: sgd({ learningRate: 0 }) });
    let state: TrainingState = { variables: init(model, key(0), batch.x) };
    const losses: number[] = [];
    for (let step = 0; step < steps; step++) {
      const trained = await trainer.trainOnBatch(state, batch);
      assertEquals(trained.step, step + 1);
      losses.push(trained.logs.loss);
      state = trained;
    }
    return losses;
  };
  const losses = await run(5);
  assertEquals(new Set(losses).size, 5);
  assertEquals(await run(5), losses);
});

Deno.test("steps count where every weight is frozen", async () => {
  const model = sequential([dropout({ rate: 0.5 }), dense({ units: 1, trainable: false })]);
  const batch = { x: normal(key(3), [6, 5]), y: zeros([6, 1]) };
  const options: FitOptions = { loss: "mse", optimizer: "adam", batchSize: 2, report: "none" };
  const { optimizerState, history } = await fit(model, init(model, key(0), batch.x), batch, {
    ...options,
    epochs: 3,
  });
  assertEquals(valuesOf(optimizerState.step), [9]);
  assertEquals(new Set(history.loss).size, 3);
});

Deno.test("an optimizer of one's own that does not count steps is refused before anything runs", async () => {
  const model = dense({ units: 1 });
  const plain = sgd({ learningRate: 0.1 });
  const own = (part: Partial<Optimizer>): Optimizer => ({
    type: "mine",
    options: {},
    init: (params) => plain.init(params),
    update: (gradients, state, params) => plain.update(gradients, state, params),
    ...part,
  });
  const run = (optimizer: Optimizer, optimizerState?: OptimizerState) =>
    fit(model, denseVariables(1, 1), line(4), { loss: "mse", optimizer, optimizerState, report: "none" });
  assertEquals(valuesOf((await run(own({}))).optimizerState.step), [1]);
  const refused = (optimizer: Optimizer, message: string) =>
    assertRejects(() => run(optimizer), TypeError, message);
  await refused(own({ init: () => loose({}) }), "that of init is missing");
  await refused(own({ init: () => loose([]) }), "Cannot train with the optimizer mine");
  await refused(own({ init: () => ({ step: tensor(0) }) }), "that of init is float32[]");
  await refused(own({ update: (_, state, params) => [params, state] }), "update leaves it");
  await refused(own({ update: (_, __, params) => [params, loose({})] }), "that of update is missing");
  using trainer = createTrainer(model, { loss: "mse", optimizer: own({ init: () => loose({}) }) });
  await assertRejects(
    () => trainer.trainOnBatch({ variables: denseVariables(1, 1) }, line(4)),
    TypeError,
    "expected an int32 scalar",
  );
});

Deno.test("an optimizer's state that does not fit is refused by its place and with the remedy", async () => {
  const partly = (trainable: boolean) => sequential([gru({ units: 2, trainable }), dense({ units: 2 })]);
  const options = { loss: "mse", optimizer: "adam", report: "none" } as const;
  const initial = init(partly(true), key(0), data.x);
  let began = false;
  const goOn = (model: Layer, optimizer: FitOptions["optimizer"], optimizerState: OptimizerState) =>
    fit(model, initial, data, {
      ...options,
      optimizer,
      optimizerState,
      callbacks: [{ onTrainBegin: () => void (began = true) }],
    });
  const stateOf = async (model: Layer, optimizer: FitOptions["optimizer"] = "adam") =>
    (await fit(model, initial, data, { ...options, optimizer })).optimizerState;
  const [all, some] = [await stateOf(partly(true)), await stateOf(partly(false))];
  const refused = async (run: () => Promise<unknown>, ...messages: string[]) => {
    const { message } = await assertRejects(run, TypeError);
    for (const part of [...messages, "leave optimizerState out"]) assert(message.includes(part), message);
  };
  // other weights are trained: unfrozen, then frozen
  await refused(
    () => goOn(partly(true), "adam", some),
    "optimizerState.momentum",
    "other layers are trainable",
  );
  await refused(() => goOn(partly(false), "adam", all), "optimizerState.momentum");
  // another optimizer, or the same with other options
  await refused(() => goOn(partly(true), "sgd", all), "the state of sgd");
  await refused(() => goOn(partly(true), adam({ amsgrad: true }), all), "the state of adam");
  // another model of the same structure
  const wide = sequential([gru({ units: 3 }), dense({ units: 2 })]);
  const { optimizerState: other } = await fit(wide, init(wide, key(0), data.x), data, options);
  await refused(
    () => goOn(partly(true), "adam", other),
    "optimizerState.momentum[0]",
    "float32[2, 9]",
    "float32[2, 6]",
  );
  const step = tensor([1, 2], { dtype: "int32" });
  await refused(() => goOn(partly(true), "adam", { ...all, step }), "optimizerState.step", "int32[2]");
  await refused(() => goOn(partly(true), "adam", loose({})), "optimizerState");
  await refused(() => goOn(partly(true), "adam", loose([])), "optimizerState");
  await refused(() => goOn(partly(true), "adam", loose(null)), "optimizerState");
  assertEquals(began, false);
  using trainer = createTrainer(partly(true), { loss: "mse", optimizer: "adam" });
  await refused(
    () => trainer.trainOnBatch({ variables: initial, optimizerState: some }, data),
    "optimizerState.momentum",
  );
});
