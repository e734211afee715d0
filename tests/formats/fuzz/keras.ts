/**
 * Mutated Keras files: each must be read, or be refused with a KerasFileError, soon.
 *
 *     deno run --allow-read tests/formats/fuzz/keras.ts [count] [first seed]
 *
 * Without a seed one is drawn; it is printed.
 */
import {
  fromKeras,
  KerasFileError,
  loadKerasWeights,
  saveKerasWeights,
  toKeras,
} from "../../../formats/keras/mod.ts";
import { type Archive, readArchive } from "../../../formats/keras/archive.ts";
import { readHdf5 } from "../../../formats/keras/hdf5.ts";
import type { Json } from "../../../src/options/json.ts";
import { withConfig } from "../keras/legacy_file.ts";
import { examples, variablesOf } from "../keras/models.ts";
import { oldFixture } from "../keras/support.ts";
import { storedZip } from "../support/zip.ts";
import { mutateJson } from "./json.ts";
import { mutate, type Random } from "./mutate.ts";
import { fuzzAll, type Fuzzed, fuzzTarget } from "./target.ts";

const options = { maxBytes: 2 ** 24 };
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Models, and what is written of them. */
const written = await Promise.all(
  ["single", "translator", "graph", "cells", "stateful"].map(async (name) => {
    const example = examples[name]();
    const { model, input } = example;
    const variables = variablesOf(example);
    const file = await toKeras(model, variables, { input });
    const archive = await readArchive(file, options.maxBytes);
    return { model, variables, file, archive, weights: await saveKerasWeights(model, variables) };
  }),
);

/** A `.keras` file; `writeArchive` takes as long as the reading of it. */
function archiveOf({ config, metadata = "{}", weights }: Archive): Uint8Array {
  return storedZip({
    "metadata.json": encoder.encode(metadata),
    "config.json": encoder.encode(config),
    "model.weights.h5": weights,
  });
}

/** Files of Keras 2: whole models in HDF5. */
const old = await Promise.all(["old_sequential.h5.gz", "old_graph.h5.gz"].map(async (name) => {
  const file: Uint8Array = await oldFixture(name);
  const [text] = await readHdf5(file, options.maxBytes, (file) => file.texts("", "model_config")) ?? [];
  return { ...await fromKeras(file), file, text };
}));

/** Text with mutated bytes. */
const mutateText = (text: string, draw: Random) => decoder.decode(mutate(encoder.encode(text), draw));

/** Files mutated in all places: as bytes, as weights under a right checksum, or as configuration. */
export const keras: Fuzzed = {
  name: "Keras",
  isDocumented: (error) => error instanceof KerasFileError,
  targets: {
    "files of weights": fuzzTarget(
      written,
      (one, draw) => ({ ...one, weights: mutate(one.weights, draw) }),
      ({ model, variables, weights }) => loadKerasWeights(model, variables, weights, options),
    ),
    "archives": fuzzTarget(written.map(({ file }) => file), mutate, (file) => fromKeras(file, options)),
    "weights in archives": fuzzTarget(
      written.map(({ archive }) => archive),
      (archive, draw) => ({ ...archive, weights: mutate(archive.weights, draw) }),
      (archive) => fromKeras(archiveOf(archive), options),
    ),
    "configurations in archives": fuzzTarget(
      written.map(({ archive }) => ({ ...archive, config: JSON.parse(archive.config) as Json })),
      (archive, draw) => ({ ...archive, config: mutateJson(archive.config, draw) }),
      (archive) => fromKeras(archiveOf({ ...archive, config: JSON.stringify(archive.config) }), options),
    ),
    "texts of configurations in archives": fuzzTarget(
      written.map(({ archive }) => archive),
      (archive, draw) => ({ ...archive, config: mutateText(archive.config, draw) }),
      (archive) => fromKeras(archiveOf(archive), options),
    ),
    "whole models in HDF5": fuzzTarget(
      old.map(({ file }) => file),
      mutate,
      (file) => fromKeras(file, options),
    ),
    "whole models in HDF5, read as weights": fuzzTarget(
      old,
      (one, draw) => ({ ...one, file: mutate(one.file, draw) }),
      ({ model, variables, file }) => loadKerasWeights(model, variables, file, options),
    ),
    "configurations in HDF5": fuzzTarget(
      old.map(({ file, text }) => ({ file, config: JSON.parse(text) as Json })),
      ({ file, config }, draw) => ({ file, config: mutateJson(config, draw) }),
      async ({ file, config }) => fromKeras(await withConfig(file, JSON.stringify(config)), options),
    ),
    "texts of configurations in HDF5": fuzzTarget(
      old,
      (one, draw) => ({ ...one, text: mutateText(one.text, draw).replaceAll("\0", "") }), // where texts end
      async ({ file, text }) => fromKeras(await withConfig(file, text), options),
    ),
  },
};

if (import.meta.main) await fuzzAll(keras, Deno.args);
