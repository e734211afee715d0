/** The states of recurrent layers: Keras writes them as flat lists, ours are trees like the cell's. */
import { substitute } from "../../src/options/made.ts";
import { isRecurrentLayer, type Layer, type RecurrentFlags, statefulLayer } from "../../src/layers/mod.ts";
import type { Tree } from "../../src/tree/tree.ts";
import { KerasFileError } from "./errors.ts";
import { type CellData, cellOf, cellsOf } from "./layout.ts";

/** How a state is nested; null stands for a tensor. */
export type StateShape = null | readonly StateShape[];

function stateOfCell(cell: CellData): StateShape {
  if (cell.type === "stackedCells") return cellsOf(cell).map(stateOfCell);
  return /lstm/i.test(cell.type) ? [null, null] : null;
}

/** The nesting of the state of a recurrent layer, or of one in both directions. */
export function stateOf(layer: Layer): StateShape {
  if (layer.type === "bidirectional") return (layer.layers ?? []).map(stateOf);
  return stateOfCell(cellOf(layer));
}

/** Tensors as the tree that a state is. */
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
 * The layer as Keras runs it where an initial state is given: a mask that travels with the input is not looked at, and
 * goes on with the output all the same. Where a mask was ignored, its JSON is refused: a layer that is read from it looks
 * at the mask.
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

/** Whether a layer is one that {@linkcode ignoringMask} made. */
export function ignoresMask(layer: Layer): boolean {
  return marker in layer;
}
