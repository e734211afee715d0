/**
 * The calls of Keras 2's functional models, `[layer, call, output, { … }]`, as Keras 3 writes them: tensors
 * `{ class_name: "__keras_tensor__" }` among positional and named arguments.
 */
import type { Json } from "../../src/options/json.ts";
import { isList, isObject, type JsonObject } from "./objects.ts";

/** What stands for a layer where a number is given instead of a tensor. */
const CONSTANT = "_CONSTANT_VALUE";

/** Keras 2's names of TensorFlow's functions as Keras 3's operations. */
const OPERATIONS: Readonly<Record<string, string>> = {
  "__operators__.add": "Add",
  "math.abs": "Absolute",
  "math.add": "Add",
  "math.divide": "Divide",
  "math.exp": "Exp",
  "math.log": "Log",
  "math.maximum": "Maximum",
  "math.minimum": "Minimum",
  "math.multiply": "Multiply",
  "math.negative": "Negative",
  "math.pow": "Power",
  "math.sigmoid": "Sigmoid",
  "math.sqrt": "Sqrt",
  "math.square": "Square",
  "math.subtract": "Subtract",
  "math.tanh": "Tanh",
  "math.truediv": "TrueDivide",
};

/** Layers whose call with several tensors is one with an initial state. */
const RECURRENT = /^(Bidirectional|RNN|SimpleRNN|GRU|LSTM|ConvLSTM[123]D)$/;

/** A tensor of a call. */
interface TensorOf {
  readonly layer: string;
  readonly call: number;
  /** Which of the call's outputs; the number itself if it is no tensor. */
  readonly output: Json;
  /** The named arguments of the call that reads it. */
  readonly named?: Json;
}

/** The tensor `[layer, call, output]`, in the first argument of a call with the named ones behind it. */
function tensorOf(value: Json | undefined, length: number): TensorOf | undefined {
  if (!isList(value) || value.length < 3 || value.length > length) return undefined;
  const [layer, call, output, named] = value;
  if (typeof layer !== "string" || !Number.isSafeInteger(call)) return undefined;
  if (layer !== CONSTANT && !Number.isSafeInteger(output)) return undefined;
  return { layer, call: Number(call), output, named };
}

/** The tensors in the first argument of a call. */
function tensorsIn(value: Json | undefined): TensorOf[] {
  const tensor = tensorOf(value, 4);
  if (tensor) return [tensor];
  if (isList(value)) return value.flatMap(tensorsIn);
  return isObject(value) ? Object.values(value).flatMap(tensorsIn) : [];
}

/** Whether a call is one of Keras 3. */
function isModern(call: Json): boolean {
  return isObject(call) && isList(call.args);
}

/** The layers of a functional model with their calls as in Keras 3; others are returned as they are. */
export function modernCalls(layers: readonly Json[]): readonly Json[] {
  const named = new Map<string, JsonObject>();
  for (const layer of layers) if (isObject(layer)) named.set(String(layer.name), layer);
  const first = firstCalls(layers, named);
  return layers.map((layer) => {
    if (!isObject(layer) || !isList(layer.inbound_nodes)) return layer;
    const calls = layer.inbound_nodes.map((call) =>
      isModern(call) ? call : callOf(call, layer, named, first)
    );
    return asOperation({ ...layer, inbound_nodes: calls });
  });
}

/**
 * The number of the first call of each layer: a model inside has one of its own, made with it, which is not
 * among its `inbound_nodes`.
 */
function firstCalls(
  layers: readonly Json[],
  named: ReadonlyMap<string, JsonObject>,
): ReadonlyMap<string, number> {
  const lowest = new Map<string, number>();
  for (const layer of layers) {
    if (!isObject(layer) || !isList(layer.inbound_nodes)) continue;
    for (const call of layer.inbound_nodes) {
      if (isModern(call)) continue;
      for (const { layer, call: index } of tensorsIn(call)) {
        lowest.set(layer, Math.min(index, lowest.get(layer) ?? index));
      }
    }
  }
  return new Map(
    [...lowest].filter(([name, index]) => index > 0 && isModel(named.get(name))).map(([name]) => [name, 1]),
  );
}

function isModel(layer: JsonObject | undefined): boolean {
  return ["Functional", "Model", "Sequential"].includes(String(layer?.class_name));
}

function callOf(
  call: Json,
  { class_name: className }: JsonObject,
  named: ReadonlyMap<string, JsonObject>,
  first: ReadonlyMap<string, number>,
): Json {
  const written = ({ layer, call, output }: TensorOf): Json =>
    layer === CONSTANT ? output : {
      class_name: "__keras_tensor__",
      config: { keras_history: [layer, call - (first.get(layer) ?? 0), output] },
    };
  const argument = (value: Json, length: number): Json => {
    const tensor = tensorOf(value, length);
    if (tensor && (length > 3 || named.has(tensor.layer))) return written(tensor);
    if (isList(value)) return value.map((item) => argument(item, length));
    if (!isObject(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, argument(item, length)]));
  };
  const [read] = tensorsIn(call);
  const kwargs = isObject(read?.named) ? argument(read.named, 3) : {};
  const input = argument(call, 4);
  if (!isList(input)) return { args: [input], kwargs };
  const [one, ...others] = input;
  if (others.length === 0) return { args: [one], kwargs };
  return { args: RECURRENT.test(String(className)) ? [one, others] : [input], kwargs };
}

/** A function of TensorFlow that Keras 3 has as an operation; any other layer is returned as it is. */
function asOperation(layer: JsonObject): Json {
  const { class_name: className, config, inbound_nodes: calls } = layer;
  if (className !== "TFOpLambda" || !isObject(config) || !isList(calls)) return layer;
  const operation = OPERATIONS[String(config.function)];
  if (operation === undefined) return layer;
  return {
    ...layer,
    module: "keras.src.ops.numpy",
    class_name: operation,
    config: { name: config.name },
    inbound_nodes: calls.map((call) => {
      if (!isObject(call) || !isList(call.args) || !isObject(call.kwargs)) return call;
      const { y, name: _, ...kwargs } = call.kwargs;
      return { args: y === undefined ? call.args : [...call.args, y], kwargs };
    }),
  };
}
