/** Sequences of different lengths as batches of similar lengths, so that little of a batch is padding. */
import { checkCount, checkFunction, checkList, isObject, wrongKind } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { unknownName } from "../known_names.ts";
import { foldIn } from "../operations/random.ts";
import { checkKey } from "../tensor/keys.ts";
import { type DType, type HostTensor, type Tensor, tensor } from "../tensor/tensor.ts";
import type { NestedNumbers } from "../tensor/nested.ts";
import { shuffledOrder } from "./batches.ts";
import { type PaddedSequences, type PadOptions, padSequences, type RaggedSequence } from "./padding.ts";
import type { CountedBatches } from "./windows.ts";

/** A sequence and its target. */
export interface SequenceSample {
  /** Numbers, such as tokens, or feature vectors. */
  readonly x: RaggedSequence;
  /** A number, or nested numbers of one shape for all samples; with `targets: "steps"` one for each step. */
  readonly y: NestedNumbers;
}

/** A batch of padded sequences: `values`, `mask`, `lengths`, and the targets. */
export interface PaddedBatch extends PaddedSequences {
  /** The targets `[batch, ...]`; with `targets: "steps"` `[batch, time, ...]`, padded like the values. */
  readonly y: HostTensor;
}

/** Options of {@linkcode bucketByLength}; the padding is that of `padSequences`, with its defaults. */
export interface BucketOptions<Batch> extends Pick<PadOptions, "padding" | "value" | "dtype"> {
  /** Samples in a batch; default 32. The last batch may be smaller. */
  readonly batchSize?: number;
  /** A random key, `int32[2]`, for the order of samples and batches; default: short batches come first. */
  readonly key?: Tensor;
  /**
   * How many batches are sorted by length at a time; default 100. With more of them less is padded, with fewer
   * the batches differ more from epoch to epoch.
   */
  readonly sorted?: number;
  /** Batches are padded to a multiple of so many steps, so that fewer lengths occur; default 1. */
  readonly multipleOf?: number;
  /** Whether a sample has one target (`sample`, default), or one for each step (`steps`). */
  readonly targets?: "sample" | "steps";
  /** The dtype of the targets; default `float32`. Class numbers are `int32`. */
  readonly targetDtype?: DType;
  /** Makes what is given for a batch; default: `({ values, y }) => ({ x: values, y })`. */
  readonly batch?: (padded: PaddedBatch) => Batch;
}

const TARGETS = ["sample", "steps"] as const;

/**
 * Sequences of different lengths as batches for `fit`, `evaluate` or `predict`, each of sequences of similar
 * lengths and padded to the longest. A model finds the mask in its input with `masking()` or
 * `embedding({ maskZero: true })`; for other models put it into the batch with the option `batch`, as in
 * `({ values, mask, y }) => ({ x: values, y, sampleWeight: cast(mask, "float32") })`.
 *
 * @returns An iterable that gives the same batches each time. For another order in each epoch give `fit` a
 *   function: `(epoch) => bucketByLength(samples, { key: foldIn(key(0), epoch) })`.
 * @throws RangeError if there is no sample, or an option is out of range; TypeError if a sample is no `{ x, y }`,
 *   or when its batch is read, if its steps or targets differ in shape.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { bucketByLength, toNested } from "@cellfold/cellfold";
 * const samples = [{ x: [1, 2, 3], y: 0 }, { x: [4], y: 1 }, { x: [5, 6], y: 0 }, { x: [7, 8], y: 1 }];
 * const batches = [...bucketByLength(samples, { batchSize: 2, padding: "post" })];
 * assertEquals(batches.map(({ x }) => toNested(x)), [[[4, 0], [5, 6]], [[7, 8, 0], [1, 2, 3]]]);
 * ```
 */
