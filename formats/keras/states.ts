/**
 * The states of recurrent layers, which are flat lists in Keras and trees like the cell's here; and recurrent
 * layers that ignore their mask as in Keras, where ours would not.
 */
import { substitute } from "../../src/options/made.ts";
import {
  isRecurrentLayer,
  type Layer,
  layerName,
  type RecurrentFlags,
  statefulLayer,
} from "../../src/layers/mod.ts";
import { isContainer } from "../../src/models/container.ts";
import type { Tree } from "../../src/tree/tree.ts";
import { KerasFileError } from "./errors.ts";
import { keepsMaskOrder } from "./mask_order.ts";
import { type CellData, cellOf, cellsOf } from "./layout.ts";
import { countsAsKeras, countsOtherwise } from "./masks.ts";

/** How a state is nested; null is a tensor. */
export type StateShape = null | readonly StateShape[];

function stateOfCell(cell: CellData): StateShape {
  if (cell.type === "stackedCells") return cellsOf(cell).map(stateOfCell);
  return /lstm/i.test(cell.type) ? [null, null] : null;
}

/** The nesting of the state of a recurrent layer, or of a bidirectional one. */
export function stateOf(layer: Layer): StateShape {
  if (layer.type === "bidirectional") return (layer.layers ?? []).map(stateOf);
  return stateOfCell(cellOf(layer));
}

/** Tensors as the tree of a state. */
export function unflattenState<Leaf>(shape: StateShape, leaves: readonly Leaf[], place: string): Tree<Leaf> {
  const rest = [...leaves];
  const take = (shape: StateShape): Tree<Leaf> => {
    if (shape !== null) return shape.map(take);
    const leaf = rest.shift();
    if (leaf !== undefined) return leaf;
    throw new KerasFileError(place, `its initial state has ${leaves.length} tensors, which is too few`);
  };
  const state = take(shape);
  if (rest.length === 0) return state;
  throw new KerasFileError(place, `its initial state has ${leaves.length} tensors, which is too many`);
}

const marker = Symbol("ignoresMask");

/**
 * The layer as Keras runs it if an initial state is given: the mask carried by the input is ignored, and
 * still passed on with the output. If a mask was ignored, toJson refuses the layer: a layer read from that
 * JSON would use the mask.
 */
export function ignoringMask<T extends Layer>(layer: T): T {
  let ignored = false;
  const apply: Layer["apply"] = substitute(
    (variables, input, context) => {
      if (context.initialState === undefined || context.mask === undefined) {
        return layer.apply(variables, input, context);
      }
      ignored = true;
      const applied = layer.apply(variables, input, { ...context, mask: undefined });
      return { ...applied, mask: layer.apply(variables, input, context).mask };
    },
    () =>
      ignored
        ? "it ignores its mask where it is given an initial state, as Keras does, which its JSON cannot say; " +
          "save it with toKeras"
        : undefined,
  );
  return {
    ...layer,
    apply,
    ...(layer.withStateful ? { withStateful: substitute(() => ignoringMask(statefulLayer(layer))) } : {}),
    ...(isRecurrentLayer(layer)
      ? { withFlags: substitute((changes: RecurrentFlags) => ignoringMask(layer.withFlags(changes))) }
      : {}),
    [marker]: true,
  };
}

/** Whether a layer was made by {@linkcode ignoringMask}. */
export function ignoresMask(layer: Layer): boolean {
  return marker in layer;
}

/** Whether a layer's output depends on its mask. */
function predictsByMask(layer: Layer): boolean {
  return isRecurrentLayer(layer) || layer.type === "bidirectional" || isContainer(layer) ||
    (layer.type === "timeDistributed" && (layer.layers ?? []).some(predictsByMask));
}

/**
 * Throws unless the masks in a sequential model match Keras's; it records none, so none can be passed.
 */
export function checkSequentialMasks(layers: readonly Layer[]): void {
  const makesMask = (layer: Layer) => layer.type === "masking" || layer.options.maskZero === true;
  let masked = false;
  layers.forEach((layer, index) => {
    masked ||= makesMask(layer);
    const inside = layer.type === "timeDistributed" && (layer.layers ?? []).some(makesMask);
    const backwards = masked && isRecurrentLayer(layer) && layer.flags.goBackwards &&
      layer.flags.returnSequences && !keepsMaskOrder(layer);
    if (masked && !countsAsKeras(layer)) {
      throw new TypeError(
        `Cannot write the Keras file: ${layerName(layer)} ${countsOtherwise(layer)}`,
      );
    }
    if (!(inside || backwards) || !layers.slice(index + 1).some(predictsByMask)) return;
    throw new TypeError(
      `Cannot write the Keras file: the mask behind ${
        layerName(layer)
      } is another in Keras's Sequential, which ` +
        (inside ? "drops it" : "leaves it in the order of the input") +
        "; make the model with model(...), where masks are given to calls",
    );
  });
}
