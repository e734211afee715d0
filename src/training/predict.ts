/** `evaluate` and `predict`: whole data sets in inference, batch by batch. */
import { checkVariables } from "../layers/checks.ts";
import { batches } from "../data/batches.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { checkOptions } from "../option_names.ts";
import {
  allocateValues,
  type HostTensor,
  hostTensor,
  isTensor,
  printSpec,
  type Tensor,
} from "../tensor/tensor.ts";
import { type Device } from "../transforms/compile.ts";
import { toHost } from "../tree/to_host.ts";
import {
  flattenTree,
  type MappedTree,
  printPath,
  type Structure,
  type Tree,
  unflattenTree,
} from "../tree/tree.ts";
import {
  batchSizeFor,
  checkData,
  checkFixedBatch,
  checkSamples,
  checkSignal,
  weightsElsewhere,
} from "./checks.ts";
import { disposeTree } from "./dispose.ts";
import type { Data, Logs, ObjectiveOptions, ObjectiveState } from "./objective.ts";
import { checkTrainer, type Session, type Trainer, withTrainer } from "./trainer.ts";

/** How to iterate over data. */
export interface BatchingOptions {
  /** Samples in a batch; default: the batch of a stateful model's state, else 32. */
  readonly batchSize?: number;
  /** Aborting it ends the work after the present batch; a running batch cannot be interrupted. */
  readonly signal?: AbortSignal;
}

/** The names of {@linkcode BatchingOptions}. */
export const batchingOptionNames = ["batchSize", "signal"] as const;

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
 * sum over the values that count is divided once, so that `batchSize` changes nothing.
 *
 * A stateful model continues from `variables.state`, batch by batch; the final state is not kept. To start
 * with fresh carries, give the state that `resetStates` makes.
 *
 * @param data Inputs and targets `[samples, ...]`, and sample weights.
 * @returns `loss`, the loss of each output if there are several (`<name>_loss`), and the metrics by name.
 * @throws RangeError for empty data, labels outside the classes, unknown options; TypeError for shapes that
 * do not fit.
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
  data: Data,
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
  const { batchSize, signal, ...trainerOptions } = options;
  checkSignal("evaluate", signal);
  signal?.throwIfAborted();
  return await withTrainer(model, trainerOptions, async (trainer) => {
    checkVariables("evaluate", variables);
    checkData("evaluate", data);
    return await withUploaded(
      trainer,
      variables,
      (live) => evaluateWith(trainer, live, data, { batchSize, signal }),
    );
  });
}

/** {@linkcode evaluate} with the executables of a trainer; variables may be on its device, and stay valid. */
export async function evaluateWith(
  trainer: Trainer,
  variables: Variables,
  data: Data,
  options: BatchingOptions = {},
): Promise<Logs> {
  checkTrainer("evaluate", trainer);
  checkOptions("evaluate", options, batchingOptionNames);
  const { signal } = options;
  checkSignal("evaluate", signal);
  signal?.throwIfAborted();
  checkVariables("evaluate", variables);
  const batchSize = batchSizeFor("evaluate", trainer.model, variables, options.batchSize);
  const converted = trainer.convert("evaluate", variables, data);
  const session = prepareEvaluation(trainer, variables, converted, batchSize);
  return await runSession(session, variables, converted, { batchSize, signal });
}

/** The session for an evaluation, after all checks. */
export function prepareEvaluation(
  trainer: Trainer,
  variables: Variables,
  data: Data,
  batchSize: number,
  what = "evaluate",
): Session {
  const session = trainer.session(what, variables, data);
  checkFixedBatch(trainer.model, variables.state, checkSamples(what, data.x), batchSize);
  return session;
}

/** Evaluates data that has been checked. Throws the signal's reason once it is aborted. */
export async function runSession(
  { objective, test }: Session,
  variables: Variables,
  data: Data,
  { batchSize, signal }: { readonly batchSize: number; readonly signal?: AbortSignal },
): Promise<Logs> {
  const step = await test();
  let state = variables.state;
  let metrics: ObjectiveState = objective.initState();
  try {
    for (const batch of batches(data, { batchSize })) {
      signal?.throwIfAborted();
      const before = state;
      [state, metrics] = await step(variables.params, state, metrics, batch);
      if (before !== variables.state) disposeTree(before, variables.state);
    }
    return objective.results(await toHost(metrics));
  } finally {
    disposeTree([state, metrics], variables.state);
  }
}

