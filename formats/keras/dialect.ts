/**
 * Configurations of Keras 2, of whole-model HDF5 files and of TensorFlow.js in the words of Keras 3's `.keras`
 * files, which alone are read: what is said differently is said anew, and what means something else gets a
 * name of its own. What has no equivalent is left for the reader, which refuses it by name.
 */
import type { Json } from "../../src/options/json.ts";
import { modernCalls } from "./dialect_calls.ts";
import { isList, isObject, type JsonObject } from "./objects.ts";
import { operationClasses } from "./functions.ts";
import type { Dialect } from "./version.ts";

/** Options that hold a layer or cell. */
const HOLDERS = ["layer", "backward_layer", "cell"];

/** Options that hold an activation. */
export const ACTIVATIONS: readonly string[] = ["activation", "recurrent_activation"];

/** Layers for GPUs that Keras 2 had, and those that compute the same; TensorFlow.js has neither. */
const PLAIN_CLASSES: { readonly [name: string]: { readonly name: string; readonly options: JsonObject } } = {
  CuDNNLSTM: { name: "LSTM", options: { recurrent_activation: "sigmoid" } },
  CuDNNGRU: { name: "GRU", options: { recurrent_activation: "sigmoid", reset_after: true } },
};

/** The name of Keras 2's hard sigmoid here, in Keras's spelling. */
export const HARD_SIGMOID = "hard_sigmoid_keras2";

/** An object `{ class_name, config }` in the words of Keras 3; what is no such object is returned as it is. */
export function inKeras3(value: Json, dialect: Dialect): Json {
  if (!isObject(value) || typeof value.class_name !== "string") return value;
  const { class_name: className } = value;
  // Before Keras 2.2.3 the configuration of a Sequential was the list of its layers.
  const given = className === "Sequential" && isList(value.config)
    ? { name: "sequential", layers: value.config }
    : value.config;
  if (!isObject(given)) return value;
  const isForGpu = dialect.keras2 && !dialect.nullIsDefault && Object.hasOwn(PLAIN_CLASSES, className);
  const plain = isForGpu ? PLAIN_CLASSES[className] : undefined;
  return {
    ...value,
    // Once a functional model was a Model.
    class_name: plain?.name ?? (className === "Model" ? "Functional" : className),
    module: moduleOf(value),
    config: { ...plain?.options, ...configOf(className, given, value, dialect) },
  };
}

/** An object without a module is one of Keras's own, unless its class has a package: `Package>Class`. */
function moduleOf({ module, class_name: className }: JsonObject): Json {
  if (typeof module === "string") return module.replace(/^tf_keras(?=\.|$)/, "keras");
  return String(className).includes(">") ? null : "keras.layers";
}

function configOf(className: string, config: JsonObject, object: JsonObject, dialect: Dialect): JsonObject {
  const changed: Record<string, Json> = {};
  const repeated = repeatedIn(className, config);
  for (const [option, value] of Object.entries(config)) {
    if (repeated.includes(option)) continue;
    if (value === null && dialect.nullIsDefault && option !== "merge_mode") continue; // there it means no merging
    if (HOLDERS.includes(option)) changed[option] = inKeras3(value, dialect);
    else if (option === "cells" && isList(value)) {
      changed[option] = value.map((cell) => inKeras3(cell, dialect));
    } else if (option === "batch_input_shape") {
      if (className === "InputLayer") changed.batch_shape = value; // of others it is the shape that they were built for
    } else if (ACTIVATIONS.includes(option) && dialect.keras2) changed[option] = activationOf(value);
    else changed[option] = value;
  }
  if (isList(config.layers)) {
    if (className === "Sequential") return sequentialOf(changed, config.layers, object, dialect);
    const layers = config.layers.map((layer) => inKeras3(layer, dialect)).map(asOperation);
    return { ...changed, layers: modernCalls(layers) };
  }
  if (!dialect.keras2) return changed;
  if (/^GRU(Cell)?$/.test(className) && changed.reset_after === undefined) changed.reset_after = false;
  // The dtype that Keras 2.0 wrote for an embedding is that of its input.
  if (className === "Embedding" && /^u?int/.test(String(changed.dtype))) delete changed.dtype;
  if (className === "BatchNormalization" && isList(changed.axis) && changed.axis.length === 1) {
    [changed.axis] = changed.axis;
  }
  if (className === "LeakyReLU" && changed.alpha !== undefined) {
    changed.negative_slope = changed.alpha;
    delete changed.alpha;
  }
  return changed;
}

/** The options of its cell that TensorFlow.js writes once more as options of an `RNN`. */
function repeatedIn(className: string, { cell }: JsonObject): readonly string[] {
  if (className !== "RNN" || !isObject(cell) || !isObject(cell.config)) return [];
  return Object.keys(cell.config).filter((option) => !["name", "trainable", "dtype"].includes(option));
}

/** Keras 2's hard sigmoid under the name that it has here. */
function activationOf(value: Json): Json {
  if (isObject(value) && value.class_name === "function") {
    return { ...value, config: activationOf(value.config) };
  }
  return value === "hard_sigmoid" ? HARD_SIGMOID : value;
}

/**
 * Whole-model HDF5 files of Keras 3 do not say whether `Add` is a layer or the operation: a layer is given a
 * list.
 */
function asOperation(layer: Json): Json {
  if (!isObject(layer) || layer.module !== "keras.layers" || !isList(layer.inbound_nodes)) return layer;
  const [call] = layer.inbound_nodes;
  const isOperation = operationClasses.includes(String(layer.class_name)) && isObject(call) &&
    isList(call.args) && !isList(call.args[0]);
  return isOperation ? { ...layer, module: "keras.src.ops.numpy" } : layer;
}

/** A Sequential with an `InputLayer`, if it says what it takes. */
function sequentialOf(
  config: JsonObject,
  layers: readonly Json[],
  { build_config: built }: JsonObject,
  dialect: Dialect,
): JsonObject {
  const input = inputOf(layers);
  return {
    ...config,
    layers: [...input, ...layers.map((layer) => inKeras3(layer, dialect))],
    build_input_shape: config.build_input_shape ?? (isObject(built) ? built.input_shape : undefined) ?? null,
  };
}

/** The `InputLayer` that the first layer implies by its `batch_input_shape`; none if it is one. */
function inputOf([first]: readonly Json[]): readonly Json[] {
  if (!isObject(first) || !isObject(first.config) || first.class_name === "InputLayer") return [];
  const { batch_input_shape: shape, dtype = "float32", name, layers } = first.config;
  if (shape !== undefined) {
    const config = { batch_shape: shape, dtype, name: `${name}_input` };
    return [{ module: "keras.layers", class_name: "InputLayer", config }];
  }
  // A model inside says it by its own first layer.
  const inner = first.class_name === "Sequential" ? layers ?? first.config : undefined;
  if (!isList(inner)) return [];
  const [own] = inner;
  if (!isObject(own) || !isObject(own.config)) return [];
  if (own.class_name !== "InputLayer") return inputOf(inner);
  const config = { ...own.config, batch_shape: own.config.batch_input_shape ?? own.config.batch_shape };
  return [{ module: "keras.layers", class_name: "InputLayer", config }];
}
