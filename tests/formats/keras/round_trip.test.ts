/** What we write is read back: weights to the last bit, options, and predictions. */
import { assertEquals, assertThrows } from "@std/assert";
import { fromKeras, loadKerasWeights, saveKerasWeights, toKeras } from "../../../formats/keras/mod.ts";
import { init, toJson } from "../../../src/models/mod.ts";
import { key } from "../../../src/operations/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { treeLeaves } from "../../../src/tree/tree.ts";
import { examples, variablesOf } from "./models.ts";
import { cases, fixture, mayRead, predictions } from "./support.ts";

for (const [name, make] of Object.entries(examples)) {
  Deno.test(`written and read back, a model predicts the same: ${name}`, async () => {
    const example = make();
    const variables = variablesOf(example);
    const bytes = await toKeras(example.model, variables, { input: example.input });
    const read = await fromKeras(bytes);
    const expected = await predictions(example.model, variables, example.x);
    assertEquals(
      treeLeaves<Tensor>(await predictions(read.model, read.variables, example.x)),
      treeLeaves<Tensor>(expected),
    );
    const again = await fromKeras(
      await toKeras(read.model, read.variables, inputOf(example.input, read.input)),
    );
    assertEquals(again.variables, read.variables);
    assertEquals(json(again.model), json(read.model));
  });

  Deno.test(`weights alone come back to the last bit: ${name}`, async () => {
    const example = make();
    const variables = variablesOf(example);
    const bytes = await saveKerasWeights(example.model, variables);
    const fresh = init(example.model, key(8), example.input ?? example.x);
    const loaded = await loadKerasWeights(example.model, fresh, bytes);
    assertEquals(loaded, variables);
  });
}

/** A graph says what it takes itself. */
function inputOf(given: unknown, read: unknown): { input?: Parameters<typeof init>[2] } {
  return given === undefined ? {} : { input: read as Parameters<typeof init>[2] };
}

const json = (model: Parameters<typeof toJson>[0]) => JSON.stringify(toJson(model));

Deno.test({
  name: "files of Keras are written again without loss",
  ignore: !mayRead,
  fn: async () => {
    for (const name of Object.keys(cases())) {
      const read = await fromKeras(fixture(`${name}.keras`));
      const input = read.model.type === "model" ? {} : { input: read.input };
      const again = await fromKeras(await toKeras(read.model, read.variables, input));
      assertEquals(again.variables, read.variables, name);
      if (name === "translator") { // its decoder ignores its mask, as in Keras
        for (const { model } of [read, again]) {
          assertThrows(
            () => json(model),
            TypeError,
            "it ignores its mask where it is given an initial state",
          );
        }
        continue;
      }
      assertEquals(json(again.model), json(read.model), name);
    }
  },
});
