/** Reads layers and cells from their configurations. Graphs are read by graph_read.ts, which is passed in. */
import type { AnyCell } from "../../src/cells/cell.ts";
import { stackedCells } from "../../src/cells/stacked.ts";
import {
  bidirectional,
  isRecurrentLayer,
  type Layer,
  type MergeMode,
  type RecurrentLayer,
  rnn,
  type RnnOptions,
  timeDistributed,
} from "../../src/layers/mod.ts";
import { fromJson, sequential } from "../../src/models/mod.ts";
import type { Json, JsonOptions } from "../../src/options/json.ts";
import { nearest } from "../../src/known_names.ts";
import { quoted } from "../../src/quoted.ts";
import type { DType, Spec } from "../../src/tensor/tensor.ts";
import { type Dim, symbol } from "../../src/tensor/dims.ts";
import { cellClasses, cellRows, stackedRow } from "./cells.ts";
import {
  bidirectionalRow,
  knownClasses,
  layerRows,
  mergeClasses,
  rnnRow,
  timeDistributedRow,
} from "./classes.ts";
import { KerasFileError, reading } from "./errors.ts";
import { numbering, snakeCaseOfClass } from "./names.ts";
import { isList, type JsonObject, type KerasObject, kerasObject, nameIn } from "./objects.ts";
import { readOptions, trainableIn } from "./options.ts";
import { MOST_CALLS, type Reading } from "./sizes.ts";
import { keepingMaskOrder } from "./mask_order.ts";

/** The context in which the parts of a model are read. */
export interface LayerContext extends Reading {
  /** The group of the layer's weights. */
  readonly path: string;
  /** The number of surrounding containers. */
  readonly depth: number;
  /** Reads a graph. */
  readonly readGraph: (object: KerasObject, context: LayerContext) => Layer;
  /** Is told each layer of the outermost model, in their order, with the group of its weights. */
  readonly place: (layer: Layer, path: string) => void;
  /** Whether masks travel by themselves in graphs, as in Keras 2, instead of being given to calls. */
  readonly masksTravel: boolean;
}

/** The deepest nesting of containers: each level doubles the time of finding shapes. */
const MOST_CONTAINERS = 6;

/** The context of the contents. */
export function below(context: LayerContext, name: string): LayerContext {
  return { ...context, path: context.path === "" ? name : `${context.path}/${name}` };
}

/** The context of a container's layers. */
export function inside(context: LayerContext, place: string): LayerContext {
  if (context.depth >= MOST_CONTAINERS) {
    throw new KerasFileError(place, `it is a model inside ${MOST_CONTAINERS} others, which is not read`);
  }
  return { ...context, depth: context.depth + 1 };
}

/** The name of a layer in errors. */
export function placeOf({ className, config }: KerasObject): string {
  return `the layer ${quoted(config.name)} (${className})`;
}

/** Reads the layer of a configuration. */
export function readLayer(object: KerasObject, context: LayerContext): Layer {
  const layer = readAny(object, context);
  if (context.depth === 1 && /^layers\/[^/]*$/.test(context.path)) context.place(layer, context.path);
  return layer;
}

function readAny(object: KerasObject, context: LayerContext): Layer {
  const place = placeOf(object);
  const { className, config } = object;
  const common = { name: nameIn(config, place), trainable: trainableIn(config, place) };
  return reading(place, () => {
    switch (className) {
      case "Sequential":
        return readSequential(object, context);
      case "Functional":
      case "Model":
        return context.readGraph(object, context);
      case "RNN":
        return rnn(readCell(config.cell, place, common.trainable), {
          ...readOptions(rnnRow, config, place, ["cell"]) as RnnOptions,
          ...common,
        });
      case "Bidirectional":
        return readBidirectional(object, context, common);
      case "TimeDistributed": {
        const options = readOptions(timeDistributedRow, config, place, ["layer"]);
        const inner = kerasObject(config.layer, `the layer in ${place}`);
        return timeDistributed(readLayer(inner, below(context, "layer")), { ...options, ...common });
      }
    }
    return readPlain(object, place, common, context);
  });
}

/** A layer whose options are values. */
function readPlain(
  { className, config }: KerasObject,
  place: string,
  common: JsonOptions,
  { masksTravel }: LayerContext,
): Layer {
  if (Object.hasOwn(mergeClasses, className)) {
    const options = readOptions({ className, type: "merge", options: { axis: "number" } }, config, place);
    return fromJson({
      type: "merge",
      options: { method: mergeClasses[className], ...options, counts: masksTravel ? "all" : "any" },
      ...common,
    });
  }
  const row = layerRows.find((row) => row.className === className);
  if (row) return fromJson({ type: row.type, options: readOptions(row, config, place), ...common });
  const near = nearest(className, knownClasses);
  throw new KerasFileError(
    place,
    `the class ${quoted(className)} has no equivalent here; ` +
      (near === undefined
        ? "if it is your own, its code is not in the file: build the model here and read its weights with " +
          "loadKerasWeights"
        : `the nearest is ${near}`),
  );
}

