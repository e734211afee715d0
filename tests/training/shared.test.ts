/** Steps that later calls find again: of the same model and options, and not of others. */
import { assert, assertEquals } from "@std/assert";
import {
  adam,
  type Data,
  dense,
  evaluate,
  exponentialDecay,
  fit,
  huber,
  init,
  key,
  type Layer,
  lstm,
  meanAbsoluteError,
  normal,
  ones,
  type Optimizer,
  predict,
  sequential,
  sgd,
  spec,
  zeros,
} from "@cellfold/cellfold";
import { lazily, recentOnly } from "../../src/training/kept.ts";
import { compile } from "../../src/transforms/mod.ts";
import { add } from "../../src/operations/elementwise.ts";
import { item, type Tensor, tensor } from "../../src/tensor/mod.ts";
import { valuesOf } from "./models.ts";

const x = normal(key(1), [6, 4, 2]);
const data: Data = { x, y: ones([6, 1]) };

/** A model that counts how often it is traced. */
function counting(): { readonly model: Layer; readonly traced: () => number } {
  let traced = 0;
  const inner = sequential([lstm({ units: 3 }), dense({ units: 1 })]);
  const model: Layer = {
    ...inner,
    apply(variables, input, context) {
      traced++;
      return inner.apply(variables, input, context);
    },
  };
  return { model, traced: () => traced };
}

Deno.test("a second call traces nothing, whatever makes its options", async () => {
  const { model, traced } = counting();
  const variables = init(model, key(0), spec([null, null, 2]));
  const calls: (() => Promise<unknown>)[] = [
    () => predict(model, variables, x),
    () => predict(model, variables, x, { batchSize: 2 }),
    () => evaluate(model, variables, data, { loss: huber({ delta: 2 }), metrics: ["mae"] }),
    () => evaluate(model, variables, data, { metrics: [meanAbsoluteError()], loss: "mse" }),
    () =>
      fit(model, variables, data, {
        loss: "mse",
        optimizer: adam({ learningRate: 0.5 }),
        report: "none",
        validation: data,
      }),
    () =>
      fit(model, variables, data, {
        loss: "mse",
        optimizer: sgd({
          learningRate: exponentialDecay({ initialLearningRate: 1, decaySteps: 2, decayRate: 0.5 }),
        }),
        report: "none",
      }),
  ];
  const first = [];
  for (const call of calls) first.push(await call());
  const before = traced();
  assert(before > 0);
  const second = [];
  for (const call of calls) second.push(await call());
  assertEquals(traced(), before);
  assertEquals(second, first);
});

Deno.test("options that act differently have steps of their own", async () => {
  const model = sequential([dense({ units: 1, name: "only" })]);
  const variables = init(model, key(0), spec([null, 2]));
  const flat: Data = { x: normal(key(2), [6, 2]), y: zeros([6, 1]) };
  const run = async (optimizer: Optimizer, layer: Layer = model) =>
    valuesOf(
      (await fit(layer, variables, flat, { loss: "mse", optimizer, report: "none" })).variables.params,
    );
  const schedule = (factor: number) => ({ type: "mine", options: {}, rate: () => tensor(factor) });
  const results = [
    await run(sgd({ learningRate: 0.1 })),
    await run(sgd({ learningRate: 0.2 })),
    await run(sgd({ learningRate: schedule(0.3) })), // told apart by their functions alone
    await run(sgd({ learningRate: schedule(0.4) })),
    await run({
      ...sgd({ learningRate: 0.1 }),
      update: (_gradients, state, params) => [params, { ...state, step: add(state.step, 1) }],
    }),
  ];
  assertEquals(new Set(results.map((values) => values.join())).size, results.length);
  assertEquals(results[4], valuesOf(variables.params));
  assertEquals(await run(sgd({ learningRate: 0.1 })), results[0]);
  const copy: { -readonly [Key in keyof Layer]: Layer[Key] } = { ...model };
  assertEquals(await run(sgd({ learningRate: 0.1 }), copy), results[0]);
  copy.trainable = false; // a copy can be changed in place, and is another model then
  assertEquals(await run(sgd({ learningRate: 0.1 }), copy), valuesOf(variables.params));
  const losses = [];
  for (const delta of [2, 1, 0.01]) {
    losses.push((await evaluate(model, variables, flat, { loss: huber({ delta }) })).loss);
  }
  assertEquals(new Set(losses).size, 3);
});

Deno.test("calls at the same time share steps, beyond the number of models that are kept", async () => {
  const models = Array.from({ length: 40 }, () => sequential([dense({ units: 2 })]));
  const variables = init(models[0], key(0), spec([null, 2]));
  const input = normal(key(3), [70, 2]);
  const expected = await predict(models[0], variables, input);
  for (let round = 0; round < 2; round++) {
    const outputs = await Promise.all(
      [...models, ...models].map((model) => predict(model, variables, input, { batchSize: 8 })),
    );
    for (const output of outputs) assertEquals(output, expected);
  }
});

Deno.test("a step that is released frees its memory after the running call, and can be called again", async () => {
  let compiled = 0, disposed = 0;
  const lazy = lazily(() => {
    compiled++;
    const step = compile((x: Tensor) => add(x, 1));
    const dispose = step[Symbol.dispose];
    step[Symbol.dispose] = () => {
      disposed++;
      dispose();
    };
    return step;
  });
  const held = lazy.get();
  assertEquals(lazy.get(), held);
  const running = held(tensor(1));
  lazy.release();
  assertEquals(disposed, 0);
  assertEquals(item(await running), 2);
  await Promise.resolve();
  assertEquals([compiled, disposed], [1, 1]);
  assertEquals(item(await held(tensor(2))), 3);
  assertEquals([compiled, disposed], [2, 1]);
  lazy.dispose();
  assertEquals(disposed, 2);
});

Deno.test("of many kinds those used last are kept", () => {
  const forgotten: number[] = [];
  const recent = recentOnly<number>((value) => void forgotten.push(value));
  for (let value = 0; value < 64; value++) recent.get(`${value}`, () => value);
  assertEquals(recent.get("0", () => -1), 0); // used again
  assertEquals(recent.get("new", () => 100), 100);
  assertEquals(forgotten, [1]);
  recent.touch("1", 1);
  assertEquals(forgotten, [1, 2]);
  assertEquals([...recent.values()].length, 64);
});
