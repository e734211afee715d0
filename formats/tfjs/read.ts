/** Reads a model that TensorFlow.js saved, `model.json` with its weight files, or that its converter made. */
import { checkCount } from "../../src/describe.ts";
import { checkOptions } from "../../src/option_names.ts";
import type { Json } from "../../src/options/json.ts";
import { quoted } from "../../src/quoted.ts";
import { inFile, KerasFileError } from "../keras/errors.ts";
import { type LayerWeights, placedWeights } from "../keras/legacy.ts";
import type { KerasReadOptions } from "../keras/limits.ts";
import { type KerasModel, modelFrom } from "../keras/model_from.ts";
import { isList, isObject, type JsonObject, parseConfig } from "../keras/objects.ts";
import { dialectOf } from "../keras/version.ts";
import { type ReadShard, readWeights, type TfjsWeights } from "./manifest.ts";

/**
 * Reads a layers model of TensorFlow.js: one that `model.save(…)` wrote, or that its converter made of a file
 * of Keras. Quantized weights (uint8, uint16, float16) become float32.
 *
 * The `hard_sigmoid` there is `hardSigmoidKeras2` here, as in Keras 2. Layers, options and activations
 * without an equivalent are refused by name, and so is a graph model, which has operations instead of layers.
 *
 * @param json The text of `model.json`.
 * @param readShard Reads a weight file by its name; names that lead out of the folder are refused before.
 * @returns The model, its variables, the specs of its input, and notes of what was left out.
 * @throws KerasFileError for a damaged or hostile file, naming the place: weight files that are too short or
 *   too long, scales that are no numbers, weights of another shape than the configuration requires.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { init, key, lstm, sequential, spec } from "@cellfold/cellfold";
 * import { fromTfjs, toTfjs } from "@cellfold/cellfold/tfjs";
 * const input = spec([null, null, 3]);
 * const layer = sequential([lstm({ units: 4 })]);
 * const variables = init(layer, key(0), input);
 * const files = await toTfjs(layer, variables, { input }); // write each into one folder
 * const read = await fromTfjs(new TextDecoder().decode(files["model.json"]), (name) => files[name]);
 * assertEquals(read.variables, variables);
 * ```
 */
export async function fromTfjs(
  json: string,
  readShard: ReadShard,
  options: KerasReadOptions = {},
): Promise<KerasModel> {
  checkOptions("fromTfjs", options, ["maxBytes"]);
  const { maxBytes = 2 ** 31 - 1 } = options;
  checkCount("use fromTfjs", maxBytes, "maxBytes");
  if (typeof json !== "string" || typeof readShard !== "function") {
    throw new TypeError(
      `Cannot use fromTfjs: expected the text of model.json and a function (name) => Uint8Array, ` +
        `given ${typeof json} and ${typeof readShard}`,
    );
  }
  const whole = parseConfig(json, "model.json");
  const { config, version } = topologyOf(whole);
  const dialect = dialectOf("a model.json", version);
  const weights = await readWeights(isObject(whole) ? whole.weightsManifest : undefined, readShard, maxBytes);
  return inFile(dialect.about, () => {
    const find = (name: string) => {
      const found = weights.get(name);
      if (found) return found;
      throw new KerasFileError("weightsManifest", `it has no weight ${quoted(name)}`);
    };
    const placed = placedWeights(byLayer(config, weights), "weightsManifest", {
      shape: (name) => find(name).shape,
      tensor: (name) => find(name).tensor(),
      placeOf: (name) => name,
    });
    return modelFrom({ config, dialect, weights: placed, maxBytes });
  });
}

/** The configuration of the model, which the converter wraps once more. */
function topologyOf(whole: Json): { readonly config: JsonObject; readonly version: string | undefined } {
  const topology = isObject(whole) ? whole.modelTopology : undefined;
  if (
    isObject(whole) && (whole.format === "graph-model" || (isObject(topology) && topology.node !== undefined))
  ) {
    throw new KerasFileError(
      "model.json",
      "it is a graph model, which has operations instead of layers; convert the Keras model to a layers model, " +
        "or export it to ONNX",
    );
  }
  const config = isObject(topology) ? topology.model_config ?? topology : undefined;
  if (!isObject(topology) || !isObject(config) || config.class_name === undefined) {
    throw new KerasFileError("model.json", "it has no modelTopology of { class_name, config }");
  }
  const version = topology.keras_version ?? config.keras_version;
  return { config, version: typeof version === "string" ? version : "tfjs-layers" };
}

/**
 * The weights of each layer of the outermost model. A weight's name has that of its layer, or of a layer
 * inside, among its parts: `lstm/lstm_cell/kernel`, `bidirectional/forward_lstm/kernel`.
 */
function byLayer(config: JsonObject, weights: TfjsWeights): readonly LayerWeights[] {
  const owners = new Map<string, string>();
  const outer = isObject(config.config) ? config.config.layers : config.config;
  const layers = (isList(outer) ? outer : []).flatMap((layer) => {
    const name = isObject(layer) && isObject(layer.config) ? layer.config.name : undefined;
    return typeof name === "string" ? [{ name, layer }] : [];
  });
  for (const { name, layer } of layers) {
    for (const inner of namesIn(layer)) if (!owners.has(inner)) owners.set(inner, name);
  }
  for (const { name } of layers) owners.set(name, name); // goes before one inside another layer
  const grouped = new Map<string, string[]>();
  for (const name of weights.keys()) {
    const parts = name.split("/").slice(0, -1);
    const known = parts.find((part) => owners.has(part));
    const owner = known === undefined ? parts.join("/") : owners.get(known) ?? known;
    const group = grouped.get(owner) ?? [];
    grouped.set(owner, group);
    group.push(name);
  }
  const order = new Map(layers.map(({ name }, index) => [name, index]));
  const place = (name: string) => order.get(name) ?? layers.length;
  return [...grouped].map(([name, weights]) => ({ name, weights })).sort((a, b) =>
    place(a.name) - place(b.name)
  );
}

/** The names of all layers in a configuration. */
function namesIn(json: Json): string[] {
  if (isList(json)) return json.flatMap(namesIn);
  if (!isObject(json)) return [];
  const own = typeof json.name === "string" && json.class_name === undefined ? [json.name] : [];
  return [...own, ...Object.values(json).flatMap(namesIn)];
}
