/**
 * Trees of host tensors that share their first axis, the samples: counted, split, shuffled and cut into
 * batches. Nothing here knows about devices; a batch is again host tensors.
 */
import { checkCount, wrongKind } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { checkKey } from "../tensor/keys.ts";
import {
  allocateValues,
  host,
  type HostTensor,
  hostTensor,
  isTensor,
  printSpec,
  type Tensor,
  type Values,
} from "../tensor/tensor.ts";
import { copyRows, rowSize, rowsTensor } from "../tensor/rows.ts";
import { threefry2x32 } from "../tensor/threefry.ts";
import { flattenTree, mapLike, printPath, unflattenTree } from "../tree/tree.ts";

/** Options of {@linkcode batches}. */
export interface BatchOptions {
  /** The number of samples in a batch. */
  readonly batchSize: number;
  /**
   * Which samples to take and in which order, as from {@linkcode shuffledOrder}; default: all, as they are
   * stored.
   */
  readonly order?: Int32Array;
  /** The number of the first batch, from 0, to go on where an earlier iterator ended; default 0. */
  readonly first?: number;
  /** Whether to drop a last batch that is smaller than the others; default false. */
  readonly dropRemainder?: boolean;
  /**
   * Whether the tensors of a batch may be gone when the next one arrives: their values are copied from the data
   * when they are first read, to the memory of the previous batch, so the data must not change in between.
   * Default false.
   */
  readonly reuse?: boolean;
}

/**
 * The number of samples in a tree: the size of axis 0, which all its tensors share.
 *
 * @param tree A tree of host tensors of rank 1 or more.
 * @param name What the tree is called in errors; default `data`.
 * @throws TypeError naming the paths if sizes differ, a tensor is a scalar or not on the host, or the tree is
 * empty.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { zeros } from "@cellfold/cellfold";
 * import { sampleCount } from "@cellfold/cellfold/internal";
 * assertEquals(sampleCount({ x: zeros([3, 28]), y: zeros([3]) }), 3);
 * ```
 */
export function sampleCount(tree: unknown, name = "data"): number {
  const { leaves, paths } = flattenTree<Tensor>(tree, name);
  if (leaves.length === 0) throw new TypeError(`Cannot count the samples of ${name}: it holds no tensor`);
  const sizes = leaves.map((leaf, index) => {
    if (isTensor(leaf) && leaf.shape.length > 0) return host(leaf).shape[0];
    throw new TypeError(
      `Cannot count the samples of ${printPath(paths[index], name)}: it is ${printSpec(leaf)}, ` +
        `expected a tensor whose first axis is the samples`,
    );
  });
  const other = sizes.findIndex((size) => size !== sizes[0]);
  if (other >= 0) {
    throw new TypeError(
      `Cannot count the samples of ${name}: ${printPath(paths[0], name)} has ${sizes[0]}, ` +
        `${printPath(paths[other], name)} has ${sizes[other]}`,
    );
  }
  return sizes[0];
}

/**
 * Cuts a tree of samples into batches.
 *
 * @param data A tree of host tensors `[samples, ...]`.
 * @param options The batch size, the order, and whether the remainder is dropped.
 * @returns An iterator of trees of the same structure, with tensors `[batchSize, ...]`; the last batch is
 *   smaller if the samples do not divide evenly. Without `order` the batches are views of `data`, else
 *   copies (see `reuse`).
 * @throws RangeError if there are no samples, or an option or an entry of `order` is out of range.
 * @throws TypeError if the tensors differ in the number of samples.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { batches, tensor } from "@cellfold/cellfold";
 * const sizes = [...batches({ x: tensor([1, 2, 3, 4, 5]) }, { batchSize: 2 })].map(({ x }) => x.shape[0]);
 * assertEquals(sizes.join(), "2,2,1");
 * ```
 */
export function batches<T>(data: T, options: BatchOptions): IterableIterator<T> {
  checkOptions("batches", options, ["batchSize", "order", "first", "dropRemainder", "reuse"]);
  const { batchSize, order, first = 0, dropRemainder = false, reuse = false } = options;
  checkCount("batch data", batchSize, "batchSize");
  checkCount("batch data", first, "first", 0);
  const samples = sampleCount(data);
  if (samples === 0) throw new RangeError("Cannot batch data: it has 0 samples");
  if (order !== undefined) {
    if (!(order instanceof Int32Array)) {
      throw wrongKind("batch data", order, "order", "an Int32Array of the places of samples");
    }
    checkIndices(order, samples);
  }
  const count = order?.length ?? samples;
  const end = dropRemainder ? count - count % batchSize : count;
  const begin = Math.min(first * batchSize, end);
  return order === undefined
    ? slices(data, batchSize, begin, end)
    : copies(data, batchSize, order.subarray(begin, end), reuse);
}

function* slices<T>(data: T, batchSize: number, begin: number, end: number): Generator<T> {
  for (let from = begin; from < end; from += batchSize) {
    yield sliceRows(data, from, Math.min(from + batchSize, end));
  }
}

function* copies<T>(data: T, batchSize: number, order: Int32Array, reuse: boolean): Generator<T> {
  const { leaves, structure } = flattenTree<HostTensor>(data);
  const memory = leaves.map(reusedMemory);
  for (let from = 0; from < order.length; from += batchSize) {
    const indices = order.subarray(from, from + batchSize);
    const taken = leaves.map((source, index) =>
      reuse
        ? rowsTensor({ source, indices }, () => memory[index](indices.length))
        : copiedRows(source, indices)
    );
    yield unflattenTree<T>(structure, taken);
  }
}

