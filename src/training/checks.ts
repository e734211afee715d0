/**
 * Checks on the host before anything runs: that there are samples and their counts agree, that tokens are
 * within the vocabulary, and that a stateful model's batch fits. Labels are checked in `labels.ts`, shapes by
 * tracing.
 */
import { sampleCount, splitRows } from "../data/batches.ts";
import type { DataSource } from "../data/items.ts";
import { layerName } from "../layers/define.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { isCarryState } from "../layers/stateful.ts";
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import type { Dim } from "../tensor/dims.ts";
import { checkCount, isObject, wrongKind } from "../describe.ts";
import { type HostTensor, isLeaf, isTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, printPath, type Tree } from "../tree/tree.ts";
import type { Data } from "./objective.ts";

/**
 * The number of samples of inputs, targets and weights.
 *
 * @throws TypeError if they disagree; RangeError if there are none, or for an unknown key.
 */
export function checkData(what: string, data: Data): number {
  checkPlain(what, "the data", data, "{ x, y }");
  checkOptions(`the data of ${what}`, data, ["x", "y", "sampleWeight"]);
  if (data.x === undefined || data.y === undefined) {
    throw new TypeError(
      `Cannot ${what}: the data has no ${data.x === undefined ? "x" : "y"}, expected { x, y }`,
    );
  }
  const samples = checkSamples(what, data.x);
  for (const [name, tree] of [["y", data.y], ["sampleWeight", data.sampleWeight]] as const) {
    if (tree === undefined) continue;
    const other = sampleCount(tree, name);
    if (other !== samples) {
      throw new TypeError(`Cannot ${what}: x has ${samples} samples, ${name} has ${other}`);
    }
    const { leaves, paths } = flattenTree<HostTensor>(tree, name);
    const empty = leaves.findIndex(({ data }) => data.length === 0);
    if (empty < 0 || samples === 0) continue;
    throw new RangeError(
      `Cannot ${what}: ${printPath(paths[empty], name)} is ${
        printSpec(leaves[empty])
      }, which holds no value, so ` +
        `nothing counts in the loss; leave samples without steps out`,
    );
  }
  return samples;
}

/** What to use instead of other libraries' options for weighting samples. */
export const weightsElsewhere = {
  classWeight:
    "give each sample the weight of its class in the data, { x, y, sampleWeight: gather(weights, y) }, with " +
    "weights[i] that of class i and y int32 class numbers",
  sampleWeight: "give it with the data, { x, y, sampleWeight }",
} as const;

/** Throws a TypeError for anything but a plain object, with the remedy for common mistakes. */
function checkPlain(what: string, name: string, value: unknown, expected: string): void {
  if (isObject(value) && !isTensor(value) && !("next" in value)) return;
  const isIterator = typeof value === "object" && value !== null && "next" in value;
  const remedy = isIterator
    ? "; an iterator is read if it has [Symbol.iterator] or [Symbol.asyncIterator]"
    : "";
  throw wrongKind(what, value, name, expected + remedy);
}

/** Throws unless `signal` is an abort signal. */
export function checkSignal(what: string, signal: AbortSignal | undefined): void {
  if (signal === undefined || (typeof signal === "object" && signal !== null && "aborted" in signal)) return;
  throw wrongKind(what, signal, "signal", "an AbortSignal, as new AbortController().signal");
}

/** The number of samples of an input. Throws a RangeError if there are none. */
export function checkSamples(what: string, x: Tree<Tensor>): number {
  const samples = sampleCount(x, "x");
  if (samples === 0) throw new RangeError(`Cannot ${what}: the data is empty, x has 0 samples`);
  return samples;
}

/** Checks values that no trace can see: tokens within the vocabulary. */
export function checkInput(model: Layer, x: Tree<Tensor>): void {
  model.checkInput?.(x as Tree<HostTensor>); // sampleCount has checked that every leaf is on the host
}

/**
 * The batch that a stateful model was made for: the first size of its carries; undefined if there are none.
 */
export function statefulBatch(state: Tree<Tensor>): Dim | undefined {
  if (isCarryState(state)) return flattenTree<Spec>(state.carry).leaves[0]?.shape[0];
  if (isLeaf(state)) return undefined;
  for (const part of Array.isArray(state) ? state : Object.values(state)) {
    const batch = part === undefined ? undefined : statefulBatch(part);
    if (batch !== undefined) return batch;
  }
  return undefined;
}

