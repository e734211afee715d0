/** Files that TensorFlow.js wrote are read and predict the same; weights in all forms; what we write comes back. */
import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromTfjs, toTfjs } from "../../../formats/tfjs/mod.ts";
import { dense } from "../../../src/layers/mod.ts";
import { init, sequential, toJson } from "../../../src/models/mod.ts";
import { key } from "../../../src/operations/random.ts";
import { host, spec, type Tensor } from "../../../src/tensor/tensor.ts";
import { type Tree, treeLeaves } from "../../../src/tree/tree.ts";
import { assertNear, cases, predictions, tensors } from "../keras/support.ts";
import { examples, variablesOf } from "./models.ts";

const fixtures = new URL("./fixtures/", import.meta.url);
const mayRead = Deno.permissions.querySync({ name: "read", path: fixtures }).state === "granted";

for (const name of ["sequential", "graph", "windows"]) {
  Deno.test({
    name: `a model of TensorFlow.js is read and predicts the same: ${name}`,
    ignore: !mayRead,
    fn: async () => {
      const { inputs, outputs } = cases(fixtures)[name];
      const json = Deno.readTextFileSync(new URL(`${name}.json`, fixtures));
      const { model, variables } = await fromTfjs(json, (name) => Deno.readFile(new URL(name, fixtures)));
      const x = treeLeaves<Tensor>(tensors(inputs));
      const predicted = await predictions(model, variables, x.length === 1 ? x[0] : x);
      assertNear(treeLeaves<Tensor>(predicted), treeLeaves<Tensor>(tensors(outputs)), 1e-6, name);
    },
  });
}

for (const [name, make] of Object.entries(examples)) {
  Deno.test(`written for TensorFlow.js and read back, a model predicts the same: ${name}`, async () => {
    const example = make();
    const variables = variablesOf(example);
    const files = await toTfjs(example.model, variables, { input: example.input });
    const read = await fromTfjs(new TextDecoder().decode(files["model.json"]), (name) => files[name]);
    const expected = await predictions(example.model, variables, example.x);
    assertEquals(leaves(await predictions(read.model, read.variables, example.x)), leaves(expected));
  });
}

Deno.test("regularizers come back from files of TensorFlow.js, but for those that it does not have", async () => {
  const { model, input } = examples.regularized();
  const files = await toTfjs(model, init(model, key(0), input!), { input });
  const read = await fromTfjs(new TextDecoder().decode(files["model.json"]), (name) => files[name]);
  const [lstm, both, head] = read.model.layers!.map(({ options }) => options);
  assertEquals([lstm.kernelRegularizer, lstm.recurrentRegularizer], [{ l1: 0, l2: 0.01 }, {
    l1: 0.1,
    l2: 0,
  }]);
  assertEquals([lstm.recurrentConstraint, lstm.biasConstraint], [undefined, undefined]);
  assertStringIncludes(JSON.stringify(both.layer), '"biasRegularizer":{"l1":0.5,"l2":0.25}');
  assertEquals([head.biasRegularizer, head.activityRegularizer], [undefined, undefined]);
});

Deno.test({
  name: "constraints are read from files of TensorFlow.js",
  ignore: !mayRead,
  fn: async () => {
    const json = JSON.parse(Deno.readTextFileSync(new URL("sequential.json", fixtures)));
    const topology = JSON.stringify(json).replaceAll(
      '"kernel_constraint":null',
      '"kernel_constraint":{"class_name":"MaxNorm","config":{"max_value":3,"axis":0}}',
    );
    const { model, notes } = await fromTfjs(topology, (name) => Deno.readFile(new URL(name, fixtures)));
    assertEquals(notes, []);
    assertStringIncludes(
      JSON.stringify(toJson(model)),
      '"kernelConstraint":{"name":"maxNorm","maxValue":3,"axis":0}',
    );
  },
});

function leaves(tree: Tree<Tensor>): number[][] {
  return treeLeaves<Tensor>(tree).map((leaf) => [...host(leaf).data]);
}

/** A Dense layer's files with the kernel stored otherwise. */
async function quantized(quantization: object, bytes: Uint8Array) {
  const layer = sequential([dense({ units: 2, useBias: false })]);
  const input = spec([null, 2]);
  const files = await toTfjs(layer, init(layer, key(0), input), { input });
  const json = JSON.parse(new TextDecoder().decode(files["model.json"]));
  Object.assign(json.weightsManifest[0].weights[0], { quantization });
  const { variables } = await fromTfjs(JSON.stringify(json), () => bytes);
  return [...host(treeLeaves<Tensor>(variables)[0]).data];
}

Deno.test("quantized weights become float32, as TensorFlow.js decodes them", async () => {
  const { fround } = Math;
  assertEquals(
    await quantized(
      { dtype: "uint8", scale: 0.1, min: -3, original_dtype: "float32" },
      new Uint8Array([0, 1, 30, 255]),
    ),
    [-3, 1 * 0.1 - 3, 30 * 0.1 - 3, 255 * 0.1 - 3].map(fround),
  );
  const wide = new Uint8Array(new Uint16Array([0, 1, 1000, 65535]).buffer);
  assertEquals(
    await quantized({ dtype: "uint16", scale: 1e-3, min: 2 }, wide),
    [2, 1e-3 + 2, 1000 * 1e-3 + 2, 65535 * 1e-3 + 2].map(fround),
  );
  const halves = new Uint8Array(new Uint16Array([0x3c00, 0xc000, 0x0001, 0x7c00]).buffer);
  assertEquals(await quantized({ dtype: "float16" }, halves), [1, -2, 2 ** -24, Infinity]);
});

Deno.test("a model as the converter wraps it is read, with several files and a cell's name in the weights'", async () => {
  const example = examples.sequential();
  const variables = variablesOf(example);
  const files = await toTfjs(example.model, variables, { input: example.input });
  const json = JSON.parse(new TextDecoder().decode(files["model.json"]));
  const { keras_version: _, backend: __, ...config } = json.modelTopology;
  json.modelTopology = {
    keras_version: "2.15.0",
    backend: "tensorflow",
    model_config: config,
    training_config: {},
  };
  const whole = files["group1-shard1of1.bin"];
  const [group] = json.weightsManifest;
  group.paths = ["a.bin", "b.bin"];
  for (const weight of group.weights) weight.name = weight.name.replace(/^lstm\//, "lstm/lstm_cell/");
  const parts: Record<string, Uint8Array> = { "a.bin": whole.slice(0, 10), "b.bin": whole.slice(10) };
  const read = await fromTfjs(JSON.stringify(json), (name) => parts[name]);
  assertEquals(read.variables, variables);
  assertStringIncludes(JSON.stringify(read.model.layers?.[4].options), "hardSigmoidKeras2");
});
