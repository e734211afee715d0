/**
 * A trainer: a model with what it is trained by, and its steps compiled. Each step is compiled once for the shapes of
 * one sample, with the batch open, so that a smaller last batch runs as it is; every call of `fit`, `evaluate` and the
 * one-batch forms with the same trainer uses the same executables. Loops over epochs are in `fit.ts`.
 */
import { convertFloats, convertTree, floatDType, inputDTypes, isPlainInput } from "../layers/boundary.ts";
import { layerName } from "../layers/define.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { checkText, wrongKind } from "../describe.ts";
import { checkLayer, checkVariables } from "../layers/checks.ts";
import { checkOptions } from "../nearest.ts";
import { key as randomKey } from "../operations/random.ts";
import { type Dim, symbol } from "../tensor/dims.ts";
import { type DType, item, printSpec, type Spec, specOf, type Tensor } from "../tensor/tensor.ts";
import { checkDevice, compile, type Compiled, type Device, toHost } from "../transforms/compile.ts";
import { outputSpecs } from "../transforms/output_specs.ts";
import { flattenTree, mapTree, printPath, printStructure, type Tree } from "../tree/tree.ts";
import { batchOf, checkData, checkInput, checkSamples } from "./checks.ts";
import { disposeTree } from "./dispose.ts";
import { checkCounted, checkOptimizerState } from "./optimizer_state.ts";
import { checkTargets } from "./labels.ts";
import { NonFiniteLossError } from "./non_finite.ts";
import { type Data, type Logs, type Objective, objectiveFor, type ObjectiveOptions } from "./objective.ts";
import { type Optimizer, type OptimizerLike, type OptimizerState, resolveOptimizer } from "./optimizers.ts";
import {
  type PredictArguments,
  type PredictResult,
  predictStep,
  type TestArguments,
  type TestResult,
  testStep,
  trainableParams,
  type TrainArguments,
  type TrainResult,
  trainStep,
} from "./step.ts";

/** What a trainer trains by; `predict` needs none of it, `evaluate` no optimizer. */
export interface TrainerOptions extends Partial<ObjectiveOptions> {
  /** The optimizer by name or as made by a function such as `adam()`. */
  readonly optimizer?: OptimizerLike;
  /** The device by name; default `auto`. */
  readonly device?: Device;
}

/** The names of {@linkcode TrainerOptions}. */
export const trainerOptionNames = [
  "loss",
  "lossWeights",
  "metrics",
  "weightedMetrics",
  "optimizer",
  "device",
] as const;

/** Where training stands between two batches. */
export interface TrainingState {
  /** Weights and state, on the host or the device. */
  readonly variables: Variables;
  /** Absent before the first step. How many steps were made is in it, and dropout draws by that. */
  readonly optimizerState?: OptimizerState;
}

/** What one training step gives. */
export interface TrainedBatch extends Required<TrainingState> {
  /** How many steps were made, this one included: that of the optimizer's state. */
  readonly step: number;
  /** Loss and metrics of this batch, before its update. */
  readonly logs: Logs;
}

/** The steps compiled for data of one kind. */
export interface Session {
  /** The loss and the metrics. */
  readonly objective: Objective;
  /** The update; its first four arguments are donated and its results stay on the device. */
  readonly train: () => Promise<Compiled<TrainArguments, TrainResult>>;
  /** The same that donates only the running means, for who may have to go back. */
  readonly trial: () => Promise<Compiled<TrainArguments, TrainResult>>;
  /** The evaluation; its results stay on the device, and only the running means are donated. */
  readonly test: () => Promise<Compiled<TestArguments, TestResult>>;
  /**
   * Throws unless an optimizer's state is one for the weights that are trained here.
   *
   * @throws TypeError naming the place in `optimizerState`, and the remedy.
   */
  readonly checkOptimizerState: (state: OptimizerState) => void;
}