function readBidirectional(object: KerasObject, context: LayerContext, common: JsonOptions): Layer {
  const { config } = object;
  const place = placeOf(object);
  const recurrent = (option: string, group: string): RecurrentLayer => {
    const inner = kerasObject(config[option], `the option ${option} of ${place}`);
    const layer = readLayer(inner, below(context, group));
    if (isRecurrentLayer(layer)) return layer;
    throw new KerasFileError(
      place,
      `the option ${option} is a ${inner.className}, expected a recurrent layer`,
    );
  };
  const { mergeMode, ...options } = readOptions(bidirectionalRow, config, place, ["layer", "backward_layer"]);
  const forward = recurrent("layer", "forward_layer");
  const backward = config.backward_layer ? recurrent("backward_layer", "backward_layer") : undefined;
  const copy = forward.withFlags({ goBackwards: !forward.flags.goBackwards });
  const isCopy = backward === undefined ||
    (backward.type === copy.type && JSON.stringify(backward.options) === JSON.stringify(copy.options) &&
      backward.trainable === copy.trainable);
  return bidirectional(forward, {
    ...options,
    ...common,
    ...(mergeMode === undefined ? {} : { mergeMode: mergeMode as MergeMode }), // of the kind "merge"
    ...(isCopy ? {} : { backwardLayer: backward }),
  });
}

/** The cell of an `RNN`: the cell's own flag must agree with the layer's, as our cells have none. */
function readCell(value: Json | undefined, layer: string, trainable: boolean): AnyCell {
  const place = `the cell of ${layer}`;
  const object = kerasObject(value, place);
  const { className, config } = object;
  if (trainable && !trainableIn(config, place)) {
    throw new KerasFileError(place, "it is not trainable and its layer is, which cannot be kept apart here");
  }
  if (className === "StackedRNNCells") {
    readOptions(stackedRow, config, place, ["cells"]);
    if (!isList(config.cells)) {
      throw new KerasFileError(place, `its cells are ${quoted(config.cells)}, expected a list`);
    }
    return stackedCells(config.cells.map((cell) => readCell(cell, place, trainable)));
  }
  const row = cellRows.find((row) => row.className === className);
  const make = row?.make;
  if (row && make) return reading(place, () => make(readOptions(row, config, place)));
  throw new KerasFileError(
    place,
    `the class ${quoted(className)} has no equivalent here; expected one of ${cellClasses.join(", ")}`,
  );
}

/** The list of layers in the configuration of a container. */
export function layerList(config: JsonObject, place: string): readonly Json[] {
  if (isList(config.layers) && config.layers.length <= MOST_CALLS) return config.layers;
  throw new KerasFileError(
    place,
    `its layers are ${quoted(config.layers)}, expected a list of at most ${MOST_CALLS}`,
  );
}

function readSequential(object: KerasObject, context: LayerContext): Layer {
  const place = placeOf(object);
  const within = inside(context, place);
  const number = numbering();
  const objects = layerList(object.config, place).map((layer, index) =>
    kerasObject(layer, `layer ${index} of ${place}`)
  );
  const layers = objects.flatMap((layer, index) => {
    if (layer.className === "InputLayer" && index === 0) return [];
    const read = readLayer(layer, below(within, `layers/${number(snakeCaseOfClass(layer.className))}`));
    return keepingMaskOrder(read);
  });
  return sequential(layers, {
    name: nameIn(object.config, place),
    trainable: trainableIn(object.config, place),
  });
}

/** Whether the input of a layer is tokens: Keras casts an `Embedding`'s input, ours takes int32. */
export function takesTokens(layer: Layer): boolean {
  if (layer.type === "embedding") return true;
  const [first] = layer.layers ?? [];
  return first !== undefined && (layer.type === "sequential" || layer.type === "timeDistributed") &&
    takesTokens(first);
}

/** The input of a sequential model: that of its `InputLayer`, or the shape that it was built for. */
export function inputOfSequential(object: KerasObject, layer: Layer): Spec {
  const place = placeOf(object);
  const [first] = layerList(object.config, place);
  const input = kerasObject(first, `layer 0 of ${place}`);
  const config = input.className === "InputLayer"
    ? input.config
    : { batch_shape: object.config.build_input_shape ?? null };
  return inputSpec(config, `the input of ${place}`, takesTokens(layer));
}

const dtypes: Readonly<Record<string, DType>> = {
  float32: "float32",
  bool: "bool",
  int8: "int32",
  uint8: "int32",
  int16: "int32",
  uint16: "int32",
  int32: "int32",
  int64: "int32",
};

/** The spec of an `InputLayer`. */
export function inputSpec(config: JsonObject, place: string, tokens: boolean): Spec {
  const { batch_shape: shape, dtype = "float32" } = config;
  for (const option of ["sparse", "ragged", "optional"]) {
    const value = config[option];
    if (value === undefined || value === null || value === false) continue;
    throw new KerasFileError(place, `the option ${option} is ${quoted(value)}, expected false`);
  }
  if (!isList(shape) || shape.length === 0) {
    throw new KerasFileError(
      place,
      `its batch_shape is ${
        quoted(shape)
      }, expected a list of sizes and nulls; a model is saved after it is built`,
    );
  }
  if (typeof dtype !== "string" || !Object.hasOwn(dtypes, dtype)) {
    throw new KerasFileError(
      place,
      `its dtype is ${quoted(dtype)}, expected one of ${Object.keys(dtypes).join(", ")}`,
    );
  }
  const dims = shape.map((size, axis): Dim => {
    if (size === null) return symbol(["batch", "time"][axis] ?? `size${axis}`);
    if (typeof size === "number" && Number.isSafeInteger(size) && size >= 0) return size;
    throw new KerasFileError(place, `its batch_shape is ${quoted(shape)}, expected sizes and nulls`);
  });
  return { shape: dims, dtype: tokens ? "int32" : dtypes[dtype] };
}
