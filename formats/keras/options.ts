/**
 * Converts the options of one layer or cell, by the row of its class: from a Keras configuration to ours, and
 * back.
 */
import type { Json, JsonOptions } from "../../src/options/json.ts";
import type { ClassRow } from "./class_row.ts";
import { quoted } from "../../src/quoted.ts";
import { KerasFileError, reasonOf } from "./errors.ts";
import { camelCase } from "./names.ts";
import { isObject, type JsonObject } from "./objects.ts";
import { type Kind, readValue, refusal, UnknownValue, writeValue } from "./values.ts";
import { optionKinds } from "./option_kinds.ts";

/** Options of every layer that are read elsewhere. */
const common = ["name", "trainable", "dtype"];

/** Kinds of options that are left out here if they are null. */
const NULL_IS_NONE: readonly Kind[] = ["noise", "regularizer", "constraint"];

/** Our options that determine how a layer runs, not what it computes, so that they need no equivalent. */
const oursAlone = ["checkpointEvery"];

/**
 * The options of a configuration as ours.
 *
 * @param layer The layer of the configuration, for errors.
 * @param apart Options that the caller reads.
 * @throws KerasFileError naming an option or value that has no equivalent.
 */
export function readOptions(
  row: ClassRow,
  config: JsonObject,
  layer: string,
  apart: readonly string[] = [],
): JsonOptions {
  checkDtype(config.dtype, layer);
  const options: Record<string, Json> = { ...row.asKeras };
  const kinds = optionKinds(row);
  for (const [option, value] of Object.entries(config)) {
    if (common.includes(option) || apart.includes(option) || row.without?.includes(option)) continue;
    if (Object.hasOwn(kinds, option)) {
      if (value === null && NULL_IS_NONE.includes(kinds[option])) continue;
      options[camelCase(option)] = valueOf(kinds[option], option, value, layer);
      continue;
    }
    const allowed = row.fixed && Object.hasOwn(row.fixed, option) ? row.fixed[option] : [null, false];
    if (allowed.some((known) => JSON.stringify(known) === JSON.stringify(value))) continue; // nothing that this library lacks
    throw new KerasFileError(
      layer,
      refusal(layer, option, value, `${quoted(allowed[0])}, as nothing else is there in this library`),
    );
  }
  return options;
}

function valueOf(kind: Kind, option: string, value: Json, layer: string): Json {
  try {
    return readValue(kind, value);
  } catch (error) {
    if (!(error instanceof UnknownValue)) throw error;
    throw new KerasFileError(layer, refusal(layer, option, value, error.expected));
  }
}

/** A policy is a name, or `{ class_name: "DTypePolicy", config: { name } }`. */
function checkDtype(dtype: Json | undefined, layer: string): void {
  const name = isObject(dtype) && isObject(dtype.config) ? dtype.config.name : dtype;
  if (name === undefined || name === null || name === "float32") return;
  throw new KerasFileError(layer, refusal(layer, "dtype", name, '"float32"'));
}

/** Whether training changes a layer's weights. */
export function trainableIn(config: JsonObject, layer: string): boolean {
  const { trainable = true } = config;
  if (typeof trainable === "boolean") return trainable;
  throw new KerasFileError(layer, refusal(layer, "trainable", trainable, "true or false"));
}

/**
 * Our options as a Keras configuration.
 *
 * @throws TypeError naming an option that Keras does not have.
 */
export function writeOptions(row: ClassRow, options: JsonOptions, layer: string): Record<string, Json> {
  const config: Record<string, Json> = {};
  const kinds = optionKinds(row);
  const names = new Map(Object.keys(kinds).map((option) => [camelCase(option), option]));
  for (const [ours, value] of Object.entries(plainOptions(options, layer))) {
    const option = names.get(ours);
    if (option !== undefined) config[option] = writeValue(kinds[option], value);
    else if (
      value !== null && value !== false && !oursAlone.includes(ours) && !row.asWeights?.includes(ours) &&
      !Object.hasOwn(row.asKeras ?? {}, ours) // where it matters, the caller refuses the layer
    ) {
      throw new TypeError(
        `Cannot write the Keras file: the option ${ours} of ${layer} is ${
          quoted(value)
        }, which Keras does not have`,
      );
    }
  }
  for (const [option, [first]] of Object.entries(row.fixed ?? {})) config[option] = first;
  return config;
}

/** Options without functions, which are not data. */
function plainOptions(options: JsonOptions, layer: string): JsonOptions {
  try {
    return JSON.parse(JSON.stringify(options));
  } catch (error) {
    throw new TypeError(`Cannot write the Keras file: ${layer}: ${reasonOf(error)}`, { cause: error });
  }
}

/** How Keras writes the dtype of a layer. */
export const float32Policy: Json = {
  module: "keras",
  class_name: "DTypePolicy",
  config: { name: "float32" },
  registered_name: null,
};
