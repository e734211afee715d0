/**
 * Where Keras 3 stores the weights of a model: the groups of its HDF5 file, following the walk of
 * `keras.src.saving.saving_lib`. Inside a container, layers are numbered by class in the container's order:
 * `layers/lstm`, `layers/lstm_1`; a wrapper's layer is stored under the attribute that holds it.
 */
import type { JsonOptions } from "../../src/options/json.ts";
import { isRecurrentLayer, type Layer, layerName } from "../../src/layers/mod.ts";
import { attentionParts, isAttention } from "./attention.ts";
import { classOf } from "./class_of.ts";
import { kerasOrder } from "./graph_order.ts";
import { numbering, snakeCaseOfClass } from "./names.ts";
import { classOfCell, refuseCell } from "./cells.ts";
import type { WeightRow } from "./weight_row.ts";
import { weightRows } from "./weight_rows.ts";

/** A layer or cell that may have weights. */
export interface WeightOwner {
  /** Its group: `layers/bidirectional/forward_layer/cell`. */
  readonly path: string;
  /** Its name in Keras, for the group's attribute. */
  readonly name: string;
  /** Its weights, in the order in which they are stored. */
  readonly rows: readonly WeightRow[];
  /** Their place in our variables, below `params` and `state`. */
  readonly variables: readonly (string | number)[];
  /** Whether the layer is trained, and so is every one around it. */
  readonly trainable: boolean;
}

/** The layer orders of containers read from a file; for others, Keras's order is computed. */
export type Orders = ReadonlyMap<Layer, readonly number[]>;

/** Everything that stores weights. */
export interface Layout {
  readonly owners: readonly WeightOwner[];
  /** The groups of containers' layers, and the names allowed in them. */
  readonly containers: readonly { readonly path: string; readonly names: readonly string[] }[];
}

/** A cell as its layer saves it. */
export interface CellData {
  readonly type: string;
  readonly options: JsonOptions;
}

/** The cell of a recurrent layer. */
export function cellOf(layer: Layer): CellData {
  if (layer.type !== "rnn") return { type: `${layer.type}Cell`, options: layer.options };
  return layer.options.cell as unknown as CellData; // written by the layer itself
}

/** The cells of stacked cells. */
export function cellsOf({ options }: CellData): readonly CellData[] {
  return options.cells as unknown as readonly CellData[]; // written by stackedCells
}

/** The group names of a container's layers, by our index of the layer. */
export function groupNames(container: Layer, orders: Orders): ReadonlyMap<number, string> {
  const layers = container.layers ?? [];
  const number = numbering();
  const order = orders.get(container) ?? kerasOrder(container);
  return new Map(order.map((index) => [index, number(snakeCaseOfClass(classOf(layers[index])))]));
}

/**
 * The layout of a container, the root of a file.
 *
 * @throws TypeError for a layer or cell that Keras does not have, naming it.
 */
export function layoutOf(model: Layer, orders: Orders = new Map()): Layout {
  return layoutAt(model, "", model.name ?? model.type, orders);
}

/** The layout of a layer whose group is `path` and whose name in Keras is `name`. */
export function layoutAt(whole: Layer, path: string, name: string, orders: Orders): Layout {
  const owners: WeightOwner[] = [];
  const containers: { path: string; names: string[] }[] = [];
  const addCell = (
    cell: CellData,
    path: string,
    name: string,
    { variables, trainable }: Pick<WeightOwner, "variables" | "trainable">,
  ) => {
    if (cell.type === "stackedCells") {
      const number = numbering();
      cellsOf(cell).forEach((inner, index) => {
        const own = number(snakeCaseOfClass(classOfCell(inner, name)));
        addCell(inner, `${path}/cells/${own}`, own, { variables: [...variables, index], trainable });
      });
      return;
    }
    owners.push({
      path,
      name,
      rows: weightRows(cell.type, cell.options) ?? refuseCell(cell, name),
      variables,
      trainable,
    });
  };
  const add = (
    layer: Layer,
    path: string,
    name: string,
    variables: WeightOwner["variables"],
    around: boolean,
  ) => {
    const inner = layer.layers ?? [];
    const trainable = around && layer.trainable;
    if (layer.type === "bidirectional") {
      add(inner[0], `${path}/forward_layer`, `forward_${name}`, [...variables, "forward"], trainable);
      add(inner[1], `${path}/backward_layer`, `backward_${name}`, [...variables, "backward"], trainable);
    } else if (layer.type === "timeDistributed") {
      add(inner[0], `${path}/layer`, inner[0].name ?? name, variables, trainable);
    } else if (isRecurrentLayer(layer)) {
      const cell = cellOf(layer);
      const own = snakeCaseOfClass(classOfCell(cell, layerName(layer)));
      addCell(cell, `${path}/cell`, own, { variables, trainable });
    } else if (layer.type === "sequential" || layer.type === "model") {
      const below = path === "" ? "layers" : `${path}/layers`;
      const names = groupNames(layer, orders);
      containers.push({ path: below, names: [...names.values()] });
      for (const [index, group] of names) {
        add(inner[index], `${below}/${group}`, inner[index].name ?? group, [...variables, index], trainable);
      }
    } else if (isAttention(layer)) {
      for (const { group, name: own, rows, variables: part } of attentionParts(layer)) {
        owners.push({
          path: group === "" ? path : `${path}/${group}`,
          name: group === "" ? name : own,
          rows,
          variables: [...variables, ...part],
          trainable,
        });
      }
    } else {
      const rows = weightRows(layer.type, layer.options) ?? [];
      owners.push({ path, name, rows, variables, trainable });
    }
    if (inner.length > 0 || isRecurrentLayer(layer)) {
      if (path !== "") owners.push({ path, name, rows: [], variables, trainable });
    }
  };
  add(whole, path, name, [], true);
  return { owners, containers };
}
