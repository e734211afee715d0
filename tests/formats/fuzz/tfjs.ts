/**
 * Mutated models of TensorFlow.js: each must be read, or be refused with a KerasFileError, soon.
 *
 *     deno run tests/formats/fuzz/tfjs.ts [count] [seed]
 *
 * Without a seed one is drawn; it is printed.
 */
import { fromTfjs, KerasFileError, toTfjs } from "../../../formats/tfjs/mod.ts";
import type { Json } from "../../../src/options/json.ts";
import { examples, variablesOf } from "../tfjs/models.ts";
import { mutateJson } from "./keras.ts";
import { drawSeed, fuzz, type FuzzTarget, seeded } from "./mutate.ts";

const isDocumented = (error: unknown) => error instanceof KerasFileError;

/** `model.json` with mutated bytes, with mutated values, and weight files with mutated bytes. */
export async function tfjsTargets(): Promise<Readonly<Record<string, FuzzTarget>>> {
  const all = await Promise.all(["sequential", "graph"].map(async (name) => {
    const example = examples[name]();
    return await toTfjs(example.model, variablesOf(example), { input: example.input });
  }));
  const options = { maxBytes: 2 ** 24 };
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const seeds = all.map((files) => files["model.json"]);
  const [{ "group1-shard1of1.bin": weights }] = all;
  const shards = all.map((files) => files["group1-shard1of1.bin"]);
  /** The weights of the model that a mutated text still is. */
  const shardFor = (json: string) => shards[json.includes('"Model"') ? 1 : 0];
  return {
    "text of a model.json": {
      seeds,
      read: (bytes) => fromTfjs(text(bytes), () => shardFor(text(bytes)), options),
      isDocumented,
    },
    "JSON of a model.json": {
      seeds,
      read: (bytes) => {
        // What the mutation changed decides the values that are drawn.
        const seed = bytes.reduce((sum, byte, index) => (sum + byte * (index + 1)) | 0, bytes.length);
        const [json] = seeds.filter((_, index) => index === (seed & 1));
        const changed = mutateJson(JSON.parse(text(json)) as Json, seeded(seed));
        return fromTfjs(JSON.stringify(changed), () => shardFor(text(json)), options);
      },
      isDocumented,
    },
    "file of weights": {
      seeds: [weights],
      read: (bytes) => fromTfjs(text(seeds[0]), () => bytes, options),
      isDocumented,
    },
  };
}

if (import.meta.main) {
  const [count = 100_000, seed = drawSeed()] = Deno.args.map(Number);
  for (const [name, target] of Object.entries(await tfjsTargets())) {
    console.log(`${name}: ${count} files from seed ${seed}`);
    const { read, refused, slowest } = await fuzz(target, count, seed);
    console.log(`  ${read} read, ${refused} refused, the slowest took ${slowest.toFixed()} ms`);
  }
}
