/** What files that others publish have and the newest Keras does not write, in small files made for it. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { readArchive } from "../../../formats/keras/archive.ts";
import {
  fromKeras,
  KerasFileError,
  type KerasReadOptions,
  loadKerasWeights,
  saveKerasWeights,
  toKeras,
} from "../../../formats/keras/mod.ts";
import { bidirectional, dense, gru, lstm } from "../../../src/layers/mod.ts";
import { apply, call, init, input as graphInput, model, sequential } from "../../../src/models/mod.ts";
import { mul } from "../../../src/operations/elementwise.ts";
import { sum } from "../../../src/operations/structure.ts";
import { key } from "../../../src/operations/random.ts";
import { spec } from "../../../src/tensor/tensor.ts";
import { h5File, legacyFile } from "./legacy_file.ts";
import { errorOf, mayRead, oldFixture } from "./support.ts";

/** Words, an LSTM and a dense layer, as Keras 2.0 writes a model of them. */
const words = (dtype: string) =>
  legacyFile({
    version: "2.0.2",
    config: {
      class_name: "Sequential",
      config: [
        {
          class_name: "Embedding",
          config: { name: "words", batch_input_shape: [null, 6], dtype, input_dim: 5, output_dim: 3 },
        },
        { class_name: "LSTM", config: { name: "lstm", units: 2, implementation: 0 } },
      ],
    },
    layers: {
      words: { "words/embeddings:0": [5, 3] },
      lstm: { "lstm/kernel:0": [3, 8], "lstm/recurrent_kernel:0": [2, 8], "lstm/bias:0": [8] },
    },
  });

Deno.test("fromKeras: the dtype that Keras 2.0 wrote for an embedding is that of its input", async () => {
  const floats = await fromKeras(await words("float32"));
  for (const dtype of ["int32", "int64", "uint8"]) {
    const { model, variables, input } = await fromKeras(await words(dtype));
    assertEquals(JSON.stringify(model), JSON.stringify(floats.model));
    assertEquals(variables, floats.variables);
    assertEquals(input, floats.input);
  }
  assertStringIncludes((await errorOf(fromKeras(await words("float16")))).message, '"float16"');
});

const denseNamed = (name: string, from: string) => ({
  class_name: "Dense",
  name,
  config: { name, units: 3, activation: "linear" },
  inbound_nodes: [[[from, 0, 0, {}]]],
});

Deno.test('fromKeras: names with a "/" become names without, and weights are found by them', async () => {
  const names = ["part/first", "part/second"];
  const bytes = await legacyFile({
    config: {
      class_name: "Model",
      config: {
        name: "whole",
        layers: [
          {
            class_name: "InputLayer",
            name: "in/x",
            config: { name: "in/x", batch_input_shape: [null, 3], dtype: "float32" },
            inbound_nodes: [],
          },
          denseNamed(names[0], "in/x"),
          denseNamed(names[1], names[0]),
        ],
        input_layers: [["in/x", 0, 0]],
        output_layers: [[names[1], 0, 0]],
      },
    },
    // In another order than that of the model. The weights are the sines of numbers that count from the path's length.
    layers: {
      [names[1]]: { "second/longer/kernel:0": [3, 3], "second/bias:0": [3] },
      [names[0]]: { "first/kernel:0": [3, 3], "first/bias:0": [3] },
    },
  });
  const { model, variables } = await fromKeras(bytes);
  assertEquals((model.layers ?? []).map(({ name }) => name), ["part_first", "part_second"]);
  const params = variables.params as unknown as Record<string, { kernel: { data: Float32Array } }>;
  assertEquals(Object.values(params).map(({ kernel }) => kernel.data[0]), [
    Math.fround(Math.sin("first/kernel:0".length)),
    Math.fround(Math.sin("second/longer/kernel:0".length)),
  ]);
});

Deno.test('loadKerasWeights: layers whose names differ by a "/" alone are refused, as one would take the place of the other', async () => {
  const one = sequential([dense({ units: 2, name: "a_b" })]);
  const weights = { "kernel:0": [3, 2], "bias:0": [2] };
  for (const names of [["a/b", "a_b"], ["a_b", "a/b"]]) {
    const bytes = await legacyFile({
      config: {},
      layers: Object.fromEntries(names.map((name) => [name, weights])),
    });
    const error = await errorOf(loadKerasWeights(one, init(one, key(0), inputOf), bytes));
    assert(error instanceof KerasFileError, String(error));
    assertStringIncludes(error.message, `the layers "${names[0]}" and "${names[1]}" have one name here`);
  }
});

