/** Attention of Keras 3 takes masks away from its inputs: files are read where it then sees those that ours does. */
import * as cf from "@cellfold/cellfold";
import { fromKeras, toKeras } from "@cellfold/cellfold/keras";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { errorOf } from "./support.ts";

const device = "reference";
const heads = (name: string) => cf.multiHeadAttention({ numHeads: 2, keyDim: 2, name });
const merged = () => cf.merge({ method: "add", counts: "any" });

/** A model of steps with a mask. */
function masked(body: (x: cf.Node) => cf.Tree<cf.Node>): cf.Layer {
  const x = cf.input([5, 4]);
  return cf.model({ inputs: x, outputs: body(cf.call(cf.masking(), x)) });
}

/** Attention to itself, added to its input: with a normalization before it, or behind the sum. */
const before = (x: cf.Node, name: string): cf.Node => {
  const own = cf.call(cf.layerNormalization(), x);
  return cf.call(merged(), [x, cf.call(heads(name), [own, own])]);
};
const behind = (x: cf.Node, name: string): cf.Node =>
  cf.call(cf.layerNormalization(), cf.call(merged(), [x, cf.call(heads(name), [x, x])]));

const reads = {
  "each with a normalization of its own": (x) => before(before(x, "a"), "b"),
  "one behind the other": (x) => {
    const a = cf.call(heads("a"), [x, x]);
    return cf.call(heads("b"), [a, a]);
  },
  "a recurrent layer beside it, whose mask the file has": (x) => [
    cf.call(heads("a"), [x, x]),
    cf.call(cf.lstm({ units: 2 }), x),
  ],
} satisfies Record<string, (x: cf.Node) => cf.Tree<cf.Node>>;

for (const [name, body] of Object.entries(reads)) {
  Deno.test(`fromKeras: masks of attention: ${name}`, async () => {
    const model = masked(body);
    const variables = cf.init(model, cf.key(0), cf.spec([null, 5, 4]));
    const read = await fromKeras(await toKeras(model, variables));
    const steps = cf.tensor([1, 1, 1, 0, 0, 1, 1, 0, 0, 0], { shape: [2, 5, 1] });
    const x = cf.mul(cf.normal(cf.key(1), [2, 5, 4]), steps);
    assertEquals(
      await cf.predict(read.model, read.variables, x, { device }),
      await cf.predict(model, variables, x, { device }),
    );
  });
}

const refused = {
  "behind the sum": [(x) => behind(behind(x, "a"), "b"), "one by the order of calls"],
  "twice of one tensor": [
    (x) => [cf.call(heads("a"), [x, x]), cf.call(heads("b"), [x, x])],
    "one by the order of calls",
  ],
  "of a layer's output, and then of its input": [
    (x) => {
      const own = cf.call(cf.dense({ units: 4 }), x);
      const b = cf.call(heads("b"), [own, own]);
      return cf.call(cf.merge({ method: "concatenate" }), [cf.call(heads("a"), [x, x]), b]);
    },
    "no mask, or one by the order of calls",
  ],
} satisfies Record<string, [(x: cf.Node) => cf.Tree<cf.Node>, string]>;

for (const [name, [body, reason]] of Object.entries(refused)) {
  Deno.test(`fromKeras: masks that attention takes away are refused: ${name}`, async () => {
    const model = masked(body);
    const file = await toKeras(model, cf.init(model, cf.key(0), cf.spec([null, 5, 4])));
    const { message } = await errorOf(fromKeras(file));
    assertStringIncludes(message, reason);
    assertStringIncludes(message, "(MultiHeadAttention)");
  });
}

Deno.test("fromKeras: without masks, attention may share its inputs", async () => {
  const x = cf.input([5, 4]);
  const model = cf.model({ inputs: x, outputs: behind(behind(x, "a"), "b") });
  const variables = cf.init(model, cf.key(0), cf.spec([null, 5, 4]));
  const read = await fromKeras(await toKeras(model, variables));
  const values = cf.normal(cf.key(1), [2, 5, 4]);
  assertEquals(
    await cf.predict(read.model, read.variables, values, { device }),
    await cf.predict(model, variables, values, { device }),
  );
});
