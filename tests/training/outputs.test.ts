/** Outputs without a loss: states, attention weights and whatever else is only looked at. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  call,
  createTrainer,
  type Data,
  dense,
  evaluate,
  fit,
  init,
  input,
  key,
  lstm,
  model as graph,
  normal,
  ones,
  predict,
  type Tensor,
  tensor,
} from "@cellfold/cellfold";
import { valuesOf } from "./models.ts";

const at = input([null, 3]);
const [sequence, [state]] = call(lstm({ units: 4, returnState: true, returnSequences: false }), at);
const y = call(dense({ units: 1 }), sequence);
const two = graph({ inputs: at, outputs: { y, state } });
const one = graph({ inputs: at, outputs: { y } });
const x = normal(key(1), [8, 5, 3]);
const target = normal(key(2), [8, 1]);
const variables = init(two, key(0), x);
const common = { optimizer: "adam", report: "none", epochs: 2, batchSize: 3 } as const;

Deno.test("an output without a loss needs no target and changes nothing", async () => {
  const data = { x, y: { y: target } };
  const alone = await fit(one, variables, data, { ...common, loss: { y: "mse" } });
  for (const loss of [{ y: "mse" }, { y: "mse", state: null }] as const) {
    for (const given of [data, { x, y: { y: target, state: ones([8, 4]) } }]) {
      const both = await fit(two, variables, given, { ...common, loss, validation: given });
      assertEquals(valuesOf(both.variables.params), valuesOf(alone.variables.params));
      assertEquals(both.history.loss, alone.history.loss);
      assertEquals(both.history.y_loss, alone.history.loss);
      assertEquals(Object.keys(both.history).sort(), ["loss", "val_loss", "val_y_loss", "y_loss"]);
    }
  }
  const streamed = await fit(two, variables, [data], { ...common, batchSize: undefined, loss: { y: "mse" } });
  assertEquals(streamed.history.loss.length, 2);
  const outputs = await predict<{ y: Tensor; state: Tensor } & Readonly<Record<string, Tensor>>>(
    two,
    variables,
    x,
  );
  assertEquals([outputs.y.shape, outputs.state.shape], [[8, 1], [8, 4]]);
});

Deno.test("an output without a loss may have metrics, which need its target", async () => {
  const loss = { y: "mse" } as const;
  const metrics = { state: ["mae"] } as const;
  const states =
    (await predict<{ state: Tensor } & Readonly<Record<string, Tensor>>>(two, variables, x)).state;
  const data = { x, y: { y: target, state: states } };
  const logs = await evaluate(two, variables, data, { loss, metrics });
  assertEquals(Object.keys(logs), ["loss", "y_loss", "state_mae"]);
  assertEquals([logs.loss, logs.state_mae], [logs.y_loss, 0]);
  await assertRejects(
    () => evaluate(two, variables, { x, y: { y: target } }, { loss, metrics }),
    TypeError,
    "state",
  );
  const weighted = await evaluate(two, variables, { ...data, sampleWeight: { y: ones([8]) } }, {
    loss,
    weightedMetrics: metrics,
  });
  assertEquals(weighted.state_mae, 0);
});

Deno.test("in a list the last outputs can be left out of the targets, and every loss has its place", async () => {
  const list = graph({ inputs: at, outputs: [y, state] });
  const own = init(list, key(0), x);
  using trainer = createTrainer(list, { loss: ["mse", null], optimizer: "sgd" });
  const { logs } = await trainer.trainOnBatch({ variables: own }, { x, y: [target] });
  assertEquals(Object.keys(logs), ["loss", "output_0_loss"]);
  const second = await evaluate(list, own, { x, y: [target, ones([8, 4])] }, { loss: [null, "mse"] });
  assertEquals(Object.keys(second), ["loss", "output_1_loss"]);
  assert(second.loss > 0);
  const refused = (y: Data["y"], loss: readonly unknown[], text: string) =>
    assertRejects(() => evaluate(list, own, { x, y }, { loss: loss as never }), TypeError, text);
  await refused([target], [null, "mse"], "the model's output");
  await refused([target], ["mse"], "a list of 2");
  await refused([target, target, target], ["mse", null], "the model's output");
  await refused([tensor([1])], ["mse", "mse"], "x has 8 samples, y has 1");
});
