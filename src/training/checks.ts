/**
 * What is checked on the host before anything runs: how many samples there are and whether all agree, tokens within
 * the vocabulary, and how a stateful model's batch fits. Labels are checked in `labels.ts`, shapes by tracing.
 */
import { inWords, requireObject, wrongKind } from "../given.ts";
import { sampleCount, splitRows } from "../data/batches.ts";
import { layerName } from "../layers/define.ts";
import type { Layer } from "../layers/layer.ts";
import { isCarryState } from "../layers/stateful.ts";
import { checkOptions, quoted } from "../nearest.ts";
import type { Dim } from "../tensor/dims.ts";
import { type HostTensor, isLeaf, isTensor, type Spec, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, type Tree } from "../tree/tree.ts";
import type { Data, Objective } from "./objective.ts";

export { checkVariables } from "../layers/checks.ts";

/**
 * The number of samples of inputs, targets and weights.
 *
 * @throws TypeError where they disagree; RangeError where there are none, or an unknown key.
 */
export function checkData(what: string, data: Data): number {
  if (isIterator(data)) {
    throw new TypeError(
      `Cannot ${what}: the data is ${inWords(data)}, which is gone over piece by piece, expected { x, y }; ` +
        `call createTrainer(model, options).trainOnBatch with each batch`,
    );
  }
  requireObject(what, "the data", data, "{ x, y }");
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
  }
  return samples;
}

/** Whether a value is gone over piece by piece, as a generator or a stream is; a list is not. */
function isIterator(value: unknown): boolean {
  return typeof value === "object" && value !== null &&
    (Symbol.asyncIterator in value || "next" in value && typeof value.next === "function");
}

/** Throws a TypeError unless `objective` can be computed. */
export function checkObjective(what: string, objective: unknown): asserts objective is Objective {
  const given = objective as Partial<Objective> | null | undefined; // any of it may be missing
  if (typeof given?.compute === "function" && Array.isArray(given.heads)) return;
  throw wrongKind(what, "the objective", objective, "that of a trainer's session");
}

/** Throws a TypeError unless `trainer` is one. */
export function checkTrainer(what: string, trainer: unknown): void {
  const given = trainer as { readonly convert?: unknown; readonly session?: unknown } | null | undefined; // or anything else
  if (typeof given?.convert === "function" && typeof given.session === "function") return;
  throw wrongKind(what, "the trainer", trainer, "what createTrainer(model, options) gives");
}

/** The number of samples of an input. Throws a RangeError where there are none. */
export function checkSamples(what: string, x: Tree<Tensor>): number {
  const samples = sampleCount(x, "x");
  if (samples === 0) throw new RangeError(`Cannot ${what}: the data is empty, x has 0 samples`);
  return samples;
}

/** Values that no trace can see: tokens within the vocabulary. */
export function checkInput(model: Layer, x: Tree<Tensor>): void {
  model.checkInput?.(x as Tree<HostTensor>); // sampleCount has checked that every leaf is on the host
}

/**
 * The batch that a stateful model was made for: the first size of its carries; undefined where there are none.
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

/**
 * Throws unless a stateful model gets whole batches of the size it was made for.
 *
 * @throws RangeError naming both sizes, or the remainder.
 */
export function checkStatefulBatch(
  model: Layer,
  state: Tree<Tensor>,
  samples: number,
  batchSize: number,
): void {
  const batch = statefulBatch(state);
  if (batch === undefined) return;
  const name = layerName(model);
  if (batch !== batchSize) {
    throw new RangeError(
      `Cannot use the batchSize ${batchSize} with ${name}: it is stateful and its state is of a batch of ${batch}; ` +
        `give batchSize ${batch}, or make the state with init for a batch of ${batchSize}`,
    );
  }
  if (samples % batchSize !== 0) {
    throw new RangeError(
      `Cannot cut ${samples} samples into batches of ${batchSize} for ${name}: it is stateful, so every batch must ` +
        `be whole, and ${samples % batchSize} samples remain; leave them out with splitRows`,
    );
  }
}

/** A whole number from 1. */
export function checkCount(what: string, option: string, value: number, least = 1): void {
  if (Number.isInteger(value) && value >= least) return;
  throw new RangeError(
    `Cannot ${what}: ${option} is ${quoted(value)}, expected a whole number from ${least}`,
  );
}

/** What `fit` validates with: data of its own, or the last share of the training data. */
export type Validation = Data | { readonly split: number };

/**
 * Training and validation data apart.
 *
 * @throws RangeError for a share that leaves either empty.
 */
export function splitValidation(
  data: Data,
  samples: number,
  validation: Validation | undefined,
): readonly [training: Data, validation: Data | undefined] {
  if (validation === undefined) return [data, undefined];
  requireObject("validate", "the option validation", validation, "{ x, y } or { split: 0.2 }");
  if (!("split" in validation)) return [data, validation];
  checkOptions("validation", validation, ["split"]);
  const { split } = validation;
  // The first part is rounded down, as in Keras.
  const count = Math.floor(samples * (1 - split));
  if (!(split > 0 && split < 1) || count === 0 || count === samples) {
    throw new RangeError(
      `Cannot split ${samples} samples: validation.split is ${
        quoted(split)
      }, expected a share between 0 and 1 that leaves ` +
        `samples on both sides`,
    );
  }
  return splitRows(data, count);
}

/** Whether every number of a tree on the host is finite. */
export function allFinite(tree: unknown): boolean {
  return flattenTree<Tensor>(tree).leaves.every((leaf) =>
    !isTensor(leaf) || leaf.kind !== "host" || !leaf.dtype.startsWith("float") ||
    leaf.data.every((value: number) => Number.isFinite(value))
  );
}
