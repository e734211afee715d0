/**
 * Converts option values from a Keras configuration to ours and back, by kind. A value that one side lacks is
 * refused with an error that names the layer, the option and the value.
 */
import type { Json, JsonOptions } from "../../src/options/json.ts";
import { initializerNames } from "../../src/options/initializers.ts";
import { nearest } from "../../src/known_names.ts";
import { quoted } from "../../src/quoted.ts";
import { activationNames } from "../../src/operations/activations.ts";
import { camelCase, snakeCase } from "./names.ts";
import {
  CONSTRAINTS,
  readConstraint,
  readRegularizer,
  REGULARIZERS,
  writeConstraint,
  writeRegularizer,
} from "./weight_rules.ts";

/** The possible values of an option. */
export type Kind =
  | "flag"
  | "number"
  | "count"
  | "counts"
  | "sizes"
  | "axes"
  | "noise"
  | "limit"
  | "sharedAxes"
  | "amounts"
  | "padding"
  | "causal"
  | "scoreMode"
  | "merge"
  | "activation"
  | "initializer"
  | "regularizer"
  | "constraint";

/** The kinds whose values are other words on both sides. */
type Translated = "activation" | "initializer" | "regularizer" | "constraint";

/** Refuses a value; the caller, which knows the layer and the option, completes the message. */
export class UnknownValue extends Error {
  /** What would have been valid. */
  readonly expected: string;
  constructor(expected: string) {
    super(expected);
    this.expected = expected;
  }
}

const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 1;

const isAmount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0;