Deno.test({
  name: "fromKeras: config is the JSON of a model for a file of weights alone, of Keras 2",
  ignore: !mayRead,
  fn: async () => {
    for (const name of ["old_sequential", "old_graph"]) {
      const whole = await oldFixture(`${name}.h5.gz`);
      let model = "";
      await h5File((file) => model = String(file.attrs.model_config.value), whole);
      // What model.to_json() gives: the version is beside the configuration.
      const config = JSON.stringify({ ...JSON.parse(model), keras_version: "2.21.0", backend: "tensorflow" });
      for (const end of ["only.h5.gz", "weights.h5.gz"]) {
        const read = await fromKeras(await oldFixture(`${name}.${end}`), { config });
        const expected = await fromKeras(whole);
        assertEquals(read.variables, expected.variables, end);
        assertEquals(JSON.stringify(read.model), JSON.stringify(expected.model), end);
      }
    }
  },
});

const inputOf = spec([null, null, 3]);
const layer = sequential([bidirectional(lstm({ units: 2, returnSequences: true })), gru({ units: 2 })]);

Deno.test("fromKeras: config is the JSON of a model for a file of weights alone, of Keras 3", async () => {
  const variables = init(layer, key(1), inputOf);
  const archive = await toKeras(layer, variables, { input: inputOf });
  const { config } = await readArchive(archive, 1e6);
  const read = await fromKeras(await saveKerasWeights(layer, variables), { config });
  assertEquals(read.variables, (await fromKeras(archive)).variables);
});

Deno.test("fromKeras: config is refused where the file has its own, or where it is none", async () => {
  const variables = init(layer, key(1), inputOf);
  const archive = await toKeras(layer, variables, { input: inputOf });
  const weights = await saveKerasWeights(layer, variables);
  const { config } = await readArchive(archive, 1e6);
  const cases: readonly [bytes: Uint8Array, config: string, ...words: string[]][] = [
    [archive, config, "config.json", "without the option config"],
    [await words("float32"), config, "model_config", "without the option config"],
    [weights, "{", "the option config", "no JSON"],
    [weights, "[]", "class_name"],
    [weights, config.replaceAll('"units":2', '"units":5'), "shape"],
  ];
  for (const [bytes, text, ...parts] of cases) {
    const error = await errorOf(fromKeras(bytes, { config: text }));
    assert(error instanceof KerasFileError, String(error));
    for (const part of parts) assertStringIncludes(error.message, part);
  }
  const object = await errorOf(fromKeras(weights, { config: JSON.parse(config) }));
  assert(object instanceof TypeError, String(object));
  assertStringIncludes((await errorOf(fromKeras(weights))).message, "the option config");
  const options = { config } as unknown as KerasReadOptions; // its type refuses it too
  assertStringIncludes(
    (await errorOf(loadKerasWeights(layer, variables, weights, options))).message,
    "config",
  );
});

/** Weights alone of a recurrent layer for GPUs: two biases for each gate. */
const forGpu = (gates: number) =>
  legacyFile({
    config: {},
    version: "2.2.4",
    layers: {
      cell: { "cell/kernel:0": [3, 2 * gates], "cell/recurrent:0": [2, 2 * gates], "cell/b:0": [4 * gates] },
    },
  });

Deno.test("loadKerasWeights: weights of layers for GPUs are turned, and their biases summed", async () => {
  const one = sequential([lstm({ units: 2 })]);
  const { params } = await loadKerasWeights(one, init(one, key(0), inputOf), await forGpu(4));
  const [{ kernel, recurrentKernel, bias }] = params as unknown as Record<string, { data: Float32Array }>[];
  // Of each gate, the stored numbers in rows of 2 are those of a matrix of 2 rows, whose columns are the inputs.
  const stored = (path: string, index: number) => Math.fround(Math.sin(index + path.length));
  for (let gate = 0; gate < 4; gate++) {
    for (let unit = 0; unit < 2; unit++) {
      for (
        const [{ data }, path, inputs] of [[kernel, "cell/kernel:0", 3], [
          recurrentKernel,
          "cell/recurrent:0",
          2,
        ]] as const
      ) {
        for (let from = 0; from < inputs; from++) {
          const at = unit * inputs + from;
          const [row, column] = [Math.floor(at / 2), gate * 2 + at % 2];
          assertEquals(data[from * 8 + gate * 2 + unit], stored(path, row * 8 + column), path);
        }
      }
      const at = gate * 2 + unit;
      assertEquals(bias.data[at], Math.fround(stored("cell/b:0", at) + stored("cell/b:0", at + 8)));
    }
  }
});