export function bucketByLength<Batch = { readonly x: HostTensor; readonly y: HostTensor }>(
  samples: readonly SequenceSample[],
  options: BucketOptions<Batch> = {},
): CountedBatches<Batch> {
  checkOptions("bucketByLength", options, [
    "batchSize",
    "key",
    "sorted",
    "multipleOf",
    "targets",
    "targetDtype",
    "padding",
    "value",
    "dtype",
    "batch",
  ]);
  const { batchSize = 32, key, sorted = 100, multipleOf = 1, targets = "sample", targetDtype = "float32" } =
    options;
  const { batch: make = ({ values, y }: PaddedBatch) => ({ x: values, y }) as Batch } = options; // its default type
  const what = "put sequences into batches";
  checkCount(what, batchSize, "batchSize");
  checkCount(what, sorted, "sorted");
  checkCount(what, multipleOf, "multipleOf");
  checkFunction(what, make, "batch");
  if (key !== undefined) checkKey(what, key);
  if (!TARGETS.includes(targets)) throw unknownName("targets", targets, TARGETS);
  checkList(what, samples, "the first argument", "an array of samples { x, y }");
  if (samples.length === 0) throw new RangeError("Cannot put sequences into batches: there are 0 samples");
  samples.forEach((sample, index) => checkSample(sample, index, targets === "steps"));

  const batchOf = (indices: readonly number[]): Batch => {
    const chosen = indices.map((index) => samples[index]);
    const { padding, value, dtype } = options;
    const longest = Math.max(...chosen.map(({ x }) => x.length));
    const length = Math.ceil(longest / multipleOf) * multipleOf;
    const padded = padSequences(chosen.map(({ x }) => x), { padding, value, dtype, length });
    const y = targets === "steps"
      ? padSequences(chosen.map(({ y }) => y as RaggedSequence), { padding, dtype: targetDtype, length })
        .values
      : tensor(chosen.map(({ y }) => y), { dtype: targetDtype });
    return make({ ...padded, y });
  };
  return {
    length: Math.ceil(samples.length / batchSize),
    *[Symbol.iterator]() {
      for (const indices of batchedIndices(samples, { batchSize, sorted, key })) yield batchOf(indices);
    },
  };
}

function checkSample(sample: SequenceSample, index: number, hasSteps: boolean): void {
  const what = "put sequences into batches";
  if (!isObject(sample)) throw wrongKind(what, sample, `sample ${index}`, "{ x, y }");
  const { x, y } = sample;
  const isList = (value: unknown) => Array.isArray(value) || (ArrayBuffer.isView(value) && "length" in value);
  if (!isList(x)) {
    throw wrongKind(what, x, `x of sample ${index}`, "an array of numbers or of feature vectors");
  }
  if (typeof y !== "number" && typeof y !== "boolean" && !isList(y)) {
    throw wrongKind(what, y, `y of sample ${index}`, "a number, or nested numbers");
  }
  if (!hasSteps) return;
  if (!isList(y)) throw wrongKind(what, y, `y of sample ${index}`, "an array with a target for each step");
  const { length } = y as ArrayLike<unknown>;
  if (length === x.length) return;
  throw new TypeError(
    `Cannot ${what}: sample ${index} has ${x.length} steps and ${length} targets, expected one for each step`,
  );
}

/** Which samples are in each batch: sorted by length within every so many batches, then shuffled. */
function batchedIndices(
  samples: readonly SequenceSample[],
  { batchSize, sorted, key }: { readonly batchSize: number; readonly sorted: number; readonly key?: Tensor },
): number[][] {
  const { length } = samples;
  const order = key ? [...shuffledOrder(key, length)] : Array.from({ length }, (_, index) => index);
  // Sorting is stable: samples of equal lengths keep the order that was drawn. Without a key all are sorted.
  const together = key ? sorted * batchSize : length;
  const batches: number[][] = [];
  for (let from = 0; from < length; from += together) {
    const part = order.slice(from, from + together).sort((a, b) => samples[a].x.length - samples[b].x.length);
    for (let at = 0; at < part.length; at += batchSize) batches.push(part.slice(at, at + batchSize));
  }
  if (!key) return batches;
  return [...shuffledOrder(foldIn(key, 0), batches.length)].map((index) => batches[index]);
}
