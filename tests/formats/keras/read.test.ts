/** Files that Keras wrote: models are read, and predict what Keras predicts. */
import { assert, assertEquals } from "@std/assert";
import { fromKeras, loadKerasWeights } from "../../../formats/keras/mod.ts";
import { lossOf } from "./training.ts";
import { init } from "../../../src/models/mod.ts";
import { key } from "../../../src/operations/random.ts";
import { assertNear, cases, fixture, mayRead, predictions, tensors } from "./support.ts";

const ignore = !mayRead;
const names = mayRead ? Object.keys(cases()) : ["(needs --allow-read)"];

for (const name of names) {
  Deno.test({
    name: `a file of Keras is read and predicts the same: ${name}`,
    ignore,
    fn: async () => {
      const { inputs, outputs } = cases()[name];
      const { model, variables } = await fromKeras(fixture(`${name}.keras`));
      assertNear(await predictions(model, variables, tensors(inputs)), tensors(outputs), 1e-5, name);
    },
  });
}

for (const name of names) {
  Deno.test({
    name: `weights alone are read into a model that is there, in Keras's order: ${name}`,
    ignore,
    fn: async () => {
      const { model, variables, input } = await fromKeras(fixture(`${name}.keras`));
      const fresh = init(model, key(5), input);
      assertEquals(await loadKerasWeights(model, fresh, fixture(`${name}.keras`)), variables);
      if (!["recurrent", "frozen"].includes(name)) return; // of these there are weights apart
      assertEquals(await loadKerasWeights(model, fresh, fixture(`${name}.weights.h5`)), variables);
    },
  });
}

Deno.test({
  name: "a model that was read goes on training",
  ignore,
  fn: async () => {
    const read = await fromKeras(fixture("recurrent.keras"));
    const { inputs } = cases().recurrent;
    const [before, after] = await lossOf(read, tensors(inputs));
    assert(after < before, `the loss goes from ${before} to ${after}`);
  },
});

Deno.test({
  name: "names, options and flags are those of the file",
  ignore,
  fn: async () => {
    const { model, input } = await fromKeras(fixture("recurrent.keras"));
    assertEquals(model.name, "recurrent");
    assertEquals(String((input as { shape: unknown[] }).shape), "batch,time,4");
    const byName = Object.fromEntries((model.layers ?? []).map((layer) => [layer.name, layer]));
    assertEquals(byName.second_gru.options.resetAfter, false);
    const lstm = (model.layers ?? [])[1];
    assertEquals(lstm.options.recurrentActivation, "hardSigmoid");
    assertEquals(lstm.options.recurrentInitializer, { name: "orthogonal", gain: 0.9 });
    assertEquals([lstm.options.dropout, lstm.options.recurrentDropout], [0.2, 0.1]);
    const frozen = (await fromKeras(fixture("frozen.keras"))).model;
    assertEquals(frozen.layers?.map(({ trainable }) => trainable), [false, true]);
  },
});
