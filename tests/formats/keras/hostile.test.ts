/** Files that are damaged or made to harm: refused with an error that names the place, before memory is taken. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Uint8ArrayReader, Uint8ArrayWriter, ZipWriter } from "@zip.js/zip.js";
import {
  fromKeras,
  KerasFileError,
  loadKerasWeights,
  saveKerasWeights,
  toKeras,
} from "../../../formats/keras/mod.ts";
import { type Archive, readArchive, writeArchive } from "../../../formats/keras/archive.ts";
import { dense, lstm } from "../../../src/layers/mod.ts";
import { init, sequential } from "../../../src/models/mod.ts";
import { key } from "../../../src/operations/random.ts";
import { type HostTensor, spec } from "../../../src/tensor/tensor.ts";
import type { Group } from "h5wasm";
import { examples, variablesOf } from "./models.ts";
import { errorOf } from "./support.ts";

const input = spec([null, null, 2]);
const small = sequential([lstm({ units: 3, name: "memory" }), dense({ units: 2 })]);
const variables = init(small, key(0), input);
const archive = await readArchive(await toKeras(small, variables, { input }), 1e6);
const weights = await saveKerasWeights(small, variables);

/** Fails unless reading is refused with all of these words. */
async function refused(reading: Promise<unknown>, ...words: string[]): Promise<void> {
  const error = await errorOf(reading);
  assert(error instanceof KerasFileError, `${error.name}: ${error.message}`);
  for (const word of ["Cannot read the Keras file: ", ...words]) assertStringIncludes(error.message, word);
}

/** The small model's archive with parts of it changed. */
async function changed(parts: Partial<Archive>): Promise<Uint8Array> {
  return await writeArchive({ ...archive, ...parts });
}

// deno-lint-ignore no-explicit-any -- a test reaches into JSON of any kind
type Edit = (config: any) => void;

/** The small model, or a file, with its configuration changed. */
async function edited(edit: Edit, file: Archive = archive): Promise<Uint8Array> {
  const config = JSON.parse(file.config);
  edit(config);
  return await writeArchive({ ...file, config: JSON.stringify(config) });
}

/** An archive of any entries. */
async function zip(entries: Readonly<Record<string, Uint8Array>>, level = 0): Promise<Uint8Array> {
  const writer = new ZipWriter(new Uint8ArrayWriter(), {
    level,
    useWebWorkers: false,
    dataDescriptor: false,
  });
  for (const [name, bytes] of Object.entries(entries)) await writer.add(name, new Uint8ArrayReader(bytes));
  return await writer.close();
}

Deno.test("what is no Keras file is refused", async () => {
  await refused(fromKeras(new Uint8Array()), "it is no zip archive");
  await refused(fromKeras(weights), "no attribute model_config", "weights alone", "loadKerasWeights");
  await refused(fromKeras(await zip({ "a.txt": new Uint8Array(3) })), "it has no config.json");
  await refused(loadKerasWeights(small, variables, new TextEncoder().encode("weights")), "no HDF5 file");
  await refused(fromKeras(await changed({ config: "{" })), "config.json", "no JSON");
  await refused(fromKeras(await changed({ config: "[1]" })), "expected { class_name, config }");
  await refused(fromKeras(await changed({ weights: new Uint8Array(9) })), "no HDF5 file");
  const error = await errorOf(fromKeras("file" as unknown as Uint8Array));
  assertEquals([error.name, error.message.includes("Uint8Array")], ["TypeError", true]);
});

Deno.test("names that lead out of an archive are refused, whatever the entry", async () => {
  for (const name of ["../evil.py", "assets/../../evil", "/etc/passwd", "C:\\evil", "a\\..\\b"]) {
    const config = new TextEncoder().encode(archive.config);
    const bytes = await zip({ "config.json": config, "model.weights.h5": archive.weights, [name]: config });
    await refused(fromKeras(bytes), "entry", "refused");
  }
});

Deno.test("what inflates to too much is refused by its declared size", async () => {
  const zeros = await zip({ "config.json": new Uint8Array(20_000_000), "model.weights.h5": weights }, 9);
  assert(zeros.length < 200_000);
  await refused(fromKeras(zeros), "config.json", "inflates to 20000000 bytes");
  const bomb = await zip({
    "config.json": new TextEncoder().encode(archive.config),
    "model.weights.h5": new Uint8Array(1_000_000),
  }, 9);
  await refused(
    fromKeras(bomb, { maxBytes: 500_000 }),
    "model.weights.h5",
    "inflates to 1000000",
    "maxBytes",
  );
});

