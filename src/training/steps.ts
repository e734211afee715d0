/**
 * The compiled steps of a trainer: training and evaluation for each kind of data, prediction for each kind of
 * input. Each is compiled once, with the batch size and, where the model allows it, the lengths of sequences open.
 */
import { inputDTypes } from "../layers/boundary.ts";
import { layerName } from "../layers/define.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { type LazyTrace, lazyTrace, outputSpecs } from "../program/functions.ts";
import type { Shape } from "../tensor/dims.ts";
import { type DType, type Spec, specOf, type Tensor } from "../tensor/tensor.ts";
import { type Compiled, compileTrace } from "../transforms/compile.ts";
import type { Device } from "../transforms/devices.ts";
import type { Runner, RunOptions } from "../transforms/runner.ts";
import { haveSpecs, specsOf, type TreeSpecs } from "../tree/specs.ts";
import { flattenTree, mapLike, mapTree, printStructure, type Tree } from "../tree/tree.ts";
import { resultsOf } from "./model_results.ts";
import { type Data, type Objective, objectiveFor, type ObjectiveOptions } from "./objective.ts";
import { openBatch, openData, openTime } from "./open_sizes.ts";
import { lazily, type Lazy, type Recent, recentOnly } from "./kept.ts";
import { checkCounted, checkOptimizerState } from "./optimizer_state.ts";
import { type Optimizer, type OptimizerLike, type OptimizerState } from "./optimizers.ts";
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
  /** The specs of the data, in which sizes may be open. */
  readonly data: Data;
  /** The specs of the model's output, with the same open sizes. */
  readonly output: Tree<Spec>;
  /** The optimizer, if the trainer has one. */
  readonly optimizer: Optimizer | undefined;
  /** The update; its first four arguments are donated and its results stay on the device. */
  readonly train: () => Compiled<TrainArguments, TrainResult>;
  /** The same, but only the running means are donated, for callers that may have to go back. */
  readonly trainKeepingInputs: () => Compiled<TrainArguments, TrainResult>;
  /**
   * The evaluation; only the running means are donated. Its results stay on the device, but state that it leaves as it
   * is, it returns itself.
   */
  readonly test: () => Compiled<TestArguments, TestResult>;
  /**
   * Throws unless an optimizer's state matches the weights that are trained here.
   *
   * @throws TypeError naming the place in `optimizerState`, and the remedy.
   */
  readonly checkOptimizerState: (state: OptimizerState) => void;
}

/** A session that is kept for later data of its kind. */
interface KeptSession extends Session {
  /** Its compiled steps. */
  readonly steps: readonly Pick<Lazy<unknown>, "release" | "dispose">[];
}

/** What predicts. */
export type PredictRunner = Runner<PredictArguments, PredictResult>;

/** Makes what predicts from a traced step. */
export type MakePredictor<Step extends PredictRunner> = (
  traced: LazyTrace,
  options: Partial<RunOptions>,
) => Step;

/** The steps that a trainer has compiled, by the specs of their arguments. */
export interface Steps<Step extends PredictRunner = PredictRunner> {
  readonly model: Layer;
  readonly options: TrainerOptions;
  readonly optimizer: Optimizer | undefined;
  readonly sessions: Recent<KeptSession>;
  readonly makePredictor: MakePredictor<Step>;
  readonly predictors: Recent<Lazy<Step>>;
  /** The outputs for inputs of any length. */
  readonly outputs: Recent<Tree<Spec>>;
  /** What cannot be made for sequences of any length. */
  readonly refused: Set<string>;
  /** The dtypes of the model's inputs. */
  readonly dtypes: Recent<readonly DType[]>;
  /** What the last call got, which the next one mostly wants too. */
  readonly latest: {
    session: Latest<Session> | undefined;
    predictor: Latest<Lazy<Step>> | undefined;
    /** Whether the steps were disposed, after which none is compiled. */
    disposed: boolean;
  };
}

/** What was found for arguments of these specs. */
interface Latest<Found> {
  readonly given: TreeSpecs;
  readonly found: Found;
}

/** No steps yet; without an optimizer, none that train. */
export function createSteps<Step extends PredictRunner>(
  model: Layer,
  options: TrainerOptions,
  makePredictor: MakePredictor<Step>,
  optimizer?: Optimizer,
): Steps<Step> {
  const reason = model.unbatched?.();
  if (reason !== undefined) {
    throw new TypeError(
      `Cannot use ${
        layerName(model)
      } with fit, evaluate or predict, which cut data into batches along the first axis: ${reason}`,
    );
  }
  return {
    model,
    options,
    optimizer,
    makePredictor,
    sessions: recentOnly(({ steps }) => steps.forEach((step) => step.release())),
    predictors: recentOnly((predictor) => predictor.release()),
    outputs: recentOnly(() => {}),
    refused: new Set(),
    dtypes: recentOnly(() => {}),
    latest: { session: undefined, predictor: undefined, disposed: false },
  };
}

