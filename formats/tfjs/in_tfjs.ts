/** A configuration in the words of Keras 3 as TensorFlow.js has it: that of Keras 2, with fewer classes. */
import type { Json } from "../../src/options/json.ts";
import { quoted } from "../../src/quoted.ts";
import { ACTIVATIONS, HARD_SIGMOID } from "../keras/dialect.ts";
import { historiesIn } from "../keras/histories.ts";
import { isList, isObject, type JsonObject } from "../keras/objects.ts";

/** The classes that both have, by Keras's name with that in TensorFlow.js. */
const CLASSES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      "Activation",
      "Add",
      "Average",
      "AveragePooling1D",
      "AveragePooling2D",
      "AveragePooling3D",
      "BatchNormalization",
      "Bidirectional",
      "Concatenate",
      "Conv1D",
      "Conv2D",
      "Conv2DTranspose",
      "Conv3D",
      "Conv3DTranspose",
      "ConvLSTM2D",
      "Cropping2D",
      "Dense",
      "DepthwiseConv2D",
      "Dot",
      "Dropout",
      "ELU",
      "Embedding",
      "Flatten",
      "GRU",
      "GRUCell",
      "GaussianNoise",
      "GlobalAveragePooling1D",
      "GlobalAveragePooling2D",
      "GlobalMaxPooling1D",
      "GlobalMaxPooling2D",
      "InputLayer",
      "LSTM",
      "LSTMCell",
      "LayerNormalization",
      "LeakyReLU",
      "Masking",
      "MaxPooling1D",
      "MaxPooling2D",
      "MaxPooling3D",
      "Maximum",
      "Minimum",
      "Multiply",
      "PReLU",
      "Permute",
      "RNN",
      "ReLU",
      "RepeatVector",
      "Reshape",
      "SeparableConv2D",
      "Sequential",
      "SimpleRNN",
      "SimpleRNNCell",
      "Softmax",
      "SpatialDropout1D",
      "StackedRNNCells",
      "TimeDistributed",
      "UpSampling2D",
      "ZeroPadding2D",
    ].map((name) => [name, name]),
  ),
  Functional: "Model",
};

/** Options that a class does not have there, with the value by which it computes. */
const FIXED: Readonly<Record<string, Readonly<Record<string, Json>>>> = {
  Conv1D: { groups: 1 },
  Conv2D: { groups: 1 },
  Conv3D: { groups: 1 },
  Conv2DTranspose: { dilation_rate: [1, 1] },
  Conv3DTranspose: { dilation_rate: [1, 1, 1] },
  DepthwiseConv2D: { dilation_rate: [1, 1] },
  ELU: { alpha: 1 },
  GlobalAveragePooling1D: { keepdims: false },
  GlobalAveragePooling2D: { keepdims: false },
  GlobalMaxPooling1D: { keepdims: false },
  GlobalMaxPooling2D: { keepdims: false },
  ReLU: { negative_slope: 0, threshold: 0 },
};

/** Options with another name there. */
const RENAMED: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  LeakyReLU: { negative_slope: "alpha" },
};

/** Activations by their names in Keras, with those in TensorFlow.js. */
const ACTIVATION_NAMES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    [
      "elu",
      "gelu",
      "linear",
      "log_softmax",
      "mish",
      "relu",
      "relu6",
      "selu",
      "sigmoid",
      "softmax",
      "softplus",
    ]
      .map((name) => [name, name]),
  ),
  softsign: "softsign",
  tanh: "tanh",
  silu: "swish",
  swish: "swish",
  [HARD_SIGMOID]: "hard_sigmoid",
};

/** Initializers whose name differs only here. */
const INITIALIZERS: Readonly<Record<string, string>> = {
  LecunNormal: "LeCunNormal",
  LecunUniform: "LeCunUniform",
};

/**
 * Options without a counterpart there, which say how a layer runs, or are checked before. In Keras both
 * directions of a pair have zeros at masked steps, there their last output: neither counts. A layer with a
 * regularizer of its output fails there, and constraints, which are left out too, change weights that are loaded.
 */
const LEFT_OUT = [
  "activity_regularizer",
  "backward_layer",
  "zero_output_for_mask",
  "dtype",
  "ragged",
  "optional",
  "unroll",
  "data_format",
];

function refuse(place: string, reason: string): never {
  throw new TypeError(`Cannot write the model.json: ${place} ${reason}`);
}

/**
 * A model or layer of Keras 3's JSON as TensorFlow.js's.
 *
 * @throws TypeError for a class, activation or option that TensorFlow.js does not have, naming the layer.
 */
