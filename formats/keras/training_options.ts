/** What in a configuration acts in training only, and is not part of a model here: left out, and noted. */
import type { Json } from "../../src/options/json.ts";
import { quoted } from "../../src/quoted.ts";
import { isList, isObject } from "./objects.ts";

/** Options of layers for training. */
const ENDS = /_(regularizer|constraint)$/;

/** A configuration without what acts in training only, and notes of what was left out. */
export function withoutTraining(value: Json): { readonly config: Json; readonly notes: readonly string[] } {
  const notes: string[] = [];
  const strip = (value: Json, layer: string): Json => {
    if (isList(value)) return value.map((item) => strip(item, layer));
    if (!isObject(value)) return value;
    const { class_name: className, config } = value;
    const name = isObject(config) && typeof config.name === "string" ? config.name : undefined;
    const own = name === undefined ? layer : `the layer ${quoted(name)} (${className})`;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        if (!ENDS.test(key) || item === null) return [key, strip(item, own)];
        const named = isObject(item) ? item.class_name : item;
        notes.push(`${layer} has the ${key.replaceAll("_", " ")} ${quoted(named)}, which is left out`);
        return [key, null];
      }),
    );
  };
  const config = strip(value, "the model");
  return { config, notes };
}