Deno.test("declared sizes that are lies are refused", async () => {
  const bytes = await zip({
    "config.json": new Uint8Array(100_000).fill(32),
    "model.weights.h5": weights,
  }, 9);
  const lie = (size: number) => {
    const copy = bytes.slice();
    const view = new DataView(copy.buffer);
    for (let at = 0; at + 46 < copy.length; at++) {
      const header = view.getUint32(at, true);
      const named = (offset: number) => new TextDecoder().decode(copy.subarray(at + offset, at + offset + 6));
      if (header === 0x02014b50 && named(46) === "config") view.setUint32(at + 24, size, true); // central directory
      if (header === 0x04034b50 && named(30) === "config") view.setUint32(at + 22, size, true);
    }
    return copy;
  };
  await refused(fromKeras(lie(10)), "config.json");
  await refused(fromKeras(lie(4_000_000_000)), "config.json", "impossible");
});

Deno.test("a truncated or damaged file is refused", async () => {
  const whole = await changed({});
  for (const part of [0.1, 0.5, 0.9, 0.99]) {
    await refused(fromKeras(whole.slice(0, whole.length * part)));
    await refused(loadKerasWeights(small, variables, weights.slice(0, weights.length * part)), "weights");
    await refused(fromKeras(await changed({ weights: weights.slice(0, weights.length * part) })), "weights");
  }
  const flipped = whole.slice();
  flipped[whole.length >> 1] ^= 1;
  await refused(fromKeras(flipped), "entry");
});

Deno.test("a configuration cannot ask for more than the weights in the file", async () => {
  await refused(
    fromKeras(await edited(({ config }) => config.layers[1].config.units = 1_000_000_000)),
    "layers/lstm/cell/vars/0",
    "[2, 12]",
    "[2, 4000000000]",
  );
  await refused(
    fromKeras(await edited(({ config }) => config.layers[0].config.batch_shape = [null, null, 2e9])),
    "layers/lstm/cell/vars/0",
    "[2000000000, 12]",
  );
  await refused(
    fromKeras(await edited(({ config }) => config.layers[2].config.units = 3)),
    "layers/dense/vars/0",
  );
  await refused(
    fromKeras(await edited(({ config }) => config.layers[2].config.use_bias = false)),
    "layers/dense/vars",
    "1 weights more",
  );
  await refused(
    fromKeras(await edited(({ config }) => config.layers.pop())),
    "layers/dense",
    "no such layer",
  );
  await refused(
    fromKeras(
      await edited(({ config }) => {
        config.layers[0].config.batch_shape = [4e9, null, 2];
        config.layers[1].config.stateful = true;
      }),
    ),
    "carry",
  );
});

Deno.test("what has no equivalent is named with its layer", async () => {
  const lstmEdit = (edit: Edit) => edited(({ config }) => edit(config.layers[1]));
  await refused(fromKeras(await lstmEdit((layer) => layer.class_name = "Conv2D")), '"memory" (Conv2D)');
  await refused(fromKeras(await lstmEdit((layer) => layer.class_name = "LTSM")), "the nearest is LSTM");
  await refused(
    fromKeras(
      await lstmEdit((layer) => Object.assign(layer, { module: "mine", registered_name: "Mine>Cell" })),
    ),
    "Mine>Cell",
    "not part of Keras",
    "loadKerasWeights",
  );
  const option = async (name: string, value: unknown, ...words: string[]) =>
    refused(
      fromKeras(await lstmEdit(({ config }) => config[name] = value)),
      '"memory" (LSTM)',
      name,
      ...words,
    );
  await option("activation", "threshold", '"threshold"');
  await option("recurrent_activation", "hard_sigmod", 'perhaps "hard_sigmoid"');
  await option(
    "kernel_initializer",
    { class_name: "VarianceScaling", config: { scale: 3 } },
    "VarianceScaling",
  );
  await option("dtype", "mixed_float16", "mixed_float16", '"float32"');
  await option("units", "three", '"three"', "a whole number from 1");
  await option("return_sequences", 1, "true or false");
  await option("peephole", true, "true");
  const sparse = edited(({ config }) => config.layers[0].config.sparse = true);
  await refused(fromKeras(await sparse), "sparse");
});

Deno.test("configurations that are nested or wound up without end are refused soon", async () => {
  const deep = "[".repeat(200_000) + "]".repeat(200_000);
  await refused(fromKeras(await changed({ config: deep })), "config.json", "nested more than");
  const nested = edited((object) => {
    for (let level = 0; level < 9; level++) {
      const inner = structuredClone(object);
      inner.config.name = `level${level}`;
      object.config = { name: "outer", layers: [object.config.layers[0], inner] };
    }
  });
  await refused(fromKeras(await nested), "inside 6 others");
});

/** The graph example as a file. */
async function graphFile(): Promise<Archive> {
  const example = examples.graph();
  return await readArchive(await toKeras(example.model, variablesOf(example)), 1e6);
}

