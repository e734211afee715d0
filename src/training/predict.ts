/** `evaluate` and `predict`: whole data sets in inference, batch by batch, from memory or from an iterable. */
import { checkVariables } from "../layers/checks.ts";
import type { DataSource } from "../data/items.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { checkOptions } from "../option_names.ts";
import type { HostTensor, Tensor } from "../tensor/tensor.ts";
import type { Device } from "../transforms/devices.ts";
import { toHost } from "../tree/to_host.ts";
import type { MappedTree, Tree } from "../tree/tree.ts";
import {
  batchSizeFor,
  checkData,
  checkFixedBatch,
  checkSamples,
  checkSignal,
  weightsElsewhere,
} from "./checks.ts";
import { disposeTree } from "./dispose.ts";
import { withLive } from "./live_variables.ts";
import { type Feed, isSource, type ItemKind } from "./feed.ts";
import type { Data, Logs, Objective, ObjectiveOptions, ObjectiveState } from "./objective.ts";
import {
  checkReading,
  dataFeed,
  inputFeed,
  type Ready,
  readyBatches,
  readyData,
  type ReadyInput,
  readyInputs,
} from "./ready.ts";
import { Rows } from "./rows.ts";
import { withShared } from "./shared.ts";
import { checkTrainer, createPredictor, createTrainer, type Predictor, type Trainer } from "./trainer.ts";

/** How to iterate over data. */
export interface BatchingOptions {
  /** Samples in a batch; default: the batch of a stateful model's state, else 32. */
  readonly batchSize?: number;
  /**
   * What an iterable gives: `batches` of any sizes (default), whose tensors are `[batch, ...]`; or single
   * `samples`, whose tensors have no batch axis, to be gathered into batches of `batchSize`.
   */
  readonly items?: ItemKind;
  /**
   * Aborting it ends the work after the present batch, or at once while an iterable is waited for; a running
   * batch cannot be interrupted.
   */
  readonly signal?: AbortSignal;
}

/** The names of {@linkcode BatchingOptions}. */
export const batchingOptionNames = ["batchSize", "items", "signal"] as const;

/** Options of {@linkcode evaluate}. */
export interface EvaluateOptions extends ObjectiveOptions, BatchingOptions {
  /** The device by name; default `auto`. */
  readonly device?: Device;
}

/** Options of {@linkcode predict}. */
export interface PredictOptions extends BatchingOptions {
  /** The device by name; default `auto`. */
  readonly device?: Device;
}

/**
 * Loss and metrics of a data set, in inference. They are those of all samples as if they were one batch: the
 * sum over the values that count is divided once, so that `batchSize` changes nothing. The loss has the penalties
 * of the model's regularizers, as in Keras.
 *
 * A stateful model continues from `variables.state`, batch by batch; the final state is not kept. To start
 * with fresh carries, give the state that `resetStates` makes.
 *
 * @param data Inputs and targets `[samples, ...]`, and sample weights; or an iterable or async iterable of
 *   batches of them, as for `fit`, or a function that gives one.
 * @returns `loss`, the loss of each output if there are several (`<name>_loss`), and the metrics by name.
 * @throws RangeError for empty data, labels outside the classes or too long for their sequence, unknown options; TypeError for shapes that
 * do not fit.
 * @throws BatchError if an iterable throws, gives nothing, or a batch that is unlike the first one.
 * @throws The reason of `options.signal`, once that is aborted.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, evaluate, ones, tensor } from "@cellfold/cellfold";
 * const variables = { params: { kernel: ones([2, 1]), bias: tensor([0]) }, state: [] };
 * const data = { x: tensor([[1, 2], [3, 4]]), y: tensor([[3], [8]]) };
 * const { loss, mae } = await evaluate(dense({ units: 1 }), variables, data, { loss: "mse", metrics: ["mae"] });
 * assertEquals(loss, 0.5);
 * assertEquals(mae, 0.5);
 * ```
 */
export async function evaluate(
  model: Layer,
  variables: Variables,
  data: Data | DataSource<Data>,
  options: EvaluateOptions,
): Promise<Logs> {
  checkOptions("evaluate", options, [
    "loss",
    "lossWeights",
    "metrics",
    "weightedMetrics",
    "device",
    ...batchingOptionNames,
  ], weightsElsewhere);
  const { batchSize, items, signal, ...trainerOptions } = options;
  checkSignal("evaluate", signal);
  signal?.throwIfAborted();
  return await withShared(createTrainer, model, trainerOptions, async (trainer) => {
    checkVariables("evaluate", variables);
    const samples = isSource<Data>(data) ? Infinity : checkData("evaluate", data);
    return await withUploaded(
      trainer,
      variables,
      samples <= batchSizeFor("evaluate", model, variables, batchSize),
      (live) => evaluateWith(trainer, live, data, { batchSize, items, signal }),
    );
  });
}