Deno.test("loadKerasWeights: weights of layers for GPUs are refused by layers that compute something else", async () => {
  const layers = [
    lstm({ units: 3 }),
    gru({ units: 2 }),
    gru({ units: 2, resetAfter: false }),
    lstm({ units: 2, useBias: false }),
  ];
  for (const [index, layer] of layers.entries()) {
    for (const gates of [4, 3]) {
      if (index === 1 && gates === 3) continue; // that is the one it fits
      const one = sequential([layer]);
      const error = await errorOf(loadKerasWeights(one, init(one, key(0), inputOf), await forGpu(gates)));
      assert(error instanceof KerasFileError, `${index}, ${gates} gates: ${error}`);
    }
  }
});

Deno.test("loadKerasWeights: a graph may hold functions without names, beside the layers", async () => {
  const x = graphInput([4, 3]);
  const weights = call(dense({ units: 1, useBias: false, name: "attention" }), x);
  const mean = apply((x, w) => sum(mul(x, w), { axes: [1] }), x, weights);
  const graph = model({ inputs: x, outputs: call(dense({ units: 2, name: "end" }), mean) });
  const bytes = await legacyFile({
    config: {},
    layers: {
      end: { "end/kernel:0": [3, 2], "end/bias:0": [2] },
      attention: { "attention/attention_W:0": [3, 1] },
    },
  });
  const { params } = await loadKerasWeights(graph, init(graph, key(0), spec([null, 4, 3])), bytes);
  const [attention, end] = params as unknown as Record<string, { data: Float32Array }>[];
  assertEquals(attention.kernel.data[0], Math.fround(Math.sin("attention/attention_W:0".length)));
  assertEquals(end.kernel.data[0], Math.fround(Math.sin("end/kernel:0".length)));
});

Deno.test("fromKeras: all classes without an equivalent are named, with their layers", async () => {
  const own = (className: string, name: string) => ({ class_name: className, config: { name } });
  const bytes = await legacyFile({
    config: {
      class_name: "Sequential",
      config: [
        { class_name: "Dense", config: { name: "dense", units: 2, batch_input_shape: [null, 4, 3] } },
        own("Squeeze", "first"),
        { class_name: "TimeDistributed", config: { name: "each", layer: own("Lambda", "halved") } },
        { class_name: "RNN", config: { name: "rnn", cell: own("Fast>Cell", "cell") } },
        own("Squeeze", "last"),
      ],
    },
    layers: { dense: { "dense/kernel:0": [3, 2], "dense/bias:0": [2] } },
  });
  const { message } = await errorOf(fromKeras(bytes));
  const parts = [
    "3 classes have no equivalent here",
    '"Squeeze" ("first", "last")',
    '"Lambda" ("halved")',
    '"Fast>Cell" ("cell")',
    "loadKerasWeights",
    "of Keras 2.4.0",
  ];
  for (const part of parts) assertStringIncludes(message, part);
  // What the advice says: the weights are read into a model built here.
  const built = sequential([dense({ units: 2 })]);
  const read = await loadKerasWeights(built, init(built, key(0), inputOf), bytes);
  assertEquals(
    (read.params as unknown as { kernel: { data: Float32Array } }[])[0].kernel.data[0],
    Math.fround(Math.sin("dense/kernel:0".length)),
  );
});

Deno.test("fromKeras: an error about very many layers without an equivalent is made at once, and is short", async () => {
  const layers = Array.from({ length: 1e5 }, (_, index) => ({
    class_name: `Own${index % 50}`,
    config: { name: `layer_${index}` },
  }));
  const bytes = await legacyFile({ config: { class_name: "Sequential", config: layers }, layers: {} });
  const begin = performance.now();
  const { message } = await errorOf(fromKeras(bytes));
  assert(performance.now() - begin < 10_000, "the list was copied for each layer, which takes a minute");
  assertStringIncludes(message, '50 classes have no equivalent here: "Own0" ("layer_0", "layer_50", ');
  assertStringIncludes(message, "and 30 more");
  assert(message.length < 10_000, String(message.length));
});
