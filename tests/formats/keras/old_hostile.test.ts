/** Old files that are damaged or made to harm, and what in them has no equivalent: refused with the place. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromKeras, KerasFileError, loadKerasWeights } from "../../../formats/keras/mod.ts";
import { dense, lstm } from "../../../src/layers/mod.ts";
import { init, sequential } from "../../../src/models/mod.ts";
import { key } from "../../../src/operations/random.ts";
import { spec } from "../../../src/tensor/tensor.ts";
import { h5File, legacyFile, type LegacyModel } from "./legacy_file.ts";
import { errorOf, mayRead, oldFixture } from "./support.ts";

async function refused(reading: Promise<unknown>, ...words: string[]): Promise<void> {
  const error = await errorOf(reading);
  assert(error instanceof KerasFileError, `${error.name}: ${error.message}`);
  for (const word of ["Cannot read the Keras file: ", ...words]) assertStringIncludes(error.message, word);
}

type Options = Readonly<Record<string, unknown>>;

/** An LSTM and a Dense layer as Keras 2 writes them. */
function configOf(ofLstm: Options = {}, ofDense: Options = {}) {
  const recurrent = {
    name: "lstm",
    units: 2,
    batch_input_shape: [null, null, 3],
    time_major: false,
    ...ofLstm,
  };
  return {
    class_name: "Sequential",
    config: [
      { class_name: "LSTM", config: recurrent },
      { class_name: "Dense", config: { name: "dense", units: 1, ...ofDense } },
    ],
  };
}

const ofLstm = { "lstm/kernel:0": [3, 8], "lstm/recurrent_kernel:0": [2, 8], "lstm/bias:0": [8] };
const layers: LegacyModel["layers"] = {
  lstm: ofLstm,
  dense: { "dense/kernel:0": [2, 1], "dense/bias:0": [1] },
};

const file = (parts: Partial<LegacyModel> = {}) => legacyFile({ config: configOf(), layers, ...parts });

Deno.test("a file of the first Keras 2 is read: its Sequential is a list, its layers have no module", async () => {
  const { model, input, notes } = await fromKeras(await file());
  assertEquals((model.layers ?? []).map(({ name }) => name), ["lstm", "dense"]);
  assertEquals([(input as { shape: unknown[] }).shape[2], notes], [3, []]);
});

Deno.test("an error says what the file is", async () => {
  await refused(
    fromKeras(await file({ config: configOf({ units: 5 }) })),
    "model_weights/lstm/lstm/kernel:0",
    "[3, 8]",
    "[3, 20]",
    "(this is a whole-model HDF5 of Keras 2.4.0)",
  );
  await refused(fromKeras(await file({ version: "1.2.2" })), "keras_version", '"1.2.2"', "expected 2 or 3");
  await refused(
    fromKeras(await h5File((file) => file.create_group("a"))),
    "no attribute model_config",
    "loadKerasWeights",
  );
  await refused(
    fromKeras(await file({ config: { class_name: "Sequential", config: 3 } })),
    "{ class_name, config }",
  );
});

Deno.test("what means something else in Keras 2 is refused by name", async () => {
  await refused(
    fromKeras(await file({ config: configOf({ time_major: true }) })),
    "time_major",
    '"lstm" (LSTM)',
    "true",
  );
  const ragged = {
    class_name: "InputLayer",
    config: { batch_input_shape: [null, 3], ragged: true, name: "x" },
  };
  const config = {
    class_name: "Sequential",
    config: { name: "s", layers: [ragged, { class_name: "Flatten", config: { name: "f" } }] },
  };
  await refused(fromKeras(await file({ config, layers: {} })), "ragged", "true");
  const own = { class_name: "Mine>Layer", config: { name: "own" } };
  await refused(
    fromKeras(await file({ config: { class_name: "Sequential", config: [own] }, layers: {} })),
    "Mine>Layer",
    "loadKerasWeights",
  );
});

Deno.test("weights that are missing, too many, or in other groups than named are refused", async () => {
  const { dense: ofDense } = layers;
  const shorter = { lstm: ofLstm, dense: { "dense/kernel:0": [2, 1] } };
  await refused(
    fromKeras(await file({ layers: shorter })),
    "model_weights/dense",
    "1 weights, expected 2: kernel, bias",
  );
  await refused(
    fromKeras(await file({ layers: { lstm: ofLstm } })),
    "model_weights: it has no weights for the layer dense",
  );
  const more = { ...layers, other: { "other/kernel:0": [1] } };
  await refused(fromKeras(await file({ layers: more })), "model_weights/other", "no layer for these weights");
  const change: LegacyModel["change"] = (weights) => {
    weights.delete_attribute("layer_names");
    weights.create_attribute("layer_names", ["lstm", "nobody"]);
  };
  await refused(fromKeras(await file({ change })), "model_weights/nobody", "is not there");
  const model = sequential([lstm({ units: 2 }), dense({ units: 1 })]);
  const variables = init(model, key(0), spec([null, null, 3]));
  await refused(
    loadKerasWeights(
      model,
      variables,
      await file({ layers: { lstm: ofLstm, dense: { ...ofDense, x: [1] } } }),
    ),
    "model_weights/dense",
    "3 weights",
  );
});

Deno.test("links, groups around themselves, and attributes that are no text are refused", async () => {
  const named = (name: string): LegacyModel["change"] => (weights) => {
    const group = weights.get("dense");
    assert(group && "create_attribute" in group);
    group.delete_attribute("weight_names");
    group.create_attribute("weight_names", ["dense/kernel:0", name]);
  };
  const both = (name: string, change: LegacyModel["change"]): LegacyModel["change"] => (weights) => {
    named(name)?.(weights);
    change?.(weights);
  };
  await refused(
    fromKeras(
      await file({
        change: both("out", (group) => group.create_external_link("/etc/passwd", "/", "dense/out")),
      }),
    ),
    "model_weights/dense/out",
    "link",
  );
  await refused(
    fromKeras(
      await file({
        change: both("soft", (group) => group.create_soft_link("/model_weights/lstm", "dense/soft")),
      }),
    ),
    "model_weights/dense/soft",
    "link",
  );
  const around: LegacyModel["change"] = (group) => group.create_hard_link("/model_weights", "dense/round");
  await refused(
    fromKeras(await file({ change: both("round/dense/round/dense/dense/bias:0", around) })),
    "model_weights/dense/round",
    "a group around itself",
  );
  const numbers: LegacyModel["change"] = (weights) => {
    weights.delete_attribute("layer_names");
    weights.create_attribute("layer_names", new Float32Array([1, 2]));
  };
  await refused(fromKeras(await file({ change: numbers })), "layer_names", "no text");
});

Deno.test("a truncated old file is refused", async () => {
  const whole = await file();
  for (const part of [0.1, 0.5, 0.9]) await refused(fromKeras(whole.slice(0, whole.length * part)));
});

Deno.test({
  name: "a heap in which libhdf5 would walk for ever is refused",
  ignore: !mayRead,
  fn: async () => {
    const bytes = await oldFixture("old_sequential.h5.gz");
    const start = new TextDecoder("latin1").decode(bytes).indexOf("GCOL");
    const heap = `its heap at byte ${start}`;
    const long = bytes.slice();
    long.fill(255, start + 24, start + 32); // the size of the first object
    await refused(fromKeras(long), heap, "an object has");
    bytes.fill(0, start + 16, start + 32); // it becomes free space without a size
    await refused(fromKeras(bytes), heap, "an object has 0 bytes");
  },
});