/** {@linkcode evaluate} with the executables of a trainer; variables may be on its device, and stay valid. */
export async function evaluateWith(
  trainer: Trainer,
  variables: Variables,
  data: Data | DataSource<Data>,
  options: BatchingOptions = {},
): Promise<Logs> {
  checkTrainer("evaluate", trainer);
  checkOptions("evaluate", options, batchingOptionNames);
  const { items, signal } = options;
  checkSignal("evaluate", signal);
  signal?.throwIfAborted();
  checkVariables("evaluate", variables);
  const inParts = isSource<Data>(data);
  checkReading("evaluate", options, { inParts, inMemory: !inParts });
  if (inParts) {
    const reading = { use: "evaluation", items, batchSize: options.batchSize, signal } as const;
    const feed = dataFeed(trainer, "evaluate", variables, data, reading);
    return await evaluateFeed(feed, () => variables, signal);
  }
  const batchSize = batchSizeFor("evaluate", trainer.model, variables, options.batchSize);
  const ready = readyData(trainer, "evaluate", variables, data);
  checkFixedBatch(trainer.model, variables.state, ready.samples, batchSize);
  return await evaluateBatches(readyBatches(ready, { batchSize }), () => variables, signal);
}

/** Evaluates the batches of an iterable, the first of which is not wrapped in an error if it does not fit. */
async function evaluateFeed(
  feed: Feed<Ready>,
  initial: (x: Tree<Tensor>) => Variables,
  signal: AbortSignal | undefined,
): Promise<Logs> {
  try {
    await feed.peek(0);
    signal?.throwIfAborted();
    return await evaluateBatches(feed.epoch(0), initial, signal);
  } finally {
    await feed.close();
  }
}

/**
 * Loss and metrics of batches that have been checked.
 *
 * @param initial The variables for an evaluation whose first batch has this input.
 * @throws The signal's reason once it is aborted.
 */
export async function evaluateBatches(
  batches: Iterable<Ready> | AsyncIterable<Ready>,
  initial: (x: Tree<Tensor>) => Variables,
  signal: AbortSignal | undefined,
): Promise<Logs> {
  let variables: Variables | undefined;
  let objective: Objective | undefined;
  let [state, metrics]: [Tree<Tensor>, ObjectiveState] = [[], {}];
  try {
    for await (const { data, session } of batches) {
      signal?.throwIfAborted();
      if (!variables || !objective) {
        variables = initial(data.x);
        objective = session.objective;
        [state, metrics] = [variables.state, objective.initState()];
      }
      const before = state;
      [state, metrics] = await session.test()(variables.params, state, metrics, data);
      disposeTree(before, [variables.state, state]); // what a call passes on is that of the call before
    }
    signal?.throwIfAborted();
    const read = await toHost(metrics);
    return objective?.results(read) ?? {}; // there is at least one batch
  } finally {
    disposeTree([state, metrics], variables?.state);
  }
}

/**
 * The outputs of a model for a data set, in inference.
 *
 * A stateful model continues from `variables.state`, batch by batch, so that row i of each batch continues
 * row i of the previous batch; the final state is not kept. To start with fresh carries, give the state that
 * `resetStates` makes.
 *
 * Variables that are given again in the next call are kept on the device, and told by their data: to change them,
 * make new tensors instead of writing to the data of these.
 *
 * @typeParam Output The model's output, as its type says. A model whose type does not say it, such as one that
 *   was read from a file, gives any tree: say what it is where it is read, as in `model as Layer<Tensor>`.
 * @param x Inputs `[samples, ...]`; values of another dtype than the model accepts are converted as in `fit`.
 *   Or an iterable or async iterable of batches of them, or a function that gives one; but not an array, which
 *   is a tree of inputs.
 * @returns The output on the host, the rows of all batches together: `[samples, ...]` for every tensor in it.
 * @throws RangeError for empty data or tokens outside the vocabulary; TypeError for shapes that do not fit.
 * @throws BatchError if an iterable throws, gives nothing, or a batch that is unlike the first one; TypeError
 *   if the outputs of its batches differ in more than the number of rows, so that they cannot be joined.
 * @throws The reason of `options.signal`, once that is aborted.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, ones, predict, tensor, toNested } from "@cellfold/cellfold";
 * const variables = { params: { kernel: ones([2, 1]), bias: tensor([0]) }, state: [] };
 * const output = await predict(dense({ units: 1 }), variables, tensor([[1, 2], [3, 4]]));
 * assertEquals(toNested(output), [[3], [7]]);
 * ```
 */
