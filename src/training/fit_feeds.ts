/** Where `fit` gets its batches from: for training and for validation, from memory or from iterables. */
import { shuffledOrder } from "../data/batches.ts";
import type { DataSource } from "../data/items.ts";
import { checkCount } from "../describe.ts";
import type { Variables } from "../layers/layer.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  batchSizeFor,
  checkData,
  checkFixedBatch,
  splitValidation,
  statefulBatch,
  type Validation,
} from "./checks.ts";
import type { ClassWeight } from "./class_weight.ts";
import { isSource } from "./feed.ts";
import type { Data } from "./objective.ts";
import type { PerOutput } from "./per_output.ts";
import type { BatchingOptions } from "./predict.ts";
import { checkReading, dataFeed, type Ready, readyBatches, readyData } from "./ready.ts";
import type { RunParts } from "./run_identity.ts";
import type { Trainer } from "./trainer.ts";

/** The batches of all epochs. */
export interface Feeds {
  /** How many batches an epoch has, if that is known. */
  readonly steps: number | undefined;
  /** The first batch, or all data, before any of it is used; undefined if the signal was aborted before. */
  first(): Promise<Ready | undefined>;
  /** What must not change for a run to be resumed. */
  readonly reading: Pick<RunParts, "samples" | "batchSize" | "stepsPerEpoch" | "shuffle">;
  /**
   * The batches of an epoch from the batch `first` on; `key` is drawn with for their order. They end early once
   * the signal is aborted.
   */
  training(
    epoch: number,
    from: { readonly key: Tensor; readonly first: number },
  ): Iterable<Ready> | AsyncIterable<Ready>;
  /** The batches of the validation after an epoch; absent if there is none. */
  readonly validation?: (epoch: number) => Iterable<Ready> | AsyncIterable<Ready>;
  /** Closes the iterables that are still open. */
  close(): Promise<void>;
}

/** What `fit` trains with and validates with, and in which parts. */
export interface FeedsOptions extends BatchingOptions {
  /**
   * The number of the first epoch; default 0. It only numbers epochs: to continue an earlier run, give
   * `optimizerState`.
   */
  readonly initialEpoch?: number;
  /**
   * How many batches of an iterable make an epoch; default: all that it gives. With it, an iterable is read on
   * from epoch to epoch, so that it may be endless; a function is called for each epoch all the same.
   */
  readonly stepsPerEpoch?: number;
  /**
   * How much the targets of each class count: weights by class index, such as `{ 0: 1, 1: 5 }`, for every
   * output or in a tree like the outputs; a class that is left out counts 1. As in Keras, they multiply the
   * sample weights of the training data. The targets are class numbers, 0 and 1, or one-hot.
   */
  readonly classWeight?: PerOutput<ClassWeight>;
  /**
   * Whether each epoch has a different order, drawn with the key; default true, but false for a stateful
   * model. The order of an iterable is its own.
   */
  readonly shuffle?: boolean;
  /**
   * Data to validate with after each epoch, an iterable of batches or a function that gives one; or
   * `{ split: 0.2 }`: the last fifth of data in memory, before any shuffling.
   */
  readonly validation?: Validation;
}

/** The batches of data in memory. */
export function feedsOfData(
  trainer: Trainer,
  variables: Variables,
  data: Data,
  options: FeedsOptions,
): Feeds {
  const { shuffle = statefulBatch(variables.state) === undefined, classWeight, stepsPerEpoch } = options;
  if (stepsPerEpoch !== undefined) {
    throw new RangeError(
      `Cannot fit: stepsPerEpoch is ${stepsPerEpoch}, but the data is in memory, and an epoch goes over all of it; ` +
        `leave it out, or give an iterable`,
    );
  }
  const { validation } = options;
  checkReading("fit", options, { inParts: isSource(validation), inMemory: true });
  const batchSize = batchSizeFor("fit", trainer.model, variables, options.batchSize);
  const samples = checkData("fit", data);
  const [given, held] = isSource<Data>(validation)
    ? [data, validation]
    : splitValidation(data, samples, validation);
  const ready = readyData(trainer, "fit", variables, given, classWeight);
  checkFixedBatch(trainer.model, variables.state, ready.samples, batchSize);
  return {
    steps: Math.ceil(ready.samples / batchSize),
    reading: { samples: ready.samples, batchSize, shuffle },
    first: () => Promise.resolve(ready),
    training: (_, { key, first }) =>
      readyBatches(ready, {
        batchSize,
        order: shuffle ? shuffledOrder(key, ready.samples) : undefined,
        first,
      }),
    ...validationFeed(trainer, variables, held, options),
  };
}

/** The batches that an iterable gives. */
export function feedsOfSource(
  trainer: Trainer,
  variables: Variables,
  source: DataSource<Data>,
  options: FeedsOptions,
): Feeds {
  const { items, batchSize, stepsPerEpoch: steps, classWeight, shuffle, validation, signal } = options;
  if (steps !== undefined) checkCount("fit", steps, "stepsPerEpoch");
  if (shuffle === true) {
    throw new RangeError(
      "Cannot fit: shuffle is true, but the data comes from an iterable, which decides on its order; shuffle there",
    );
  }
  if (validation !== undefined && "split" in validation) {
    throw new RangeError(
      "Cannot fit: validation is a split, but the data comes from an iterable; give validation other data",
    );
  }
  const inMemory = validation !== undefined && !isSource(validation);
  checkReading("fit", options, { inParts: true, inMemory });
  const reading = { use: "training", items, batchSize, signal, steps, classWeight } as const;
  const feed = dataFeed(trainer, "fit", variables, source, reading);
  const validated = validationFeed(trainer, variables, validation, options);
  return {
    steps: feed.steps,
    first: () => feed.peek(options.initialEpoch ?? 0),
    reading: { batchSize: feed.batchSize, stepsPerEpoch: steps },
    training: (epoch, { first }) => feed.epoch(epoch, first),
    ...validated,
    async close() {
      await feed.close();
      await validated.close();
    },
  };
}

function validationFeed(
  trainer: Trainer,
  variables: Variables,
  data: Data | DataSource<Data> | undefined,
  options: FeedsOptions,
): Pick<Feeds, "validation" | "close"> {
  const { items, signal } = options;
  if (data === undefined) return { close: () => Promise.resolve() };
  if (isSource<Data>(data)) {
    const batchSize = items === "samples" ? options.batchSize : undefined;
    const feed = dataFeed(trainer, "validate", variables, data, {
      use: "validation",
      items,
      batchSize,
      signal,
    });
    return { validation: (epoch) => feed.epoch(epoch), close: () => feed.close() };
  }
  const batchSize = batchSizeFor("validate", trainer.model, variables, options.batchSize);
  const ready = readyData(trainer, "validate", variables, data);
  checkFixedBatch(trainer.model, variables.state, ready.samples, batchSize);
  return { validation: () => readyBatches(ready, { batchSize }), close: () => Promise.resolve() };
}