/** What was found last, if these arguments have the same specs. */
function findAgain<Found>(latest: Latest<Found> | undefined, args: readonly unknown[]): Found | undefined {
  return latest && haveSpecs(args, latest.given) ? latest.found : undefined;
}

/** The session for variables and data of these specs. */
export function sessionFor(steps: Steps, variables: Variables, data: Data): Session {
  const { latest } = steps;
  const args = [variables.params, variables.state, data];
  const again = findAgain(latest.session, args);
  if (again) return again;
  checkUsable(steps);
  const session = newSessionFor(steps, variables, data);
  latest.session = { given: specsOf(args), found: session };
  return session;
}

function newSessionFor(steps: Steps, variables: Variables, data: Data): Session {
  const { params, state } = variables;
  const { batch, time } = openData(steps.model, state, data);
  const variablesKey = keyOf([params, state]);
  const sessionOf = (data: Data, withTraining: boolean): Session => {
    const key = variablesKey + keyOf(data);
    return steps.sessions.get(key, () => createSession(steps, key, variables, data, withTraining));
  };
  const forBatch = () =>
    forAnyBatch(
      steps,
      variablesKey + keyOf(batch),
      () => sessionOf(batch, false),
      () => sessionOf(data, false),
    );
  if (!time) return forBatch();
  const specs = (tree: Tree<Tensor>) => mapTree(tree, specOf);
  const output = forAnyLength(
    steps,
    variablesKey + keyOf(time.x),
    (key) => steps.outputs.get(key, () => resultsOf(steps.model, specs(params), specs(state), time.x).output),
  );
  const open = output && time.data(output);
  const session = open && forAnyLength(steps, variablesKey + keyOf(open), () => sessionOf(open, true));
  return session ?? forBatch();
}

/**
 * What is made for sequences of any length; undefined if that is not possible, which is tried once: a layer of
 * the user's may need the length as a number, and a wrong shape is better told with numbers.
 */
function forAnyLength<Value>(
  { refused }: Pick<Steps, "refused">,
  key: string,
  make: (key: string) => Value,
): Value | undefined {
  if (refused.has(key)) return undefined;
  try {
    return make(key);
  } catch {
    refused.add(key);
    return undefined;
  }
}

/**
 * What is made for batches of any size; for this size if the model may need it as a number, and does. If it cannot be
 * made for this size either, the error is that with an open batch.
 */
function forAnyBatch<Value>(
  { model, refused }: Pick<Steps, "model" | "refused">,
  key: string,
  open: () => Value,
  fixed: () => Value,
): Value {
  if (refused.has(key)) return fixed();
  try {
    return open();
  } catch (error) {
    if (!model.batchAsNumber) throw error;
    let made: Value;
    try {
      made = fixed();
    } catch {
      throw error;
    }
    refused.add(key);
    return made;
  }
}

/** The prediction for variables and inputs of these specs. */
export function predictorFor<Step extends PredictRunner>(
  steps: Steps<Step>,
  variables: Variables,
  x: Tree<Tensor>,
): Step {
  const { latest } = steps;
  const args = [variables.params, variables.state, x];
  const again = findAgain(latest.predictor, args);
  if (again) return again.get();
  checkUsable(steps);
  const predictor = newPredictorFor(steps, variables, x);
  latest.predictor = { given: specsOf(args), found: predictor };
  return predictor.get();
}

function newPredictorFor<Step extends PredictRunner>(
  steps: Steps<Step>,
  variables: Variables,
  x: Tree<Tensor>,
): Lazy<Step> {
  const { model, options: { device }, predictors, makePredictor } = steps;
  const variablesKey = keyOf([variables.params, variables.state]);
  const predictorOf = (input: Tree<Spec>): Lazy<Step> => {
    const make = () => {
      const specs = [mapTree(variables.params, specOf), mapTree(variables.state, specOf), input] as const;
      const traced = lazyTrace(predictStep(model), specs);
      traced.get(); // throws before anything is kept
      return lazily<PredictArguments, PredictResult, Step>(() =>
        makePredictor(traced, { device, keep: [1], fixed: 1, passes: true })
      );
    };
    return predictors.get(variablesKey + keyOf(input), make);
  };
  const open = openTime(model, variables.state, x);
  const batch = openBatch(model, variables.state, x);
  const keyFor = (input: Tree<Spec>) => `predictor ${variablesKey}${keyOf(input)}`;
  return (open && forAnyLength(steps, keyFor(open), () => predictorOf(open))) ??
    forAnyBatch(steps, keyFor(batch), () => predictorOf(batch), () => predictorOf(mapTree(x, specOf)));
}

