/** `evaluate` and `predict`: whole data sets in inference, batch by batch. */
import { batches } from "../data/batches.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { checkOptions } from "../nearest.ts";
import {
  allocateValues,
  type HostTensor,
  hostTensor,
  isTensor,
  printSpec,
  type Tensor,
} from "../tensor/tensor.ts";
import { type Device, toHost } from "../transforms/compile.ts";
import { flattenTree, printPath, type Structure, type Tree, unflattenTree } from "../tree/tree.ts";
import {
  checkCount,
  checkData,
  checkSamples,
  checkStatefulBatch,
  checkTrainer,
  checkVariables,
} from "./checks.ts";
import { disposeTree } from "./dispose.ts";
import type { Data, Logs, ObjectiveOptions, ObjectiveState } from "./objective.ts";
import { type Session, type Trainer, withTrainer } from "./trainer.ts";

/** How inference goes over data. */
export interface BatchingOptions {
  /** Samples in a batch; default 32. */
  readonly batchSize?: number;
}

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

/** The number of samples in a batch where none is said, as in Keras. */
export const DEFAULT_BATCH_SIZE = 32;

/**
 * Loss and metrics of a data set, in inference. They are those of all samples as if they were one batch: the sum over
 * what counts is divided once, so that `batchSize` changes nothing.
 *
 * A stateful model goes on from `variables.state`, batch by batch; the state in the end is not kept.
 *
 * @param data Inputs and targets `[samples, ...]`, and sample weights.
 * @returns `loss`, the loss of each output where there are several (`<name>_loss`), and the metrics by name.
 * @throws RangeError for empty data, labels outside the classes, unknown options; TypeError for shapes that do not fit.
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
    "batchSize",
    "device",
  ]);
  const { batchSize, ...trainerOptions } = options;
  return await withTrainer(model, trainerOptions, async (trainer) => {
    checkVariables("evaluate", variables);
    checkData("evaluate", data);
    return await withUploaded(trainer, variables, (live) => evaluateWith(trainer, live, data, { batchSize }));
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
  checkOptions("evaluateWith", options, ["batchSize"]);
  const { batchSize = DEFAULT_BATCH_SIZE } = options;
  checkCount("evaluate", "batchSize", batchSize);
  const converted = trainer.convert("evaluate", variables, data);
  const session = prepareEvaluation(trainer, variables, converted, batchSize);
  return await runSession(session, variables, converted, batchSize);
}

/** The session for an evaluation, after all checks. */
export function prepareEvaluation(
  trainer: Trainer,
  variables: Variables,
  data: Data,
  batchSize: number,
  what = "evaluate",
): Session {
  checkCount(what, "batchSize", batchSize);
  const session = trainer.session(what, variables, data);
  checkStatefulBatch(trainer.model, variables.state, checkSamples(what, data.x), batchSize);
  return session;
}

/** Evaluates data that was checked. */
export async function runSession(
  { objective, test }: Session,
  variables: Variables,
  data: Data,
  batchSize: number,
): Promise<Logs> {
  const step = await test();
  let state = variables.state;
  let metrics: ObjectiveState = objective.initState();
  for (const batch of batches(data, { batchSize })) {
    const before = state;
    [state, metrics] = await step(variables.params, state, metrics, batch);
    if (before !== variables.state) disposeTree(before);
  }
  const logs = objective.results(await toHost(metrics));
  disposeTree([state, metrics]);
  return logs;
}

/**
 * The outputs of a model for a data set, in inference.
 *
 * A stateful model goes on from `variables.state`, batch by batch, so that row i of each batch continues row i of the
 * batch before; the state in the end is not kept.
 *
 * @typeParam Output What the model puts out: a tensor by default; name the tree where it is one.
 * @param x Inputs `[samples, ...]`; values of another dtype than the model takes are converted as by `fit`.
 * @returns The output on the host, the rows of all batches together: `[samples, ...]` for every tensor in it.
 * @throws RangeError for empty data or tokens outside the vocabulary; TypeError for shapes that do not fit.
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
export async function predict<Output extends Tree<Tensor> = HostTensor>(
  model: Layer,
  variables: Variables,
  x: Tree<Tensor>,
  options: PredictOptions = {},
): Promise<Output> {
  checkOptions("predict", options, ["batchSize", "device"]);
  const { batchSize, device } = options;
  return await withTrainer(model, { device }, async (trainer) => {
    checkVariables("predict", variables);
    checkSamples("predict", x);
    return await withUploaded(
      trainer,
      variables,
      (live) => predictWith<Output>(trainer, live, x, { batchSize }),
    );
  });
}

/** {@linkcode predict} with the executables of a trainer; variables may be on its device, and stay valid. */
export async function predictWith<Output extends Tree<Tensor> = HostTensor>(
  trainer: Trainer,
  variables: Variables,
  x: Tree<Tensor>,
  options: BatchingOptions = {},
): Promise<Output> {
  checkTrainer("predict", trainer);
  checkVariables("predict", variables);
  checkOptions("predictWith", options, ["batchSize"]);
  const { batchSize = DEFAULT_BATCH_SIZE } = options;
  checkCount("predict", "batchSize", batchSize);
  const samples = checkSamples("predict", x);
  checkStatefulBatch(trainer.model, variables.state, samples, batchSize);
  const converted = trainer.convertInput("predict", variables, x);
  const step = await trainer.predictor(variables, converted);
  let state = variables.state;
  let rows: Rows | undefined;
  for (const batch of batches(converted, { batchSize })) {
    const before = state;
    let output: Tree<Tensor>;
    [output, state] = await step(variables.params, state, batch);
    if (before !== variables.state) disposeTree(before);
    rows ??= new Rows(output, samples);
    rows.add(output, Math.min(batchSize, samples - rows.filled));
  }
  disposeTree(state);
  return rows?.tree() as Output; // there is at least one batch, and the caller names the structure
}

/** What `use` makes of the variables on the device, which live as long. */
async function withUploaded<Result>(
  trainer: Trainer,
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
