/**
 * Mutated models of TensorFlow.js: each must be read, or be refused with a KerasFileError, soon.
 *
 *     deno run tests/formats/fuzz/tfjs.ts [count] [first seed]
 *
 * Without a seed one is drawn; it is printed.
 */
import { fromTfjs, KerasFileError, toTfjs } from "../../../formats/tfjs/mod.ts";
import type { Json } from "../../../src/options/json.ts";
import { examples, variablesOf } from "../tfjs/models.ts";
import { mutateJson } from "./json.ts";
import { mutate } from "./mutate.ts";
import { fuzzAll, type Fuzzed, fuzzTarget } from "./target.ts";

/** The text of a `model.json`, and its file of weights. */
interface Files {
  readonly json: string;
  readonly weights: Uint8Array;
}

const decoder = new TextDecoder();

const written: readonly Files[] = await Promise.all(
  ["sequential", "graph", "regularized"].map(async (name) => {
    const example = examples[name]();
    const files = await toTfjs(example.model, variablesOf(example), { input: example.input });
    return { json: decoder.decode(files["model.json"]), weights: files["group1-shard1of1.bin"] };
  }),
);

/** The same with weights of one byte, and in two files. */
function quantized({ json, weights }: Files): Files {
  const whole = JSON.parse(json);
  const [group] = whole.weightsManifest;
  for (const weight of group.weights) weight.quantization = { dtype: "uint8", scale: 0.01, min: -1 };
  group.paths = ["group1-shard1of2.bin", "group1-shard2of2.bin"];
  return { json: JSON.stringify(whole), weights: weights.filter((_, index) => index % 4 === 0) };
}

const files = [...written, quantized(written[0])];

function read({ json, weights }: Files): Promise<unknown> {
  const middle = weights.length >> 1;
  const shards: Readonly<Record<string, Uint8Array>> = {
    "group1-shard1of2.bin": weights.subarray(0, middle),
    "group1-shard2of2.bin": weights.subarray(middle),
  };
  return fromTfjs(json, (name) => shards[name] ?? weights, { maxBytes: 2 ** 24 });
}

/** `model.json` with mutated bytes, with mutated values, and weight files with mutated bytes. */
export const tfjs: Fuzzed = {
  name: "TensorFlow.js",
  isDocumented: (error) => error instanceof KerasFileError,
  targets: {
    "text of a model.json": fuzzTarget(
      files,
      (one, draw) => ({ ...one, json: decoder.decode(mutate(new TextEncoder().encode(one.json), draw)) }),
      read,
    ),
    "JSON of a model.json": fuzzTarget(
      files.map((one) => ({ ...one, json: JSON.parse(one.json) as Json })),
      (one, draw) => ({ ...one, json: mutateJson(one.json, draw) }),
      (one) => read({ ...one, json: JSON.stringify(one.json) }),
    ),
    "file of weights": fuzzTarget(
      files,
      (one, draw) => ({ ...one, weights: mutate(one.weights, draw) }),
      read,
    ),
  },
};

if (import.meta.main) await fuzzAll(tfjs, Deno.args);
