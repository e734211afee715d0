/**
 * The state of a batch as slots, one row for each: which tensors of it have rows, and how a row is read and
 * written. What is not a carry, such as the statistics of a normalization, belongs to all slots.
 */
import { reshape } from "../operations/structure.ts";
import { select } from "../operations/elementwise.ts";
import { sameShape, symbol } from "../tensor/dims.ts";
import { type HostTensor, isLeaf, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { mixesRows } from "../transforms/separate_rows.ts";
import type { Origin } from "../transforms/streamed_steps.ts";
import { flattenTree, mapTree, printPath, type Tree, unflattenTree, zipTrees } from "../tree/tree.ts";
import { layerName } from "./define.ts";
import type { Layer } from "./layer.ts";
import { firstState, isCarryState, resetStates } from "./stateful.ts";
import { withBatch } from "./stream_steps.ts";

/** The tensors of a state, in order: rows for those with slots, what belongs to all slots for others. */
export type Row = readonly HostTensor[];

/** The states of sessions as rows of the state of a batch. */
export interface Slots {
  /** The state of all slots at the beginning. */
  readonly first: Tree<HostTensor>;
  /**
   * A session's state, checked.
   *
   * @param state The state of a stream with batch 1; undefined for the one at the beginning.
   * @throws TypeError if it has another structure, batch or dtype, or other values where they belong to all.
   */
  row(state: Tree<Tensor> | undefined): Row;
  /** A row as a state of batch 1. */
  asState(row: Row): Tree<HostTensor>;
  /** The row of a slot. */
  read(state: Tree<HostTensor>, slot: number): Row;
  /** A state with rows written to slots; the given one is unchanged. */
  write(
    state: Tree<HostTensor>,
    rows: readonly { readonly slot: number; readonly row: Row }[],
  ): Tree<HostTensor>;
}

/**
 * The slots of a layer's state.
 *
 * @param layer The layer, stateful.
 * @param given Its params, and the state at which every session begins.
 * @param input Specs of a sequence.
 */
export function slotsOf(
  layer: Layer,
  given: { readonly params: Tree<Tensor>; readonly state: Tree<Tensor> },
  input: Tree<Spec>,
  capacity: number,
): Slots {
  const { params } = given;
  const one = withBatch(input, 1);
  const rowOf = (state: Tree<Tensor>) => flattenTree<HostTensor>(firstState(layer, { params, state }, one));
  const { leaves: begun, structure, paths } = rowOf(given.state);
  // The batch of the given state is 1, so that of all slots is made anew, and the rows are written to it.
  const fresh = flattenTree<HostTensor>(resetStates(layer, given, withBatch(input, capacity)));
  const hasRows = carriedOf(unflattenTree(structure, begun));
  fresh.leaves.forEach((leaf, index) => {
    if (!hasRows[index] || sameShape(leaf.shape, [capacity, ...begun[index].shape.slice(1)])) return;
    throw new TypeError(
      `Cannot keep sessions of ${layerName(layer)}: ` +
        `${rowless(printPath(paths[index], "state"), leaf, capacity)}; use a stream for each session`,
    );
  });
  const write: Slots["write"] = (state, rows) => {
    const { leaves } = flattenTree<HostTensor>(state);
    return unflattenTree(
      structure,
      leaves.map((leaf, index): HostTensor => {
        if (!hasRows[index]) return leaf;
        const data = leaf.data.slice(), size = data.length / capacity;
        for (const { slot, row } of rows) data.set(row[index].data, slot * size);
        return { ...leaf, data };
      }),
    );
  };
  const everywhere = Array.from({ length: capacity }, (_, slot) => ({ slot, row: begun }));
  return {
    first: write(unflattenTree(structure, fresh.leaves), everywhere),
    row: (state) => {
      if (state === undefined) return begun;
      const { leaves } = rowOf(state);
      leaves.forEach((leaf, index) => {
        if (hasRows[index] || leaf.data.every((value, at) => Object.is(value, begun[index].data[at]))) return;
        throw new TypeError(
          `Cannot begin a session with ${
            printPath(paths[index], "state")
          }: its values are others than those of the ` +
            `variables, which are the same for all sessions; use a stream of its own`,
        );
      });
      return leaves.map((leaf) => ({ ...leaf, data: leaf.data.slice() }));
    },
    asState: (row) => unflattenTree(structure, row),
    read: (state, slot) =>
      flattenTree<HostTensor>(state).leaves.map((leaf, index): HostTensor => {
        if (!hasRows[index]) return leaf;
        const size = leaf.data.length / capacity;
        const data = leaf.data.slice(slot * size, (slot + 1) * size);
        return { ...leaf, shape: [1, ...leaf.shape.slice(1)], data };
      }),
    write,
  };
}

/** The most that the states of all slots may take in MiB: as much as the largest tensor. */
const LARGEST_STATES = 2 ** 12;

/** Throws a RangeError if the states of all slots would take too much memory; before any is made. */
export function checkRoom(layer: Layer, params: Tree<Tensor>, input: Tree<Spec>, capacity: number): void {
  const { leaves } = flattenTree<HostTensor>(layer.initState(params, withBatch(input, 1)));
  const mebibytes = Math.ceil(
    capacity * leaves.reduce((sum, { data }) => sum + data.byteLength, 0) / 2 ** 20,
  );
  if (mebibytes <= LARGEST_STATES) return;
  throw new RangeError(
    `Cannot open streams: a capacity of ${capacity} needs ${mebibytes} MiB for the states, expected at most ` +
      `${LARGEST_STATES}; give a smaller capacity`,
  );
}

function rowless(place: string, leaf: Spec, sequences: number): string {
  return `its ${place} is ${
    printSpec(leaf)
  } for ${sequences} sequences, expected a row for each on its first axis`;
}

/**
 * Checks that the carries of a layer have a row for each sequence, so that rows can be chosen.
 *
 * @param what What cannot be done otherwise.
 * @param input Specs of a sequence.
 * @throws TypeError naming the carry.
 */
export function checkRows(
  what: string,
  layer: Layer,
  given: { readonly params: Tree<Tensor>; readonly state: Tree<Tensor> },
  input: Tree<Spec>,
): void {
  // Two batches, as a size may be that of one of them by chance.
  for (const batch of [2, 3]) {
    const state = resetStates(layer, given, withBatch(input, batch));
    const { leaves, paths } = flattenTree<Tensor>(state);
    const hasRows = carriedOf(state);
    const wrong = leaves.findIndex(({ shape }, index) => hasRows[index] && shape[0] !== batch);
    if (wrong < 0) continue;
    const place = printPath(paths[wrong], "state");
    throw new TypeError(`Cannot ${what} with ${layerName(layer)}: ${rowless(place, leaves[wrong], batch)}`);
  }
}

/**
 * Checks that the rows of a batch are computed apart, as far as a trace with an open batch shows: a layer that needs
 * it as a number is not refused.
 *
 * @param input Specs of a sequence.
 * @throws TypeError naming the operation, and the layer or function with it.
 */
export function checkApart(
  layer: Layer,
  { params, state }: { readonly params: Tree<Tensor>; readonly state: Tree<HostTensor> },
  input: Tree<Spec>,
): void {
  const rows = symbol("batch");
  const hasRows = carriedOf(state);
  let index = 0;
  const open = mapTree(
    state,
    ({ shape, dtype }: Spec): Spec => ({
      shape: hasRows[index++] ? [rows, ...shape.slice(1)] : shape,
      dtype,
    }),
  );
  const apply = (params: Tree<Tensor>, state: Tree<Tensor>, input: Tree<Tensor>) => {
    const applied = layer.apply({ params, state }, input, { training: false });
    return [applied.output, applied.state] as const;
  };
  let found: Origin | undefined;
  try {
    // Specs stand for tensors.
    found = mixesRows(apply, [params, open as Tree<Tensor>, withBatch(input, rows) as Tree<Tensor>], rows);
  } catch {
    return;
  }
  if (!found) return;
  const { operation, place } = found;
  throw new TypeError(
    `Cannot keep sessions of ${
      layerName(layer)
    }: what it computes for one depends on others (by ${operation}` +
      `${
        place === undefined ? "" : ` in ${place}`
      }), as a mean over the batch does; use a stream for each session`,
  );
}

/** Which tensors of a state, in order, are carries. */
function carriedOf(state: Tree<Tensor>): boolean[] {
  if (isLeaf(state)) return [false];
  if (isCarryState(state)) return flattenTree(state).leaves.map(() => true);
  const { structure } = flattenTree(state);
  const parts = structure.kind === "object"
    ? structure.keys.map((key) => (state as Readonly<Record<string, Tree<Tensor>>>)[key])
    : state as readonly Tree<Tensor>[]; // not an object, so an array
  return parts.flatMap(carriedOf);
}

/**
 * The state after a step in which only some slots took part: theirs are new, those of the others as before.
 *
 * @param active Which slots did, bool `[capacity]`.
 */
export function selectSlots(active: Tensor, next: Tree<Tensor>, before: Tree<Tensor>): Tree<Tensor> {
  const isCarried = carriedOf(before);
  let index = 0;
  return zipTrees(
    next,
    before,
    (next: Tensor, before: Tensor) => isCarried[index++] ? selectRows(active, next, before) : before,
  );
}

/** Outputs with zeros for the slots that did not take part. */
export function zeroOthers(active: Tensor, output: Tree<Tensor>): Tree<Tensor> {
  const [capacity] = active.shape;
  return mapTree(output, (y: Tensor) => y.shape[0] === capacity ? selectRows(active, y, 0) : y);
}

function selectRows(active: Tensor, whenTrue: Tensor, whenFalse: Tensor | number): Tensor {
  const shape = [active.shape[0], ...whenTrue.shape.slice(1).map(() => 1)];
  return select(reshape(active, shape), whenTrue, whenFalse);
}