/**
 * The outputs of a model for a data set, in inference.
 *
 * A stateful model continues from `variables.state`, batch by batch, so that row i of each batch continues
 * row i of the previous batch; the final state is not kept. To start with fresh carries, give the state that
 * `resetStates` makes.
 *
 * @typeParam Output The model's output, as its type says. A model whose type does not say it, such as one that
 *   was read from a file, gives any tree: say what it is where it is read, as in `model as Layer<Tensor>`.
 * @param x Inputs `[samples, ...]`; values of another dtype than the model accepts are converted as in `fit`.
 * @returns The output on the host, the rows of all batches together: `[samples, ...]` for every tensor in it.
 * @throws RangeError for empty data or tokens outside the vocabulary; TypeError for shapes that do not fit.
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
  x: Tree<Tensor>,
  options: PredictOptions = {},
): Promise<MappedTree<Output, HostTensor>> {
  checkOptions("predict", options, ["device", ...batchingOptionNames]);
  const { batchSize, signal, device } = options;
  checkSignal("predict", signal);
  signal?.throwIfAborted();
  return await withTrainer(model, { device }, async (trainer) => {
    checkVariables("predict", variables);
    checkSamples("predict", x);
    return await withUploaded(
      trainer,
      variables,
      (live) => predictWith(trainer, live, x, { batchSize, signal }),
    );
  });
}

/** {@linkcode predict} with the executables of a trainer; variables may be on its device, and stay valid. */
export async function predictWith<Output>(
  trainer: Trainer<Output>,
  variables: Variables,
  x: Tree<Tensor>,
  options: BatchingOptions = {},
): Promise<MappedTree<Output, HostTensor>> {
  checkTrainer("predict", trainer);
  checkOptions("predict", options, batchingOptionNames);
  const { signal } = options;
  checkSignal("predict", signal);
  signal?.throwIfAborted();
  checkVariables("predict", variables);
  const batchSize = batchSizeFor("predict", trainer.model, variables, options.batchSize);
  const samples = checkSamples("predict", x);
  checkFixedBatch(trainer.model, variables.state, samples, batchSize);
  const converted = trainer.convertInput("predict", variables, x);
  const step = trainer.predictor(variables, converted);
  let state = variables.state;
  let rows: Rows | undefined;
  try {
    for (const batch of batches(converted, { batchSize })) {
      signal?.throwIfAborted();
      const before = state;
      let output: Tree<Tensor>;
      [output, state] = await step(variables.params, state, batch);
      if (before !== variables.state) disposeTree(before, variables.state);
      rows ??= new Rows(output, samples);
      rows.add(output, Math.min(batchSize, samples - rows.filled));
    }
  } finally {
    disposeTree(state, variables.state);
  }
  return rows?.tree() as MappedTree<Output, HostTensor>; // of the model's output: there is at least one batch
}

/** The result of `use` on the variables on the device, which are freed afterwards. */
async function withUploaded<Result>(
  trainer: Pick<Trainer, "upload">,
  variables: Variables,
  use: (live: Variables) => Promise<Result>,
): Promise<Result> {
  const live = await trainer.upload(variables);
  try {
    return await use(live);
  } finally {
    disposeTree(live);
  }
}

/** The outputs of all batches, one after the other. */
class Rows {
  filled = 0;
  readonly #structure: Structure;
  readonly #leaves: HostTensor[];

  /** Room for `samples` rows of outputs like `first`. */
  constructor(first: Tree<Tensor>, samples: number) {
    const { leaves, structure } = flattenTree<HostTensor>(first);
    this.#structure = structure;
    this.#leaves = leaves.map(({ shape, dtype }) => {
      const whole = [samples, ...shape.slice(1)];
      return hostTensor(allocateValues(dtype, whole.reduce((size, dim) => size * dim, 1)), whole);
    });
  }

  add(output: Tree<Tensor>, rows: number): void {
    const { leaves, paths } = flattenTree<HostTensor>(output);
    leaves.forEach((leaf, index) => {
      if (!isTensor(leaf) || leaf.shape[0] !== rows) {
        throw new TypeError(
          `Cannot join the outputs of batches: ${printPath(paths[index], "output")} is ${
            printSpec(leaf)
          } for ` +
            `${rows} samples, expected them as its first axis`,
        );
      }
      const { data, shape } = this.#leaves[index];
      data.set(leaf.data, this.filled * (data.length / shape[0]));
    });
    this.filled += rows;
  }

  tree(): unknown {
    return unflattenTree(this.#structure, this.#leaves);
  }
}