/** Memory for rows of a tensor, the same for the same number. */
function reusedMemory({ shape, dtype }: HostTensor): (rows: number) => Values {
  let latest: Values | undefined;
  return (rows) => {
    const size = rows * rowSize(shape);
    return latest = latest?.length === size ? latest : allocateValues(dtype, size);
  };
}

/**
 * The given samples of a tree, copied in the given order; an index may repeat. With {@linkcode shuffledOrder} it
 * shuffles samples and their targets alike.
 *
 * @param tree A tree of host tensors `[samples, ...]`.
 * @param indices Which samples, each from 0.
 * @returns A tree of the same structure with tensors `[indices.length, ...]`.
 * @throws RangeError if an index is out of range.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { key, shuffledOrder, takeRows, tensor, toNested } from "@cellfold/cellfold";
 * const data = { x: tensor([[10], [20], [30]]), y: tensor([1, 2, 3]) };
 * const { x, y } = takeRows(data, [2, 0]);
 * assertEquals([toNested(x), toNested(y)], [[[30], [10]], [3, 1]]);
 * const shuffled = takeRows(data, shuffledOrder(key(0), 3));
 * assertEquals(shuffled.x.shape, [3, 1]);
 * ```
 */
export function takeRows<T>(tree: T, indices: ArrayLike<number>): T {
  checkIndices(indices, sampleCount(tree));
  return mapLike(tree, (leaf: HostTensor) => copiedRows(leaf, indices));
}

/**
 * Splits a tree in two, as for training and validation. Shuffle with {@linkcode takeRows} first if the
 * samples are sorted, by class or by date.
 *
 * @param tree A tree of host tensors `[samples, ...]`.
 * @param count The number of samples in the first part.
 * @returns The first `count` samples and the rest, as views of `tree`.
 * @throws RangeError if `count` is not between 0 and the number of samples.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { splitRows, zeros } from "@cellfold/cellfold";
 * const [train, validation] = splitRows(zeros([10, 28]), 8);
 * assertEquals(train.shape[0], 8);
 * assertEquals(validation.shape[0], 2);
 * ```
 */
export function splitRows<T>(tree: T, count: number): [T, T] {
  const samples = sampleCount(tree);
  checkCount(`split ${samples} samples`, count, "count", 0, samples);
  return [sliceRows(tree, 0, count), sliceRows(tree, count, samples)];
}

/**
 * A random order of `count` samples: the Fisher-Yates shuffle (Durstenfeld, "Algorithm 235", 1964), driven by
 * a random key, so that the same key gives the same order everywhere.
 *
 * @param key A random key, `int32[2]`.
 * @param count The number of samples.
 * @returns The numbers from 0 to `count - 1`, each once.
 * @throws TypeError if `key` is not a random key.
 * @throws RangeError if `count` is not a integer from 0 to 2³¹ − 1.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { key, shuffledOrder } from "@cellfold/cellfold";
 * const order = shuffledOrder(key(0), 5);
 * assertEquals(order.toSorted().join(), "0,1,2,3,4");
 * ```
 */
export function shuffledOrder(key: Tensor, count: number): Int32Array {
  checkCount("shuffle samples", count, "their number", 0, 0x7fffffff);
  const below = randomIntegers(key);
  const order = Int32Array.from({ length: count }, (_, index) => index);
  for (let last = count - 1; last > 0; last--) {
    const other = below(last + 1);
    const kept = order[last];
    order[last] = order[other];
    order[other] = kept;
  }
  return order;
}

/**
 * Draws integers from 0 to below a bound, all equally likely: words that would favor some of them are drawn
 * again.
 */
function randomIntegers(key: Tensor): (bound: number) => number {
  checkKey("shuffle samples", key);
  const [key0, key1] = host(key).data;
  let counter = 0;
  let spare: number | undefined;
  const word = (): number => {
    if (spare !== undefined) {
      const second = spare;
      spare = undefined;
      return second;
    }
    const [first, second] = threefry2x32(key0, key1, counter++, 0);
    spare = second >>> 0;
    return first >>> 0;
  };
  return (bound) => {
    const usable = 2 ** 32 - 2 ** 32 % bound;
    let drawn = word();
    while (drawn >= usable) drawn = word();
    return drawn % bound;
  };
}

function checkIndices(indices: ArrayLike<number>, samples: number): void {
  if (!Array.isArray(indices) && !(ArrayBuffer.isView(indices) && "length" in indices)) {
    throw wrongKind("take samples", indices, "the list of indices", "an array of numbers");
  }
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i];
    if (Number.isInteger(index) && index >= 0 && index < samples) continue;
    checkCount("take samples", index, `index ${i}`, 0, samples - 1);
  }
}

function sliceRows<T>(tree: T, from: number, to: number): T {
  return mapLike(tree, ({ data, shape }: HostTensor) => {
    const row = rowSize(shape);
    return hostTensor(data.subarray(from * row, to * row), [to - from, ...shape.slice(1)]);
  });
}

/** Copies rows of a tensor to a new one. */
function copiedRows(source: HostTensor, indices: ArrayLike<number>): HostTensor {
  const { shape, dtype } = source;
  const data = allocateValues(dtype, indices.length * rowSize(shape));
  copyRows({ source, indices }, data);
  return hostTensor(data, [indices.length, ...shape.slice(1)]);
}