/** The dtypes in which the model accepts inputs of these specs. */
export function inputDTypesFor(
  steps: Steps,
  variables: Variables,
  x: Tree<Tensor>,
): readonly DType[] {
  const { model, dtypes } = steps;
  const variablesKey = keyOf([variables.params, variables.state]);
  const keyFor = (input: Tree<Spec>) => `dtypes ${variablesKey}${keyOf(input)}`;
  const dtypesOf = (input: Tree<Spec>) =>
    dtypes.get(keyFor(input), () => inputDTypes(model, variables, input, "x"));
  const open = openTime(model, variables.state, x);
  const batch = openBatch(model, variables.state, x);
  return (open && forAnyLength(steps, keyFor(open), () => dtypesOf(open))) ??
    forAnyBatch(steps, keyFor(batch), () => dtypesOf(batch), () => dtypesOf(mapTree(x, specOf)));
}

/** Throws if the steps were disposed. */
function checkUsable({ latest }: Steps): void {
  if (latest.disposed) {
    throw new Error("Cannot use a trainer: it was disposed; make another with createTrainer");
  }
}

/** Frees everything that was compiled; nothing is compiled later. */
export function disposeSteps({ sessions, predictors, latest }: Steps): void {
  latest.session = latest.predictor = undefined;
  latest.disposed = true;
  for (const { steps } of sessions.values()) for (const step of steps) step.dispose();
  for (const predictor of predictors.values()) predictor.dispose();
  sessions.clear();
  predictors.clear();
}

function createSession(
  { model, options, optimizer, sessions }: Steps,
  key: string,
  variables: Variables,
  batch: Data,
  withTraining: boolean,
): KeptSession {
  const [params, state] = [mapTree(variables.params, specOf), mapTree(variables.state, specOf)];
  const { output, penalized } = resultsOf(model, params, state, batch.x);
  if (options.loss === undefined) throw new TypeError("Cannot train or evaluate: no loss is given");
  const objective = objectiveFor({ ...options, loss: options.loss, penalized }, output, batch.y);
  const metrics = mapTree(objective.initState(), specOf);
  const tested = lazyTrace(testStep(model, objective), [params, state, metrics, batch]);
  let optimizerSpecs: Tree<Spec> | undefined;
  const optimizerState = (): Tree<Spec> =>
    optimizerSpecs ??= stateSpecs(requireOptimizer(optimizer), trainableParams<Spec>(model, params));
  const { device } = options;
  let trained: LazyTrace | undefined;
  const trainTrace = (): LazyTrace =>
    trained ??= lazyTrace(
      trainStep(model, objective, requireOptimizer(optimizer)),
      [params, state, optimizerState(), metrics, { shape: [2], dtype: "int32" }, batch],
    );
  // Losses and metrics name the shapes that do not fit. One trace is enough: that of the output has shown what
  // inference needs.
  (withTraining && optimizer ? trainTrace() : tested).get();
  const compileTraining = (donate: readonly number[]) =>
    compileTrace<TrainArguments, TrainResult>(trainTrace(), { device, donate, keep: true });
  const train = lazily(() => compileTraining([0, 1, 2, 3]));
  const trainKeepingInputs = lazily(() => compileTraining([3]));
  const test = lazily(() =>
    compileTrace<TestArguments, TestResult>(tested, { device, donate: [2], keep: true, passes: true })
  );
  /** The step of a session that may have been forgotten meanwhile, and is used again. */
  const ofSession = <Step>(step: Lazy<Step>) => () => {
    sessions.touch(key, session);
    return step.get();
  };
  let knownOptimizerState: TreeSpecs | undefined;
  const session: KeptSession = {
    objective,
    data: mapLike(batch, specOf),
    output,
    optimizer,
    train: ofSession(train),
    trainKeepingInputs: ofSession(trainKeepingInputs),
    test: ofSession(test),
    checkOptimizerState(given) {
      const expected = optimizerState();
      if (haveSpecs(given, knownOptimizerState ??= specsOf(expected))) return;
      checkOptimizerState(requireOptimizer(optimizer), expected, given);
    },
    steps: [train, trainKeepingInputs, test],
  };
  return session;
}

/** The optimizer, or the error that there is none. */
export function requireOptimizer(optimizer: Optimizer | undefined): Optimizer {
  if (optimizer) return optimizer;
  throw new TypeError('Cannot train: no optimizer is given; name one, such as optimizer: "adam"');
}

function stateSpecs(optimizer: Optimizer, trainable: Tree<Spec>): Tree<Spec> {
  return checkCounted(optimizer, outputSpecs<Tree<Spec>>(optimizer.init, trainable));
}

function keyOf(tree: unknown): string {
  const { leaves, structure } = flattenTree<Spec>(tree);
  return printStructure(structure) + leaves.map(specText).join();
}

/** Specs as text, by their shapes: the shapes of results are the same objects at every step. */
const texts = new WeakMap<Shape, string>();

function specText(spec: Spec): string {
  let text = texts.get(spec.shape);
  if (text === undefined) texts.set(spec.shape, text = spec.shape.join());
  return `${spec.dtype} ${text}`;
}