export function inTfjs(json: Json): JsonObject {
  if (!isObject(json) || !isObject(json.config)) throw new Error(`the JSON of a layer is ${quoted(json)}`);
  const { class_name: given, config, name, inbound_nodes: calls } = json;
  const place = `the layer ${quoted(config.name)} (${given})`;
  const className = CLASSES[String(given)];
  if (className === undefined) {
    refuse(place, `is one that TensorFlow.js does not have; it has ${Object.keys(CLASSES).join(", ")}`);
  }
  return {
    class_name: className,
    config: configOf(className, config, place),
    ...(name === undefined ? {} : { name }),
    ...(isList(calls) ? { inbound_nodes: calls } : {}),
  };
}

function configOf(className: string, config: JsonObject, place: string): JsonObject {
  const own: Record<string, Json> = {};
  for (const [option, value] of Object.entries(config)) {
    if (LEFT_OUT.includes(option) || option.endsWith("_constraint")) continue;
    if (option === "reset_after" && value !== false) {
      refuse(
        place,
        "resets after its product, which no GRU of TensorFlow.js does; make it with resetAfter: false",
      );
    }
    const fixed = FIXED[className]?.[option];
    if (fixed !== undefined) {
      if (JSON.stringify(value) === JSON.stringify(fixed)) continue;
      refuse(
        place,
        `has the option ${option} ${quoted(value)}, and TensorFlow.js has ${quoted(fixed)} alone`,
      );
    }
    if (option === "padding" && value === "causal") {
      refuse(place, 'has the padding "causal", with which TensorFlow.js fails to predict');
    }
    if (option === "batch_shape") {
      own.batch_input_shape = value;
      own.dtype = config.dtype;
    } else if (option === "layer" && className === "Bidirectional") own.layer = inTfjs(directionOf(value));
    else if (option === "layer" || option === "cell") own[option] = inTfjs(value);
    else if (option === "cells" && isList(value)) own.cells = value.map(inTfjs);
    else if (option === "layers" && isList(value)) own.layers = layersOf(value);
    else if (option.endsWith("_layers")) own[option] = endsIn(value);
    else if (ACTIVATIONS.includes(option)) own[option] = activationOf(value, option, place);
    else if (option.endsWith("_initializer")) own[option] = initializerOf(value);
    else if (option.endsWith("_regularizer")) own[option] = regularizerOf(value);
    else own[RENAMED[className]?.[option] ?? option] = value;
  }
  return own;
}

/** The layer of which both directions are made: their names get a word in front. */
function directionOf(json: Json): Json {
  if (!isObject(json) || !isObject(json.config)) return json;
  const name = String(json.config.name).replace(/^forward_/, "");
  return { ...json, config: { ...json.config, name } };
}

function activationOf(value: Json, option: string, place: string): Json {
  const found = ACTIVATION_NAMES[String(value)];
  if (found !== undefined) return found;
  const hint = value === "hard_sigmoid" ? ", whose hard sigmoid is hardSigmoidKeras2" : "";
  refuse(
    place,
    `has the ${option} ${quoted(value)}, which is not among those of TensorFlow.js${hint}: ` +
      Object.keys(ACTIVATION_NAMES).join(", "),
  );
}

function initializerOf(value: Json): Json {
  if (!isObject(value)) return value;
  const className = String(value.class_name);
  return { class_name: INITIALIZERS[className] ?? className, config: value.config };
}

/** The one regularizer that is there, which has both factors; null in place of others, which predict nothing. */
function regularizerOf(value: Json): Json {
  if (!isObject(value) || !isObject(value.config)) return value;
  const { class_name: className, config } = value;
  if (!/^L[12]/.test(String(className))) return null;
  return { class_name: "L1L2", config: { l1: config.l1 ?? 0, l2: config.l2 ?? 0 } };
}

/** The layers of a model without the operations for masks, which travel by themselves there. */
function layersOf(layers: readonly Json[]): readonly Json[] {
  const isOperation = (layer: Json) => isObject(layer) && /^keras\.(src\.)?ops\b/.test(String(layer.module));
  const own = layers.filter((layer) => !isOperation(layer)).map(inTfjs);
  const models = new Set(
    own.filter(({ class_name: name }) => name === "Model").map(({ name }) => String(name)),
  );
  return own.map((layer) => {
    const { inbound_nodes: calls, name } = layer;
    if (!isList(calls)) return layer;
    return {
      ...layer,
      inbound_nodes: calls.map((call) =>
        historiesIn(isObject(call) ? call.args : undefined, `the layer ${quoted(name)}`).map((tensor) => [
          tensor.operator,
          tensor.call + (models.has(tensor.operator) ? 1 : 0), // a model has a call of its own, made with it
          tensor.index,
          {},
        ])
      ),
    };
  });
}

/** The ends of a graph as a list: there are no names of inputs and outputs there. */
function endsIn(value: Json): readonly Json[] {
  if (isList(value) && value.length === 3 && typeof value[0] === "string") return [value];
  if (isList(value)) return value.flatMap(endsIn);
  return isObject(value) ? Object.keys(value).sort().flatMap((key) => endsIn(value[key])) : [];
}
