/**
 * Writes layers and cells as Keras configurations. Graphs are written by graph_write.ts, which is passed in.
 */
import { isRecurrentLayer, type Layer, layerName, type RecurrentLayer } from "../../src/layers/mod.ts";
import type { Json, JsonOptions } from "../../src/options/json.ts";
import type { Tensor } from "../../src/tensor/tensor.ts";
import type { Tree } from "../../src/tree/tree.ts";
import { cellRow, refuseCell, stackedRow } from "./cells.ts";
import type { ClassRow } from "./class_row.ts";
import { classOf } from "./class_of.ts";
import { bidirectionalRow, layerRows, rnnRow, timeDistributedRow } from "./classes.ts";
import { type CellData, cellOf, cellsOf } from "./layout.ts";
import { freeNames, numbering, snakeCaseOfClass } from "./names.ts";
import { float32Policy, writeOptions } from "./options.ts";
import { checkSequentialMasks } from "./states.ts";

/** A layer of a container to be written. */
export interface Written {
  readonly layer: Layer;
  /** Its name in Keras. */
  readonly name: string;
  /** Its params, of which only the shapes are used. */
  readonly params: Tree<Tensor>;
}

/** Writes a graph. */
export type WriteGraph = (written: Written) => Json;

/** An object as Keras writes its own ones. */
export function kerasJson(module: string, className: string, config: JsonOptions): { [key: string]: Json } {
  return { module, class_name: className, config, registered_name: null };
}

/** A name that Keras accepts. */
export function checkName(name: string): string {
  if (name !== "" && !name.includes("/")) return name;
  throw new RangeError(
    `Cannot write the Keras file: a layer is named ${JSON.stringify(name)}, expected a text without "/"`,
  );
}

/** The names of a container's layers in Keras: their own, or made from the class. */
export function namesOf(layers: readonly Layer[], taken: readonly string[] = []): readonly string[] {
  const free = freeNames([...taken, ...layers.flatMap(({ name }) => name ?? [])]);
  return layers.map((layer) => checkName(layer.name ?? free(snakeCaseOfClass(classOf(layer)))));
}

/**
 * The configuration of a layer.
 *
 * @throws TypeError for a layer, cell or option that Keras does not have, naming it.
 */
export function writeLayer(written: Written, writeGraph: WriteGraph): { [key: string]: Json } {
  const { layer, name } = written;
  const className = classOf(layer);
  const common = { name, trainable: layer.trainable, dtype: float32Policy };
  const place = layerName(layer);
  const object = (options: JsonOptions) => kerasJson("keras.layers", className, { ...common, ...options });
  switch (layer.type) {
    case "model":
      return writeGraph(written) as { [key: string]: Json }; // a functional model is an object
    case "sequential":
      return writeSequential(written, [], writeGraph);
    case "bidirectional": {
      const [forward, backward] = layer.layers ?? [];
      const base = (forward.name ?? snakeCaseOfClass(classOf(forward))).replace(/^forward_/, "");
      const inner = (layer: Layer, name: string) => writeLayer({ layer, name, params: [] }, writeGraph);
      const { layer: _, backwardLayer, ...options } = layer.options;
      const own = backwardLayer ? backward.name : undefined; // a copy has the name of the layer
      return object({
        ...writeOptions(bidirectionalRow, options, place),
        layer: inner(forward, `forward_${base}`),
        backward_layer: inner(backward, own ?? `backward_${base}`),
      });
    }
    case "timeDistributed": {
      const [inner] = layer.layers ?? [];
      const own = inner.name ?? snakeCaseOfClass(classOf(inner));
      const json = writeLayer({ layer: inner, name: checkName(own), params: written.params }, writeGraph);
      const { layer: _, ...options } = layer.options;
      return object({ ...writeOptions(timeDistributedRow, options, place), layer: json });
    }
    case "merge": {
      const { method: _, counts: __, ...options } = layer.options; // masks are written beside calls
      return object(writeOptions({ className, type: "merge", options: { axis: "number" } }, options, place));
    }
  }
  if (isRecurrentLayer(layer) && layer.type === "rnn") return object(writeRnn(layer, className, place));
  const row = rowOf(className);
  const json = object(writeOptions(row, layer.options, place));
  if (!row.withoutCommon) return json;
  const { trainable: _, ...config } = json.config as JsonOptions; // kerasJson was given an object
  return { ...json, config };
}

/** Throws a TypeError for a model with an option that only layers have in Keras. */
export function checkContainer(layer: Layer): void {
  if (layer.options.activityRegularizer === undefined) return;
  throw new TypeError(
    `Cannot write the Keras file: ${
      layerName(layer)
    } has an activityRegularizer, which models of Keras do not have; ` +
      `put activityRegularization(...) after its last layer`,
  );
}

function rowOf(className: string): ClassRow {
  return layerRows.find((row) => row.className === className)!; // classOf took it from there
}

/** An `RNN` with its cell; a ConvLSTM has no public cell in Keras and is written as its layer. */
function writeRnn(layer: RecurrentLayer, className: string, place: string): JsonOptions {
  const { cell: _, ...flags } = layer.options;
  const cell = cellOf(layer);
  if (className !== "RNN") return writeOptions(rowOf(className), { ...cell.options, ...flags }, place);
  const written = writeCell(cell, layer.trainable, place, numbering());
  return { ...writeOptions(rnnRow, flags, place), cell: written };
}

function writeCell(
  cell: CellData,
  trainable: boolean,
  place: string,
  number: (name: string) => string,
): Json {
  const row = cellRow(cell.type);
  const common = { trainable, dtype: float32Policy };
  const named = (className: string) => ({ name: number(snakeCaseOfClass(className)), ...common });
  const where = `${cell.type} in ${place}`;
  if (row?.make) {
    const options = writeOptions(row, cell.options, where);
    return kerasJson("keras.layers", row.className, { ...named(row.className), ...options });
  }
  if (cell.type !== stackedRow.type) return refuseCell(cell, place);
  const { cells: _, ...options } = cell.options;
  return kerasJson("keras.layers", stackedRow.className, {
    ...named(stackedRow.className),
    ...writeOptions(stackedRow, options, where),
    cells: cellsOf(cell).map((inner) => writeCell(inner, trainable, place, number)),
  });
}

/** A sequential model; `first` is its `InputLayer`, which one nested in another model does not need. */
export function writeSequential(
  { layer, name, params }: Written,
  first: readonly { [key: string]: Json }[],
  writeGraph: WriteGraph,
): { [key: string]: Json } {
  const layers = layer.layers ?? [];
  checkContainer(layer);
  checkSequentialMasks(layers);
  const inputs = first.map(({ config }) => String((config as JsonOptions).name));
  const names = namesOf(layers, inputs);
  const ofLayers = params as readonly Tree<Tensor>[]; // a container's params are a list
  return kerasJson("keras", "Sequential", {
    name,
    trainable: layer.trainable,
    dtype: float32Policy,
    layers: [
      ...first,
      ...layers.map((inner, index) =>
        writeLayer({ layer: inner, name: names[index], params: ofLayers[index] }, writeGraph)
      ),
    ],
  });
}