function isObject(value: unknown): value is { readonly [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Kinds whose values are written the same on both sides: whether a value is one, and its description. */
const plainKinds: Readonly<
  Record<Exclude<Kind, Translated>, readonly [(value: Json) => boolean, string]>
> = {
  flag: [(value) => typeof value === "boolean", "true or false"],
  number: [(value) => Number.isFinite(value), "a number"],
  count: [isCount, "a whole number from 1"],
  counts: [
    (value) => isCount(value) || (isList(value) && value.length > 0 && value.every(isCount)),
    "a whole number from 1, or a list of them",
  ],
  sizes: [
    (value) => isList(value) && value.every((size) => size === -1 || isCount(size)),
    "a list of sizes, of which one may be -1",
  ],
  axes: [
    (value) => Number.isSafeInteger(value) || (isList(value) && value.every(Number.isSafeInteger)),
    "an axis or a list of them",
  ],
  noise: [
    (value) => isList(value) && value.every((size) => size === null || isCount(size)),
    "a list of sizes and nulls",
  ],
  limit: [(value) => value === null || Number.isFinite(value), "a number or null"],
  sharedAxes: [
    (value) => value === null || (isList(value) && value.every(isCount)),
    "a list of axes from 1, or null",
  ],
  amounts: [
    (value) => isAmount(value) || (isList(value) && value.flat().every(isAmount)),
    "a whole number from 0, or a list of them or of pairs",
  ],
  padding: [(value) => value === "valid" || value === "same", '"valid" or "same"'],
  scoreMode: [(value) => value === "dot" || value === "concat", '"dot" or "concat"'],
  causal: [
    (value) => ["valid", "same", "causal"].includes(String(value)),
    '"valid", "same" or "causal"',
  ],
  merge: [
    (value) => value === null || ["concat", "sum", "mul", "ave"].includes(String(value)),
    '"concat", "sum", "mul", "ave" or null',
  ],
};

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/** The value of a Keras option as ours. */
export function readValue(kind: Kind, value: Json): Json {
  if (kind === "activation") return readActivation(value);
  if (kind === "initializer") return readInitializer(value);
  if (kind === "regularizer") return readRegularizer(value) ?? unknown(REGULARIZERS);
  if (kind === "constraint") return readConstraint(value) ?? unknown(CONSTRAINTS);
  return plainValue(kind, value);
}

/** The value of our option as Keras's. */
export function writeValue(kind: Kind, value: Json): Json {
  if (kind === "activation") return snakeCase(String(value));
  if (kind === "initializer") return writeInitializer(value);
  if (kind === "regularizer") return writeRegularizer(value);
  if (kind === "constraint") return writeConstraint(value);
  return plainValue(kind, value);
}

function unknown(expected: string): never {
  throw new UnknownValue(expected);
}

function plainValue(kind: Exclude<Kind, Translated>, value: Json): Json {
  const [accepts, expected] = plainKinds[kind];
  if (accepts(value)) return value;
  throw new UnknownValue(expected);
}

/** An activation is a name, or a function `{ class_name: "function", config: name }`; null is none. */
function readActivation(value: Json): Json {
  if (value === null) return "linear";
  const name = isObject(value) && value.class_name === "function" ? value.config : value;
  const ours = typeof name === "string" ? camelCase(name) : undefined;
  if (ours !== undefined && activationNames.some((known) => known === ours)) return ours;
  const near = ours === undefined ? undefined : nearest(ours, activationNames);
  throw new UnknownValue(
    near === undefined
      ? `one of ${activationNames.map(snakeCase).join(", ")}`
      : `perhaps "${snakeCase(near)}"`,
  );
}

/**
 * What Keras writes for an initializer besides its options; we draw by key, so a seed has no meaning here.
 */
const withoutMeaning = ["seed", "dtype"];

/** The initializers that `VarianceScaling` can be, by mode and distribution, with their scale. */
const scalings: Readonly<Record<string, readonly [number, string][]>> = {
  fan_avg_normal: [[1, "glorotNormal"]],
  fan_avg_uniform: [[1, "glorotUniform"]],
  fan_in_normal: [[1, "lecunNormal"], [2, "heNormal"]],
  fan_in_uniform: [[1, "lecunUniform"], [2, "heUniform"]],
};

/** `VarianceScaling`, as which Keras 2 and TensorFlow.js write some initializers, by the name it has here. */
function scalingOf({ scale, mode, distribution }: { readonly [key: string]: Json }): string | undefined {
  const kind = `${snakeCase(String(mode))}_${String(distribution).replace(/^truncated_?normal$/i, "normal")}`;
  return scalings[kind]?.find(([of]) => of === scale)?.[1];
}

/** Options of Keras's initializers for which only null is supported. */
const onlyNull = ["input_axes", "output_axes"];

function readInitializer(value: Json): Json {
  const given = isObject(value) ? value : { class_name: value, config: {} };
  const expected = `one of ${initializerNames.map(classOfInitializer).join(", ")}`;
  if (typeof given.class_name !== "string") throw new UnknownValue(expected);
  const spelled = camelCase(given.class_name).replace(/Initializer$/, "");
  const name = initializerNames.find((known) => known.toLowerCase() === spelled.toLowerCase());
  const config = given.config ?? {};
  if (spelled === "VarianceScaling" && isObject(config)) {
    const scaling = scalingOf(config);
    if (scaling !== undefined) return scaling;
  }
  if (name === undefined || !isObject(config)) throw new UnknownValue(expected);
  const options: Record<string, Json> = {};
  for (const [option, setting] of Object.entries(config)) {
    if (withoutMeaning.includes(option)) continue;
    if (onlyNull.includes(option)) {
      if (setting === null) continue;
      throw new UnknownValue(`${option} null`);
    }
    options[option] = setting;
  }
  return Object.keys(options).length === 0 ? name : { name, ...options };
}

/** `glorotUniform` as `GlorotUniform`. */
function classOfInitializer(name: string): string {
  return name[0].toUpperCase() + name.slice(1);
}

function writeInitializer(value: Json): Json {
  const { name, ...options }: JsonOptions = isObject(value) ? value : { name: value };
  const drawn = /^(glorot|he|lecun|random|truncated|orthogonal)/.test(String(name));
  return {
    module: "keras.initializers",
    class_name: classOfInitializer(String(name)),
    config: { ...defaultsOf[String(name)], ...options, ...(drawn ? { seed: null } : {}) },
    registered_name: null,
  };
}

/** The default options of our and Keras's initializers, written out as Keras does. */
const defaultsOf: Readonly<Record<string, JsonOptions>> = {
  randomUniform: { minval: -0.05, maxval: 0.05 },
  randomNormal: { mean: 0, stddev: 0.05 },
  truncatedNormal: { mean: 0, stddev: 0.05 },
  orthogonal: { gain: 1 },
  identity: { gain: 1 },
  constant: { value: 0 },
};

/** The description of a refused value. */
export function refusal(layer: string, option: string, value: Json, expected: string): string {
  return `the option ${option} of ${layer} is ${quoted(value)}, expected ${expected}`;
}
