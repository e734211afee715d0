/**
 * Mutated Keras files: each must be read, or be refused with a KerasFileError, soon.
 *
 *     deno run --allow-read tests/formats/fuzz/keras.ts [count] [seed]
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
import { readArchive, writeArchive } from "../../../formats/keras/archive.ts";
import { readHdf5 } from "../../../formats/keras/hdf5.ts";
import type { Json } from "../../../src/options/json.ts";
import { examples, variablesOf } from "../keras/models.ts";
import { withConfig } from "../keras/legacy_file.ts";
import { oldFixture } from "../keras/support.ts";
import { drawSeed, mutate, type Random, seeded } from "./mutate.ts";

/** The longest that a file may take, in milliseconds; a file that is whole takes some 30. */
const LONGEST = 10_000;

/** What came of the files. */
export interface Outcome {
  readonly read: number;
  readonly refused: number;
  /** Of one file, in milliseconds. */
  readonly longest: number;
}

/** Reads a mutated file. */
type Target = (random: Random) => Promise<unknown>;

const names = ["single", "translator", "graph", "cells", "stateful"];

/** Files mutated in all places: as bytes, as weights under a right checksum, or as configuration. */
async function targets(): Promise<
  { readonly mutated: Target[]; readonly whole: (() => Promise<unknown>)[] }
> {
  const whole: (() => Promise<unknown>)[] = [];
  const mutated = await Promise.all(names.map(async (name): Promise<Target[]> => {
    const example = examples[name]();
    const variables = variablesOf(example);
    const file = await toKeras(example.model, variables, { input: example.input });
    const weights = await saveKerasWeights(example.model, variables);
    const archive = await readArchive(file, 2 ** 20);
    const config: Json = JSON.parse(archive.config);
    const options = { maxBytes: 2 ** 24 };
    whole.push(() => loadKerasWeights(example.model, variables, weights), () => fromKeras(file));
    const ofWeights: Target = (random) =>
      loadKerasWeights(example.model, variables, mutate(weights, random), options);
    return [
      ofWeights,
      ofWeights,
      ofWeights,
      (random) => fromKeras(mutate(file, random), options),
      async (random) =>
        fromKeras(await writeArchive({ ...archive, weights: mutate(archive.weights, random) }), options),
      async (random) =>
        fromKeras(
          await writeArchive({ ...archive, config: JSON.stringify(mutateJson(config, random)) }),
          options,
        ),
      async (random) => {
        const text = new TextDecoder().decode(mutate(new TextEncoder().encode(archive.config), random));
        return await fromKeras(await writeArchive({ ...archive, config: text }), options);
      },
    ];
  }));
  const old = await Promise.all(["old_sequential.h5.gz", "old_graph.h5.gz"].map(oldTargets));
  return {
    mutated: [...mutated, ...old.map(({ mutated }) => mutated)].flat(),
    whole: [...whole, ...old.map(({ read }) => read)],
  };
}

/** Whole-model HDF5 files: as bytes, and with another configuration. */
async function oldTargets(name: string): Promise<{ mutated: Target[]; read: () => Promise<unknown> }> {
  const file = await oldFixture(name);
  const options = { maxBytes: 2 ** 24 };
  const { model, variables } = await fromKeras(file);
  const [text] = await readHdf5(file, 2 ** 24, (file) => file.texts("", "model_config")) ?? [];
  const config: Json = JSON.parse(text);
  const ofBytes: Target = (random) => fromKeras(mutate(file, random), options);
  return {
    mutated: [
      ofBytes,
      ofBytes,
      (random) => loadKerasWeights(model, variables, mutate(file, random), options),
      async (random) =>
        fromKeras(await withConfig(file, JSON.stringify(mutateJson(config, random))), options),
      async (random) => {
        const changed = mutate(new TextEncoder().encode(text), random);
        return await fromKeras(
          await withConfig(file, new TextDecoder().decode(changed).replaceAll("\0", "")),
          options,
        );
      },
    ],
    read: () => fromKeras(file),
  };
}

const odd: readonly Json[] = [null, true, false, 0, -1, 1.5, 1e9, 2 ** 53, 1e300, "", "x", "keras", [], {}, [
  [],
]];

/** The configuration with one to three values changed for odd ones, or for others from it. */
export function mutateJson(config: Json, random: Random): Json {
  const copy: Json = structuredClone(config);
  for (let count = 1 + random(3); count > 0; count--) {
    const places: { readonly holder: Record<string, Json>; readonly key: string }[] = [];
    const collect = (value: Json) => {
      if (typeof value !== "object" || value === null) return;
      const holder = value as Record<string, Json>; // a copy of our own, so it may be changed
      for (const key of Object.keys(holder)) {
        places.push({ holder, key });
        collect(holder[key]);
      }
    };
    collect(copy);
    if (places.length === 0) break;
    const { holder, key } = places[random(places.length)];
    const other = places[random(places.length)];
    const choice = random(3);
    if (choice === 0) holder[key] = structuredClone(odd[random(odd.length)]);
    else if (choice === 1) holder[key] = structuredClone(other.holder[other.key]);
    else delete holder[key];
  }
  return copy;
}

/**
 * Reads `count` mutated files.
 *
 * @throws Error with the number of the file for what is no KerasFileError, or takes too long.
 */
export async function fuzz(
  count: number,
  seed: number,
  report: (done: number) => void = () => {},
): Promise<Outcome> {
  const { mutated: all, whole } = await targets();
  let [read, refused, longest] = [0, 0, 0];
  for (let index = 0; index < count; index++) {
    const random = seeded(seed + index);
    const target = all[index % all.length];
    const start = performance.now();
    try {
      await target(random);
      read++;
    } catch (cause) {
      if (!(cause instanceof KerasFileError)) {
        throw new Error(`file ${index} of seed ${seed}: it is refused with ${String(cause)}`, { cause });
      }
      refused++;
    }
    const took = performance.now() - start;
    longest = Math.max(longest, took);
    if (took > LONGEST) throw new Error(`file ${index} of seed ${seed}: it takes ${Math.round(took)} ms`);
    if ((index + 1) % 5000 === 0) report(index + 1);
  }
  for (const read of whole) await read(); // damaged files have left nothing behind
  return { read, refused, longest };
}

if (import.meta.main) {
  const [count = 100_000, seed = drawSeed()] = Deno.args.map(Number);
  console.log(`Keras: ${count} files, seed ${seed}`);
  const { read, refused, longest } = await fuzz(count, seed, (done) => console.log(`${done} files`));
  console.log(`${count} files: ${read} read, ${refused} refused, the longest took ${Math.round(longest)} ms`);
}
