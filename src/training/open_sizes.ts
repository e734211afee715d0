/**
 * Which sizes of the data a step leaves open, so that it is compiled once for all of them: the batch, and the
 * lengths of sequences where the model takes sequences of any length.
 */
import type { Layer } from "../layers/layer.ts";
import { type Dim, positiveSymbol, symbol } from "../tensor/dims.ts";
import type { Spec, Tensor } from "../tensor/tensor.ts";
import { flattenTree, mapLike, type Tree } from "../tree/tree.ts";
import { batchOf } from "./checks.ts";
import type { Data } from "./objective.ts";

/** Data with open sizes. */
export interface OpenData {
  /** The batch alone is open. */
  readonly batch: Data;
  /** Lengths are open too; absent if nothing in the input can be a sequence. */
  readonly time?: {
    readonly x: Tree<Spec>;
    /**
     * The data for outputs of these specs: targets and weights have the lengths that the outputs have. Undefined
     * if an output depends on a length otherwise than by having it as its second axis, as flattened sequences do.
     */
    readonly data: (output: Tree<Spec>) => Data | undefined;
  };
}

/** The batch's size: open, except for a stateful model, whose batch is fixed. */
function batchSize(model: Layer, state: Tree<Tensor>): Dim {
  return batchOf(model, state) ?? symbol("batch");
}

/** The specs of data of this many samples. */
export function withBatch<T>(tree: T, batch: Dim): T {
  return mapLike(tree, ({ shape, dtype }: Spec): Spec => ({ shape: [batch, ...shape.slice(1)], dtype }));
}

/** Inputs whose batch is open. */
export function openBatch<T>(model: Layer, state: Tree<Tensor>, tree: T): T {
  return withBatch(tree, batchSize(model, state));
}

/**
 * The open lengths of an input, by their value: `length`, and `length_1` and so on for others. A length of 1 is
 * not open: it may stand for any other.
 */
function lengthsOf(x: Tree<Spec>): ReadonlyMap<number, Dim> {
  const lengths = new Map<number, Dim>();
  for (const leaf of flattenTree<Spec>(x).leaves) {
    const size = leaf.shape[1];
    if (!mayBeSequence(leaf) || typeof size !== "number" || size < 2 || lengths.has(size)) continue;
    lengths.set(size, positiveSymbol(lengths.size === 0 ? "length" : `length_${lengths.size}`));
  }
  return lengths;
}

/** Whether a tensor can be a batch of sequences: vectors at each step, or integers such as tokens. */
function mayBeSequence({ shape, dtype }: Spec): boolean {
  return shape.length >= 3 || (shape.length === 2 && dtype === "int32");
}

/** Inputs whose batch and lengths are open; undefined if they have no lengths. */
export function openTime(model: Layer, state: Tree<Tensor>, x: Tree<Spec>): Tree<Spec> | undefined {
  const lengths = lengthsOf(x);
  return lengths.size === 0 ? undefined : withLengths(withBatch(x, batchSize(model, state)), lengths);
}

function withLengths<T>(tree: T, lengths: ReadonlyMap<number, Dim>): T {
  return mapLike(tree, (leaf: Spec): Spec => {
    const has = mayBeSequence(leaf) || (leaf.shape.length === 2 && leaf.dtype === "bool"); // as masks are
    const open = has ? lengths.get(Number(leaf.shape[1])) : undefined;
    return open === undefined ? leaf : { ...leaf, shape: leaf.shape.with(1, open) };
  });
}

/** Data with open sizes. */
export function openData(model: Layer, state: Tree<Tensor>, data: Data): OpenData {
  const batch = openBatch(model, state, data);
  const lengths = lengthsOf(batch.x);
  if (lengths.size === 0) return { batch };
  const { x, ...rest } = batch;
  return {
    batch,
    time: {
      x: withLengths(x, lengths),
      data: (output) => {
        const { leaves } = flattenTree<Spec>(output);
        const open = new Set(lengths.values());
        const isPlain = ({ shape }: Spec) =>
          shape.every((dim, axis) => axis === 0 || typeof dim === "number" || (axis === 1 && open.has(dim)));
        if (!leaves.every(isPlain)) return undefined;
        const inOutput = new Set(leaves.map(({ shape }) => shape[1]));
        const kept = [...lengths].filter(([, open]) => inOutput.has(open));
        const follow = new Map<number, Dim>(kept);
        const openRest = mapLike(rest, (leaf: Spec): Spec => {
          const open = leaf.shape.length > 1 ? follow.get(Number(leaf.shape[1])) : undefined;
          return open === undefined ? leaf : { ...leaf, shape: leaf.shape.with(1, open) };
        });
        return { x: withLengths(x, lengths), ...openRest };
      },
    },
  };
}