/** A model ready to be trained. Disposing it frees the compiled steps. */
export interface Trainer extends Disposable {
  /** What is trained. */
  readonly model: Layer;
  /**
   * The steps for these variables and data, compiled at most once; inputs and labels are checked.
   *
   * @throws TypeError or RangeError where shapes, targets or options do not fit.
   */
  session(what: string, variables: Variables, data: Data): Session;
  /** The compiled prediction for these variables and inputs. */
  predictor(variables: Variables, x: Tree<Tensor>): Promise<Compiled<PredictArguments, PredictResult>>;
  /**
   * Data in the dtypes that the model takes: float64 becomes the dtype of the parameters, and whole numbers become
   * floats where the model takes none. Nothing is copied where all fits.
   *
   * @throws RangeError naming the path and the first value that is lost; TypeError where the model takes no such input.
   */
  convert<Given extends Data>(what: string, variables: Variables, data: Given): Given;
  /** The same for inputs alone. */
  convertInput(what: string, variables: Variables, x: Tree<Tensor>): Tree<Tensor>;
  /** The variables on the device, copied there once; for many calls with the same ones. */
  upload(variables: Variables): Promise<Variables>;
  /** The optimizer's state before the first step. */
  initOptimizer(variables: Variables): OptimizerState;
  /**
   * One update by one batch. The result stays on the device; a state given on the device is used up by the call,
   * unless it throws. Handing on `optimizerState` is what makes the next step another one: also for dropout, which
   * draws by the number of steps in it.
   *
   * @param state Variables and the optimizer's state, as an earlier call or `fit` gave them; the rest of what they
   *   gave may be there too.
   * @param key A random key for dropout; the same for all steps. Default `key(0)`.
   * @throws TypeError if `optimizerState` is of another model or optimizer, or of other trained weights.
   * @throws NonFiniteLossError when the loss is NaN or infinite; the state that was given stays as it was.
   */
  trainOnBatch(state: TrainingState, batch: Data, options?: { readonly key?: Tensor }): Promise<TrainedBatch>;
  /** Loss and metrics of one batch, in inference. */
  testOnBatch(variables: Variables, batch: Data): Promise<Logs>;
  /** The outputs for one batch, in inference, on the host. */
  predictOnBatch(variables: Variables, x: Tree<Tensor>): Promise<Tree<Tensor>>;
}

/**
 * A trainer for `model`.
 *
 * @throws RangeError for an unknown option, device or name of an optimizer, with the nearest known one.
 *
 * @example
 * ```ts
 * import { assert, assertEquals } from "@std/assert";
 * import { createTrainer, key, sgd, spec, tensor, dense } from "@cellfold/cellfold";
 * const model = dense({ units: 1 });
 * const params = model.initParams(key(0), spec([null, 2]));
 * using trainer = createTrainer(model, { loss: "mse", optimizer: sgd({ learningRate: 0.1 }) });
 * let state = await trainer.trainOnBatch({ variables: { params, state: [] } }, {
 *   x: tensor([[1, 2], [3, 4]]),
 *   y: tensor([[1], [2]]),
 * });
 * state = await trainer.trainOnBatch(state, { x: tensor([[5, 6]]), y: tensor([[3]]) });
 * assertEquals(state.step, 2);
 * assert(state.logs.loss >= 0);
 * ```
 */
