import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as cf from "@cellfold/cellfold";

const model = cf.dense({ units: 1, useBias: false });
const data = { x: cf.tensor([[1], [1]]), y: cf.tensor([[3], [3]]) };
const variables = { params: { kernel: cf.tensor([[0]]) }, state: [] };
const kernelOf = ({ params }: cf.Variables) =>
  Number((cf.toNested((params as { kernel: cf.Tensor }).kernel) as number[][])[0][0]);

/** The weight after each step of gradient descent, and its averages. */
function byHand(rate: number, momentum: number, steps: number): { weight: number; average: number } {
  let weight = 0, average = 0;
  for (let step = 0; step < steps; step++) {
    weight -= rate * 2 * (weight - 3);
    average = step === 0 ? weight : momentum * average + (1 - momentum) * weight;
  }
  return { weight, average };
}

Deno.test("useEma: fit ends with the averages, its validation uses the weights, and it can go on", async () => {
  const optimizer = cf.sgd({ learningRate: 0.1, useEma: true, emaMomentum: 0.5 });
  const seen: number[] = [];
  const callback: cf.Callback = {
    type: "seen",
    onEpochEnd: async (context) => void seen.push(kernelOf(await context.variables())),
  };
  const options = { loss: "mse", report: "none", device: "reference", epochs: 4 } as const;
  const ended = await cf.fit(model, variables, data, {
    ...options,
    optimizer,
    callbacks: [callback],
    validation: data,
  });
  const { weight, average } = byHand(0.1, 0.5, 4);
  assertAlmostEquals(seen[3], weight, 1e-6);
  assertAlmostEquals(ended.history.val_loss[3], (weight - 3) ** 2, 1e-5);
  assertAlmostEquals(kernelOf(ended.variables), average, 1e-6);
  // As in Keras, what follows begins with the averages.
  const more = await cf.fit(model, ended.variables, data, {
    ...options,
    epochs: 1,
    optimizer,
    optimizerState: ended.optimizerState,
  });
  const next = average - 0.2 * (average - 3);
  assertAlmostEquals(kernelOf(more.variables), 0.5 * average + 0.5 * next, 1e-6);
  assertEquals(cf.item(more.optimizerState.step), 5);
});

Deno.test("useEma: frozen weights stay, and steps of one's own average by the optimizer's final", async () => {
  const optimizer = cf.sgd({ learningRate: 0.1, useEma: true, emaMomentum: 0.5 });
  const part = cf.dense({ units: 1, useBias: false });
  const frozen = cf.sequential([{ ...part, trainable: false }, part]);
  const start = { params: [{ kernel: cf.tensor([[1]]) }, { kernel: cf.tensor([[0]]) }], state: [[], []] };
  const { variables: ended } = await cf.fit(frozen, start, data, {
    loss: "mse",
    report: "none",
    optimizer,
    epochs: 3,
    device: { name: "wasm", threads: 1 },
  });
  const [first, second] = (ended.params as { kernel: cf.Tensor }[]).map(({ kernel }) =>
    cf.item(cf.reshape(kernel, []))
  );
  assertEquals(first, 1);
  assertAlmostEquals(second, byHand(0.1, 0.5, 3).average, 1e-6);

  let params = { w: cf.tensor(1) as cf.Tensor };
  let state = optimizer.init(params);
  for (const gradient of [1, 2]) {
    [params, state] = optimizer.update({ w: cf.tensor(gradient) }, state, params);
  }
  assertAlmostEquals(
    cf.item(optimizer.final?.(params, state).w ?? cf.tensor(0)),
    0.5 * 0.9 + 0.5 * 0.7,
    1e-6,
  );
  assertEquals(cf.sgd().final, undefined);
});

Deno.test("emaOverwriteFrequency replaces the weights by their averages, again and again", () => {
  const optimizer = cf.sgd({ learningRate: 0.1, useEma: true, emaMomentum: 0.5, emaOverwriteFrequency: 2 });
  let params = { w: cf.tensor(1) as cf.Tensor };
  let state = optimizer.init(params);
  const values = [1, 1, 1, 1].map((gradient) => {
    [params, state] = optimizer.update({ w: cf.tensor(gradient) }, state, params);
    return cf.item(params.w);
  });
  // 0.9; 0.8 and 0.9 average to 0.85; 0.75; 0.65 and (0.85 + 0.75) / 2 = 0.8 average to 0.725.
  [0.9, 0.85, 0.75, 0.725].forEach((value, step) => assertAlmostEquals(values[step], value, 1e-6));
  assertThrows(() => cf.adam({ emaOverwriteFrequency: 2 }), RangeError, "set useEma: true");
  assertThrows(() => cf.sgd({ emaMomentum: 0.9 }), RangeError, "emaMomentum is 0.9 without averages");
  assertThrows(() => cf.adam({ useEma: true, emaMomentum: 2 }), RangeError, "emaMomentum is 2");
});

Deno.test("adagrad, nadam and lion take Keras's first steps", () => {
  const first = (optimizer: cf.Optimizer, gradient: number) =>
    1 -
    cf.item(
      optimizer.update({ w: cf.tensor(gradient) }, optimizer.init({ w: cf.tensor(1) }), {
        w: cf.tensor(1),
      })[0].w,
    );
  assertAlmostEquals(first(cf.adagrad({ learningRate: 0.1 }), 2), 0.2 / Math.sqrt(4.1), 1e-6);
  assertAlmostEquals(first(cf.lion({ learningRate: 0.1 }), -5), -0.1, 1e-6);
  const [now, later] = [1, 2].map((n) => 0.9 * (1 - 0.5 * 0.96 ** n));
  const direction = later * 0.1 / (1 - now * later) + (1 - now) / (1 - now);
  assertAlmostEquals(first(cf.nadam({ learningRate: 0.1 }), 7), 0.1 * direction, 1e-6);
  assertThrows(() => cf.lion({ beta1: 0 }), RangeError, "above 0");
});
