/**
 * The compiled steps of a trainer: training and evaluation for each kind of data, prediction for each kind of
 * input. Each is compiled once, with the batch size open.
 */
import { inputDTypes } from "../layers/boundary.ts";
import { layerName } from "../layers/define.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { outputSpecs } from "../program/functions.ts";
import { type Dim, symbol } from "../tensor/dims.ts";
import { type DType, printSpec, type Spec, specOf, type Tensor } from "../tensor/tensor.ts";
import { compile, type Compiled, type Device } from "../transforms/compile.ts";
import { flattenTree, mapLike, mapTree, printPath, printStructure, type Tree } from "../tree/tree.ts";
import { batchOf } from "./checks.ts";
import { type Data, type Objective, objectiveFor, type ObjectiveOptions } from "./objective.ts";
import { checkCounted, checkOptimizerState } from "./optimizer_state.ts";
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

/** The options of a trainer; `predict` needs none of them, and `evaluate` no optimizer. */
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

/** The steps compiled for data of one kind. */
export interface Session {
  /** The loss and the metrics. */
  readonly objective: Objective;
  /** The optimizer, if the trainer has one. */
  readonly optimizer: Optimizer | undefined;
  /** The update; its first four arguments are donated and its results stay on the device. */
  readonly train: () => Compiled<TrainArguments, TrainResult>;
  /** The same, but only the running means are donated, for callers that may have to go back. */
  readonly trainKeepingInputs: () => Compiled<TrainArguments, TrainResult>;
  /** The evaluation; its results stay on the device, and only the running means are donated. */
  readonly test: () => Compiled<TestArguments, TestResult>;
  /**
   * Throws unless an optimizer's state matches the weights that are trained here.
   *
   * @throws TypeError naming the place in `optimizerState`, and the remedy.
   */
  readonly checkOptimizerState: (state: OptimizerState) => void;
}

/** A session, and the specs of the outputs that its targets are checked against. */
export interface CheckedSession extends Session {
  readonly outputs: readonly Spec[];
}

/** The steps that a trainer has compiled, by the specs of their arguments. */
export interface Steps {
  readonly model: Layer;
  readonly options: TrainerOptions;
  readonly optimizer: Optimizer | undefined;
  readonly sessions: Map<string, CheckedSession>;
  readonly predictors: Map<string, Compiled<PredictArguments, PredictResult>>;
  /** The dtypes of the model's inputs. */
  readonly dtypes: Map<string, readonly DType[]>;
  /** Copies variables to the device. */
  readonly upload: () => Compiled<[variables: Variables], Variables>;
  /** Everything that was compiled, to be freed. */
  readonly compiled: Disposable[];
}

/** No steps yet. */
export function createSteps(model: Layer, options: TrainerOptions): Steps {
  const compiled: Disposable[] = [];
  const { device } = options;
  return {
    model,
    options,
    optimizer: options.optimizer === undefined ? undefined : resolveOptimizer(options.optimizer),
    sessions: new Map(),
    predictors: new Map(),
    dtypes: new Map(),
    upload: once(compiled, () => compile((variables: Variables) => variables, { device, keep: true })),
    compiled,
  };
}

/** The session for variables and data of these specs. */
export function sessionFor(steps: Steps, variables: Variables, data: Data): CheckedSession {
  const batch = openBatch(steps.model, variables.state)(data);
  const key = keyOf([variables.params, variables.state, batch]);
  let session = steps.sessions.get(key);
  if (!session) steps.sessions.set(key, session = createSession(steps, variables, batch));
  return session;
}

/** The prediction for variables and inputs of these specs. */
export function predictorFor(
  { model, options: { device }, predictors, compiled }: Steps,
  variables: Variables,
  x: Tree<Tensor>,
): Compiled<PredictArguments, PredictResult> {
  const input = openBatch(model, variables.state)(x);
  const key = keyOf([variables.params, variables.state, input]);
  let predictor = predictors.get(key);
  if (!predictor) {
    const specs = [mapTree(variables.params, specOf), mapTree(variables.state, specOf), input];
    predictors.set(key, predictor = compile(predictStep(model), { device, keep: [1], specs }));
    compiled.push(predictor);
  }
  return predictor;
}

/** The dtypes in which the model accepts inputs of these specs. */
export function inputDTypesFor(
  { model, dtypes }: Steps,
  variables: Variables,
  x: Tree<Tensor>,
): readonly DType[] {
  const input = openBatch(model, variables.state)(x);
  const key = keyOf([variables.params, variables.state, input]);
  let taken = dtypes.get(key);
  if (!taken) dtypes.set(key, taken = inputDTypes(model, variables, input, "x"));
  return taken;
}

/** Frees everything that was compiled. */
export function disposeSteps({ compiled, sessions, predictors }: Steps): void {
  for (const step of compiled) step[Symbol.dispose]();
  compiled.length = 0;
  sessions.clear();
  predictors.clear();
}

/** Makes something at the first call, and adds it to the list of what will be freed. */
function once<Value extends Disposable>(compiled: Disposable[], make: () => Value): () => Value {
  let value: Value | undefined;
  return () => {
    if (!value) compiled.push(value = make());
    return value;
  };
}

function createSession(
  { model, options, optimizer, compiled }: Steps,
  variables: Variables,
  batch: Data,
): CheckedSession {
  const [params, state] = [mapTree(variables.params, specOf), mapTree(variables.state, specOf)];
  const output = outputOf(model, params, state, batch.x);
  if (options.loss === undefined) throw new TypeError("Cannot train or evaluate: no loss is given");
  const objective = objectiveFor({ ...options, loss: options.loss }, output, batch.y);
  const metrics = mapTree(objective.initState(), specOf);
  const test = testStep(model, objective);
  outputSpecs(test, params, state, metrics, batch); // losses and metrics name the shapes that do not fit
  let optimizerSpecs: Tree<Spec> | undefined;
  const optimizerState = (): Tree<Spec> =>
    optimizerSpecs ??= stateSpecs(requireOptimizer(optimizer), trainableParams<Spec>(model, params));
  const { device } = options;
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
    optimizer,
    outputs: flattenTree<Spec>(output).leaves,
    train: once(compiled, () => compileTraining([0, 1, 2, 3])),
    trainKeepingInputs: once(compiled, () => compileTraining([3])),
    test: once(
      compiled,
      () => compile(test, { device, donate: [2], keep: true, specs: [params, state, metrics, batch] }),
    ),
    checkOptimizerState: (given) => checkOptimizerState(requireOptimizer(optimizer), optimizerState(), given),
  };
}

/** The optimizer, or the error that there is none. */
export function requireOptimizer(optimizer: Optimizer | undefined): Optimizer {
  if (optimizer) return optimizer;
  throw new TypeError("Cannot train: no optimizer is given");
}

function stateSpecs(optimizer: Optimizer, trainable: Tree<Spec>): Tree<Spec> {
  return checkCounted(optimizer, outputSpecs<Tree<Spec>>(optimizer.init, trainable));
}

/**
 * The specs of batches like this one: the first axis is open, except for a stateful model, whose batch is
 * fixed.
 */
function openBatch(model: Layer, state: Tree<Tensor>): <T>(batch: T) => T {
  const batch: Dim = batchOf(model, state) ?? symbol("batch");
  return (tree) =>
    mapLike(tree, ({ shape, dtype }: Spec): Spec => ({ shape: [batch, ...shape.slice(1)], dtype }));
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