export function createTrainer(model: Layer, options: TrainerOptions = {}): Trainer {
  checkLayer("make a trainer", model);
  checkOptions("createTrainer", options, trainerOptionNames);
  const { device } = options;
  checkDevice(device);
  const optimizer = options.optimizer === undefined ? undefined : resolveOptimizer(options.optimizer);
  const sessions = new Map<string, CheckedSession>();
  const predictors = new Map<string, Promise<Compiled<PredictArguments, PredictResult>>>();
  const compiled: Promise<Disposable>[] = [];
  const once = <Value extends Disposable>(make: () => Promise<Value>): () => Promise<Value> => {
    let value: Promise<Value> | undefined;
    return () => {
      if (!value) compiled.push(value = make());
      return value;
    };
  };

  const identity = once(() => compile((variables: Variables) => variables, { device, keep: true }));

  const newSession = (variables: Variables, data: Data): CheckedSession => {
    const open = openBatch(model, variables.state);
    const [params, state, batch] = [
      mapTree(variables.params, specOf),
      mapTree(variables.state, specOf),
      open(data),
    ];
    const output = outputOf(model, params, state, batch.x);
    if (options.loss === undefined) throw new TypeError("Cannot train or evaluate: no loss is given");
    const objective = objectiveFor({ ...options, loss: options.loss }, output, batch.y);
    const metrics = mapTree(objective.initState(), specOf);
    const test = testStep(model, objective);
    outputSpecs(test, params, state, metrics, batch); // losses and metrics name the shapes that do not fit
    let optimizerSpecs: Tree<Spec> | undefined;
    const optimizerState = (): Tree<Spec> =>
      optimizerSpecs ??= stateSpecs(requireOptimizer(optimizer), trainableParams<Spec>(model, params));
    const compileTraining = (donate: readonly number[]) => {
      const key = { shape: [2], dtype: "int32" };
      return compile(trainStep(model, objective, requireOptimizer(optimizer)), {
        device,
        donate,
        keep: true,
        specs: [params, state, optimizerState(), metrics, key, batch],
      });
    };
    return {
      objective,
      outputs: flattenTree<Spec>(output).leaves,
      train: once(() => compileTraining([0, 1, 2, 3])),
      trial: once(() => compileTraining([3])),
      test: once(() =>
        compile(test, { device, donate: [2], keep: true, specs: [params, state, metrics, batch] })
      ),
      checkOptimizerState: (given) =>
        checkOptimizerState(requireOptimizer(optimizer), optimizerState(), given),
    };
  };

  const dtypes = new Map<string, readonly DType[]>();

  const trainer: Trainer = {
    model,
    convert(what, variables, data) {
      checkText("convert data", what, "the first argument", WHAT);
      checkVariables(what, variables);
      checkData(what, data);
      const { x, y, sampleWeight } = data;
      const float = floatDType(variables);
      return {
        ...data,
        x: trainer.convertInput(what, variables, x),
        y: convertFloats("y", y, float),
        ...(sampleWeight === undefined
          ? {}
          : { sampleWeight: convertFloats("sampleWeight", sampleWeight, float) }),
      };
    },
    convertInput(what, variables, x) {
      checkText("convert an input", what, "the first argument", WHAT);
      checkVariables(what, variables);
      checkSamples(what, x);
      if (isPlainInput(variables, x)) return x;
      const input = openBatch(model, variables.state)(x);
      const key = keyOf([variables.params, variables.state, input]);
      let taken = dtypes.get(key);
      if (!taken) dtypes.set(key, taken = inputDTypes(model, variables, input, "x"));
      return convertTree("x", x, taken);
    },
    session(what, variables, data) {
      checkText("prepare a session", what, "the first argument", WHAT);
      checkVariables(what, variables);
      checkData(what, data);
      const key = keyOf([variables.params, variables.state, openBatch(model, variables.state)(data)]);
      let session = sessions.get(key);
      if (!session) sessions.set(key, session = newSession(variables, data));
      checkInput(model, data.x);
      checkTargets(model, variables, session, data);
      return session;
    },
    predictor(variables, x) {
      checkVariables("predict", variables);
      checkSamples("predict", x);
      const input = openBatch(model, variables.state)(x);
      const key = keyOf([variables.params, variables.state, input]);
      let predictor = predictors.get(key);
      if (!predictor) {
        const specs = [mapTree(variables.params, specOf), mapTree(variables.state, specOf), input];
        predictors.set(
          key,
          predictor = once(() => compile(predictStep(model), { device, keep: [1], specs }))(),
        );
      }
      checkInput(model, x);
      return predictor;
    },
    upload: async (variables) => await (await identity())(variables),
    initOptimizer: (variables) => {
      checkVariables("begin training", variables);
      const used = requireOptimizer(optimizer);
      return checkCounted(used, used.init(trainableParams<Tensor>(model, variables.params)));
    },
    async trainOnBatch(training, given, options = {}) {
      checkOptions("the training state of trainOnBatch", training, [
        "variables",
        "optimizerState",
        "step",
        "logs",
        "history",
        "stopped",
      ]);
      checkOptions("trainOnBatch", options, ["key"]);
      const { variables } = training;
      const { key = randomKey(0) } = options;
      const batch = trainer.convert("train", variables, given);
      const session = trainer.session("train", variables, batch);
      const { optimizerState = trainer.initOptimizer(variables) } = training;
      session.checkOptimizerState(optimizerState);
      const [params, state, nextOptimizerState, metrics, loss] = await (await session.trial())(
        variables.params,
        variables.state,
        optimizerState,
        session.objective.initState(),
        key,
        batch,
      );
      const [read, value, counted] = await toHost([metrics, loss, nextOptimizerState.step] as const);
      const step = item(counted);
      disposeTree([metrics, loss]);
      const before = [variables.params, variables.state, optimizerState];
      const after = [params, state, nextOptimizerState];
      if (!Number.isFinite(item(value))) {
        disposeTree(after, before);
        throw new NonFiniteLossError(`the loss is ${item(value)} at step ${step}`, {
          place: { epoch: 0, step: step - 1 },
          variables: await toHost(variables),
        });
      }
      disposeTree(before, after);
      const logs = session.objective.results(read);
      return { variables: { params, state }, optimizerState: nextOptimizerState, step, logs };
    },
    async testOnBatch(variables, given) {
      const batch = trainer.convert("evaluate", variables, given);
      const session = trainer.session("evaluate", variables, batch);
      const test = await session.test();
      const [state, metrics] = await test(
        variables.params,
        variables.state,
        session.objective.initState(),
        batch,
      );
      const logs = session.objective.results(await toHost(metrics));
      disposeTree([state, metrics]);
      return logs;
    },
    async predictOnBatch(variables, given) {
      const x = trainer.convertInput("predict", variables, given);
      const predict = await trainer.predictor(variables, x);
      const [output, state] = await predict(variables.params, variables.state, x);
      disposeTree(state);
      return output;
    },
    [Symbol.dispose]() {
      // What failed to compile was reported to whoever asked for it.
      for (const step of compiled) step.then((made) => made[Symbol.dispose](), () => {});
      compiled.length = 0;
      sessions.clear();
      predictors.clear();
    },
  };
  return trainer;
}