export async function predict<Output>(
  model: Layer<Output>,
  variables: Variables,
  x: Tree<Tensor> | DataSource<Tree<Tensor>>,
  options: PredictOptions = {},
): Promise<MappedTree<Output, HostTensor>> {
  checkOptions("predict", options, ["device", ...batchingOptionNames]);
  const { batchSize, items, signal, device } = options;
  checkSignal("predict", signal);
  signal?.throwIfAborted();
  return await withShared(createPredictor, model, { device }, async (trainer) => {
    checkVariables("predict", variables);
    const samples = isInputSource(x) ? Infinity : asOneInput(x, () => checkSamples("predict", x));
    return await withUploaded(
      trainer,
      variables,
      samples <= batchSizeFor("predict", model, variables, batchSize),
      (live) => predictOn(trainer, live, x, { batchSize, items, signal, live: { device } }),
    );
  });
}

/** {@linkcode predict} with the executables of a trainer; variables may be on its device, and stay valid. */
export async function predictWith<Output>(
  trainer: Trainer<Output>,
  variables: Variables,
  x: Tree<Tensor> | DataSource<Tree<Tensor>>,
  options: BatchingOptions = {},
): Promise<MappedTree<Output, HostTensor>> {
  checkOptions("predict", options, batchingOptionNames);
  checkTrainer("predict", trainer);
  return await predictOn<Output>(trainer, variables, x, options);
}

/** @param options With `live`, the device for variables that a later call is given again: see live_variables.ts. */
async function predictOn<Output>(
  trainer: Predictor,
  variables: Variables,
  x: Tree<Tensor> | DataSource<Tree<Tensor>>,
  options: BatchingOptions & { readonly live?: { readonly device: Device | undefined } },
): Promise<MappedTree<Output, HostTensor>> {
  const { items, signal, live } = options;
  checkSignal("predict", signal);
  signal?.throwIfAborted();
  checkVariables("predict", variables);
  const inParts = isInputSource(x);
  checkReading("predict", options, { inParts, inMemory: !inParts });
  if (!inParts) {
    const batchSize = batchSizeFor("predict", trainer.model, variables, options.batchSize);
    const ready = asOneInput(x, (): ReadyInput => {
      const samples = checkSamples("predict", x);
      checkFixedBatch(trainer.model, variables.state, samples, batchSize);
      const converted = trainer.convertInput("predict", variables, x);
      return { x: converted, predictor: trainer.predictor(variables, converted), samples };
    });
    const { predictor, samples } = ready;
    const use = (live: Variables) =>
      predictBatches<Output>(readyInputs(ready, batchSize), live, samples, signal);
    return live && samples <= batchSize
      ? await withLive(trainer, { predictor, ...live }, variables, use)
      : await use(variables);
  }
  const reading = { use: "prediction", items, batchSize: options.batchSize, signal } as const;
  const feed = inputFeed(trainer, variables, x, reading);
  try {
    await feed.peek(0);
    signal?.throwIfAborted();
    return await predictBatches<Output>(feed.epoch(0), variables, undefined, signal);
  } finally {
    await feed.close();
  }
}

/** Whether inputs come in parts. An array is a tree of inputs. */
function isInputSource(x: Tree<Tensor> | DataSource<Tree<Tensor>>): x is Exclude<typeof x, Tree<Tensor>> {
  return !Array.isArray(x) && isSource(x);
}

/** The result of `use`; if it refuses an array, the error says what that is. */
function asOneInput<Result>(x: Tree<Tensor>, use: () => Result): Result {
  try {
    return use();
  } catch (error) {
    if (!Array.isArray(x) || !(error instanceof TypeError)) throw error;
    throw new TypeError(
      `${error.message}; an array is one input of ${x.length} parts, for batches give x.values()`,
      { cause: error },
    );
  }
}

/**
 * The outputs for batches that have been checked, joined.
 *
 * @param samples The number of rows, if it is known.
 */
async function predictBatches<Output>(
  batches: Iterable<ReadyInput> | AsyncIterable<ReadyInput>,
  variables: Variables,
  samples: number | undefined,
  signal: AbortSignal | undefined,
): Promise<MappedTree<Output, HostTensor>> {
  let state = variables.state;
  let rows: Rows | undefined;
  try {
    for await (const batch of batches) {
      signal?.throwIfAborted();
      const before = state;
      let output: Tree<Tensor>;
      [output, state] = await batch.predictor(variables.params, state, batch.x);
      disposeTree(before, [variables.state, state]); // what a call passes on is that of the call before
      rows ??= new Rows(output, samples ?? batch.samples);
      rows.add(output, batch.samples);
    }
    signal?.throwIfAborted();
  } finally {
    disposeTree(state, variables.state);
  }
  return rows?.tree() as MappedTree<Output, HostTensor>; // of the model's output: there is at least one batch
}

/**
 * The result of `use` on the variables, which are copied to the device first if there are several batches, and
 * freed afterwards.
 */
async function withUploaded<Result>(
  trainer: Pick<Predictor, "upload">,
  variables: Variables,
  isOneBatch: boolean,
  use: (live: Variables) => Promise<Result>,
): Promise<Result> {
  if (isOneBatch) return await use(variables);
  const live = await trainer.upload(variables);
  try {
    return await use(live);
  } finally {
    disposeTree(live);
  }
}