Deno.test("graphs that are cyclic, torn or endless are refused", async () => {
  const file = await graphFile();
  type Entry = { readonly name: string; readonly inbound_nodes: Record<string, unknown>[] };
  const layer = (config: { readonly layers: readonly Entry[] }, name: string) => {
    const found = config.layers.find((layer) => layer.name === name);
    assert(found, `the graph has no ${name}`);
    return found;
  };
  const tensor = (name: string, call = 0, index = 0) => ({
    class_name: "__keras_tensor__",
    config: { shape: [null, null, 4], dtype: "float32", keras_history: [name, call, index] },
  });
  const graph = (edit: Edit) => edited(({ config }) => edit(config), file);
  await refused(fromKeras(await graph((config) => config.layers = "none")), "expected a list");
  await refused(
    fromKeras(await graph((config) => layer(config, "stack").inbound_nodes[0].args = [tensor("inner", 1)])),
    "reads what depends on itself",
  );
  await refused(
    fromKeras(await graph((config) => layer(config, "stack").inbound_nodes[0].args = [tensor("nobody")])),
    '"nobody"',
    "not there",
  );
  await refused(
    fromKeras(await graph((config) => layer(config, "stack").inbound_nodes[0].args = [tensor("left", 0, 7)])),
    "output 7",
  );
  await refused(fromKeras(await graph((config) => config.output_layers = [["left", 0]])), "outputs");
  await refused(
    fromKeras(await graph((config) => config.layers.push(config.layers[0]))),
    "two of its layers",
  );
  const endless = graph((config) => {
    const inner = layer(config, "inner");
    for (let count = 0; count < 20_000; count++) {
      inner.inbound_nodes.push({ args: [tensor("stack")], kwargs: {} });
    }
  });
  await refused(fromKeras(await endless), "more than 2000 times");
});

/** The small model's weights in a file of which `makeBias` makes the last. */
async function withBias(makeBias: (group: Group) => void): Promise<Uint8Array> {
  const { File, ready } = await import("h5wasm");
  const { FS } = await ready;
  const file = new File("/hostile.h5", "w");
  const layers = file.create_group("layers");
  const cell = layers.create_group("lstm").create_group("cell").create_group("vars");
  const weight = (group: Group, name: string, shape: number[]) => {
    const size = shape.reduce((product, dim) => product * dim);
    group.create_dataset({ name, data: new Float32Array(size), shape });
  };
  weight(cell, "0", [2, 12]);
  weight(cell, "1", [3, 12]);
  weight(cell, "2", [12]);
  const bias = layers.create_group("dense").create_group("vars");
  weight(bias, "0", [3, 2]);
  makeBias(bias);
  file.close();
  return Uint8Array.from(FS.readFile("/hostile.h5"));
}

Deno.test("weights that are links, of another type or shape, or claim too much are refused", async () => {
  const load = async (makeBias: (group: Group) => void) =>
    await loadKerasWeights(small, variables, await withBias(makeBias), { maxBytes: 10_000 });
  const place = "layers/dense/vars/1";
  const data = new Float32Array([1, 2]);
  const { params } = await load((group) => group.create_dataset({ name: "1", data }));
  assertEquals((params as { bias: HostTensor }[])[1].bias.data, data);
  await refused(load((group) => group.create_soft_link("/layers/dense/vars/0", "1")), place, "link");
  await refused(load((group) => group.create_external_link("/etc/passwd", "/", "1")), place, "link");
  await refused(load((group) => group.create_group("1")), place, "group");
  await refused(load(() => {}), "layers/dense/vars", "1 weights, expected 2: kernel, bias");
  await refused(
    load((group) => group.create_dataset({ name: "1", data: new Int32Array(2) })),
    place,
    "float32",
  );
  await refused(load((group) => group.create_dataset({ name: "1", data: ["a", "b"] })), place, "float32");
  await refused(load((group) => group.create_dataset({ name: "1", data, shape: [1, 2] })), place, "[1, 2]");
  await refused(load((group) => group.create_dataset({ name: "bias", data })), place, "not there");
  await refused(
    load((group) =>
      group.create_dataset({
        name: "1",
        data: new Float32Array(100_000),
        shape: [100_000],
        chunks: [100_000],
        compression: 9,
      })
    ),
    place,
    "[100000]",
    "more than 10000 bytes",
  );
});

Deno.test("weights for another model are refused", async () => {
  const fits = sequential([lstm({ units: 3 }), dense({ units: 2 })]);
  assertEquals((await loadKerasWeights(fits, variables, weights)).params, variables.params);
  const wider = sequential([lstm({ units: 4 }), dense({ units: 2 })]);
  await refused(
    loadKerasWeights(wider, init(wider, key(0), input), weights),
    "layers/lstm/cell/vars/0",
    "[2, 12]",
    "[2, 16]",
  );
  const longer = sequential([lstm({ units: 3 }), dense({ units: 2 }), dense({ units: 2 })]);
  await refused(loadKerasWeights(longer, init(longer, key(0), input), weights), "layers/dense_1/vars");
  const error = await errorOf(loadKerasWeights(wider, { params: [[], []], state: [[], []] }, weights));
  assertStringIncludes(error.message, "they have no params.0.kernel");
});