/** What `use` makes of a trainer that lives as long. Without `using`, which Node 22 and older browsers cannot read. */
export async function withTrainer<Result>(
  model: Layer,
  options: TrainerOptions,
  use: (trainer: Trainer) => Promise<Result>,
): Promise<Result> {
  const trainer = createTrainer(model, options);
  try {
    return await use(trainer);
  } finally {
    trainer[Symbol.dispose]();
  }
}

interface CheckedSession extends Session {
  readonly outputs: readonly Spec[];
}

/** How the purpose is given for which data is prepared. */
const WHAT = 'a verb for errors, such as "fit"';

/** Throws a TypeError unless a value is what `createTrainer` gives. */
export function checkTrainer(what: string, trainer: unknown): asserts trainer is Trainer {
  const given = trainer as Partial<Trainer> | null | undefined; // any of it may be missing
  if (typeof given?.session === "function" && typeof given.predictor === "function") return;
  throw wrongKind(what, trainer, "the trainer", "what createTrainer(model, ...) gives");
}

function requireOptimizer(optimizer: Optimizer | undefined): Optimizer {
  if (optimizer) return optimizer;
  throw new TypeError("Cannot train: no optimizer is given");
}

function stateSpecs(optimizer: Optimizer, trainable: Tree<Spec>): Tree<Spec> {
  return checkCounted(optimizer, outputSpecs<Tree<Spec>>(optimizer.init, trainable));
}

/** The specs of batches like this one: the first axis is open, but with a stateful model, whose batch is fixed. */
function openBatch(model: Layer, state: Tree<Tensor>): <T>(batch: T) => T {
  const batch: Dim = batchOf(model, state) ?? symbol("batch");
  return (tree) =>
    mapTree(tree, ({ shape, dtype }: Spec): Spec => ({ shape: [batch, ...shape.slice(1)], dtype }));
}

function outputOf(model: Layer, params: Tree<Spec>, state: Tree<Spec>, x: Tree<Spec>): Tree<Spec> {
  const output = outputSpecs<Tree<Spec>>(
    (params: Tree<Tensor>, state: Tree<Tensor>, x: Tree<Tensor>) =>
      model.apply({ params, state }, x, { training: false }).output,
    params,
    state,
    x,
  );
  const { leaves, paths } = flattenTree<Spec>(output);
  leaves.forEach((leaf, index) => {
    if (leaf.shape.length > 0) return;
    throw new TypeError(
      `Cannot train ${layerName(model)}: its output ${printPath(paths[index])} is ${printSpec(leaf)}, ` +
        `expected the batch as its first axis`,
    );
  });
  return output;
}

function keyOf(tree: unknown): string {
  const { leaves, structure } = flattenTree<Spec>(tree);
  return printStructure(structure) + leaves.map(printSpec).join();
}
