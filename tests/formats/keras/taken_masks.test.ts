/**
 * Attention of Keras 3 takes masks away from its inputs: files are read and written where it then sees those that ours
 * does.
 */
import * as cf from "@cellfold/cellfold";
import { fromKeras, toKeras } from "@cellfold/cellfold/keras";
import { assertEquals, assertStringIncludes } from "@std/assert";
import { readArchive, writeArchive } from "../../../formats/keras/archive.ts";
import { testWithPython } from "../support/python.ts";
import { errorOf } from "./support.ts";

const device = "reference";
const heads = (name: string) => cf.multiHeadAttention({ numHeads: 2, keyDim: 2, name });
const merged = () => cf.merge({ method: "add", counts: "any" });

type Body = (x: cf.Node) => cf.Tree<cf.Node>;

/** A model of steps with a mask. */
function masked(body: Body, makesMask: cf.Layer<cf.Tensor> = cf.masking()): cf.Layer {
  const x = cf.input([5, 4]);
  return cf.model({ inputs: x, outputs: body(cf.call(makesMask, x)) });
}

const variablesOf = (model: cf.Layer) => cf.init(model, cf.key(0), cf.spec([null, 5, 4]));

/** Which steps count, and steps of which the others are masked. */
const counted = [1, 1, 1, 0, 0, 1, 1, 0, 0, 0];
const steps = cf.mul(cf.normal(cf.key(1), [2, 5, 4]), cf.tensor(counted, { shape: [2, 5, 1] }));

/** The values of an output, and whether they are of steps that count: those of others are not the same in Keras. */
function counting({ data, shape }: cf.HostTensor): { readonly value: number; readonly counts: boolean }[] {
  const [, , features] = shape; // absent for the last output
  return [...data].map((value, at) => ({
    value,
    counts: features === undefined || counted[Math.floor(at / features)] === 1,
  }));
}

/** The file of a masked model as Keras writes it, whatever attention sees there. */
async function fileOf(body: Body): Promise<Uint8Array> {
  const model = masked(body, cf.dropout({ rate: 0.5, name: "makes_mask" }));
  const archive = await readArchive(await toKeras(model, variablesOf(model)), 1e6);
  const config = JSON.parse(archive.config, (_, value) => {
    if (value?.class_name !== "Dropout") return value;
    return {
      ...value,
      class_name: "Masking",
      config: { name: "makes_mask", dtype: "float32", mask_value: 0 },
    };
  });
  return await writeArchive({ ...archive, config: JSON.stringify(config) });
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
} satisfies Record<string, Body>;

for (const [name, body] of Object.entries(reads)) {
  Deno.test(`fromKeras: masks of attention: ${name}`, async () => {
    const model = masked(body);
    const variables = variablesOf(model);
    const expected = await cf.predict(model, variables, steps, { device });
    const read = await fromKeras(await toKeras(model, variables));
    assertEquals(await cf.predict(read.model, read.variables, steps, { device }), expected);
  });
}

/** Which Keras computes as we do, or not, by the order of calls. */
const BY_ORDER = "of a layer's output, and then of its input";

const refused = {
  "behind the sum": [(x) => behind(behind(x, "a"), "b"), "one by the order of calls"],
  "twice of one tensor": [
    (x) => [cf.call(heads("a"), [x, x]), cf.call(heads("b"), [x, x])],
    "one by the order of calls",
  ],
  [BY_ORDER]: [
    (x) => {
      const own = cf.call(cf.dense({ units: 4 }), x);
      const b = cf.call(heads("b"), [own, own]);
      return cf.call(cf.merge({ method: "concatenate" }), [cf.call(heads("a"), [x, x]), b]);
    },
    "no mask, or one by the order of calls",
  ],
} satisfies Record<string, [Body, string]>;

for (const [name, [body, reason]] of Object.entries(refused)) {
  Deno.test(`fromKeras and toKeras: masks that attention takes away are refused: ${name}`, async () => {
    const read = await errorOf(fromKeras(await fileOf(body)));
    assertStringIncludes(read.message, reason);
    assertStringIncludes(read.message, "(MultiHeadAttention)");
    const model = masked(body);
    const written = await errorOf(toKeras(model, variablesOf(model)));
    assertStringIncludes(written.message, "Cannot write the Keras file: a call of multiHeadAttention");
    assertStringIncludes(written.message, "takes the masks of its inputs away");
  });
}

testWithPython(
  "toKeras: masks of attention are those that Keras itself computes with",
  "Keras 3",
  async (folder) => {
    const written: readonly (readonly [name: string, body: Body])[] = Object.entries(reads);
    const others = Object.entries(refused).filter(([name]) => name !== BY_ORDER).map(([name, [body]]) =>
      [name, body] as const
    );
    const all = [...written, ...others];
    for (const [index, [, body]] of all.entries()) {
      const model = masked(body);
      const file = index < written.length ? await toKeras(model, variablesOf(model)) : await fileOf(body);
      await Deno.writeFile(folder.path(`${index}.keras`), file);
    }
    await Deno.writeTextFile(folder.path("steps.json"), JSON.stringify(cf.toNested(steps)));
    const output = await folder.run(`
import json, os
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras, numpy
steps = numpy.array(json.load(open("steps.json")), "float32")
for index in range(${all.length}):
    model = keras.saving.load_model(f"{index}.keras")
    outputs = model(steps)
    outputs = outputs if isinstance(outputs, list) else [outputs]
    print(json.dumps([float(value) for output in outputs for value in numpy.ravel(output)]))
`);
    const lines = output.trim().split("\n").slice(-all.length);
    for (const [index, [name, body]] of all.entries()) {
      const model = masked(body);
      const ours = await cf.predict(model, variablesOf(model), steps, { device });
      const values = cf.treeLeaves<cf.HostTensor>(ours as cf.Tree<cf.HostTensor>).flatMap(counting);
      const keras: number[] = JSON.parse(lines[index]);
      assertEquals(keras.length, values.length, name);
      const furthest = Math.max(
        ...values.map(({ value, counts }, at) => counts ? Math.abs(value - keras[at]) : 0),
      );
      assertEquals(furthest < 1e-5, index < written.length, `${name}: off by ${furthest}`);
    }
  },
);

Deno.test("fromKeras: without masks, attention may share its inputs", async () => {
  const x = cf.input([5, 4]);
  const model = cf.model({ inputs: x, outputs: behind(behind(x, "a"), "b") });
  const variables = variablesOf(model);
  const read = await fromKeras(await toKeras(model, variables));
  const values = cf.normal(cf.key(1), [2, 5, 4]);
  assertEquals(
    await cf.predict(read.model, read.variables, values, { device }),
    await cf.predict(model, variables, values, { device }),
  );
});
