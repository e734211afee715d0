/** The JSON of a configuration, with limited depth, and its objects, `{ module, class_name, config }`. */
import type { Json } from "../../src/options/json.ts";
import { quoted } from "../../src/quoted.ts";
import { KerasFileError } from "./errors.ts";

/** A JSON object. */
export type JsonObject = { readonly [key: string]: Json };

/** How deep a configuration may be nested; a layer inside a layer takes about four levels. */
const MOST_DEPTH = 100;

/** Whether a value is an object and not a list. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value is a list. */
export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** Reads JSON that is not nested too deeply for recursive code. */
export function parseConfig(text: string, place: string): Json {
  let config: Json;
  try {
    config = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "it cannot be parsed";
    throw new KerasFileError(place, `it is no JSON: ${reason}`, { cause });
  }
  const pending: [Json, number][] = [[config, 1]];
  for (let next = pending.pop(); next; next = pending.pop()) {
    const [value, depth] = next;
    if (typeof value !== "object" || value === null) continue;
    if (depth > MOST_DEPTH) {
      throw new KerasFileError(place, `it is nested more than ${MOST_DEPTH} levels deep`);
    }
    for (const child of Object.values(value)) pending.push([child, depth + 1]);
  }
  return config;
}

/** A Keras object with its options. */
export interface KerasObject {
  readonly className: string;
  readonly config: JsonObject;
  /** The whole object, including its place in a graph. */
  readonly json: JsonObject;
}

/**
 * One of Keras's own layers, cells or models.
 *
 * @throws KerasFileError for anything else, or for an object that is not part of Keras.
 */
export function kerasObject(value: Json | undefined, place: string): KerasObject {
  if (!isObject(value) || typeof value.class_name !== "string" || !isObject(value.config)) {
    throw new KerasFileError(place, `expected { class_name, config }, found ${quoted(value)}`);
  }
  const { class_name: className, module, registered_name: registered, config } = value;
  if (typeof module !== "string" || !/^keras(\.|$)/.test(module)) {
    const own = typeof registered === "string" ? registered : className;
    throw new KerasFileError(
      place,
      `its class ${quoted(own)} (module ${
        quoted(module)
      }) is not part of Keras, and its code is not in the file; ` +
        `build the model here and read its weights with loadKerasWeights`,
    );
  }
  return { className, config, json: value };
}

/** The name in a configuration. */
export function nameIn(config: JsonObject, place: string): string {
  if (typeof config.name === "string" && config.name !== "" && !config.name.includes("/")) return config.name;
  throw new KerasFileError(place, `its name is ${quoted(config.name)}, expected a text without "/"`);
}