/** The batch that a model was made for, from its state or its declared inputs; undefined: any. */
export function batchOf(model: Pick<Layer, "batch">, state: Tree<Tensor>): Dim | undefined {
  return statefulBatch(state) ?? model.batch;
}

/** The default number of samples in a batch, as in Keras. */
const DEFAULT_BATCH_SIZE = 32;

/**
 * The number of samples in a batch: as given, or that which the model was made for, or 32.
 *
 * @throws RangeError unless it is a positive integer.
 */
export function batchSizeFor(
  what: string,
  model: Pick<Layer, "batch">,
  { state }: Variables,
  given: number | undefined,
): number {
  const fixed = batchOf(model, state);
  const batchSize = given ?? (typeof fixed === "number" ? fixed : DEFAULT_BATCH_SIZE);
  checkCount(what, batchSize, "batchSize");
  return batchSize;
}

/**
 * Throws unless a model with a fixed batch, such as a stateful one, gets full batches of that size.
 *
 * @throws RangeError naming both sizes, or the remainder.
 */
export function checkFixedBatch(
  model: Layer,
  state: Tree<Tensor>,
  samples: number,
  batchSize: number,
): void {
  const batch = batchOf(model, state);
  if (batch === undefined) return;
  const name = layerName(model);
  const stateful = statefulBatch(state) !== undefined;
  if (batch !== batchSize) {
    throw new RangeError(
      `Cannot use the batchSize ${batchSize} with ${name}: ` +
        (stateful
          ? `it is stateful and its state is of a batch of ${batch}; give batchSize ${batch}, or make the state with ` +
            `init for a batch of ${batchSize}`
          : `its inputs are declared with a batch of ${batch}; give batchSize ${batch}`),
    );
  }
  if (samples % batchSize !== 0) {
    throw new RangeError(
      `Cannot cut ${samples} samples into batches of ${batchSize} for ${name}: it ` +
        `${stateful ? "is stateful" : "has a fixed batch"}, so every batch must be whole, and ${
          samples % batchSize
        } samples remain; leave them out: give () => batches(data, { batchSize: ${batchSize}, dropRemainder: true })`,
    );
  }
}

/**
 * The same for one batch of an iterable.
 *
 * @throws RangeError naming both sizes.
 */
export function checkBatchSize(model: Layer, state: Tree<Tensor>, samples: number): void {
  const batch = batchOf(model, state);
  if (batch === undefined || batch === samples) return;
  throw new RangeError(
    `Cannot use a batch of ${samples} samples with ${layerName(model)}: ` +
      (statefulBatch(state) === undefined ? "its inputs are declared" : "it is stateful and its state is") +
      ` for batches of ${batch}`,
  );
}

/**
 * What `fit` validates with: separate data, an iterable of batches, which is read after each epoch, a function
 * that gives one for each epoch, or the last fraction of the training data. The fraction is taken before anything
 * is shuffled, as in Keras: samples that are sorted, by class for example, are shuffled first with
 * {@linkcode takeRows} and {@linkcode shuffledOrder}.
 */
export type Validation = Data | DataSource<Data> | { readonly split: number };

/**
 * Training and validation data, separated.
 *
 * @throws RangeError for a fraction that leaves either empty.
 */
export function splitValidation(
  data: Data,
  samples: number,
  validation: Data | { readonly split: number } | undefined,
): readonly [training: Data, validation: Data | undefined] {
  if (validation === undefined) return [data, undefined];
  checkPlain("validate", "validation", validation, "{ x, y } or { split: 0.2 }");
  if (!("split" in validation)) return [data, validation];
  checkOptions("validation", validation, ["split"]);
  const { split } = validation;
  // The first part is rounded down, as in Keras.
  const count = Math.floor(samples * (1 - split));
  if (!(typeof split === "number" && split > 0 && split < 1) || count === 0 || count === samples) {
    throw new RangeError(
      `Cannot split ${samples} samples: validation.split is ${
        quoted(split)
      }, expected a share between 0 and 1 that leaves ` +
        `samples on both sides`,
    );
  }
  return splitRows(data, count);
}

/** Whether every number in a tree on the host is finite. */
export function allFinite(tree: unknown): boolean {
  return flattenTree<Tensor>(tree).leaves.every((leaf) =>
    !isTensor(leaf) || leaf.kind !== "host" || !leaf.dtype.startsWith("float") ||
    leaf.data.every((value: number) => Number.isFinite(value))
  );
}
