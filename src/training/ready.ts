/**
 * Batches that are ready to be used: checked, converted, weighted, and with the steps that are compiled for
 * them. They are cut from data in memory, or come from an iterable.
 */
import { batches, type BatchOptions } from "../data/batches.ts";
import type { DataSource } from "../data/items.ts";
import { checkCount } from "../describe.ts";
import type { Variables } from "../layers/layer.ts";
import { printSpec, type Spec, specOf, type Tensor } from "../tensor/tensor.ts";
import { checkSameStructure, flattenTree, mapTree, printPath, type Tree } from "../tree/tree.ts";
import type { BatchPlace } from "./batch_error.ts";
import { batchSizeFor, checkBatchSize, checkSamples } from "./checks.ts";
import { type ClassWeight, weightedByClass } from "./class_weight.ts";
import { checkItemKind, createFeed, type Feed, type ItemKind } from "./feed.ts";
import type { Data } from "./objective.ts";
import type { PerOutput } from "./per_output.ts";
import type { PredictRunner, Session } from "./steps.ts";
import type { Predictor, Trainer } from "./trainer.ts";

/** Data, or a batch of it, and the steps for it. */
export interface Ready {
  readonly data: Data;
  readonly session: Session;
  readonly samples: number;
}

/** An input, or a batch of it, and the step for it. */
export interface ReadyInput {
  readonly x: Tree<Tensor>;
  readonly predictor: PredictRunner;
  readonly samples: number;
}

/** Data that is checked and converted, with its steps. */
export function readyData(
  trainer: Trainer,
  what: string,
  variables: Variables,
  given: Data,
  classWeight?: PerOutput<ClassWeight>,
): Ready {
  let data = trainer.convert(what, variables, given);
  let session = trainer.session(what, variables, data);
  if (classWeight !== undefined) {
    data = trainer.convert(what, variables, weightedByClass(data, classWeight, session));
    session = trainer.session(what, variables, data);
  }
  return { data, session, samples: checkSamples(what, data.x) };
}

/** The batches of data in memory; see `batches`. */
export function* readyBatches(
  { data, session, samples }: Ready,
  options: Pick<BatchOptions, "batchSize" | "order" | "first">,
): Generator<Ready> {
  const { batchSize, first = 0 } = options;
  let left = samples - first * batchSize;
  for (const batch of batches(data, { ...options, reuse: true })) {
    yield { data: batch, session, samples: Math.min(batchSize, left) };
    left -= batchSize;
  }
}

/** The batches of inputs in memory. */
export function* readyInputs(
  { x, predictor, samples }: ReadyInput,
  batchSize: number,
): Generator<ReadyInput> {
  let left = samples;
  for (const batch of batches(x, { batchSize })) {
    yield { x: batch, predictor, samples: Math.min(batchSize, left) };
    left -= batchSize;
  }
}

/** How an iterable is read. */
export interface ReadingOptions {
  readonly use: BatchPlace["use"];
  readonly items: ItemKind | undefined;
  readonly batchSize: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly steps?: number;
  readonly classWeight?: PerOutput<ClassWeight>;
}

/** The batches of data that an iterable gives. */
export function dataFeed(
  trainer: Trainer,
  what: string,
  variables: Variables,
  source: DataSource<Data>,
  options: ReadingOptions,
): Feed<Ready> {
  const checkKind = kindCheck("the batch");
  const prepare = (batch: Data): Ready => {
    const ready = readyData(trainer, what, variables, batch, options.classWeight);
    checkKind(ready.data);
    checkBatchSize(trainer.model, variables.state, ready.samples);
    return ready;
  };
  return createFeed(source, { ...options, batchSize: gathered(trainer, what, variables, options), prepare });
}

/** The batches of inputs that an iterable gives. */
export function inputFeed(
  trainer: Predictor,
  variables: Variables,
  source: DataSource<Tree<Tensor>>,
  options: ReadingOptions,
): Feed<ReadyInput> {
  const checkKind = kindCheck("the input");
  const prepare = (batch: Tree<Tensor>): ReadyInput => {
    const x = trainer.convertInput("predict", variables, batch);
    checkKind(x);
    const samples = checkSamples("predict", x);
    checkBatchSize(trainer.model, variables.state, samples);
    return { x, predictor: trainer.predictor(variables, x), samples };
  };
  return createFeed(source, {
    ...options,
    batchSize: gathered(trainer, "predict", variables, options),
    prepare,
  });
}

/** How many samples make a batch; undefined if the items are batches already. */
function gathered(
  trainer: Predictor,
  what: string,
  variables: Variables,
  { items, batchSize }: ReadingOptions,
): number | undefined {
  checkItemKind(items);
  return items === "samples" ? batchSizeFor(what, trainer.model, variables, batchSize) : undefined;
}

/**
 * Checks of options that act only for some data.
 *
 * @param inParts Whether some of the data comes from iterables, and whether some is in memory.
 * @throws RangeError for an option that would have no effect.
 */
export function checkReading(
  what: string,
  { items, batchSize }: { readonly items?: ItemKind; readonly batchSize?: number },
  { inParts, inMemory }: { readonly inParts: boolean; readonly inMemory: boolean },
): void {
  checkItemKind(items);
  if (batchSize !== undefined) checkCount(what, batchSize, "batchSize");
  if (items !== undefined && !inParts) {
    throw new RangeError(
      `Cannot ${what}: items says what an iterable gives, but the data is in memory; leave it out`,
    );
  }
  if (batchSize !== undefined && !inMemory && items !== "samples") {
    throw new RangeError(
      `Cannot ${what}: batchSize is ${batchSize}, but the iterable gives batches of its own sizes; leave it out, or ` +
        `give single samples and items: "samples"`,
    );
  }
}

/** Checks that batches are of one kind: the structure, dtypes and ranks of the first one. */
function kindCheck(name: string): (batch: unknown) => void {
  let first: unknown;
  return (batch) => {
    if (first === undefined) {
      first = mapTree(batch, (leaf: Tensor) => specOf(leaf));
      return;
    }
    checkSameStructure(first, batch, { first: "the first batch", second: "this one" });
    const { leaves, paths } = flattenTree<Spec>(first);
    flattenTree<Spec>(batch).leaves.forEach((leaf, index) => {
      const { shape, dtype } = leaves[index];
      if (leaf.dtype === dtype && leaf.shape.length === shape.length) return;
      throw new TypeError(
        `Cannot use ${printPath(paths[index], name)}: it is ${
          printSpec(leaf)
        }, expected the dtype and the number of ` +
          `axes of the first batch, ${printSpec(leaves[index])}`,
      );
    });
  };
}
