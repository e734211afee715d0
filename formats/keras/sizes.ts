/**
 * Checks a file's weights against its configuration as each layer is called on shapes: no size is allocated
 * that the file does not contain, so that a configuration cannot demand memory.
 */
import { isRecurrentLayer, type Layer, type Mask } from "../../src/layers/mod.ts";
import {
  type CallExtras,
  type CallResult,
  callSpecs,
  functionSpecs,
  paramSpecs,
} from "../../src/models/call_specs.ts";
import { isContainer } from "../../src/models/container.ts";
import { multiplyDims, printShape, type Shape } from "../../src/tensor/dims.ts";
import { isLeaf, printSpec, type Spec, type Tensor } from "../../src/tensor/tensor.ts";
import { mapLike, type Tree, treeLeaves } from "../../src/tree/tree.ts";
import { attentionParts, isAttention, shapeOfRole } from "./attention.ts";
import { KerasFileError, reading } from "./errors.ts";
import type { WeightFile } from "./hdf5.ts";
import { classOfCell } from "./cells.ts";
import { type CellData, cellOf, cellsOf, groupNames } from "./layout.ts";
import { numbering, snakeCaseOfClass } from "./names.ts";
import type { WeightRow } from "./weight_row.ts";
import { weightRows } from "./weight_rows.ts";

/** The context carried along while a file is read. */
export interface Reading {
  readonly file: WeightFile;
  /**
   * Whether the places of the weights below a path are known. In files in the old layout those of a model
   * inside are known when all of it is read, so its layers are checked by the calls of the model.
   */
  readonly isPlaced: (path: string) => boolean;
  /** The layer orders of the containers read so far. */
  readonly orders: Map<Layer, readonly number[]>;
  /** How many more layer calls are allowed. */
  readonly budget: { calls: number };
  /** The outputs of earlier calls, as a shared layer is called on the same shapes repeatedly. */
  readonly results: Map<Layer, Map<string, CallResult>>;
}

/** The largest number of layer calls in a model, including those inside layers. */
export const MOST_CALLS = 2000;

/** Counts a call of a layer or operation, so that a small file cannot demand endless work. */
export function countCall({ budget }: Reading, place: string): void {
  if (budget.calls-- > 0) return;
  throw new KerasFileError(place, `the model calls layers more than ${MOST_CALLS} times, which is not read`);
}

/**
 * The output specs of a layer for inputs of these specs, after checking its weights.
 *
 * @param path The group of its weights.
 * @throws KerasFileError if a weight has another shape than the configuration requires.
 */
export function checkedCall(
  layer: Layer,
  path: string,
  input: Tree<Tensor>,
  extras: CallExtras,
  context: Reading,
): CallResult {
  countCall(context, path);
  if (!context.isPlaced(path)) return calledFirst(layer, path, input, extras, context);
  const ofLayer = context.results.get(layer) ?? new Map<string, CallResult>();
  context.results.set(layer, ofLayer);
  const shapes = described([input, extras.mask ?? [], extras.initialState ?? []]);
  const result = ofLayer.get(shapes) ?? calledFirst(layer, path, input, extras, context);
  ofLayer.set(shapes, result);
  return result;
}

/** Trees of specs as text. */
function described(trees: unknown): string {
  return JSON.stringify(trees, (_, value) => isLeaf(value) ? printSpec(value) : value);
}

function calledFirst(
  layer: Layer,
  path: string,
  input: Tree<Tensor>,
  extras: CallExtras,
  context: Reading,
): CallResult {
  if (isContainer(layer)) {
    const names = groupNames(layer, context.orders);
    return layer.walk(input, extras.mask, {
      call: (index, input, extras) => {
        const below = `${path === "" ? "" : `${path}/`}layers/${names.get(index)}`;
        return checkedCall(layer.layers[index], below, input, extras, context);
      },
      compute: functionSpecs,
    });
  }
  return reading(path, () => {
    if (context.isPlaced(path)) checkWeights(layer, path, input, extras.mask, context);
    return callSpecs(layer, paramSpecs(layer, input), input, extras);
  });
}

function checkWeights(layer: Layer, path: string, input: Tree<Tensor>, mask: Mask, context: Reading): void {
  const [first, second] = layer.layers ?? [];
  if (layer.type === "bidirectional") {
    checkWeights(first, `${path}/forward_layer`, input, mask, context);
    checkWeights(second, `${path}/backward_layer`, input, mask, context);
  } else if (layer.type === "timeDistributed") {
    const rows = mapLike(input, ({ shape, dtype }: Spec): Spec => ({
      shape: [multiplyDims(shape[0], shape[1] ?? 1), ...shape.slice(2)],
      dtype,
    }));
    checkedCall(first, `${path}/layer`, rows, {}, context);
  } else if (isRecurrentLayer(layer)) {
    if (isLeaf(input)) checkCell(cellOf(layer), `${path}/cell`, withoutTime(input.shape), context.file);
  } else if (isAttention(layer)) {
    const shapes = treeLeaves<Spec>(input).map(({ shape }) => shape);
    for (const { group, rows, role } of attentionParts(layer)) {
      checkRows(rows, group === "" ? path : `${path}/${group}`, shapeOfRole(shapes, role), context.file);
    }
  } else {
    const rows = weightRows(layer.type, layer.options) ?? [];
    if (isLeaf(input)) checkRows(rows, path, input.shape, context.file);
  }
}

const withoutTime = ([batch, _, ...rest]: Shape): Shape => [batch, ...rest];

function checkCell(cell: CellData, path: string, step: Shape, file: WeightFile): void {
  if (cell.type !== "stackedCells") {
    return checkRows(weightRows(cell.type, cell.options) ?? [], path, step, file);
  }
  const number = numbering();
  let features = step;
  for (const inner of cellsOf(cell)) {
    const name = number(snakeCaseOfClass(classOfCell(inner, path)));
    checkCell(inner, `${path}/cells/${name}`, features, file);
    features = [step[0], Number(inner.options.units)];
  }
}

/** Throws unless the file has exactly these weights in the group. */
function checkRows(rows: readonly WeightRow[], path: string, input: Shape, file: WeightFile): void {
  rows.forEach((row, index) => {
    if (row.unread) return;
    const at = `${path}/vars/${index}`;
    const place = file.placeOf(at);
    const expected = row.shape(input);
    const found = file.shape(at);
    if (found === undefined) throw new KerasFileError(place, `it is not there, expected ${row.name}`);
    if (found.length === expected.length && found.every((dim, axis) => dim === expected[axis])) return;
    throw new KerasFileError(
      place,
      `the ${row.name} has the shape ${printShape(found)}, expected ${printShape(expected)} ` +
        `for an input of shape ${printShape(input)}`,
    );
  });
  const surplus = file.names(`${path}/vars`)?.slice(rows.length) ?? [];
  if (surplus.length > 0) {
    throw new KerasFileError(`${path}/vars`, `it has ${surplus.length} weights more than the layer`);
  }
}
