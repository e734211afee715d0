/**
 * A trainer: a model with its training options and compiled steps. Each step is compiled once for the shapes
 * of one sample, with the batch open, so that a smaller last batch needs no other step; every call of `fit`,
 * `evaluate` and the one-batch forms with the same trainer uses the same executables. Loops over epochs are
 * in `training_loop.ts`.
 */
import { convertFloats, convertTree, floatDType, isPlainInput } from "../layers/boundary.ts";
import type { Layer, Variables } from "../layers/layer.ts";
import { checkText, wrongKind } from "../describe.ts";
import { checkLayer, checkVariables } from "../layers/checks.ts";
import { checkOptions } from "../option_names.ts";
import { key as randomKey } from "../operations/random.ts";
import { item, type Tensor } from "../tensor/tensor.ts";
import { uploadTree } from "../transforms/uploads.ts";
import { type Compiled, compileTrace } from "../transforms/compile.ts";
import { checkDevice } from "../transforms/devices.ts";
import { runTrace } from "../transforms/runner.ts";
import { toHost } from "../tree/to_host.ts";
import type { Tree } from "../tree/tree.ts";
import { checkData, checkInput, checkSamples } from "./checks.ts";
import { disposeTree } from "./dispose.ts";
import { checkTargets } from "./labels.ts";
import { forgetLive } from "./live_variables.ts";
import { NonFiniteLossError } from "./non_finite.ts";
import type { Data, Logs } from "./objective.ts";
import { checkCounted } from "./optimizer_state.ts";
import { type OptimizerState, resolveOptimizer } from "./optimizers.ts";
import { type PredictArguments, type PredictResult, trainableParams } from "./step.ts";
import {
  createSteps,
  disposeSteps,
  inputDTypesFor,
  predictorFor,
  type PredictRunner,
  requireOptimizer,
  type Session,
  sessionFor,
  type Steps,
  trainerOptionNames,
  type TrainerOptions,
} from "./steps.ts";

export { type Session, trainerOptionNames, type TrainerOptions } from "./steps.ts";

/** The state of training between two batches. */
export interface TrainingState {
  /** Weights and state, on the host or the device. */
  readonly variables: Variables;
  /** Absent before the first step. It counts the steps made, which dropout draws with. */
  readonly optimizerState?: OptimizerState;
}

/** The result of one training step. */
export interface TrainedBatch extends Required<TrainingState> {
  /** The number of steps made, including this one, from the optimizer's state. */
  readonly step: number;
  /** Loss and metrics of this batch, before its update. */
  readonly logs: Logs;
}

/**
 * A model ready to be trained. Disposing it frees the compiled steps.
 *
 * @typeParam Output The model's output.
 */
export interface Trainer<Output = Tree<Tensor>> extends Disposable {
  /** The model to train. */
  readonly model: Layer<Output>;
  /**
   * The steps for these variables and data, compiled at most once; inputs and labels are checked.
   *
   * @throws TypeError or RangeError if shapes, targets or options do not fit.
   */
  session(what: string, variables: Variables, data: Data): Session;
  /** The compiled prediction for these variables and inputs. State that it leaves as it is, it returns itself. */
  predictor(variables: Variables, x: Tree<Tensor>): Compiled<PredictArguments, PredictResult>;
  /**
   * Data in the dtypes that the model accepts: float64 becomes the dtype of the parameters, and integers
   * become floats if the model does not accept them. Nothing is copied if everything fits.
   *
   * @throws RangeError naming the path and the first value that would be lost; TypeError if the model accepts
   * no such input.
   */
  convert<Given extends Data>(what: string, variables: Variables, data: Given): Given;
  /** The same for inputs alone. */
  convertInput(what: string, variables: Variables, x: Tree<Tensor>): Tree<Tensor>;
  /** The variables on the device, copied there once; for many calls with the same ones. */
  upload(variables: Variables): Promise<Variables>;
  /** The optimizer's state before the first step. */
  initOptimizer(variables: Variables): OptimizerState;
  /**
   * One update by one batch. The result stays on the device; a state given on the device is consumed by the
   * call, unless it throws. Pass on `optimizerState` to advance to the next step, for dropout too, which
   * draws by the number of steps in it.
   *
   * @param state Variables and the optimizer's state, as an earlier call or `fit` returned them; the rest of
   *   that result may be included.
   * @param key A random key for dropout; the same for all steps. Default `key(0)`.
   * @throws TypeError if `optimizerState` is of another model or optimizer, or of other trained weights.
   * @throws NonFiniteLossError when the loss is NaN or infinite; the given state is unchanged.
   */
  trainOnBatch(state: TrainingState, batch: Data, options?: { readonly key?: Tensor }): Promise<TrainedBatch>;
  /** Loss and metrics of one batch, in inference. */
  testOnBatch(variables: Variables, batch: Data): Promise<Logs>;
  /** The outputs for one batch, in inference, on the host. */
  predictOnBatch(variables: Variables, x: Tree<Tensor>): Promise<Output>;
}

/**
 * A trainer for `model`.
 *
 * @throws RangeError for an unknown option, device or optimizer name, with the nearest known one.
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
export function createTrainer<Output>(model: Layer<Output>, options?: TrainerOptions): Trainer<Output>;
export function createTrainer(model: Layer, options: TrainerOptions = {}): Trainer {
  checkLayer("make a trainer", model);
  checkOptions("createTrainer", options, trainerOptionNames);
  checkDevice(options.device);
  const { optimizer } = options;
  const steps = createSteps(
    model,
    options,
    compileTrace<PredictArguments, PredictResult>,
    optimizer === undefined ? undefined : resolveOptimizer(optimizer),
  );
  const trainer: Trainer = {
    ...predictorOf(steps),
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
    session(what, variables, data) {
      checkText("prepare a session", what, "the first argument", WHAT);
      checkVariables(what, variables);
      checkData(what, data);
      const session = sessionFor(steps, variables, data);
      checkInput(model, data.x);
      checkTargets(model, variables, session, data);
      return session;
    },
    initOptimizer(variables) {
      checkVariables("begin training", variables);
      const used = requireOptimizer(steps.optimizer);
      return checkCounted(used, used.init(trainableParams<Tensor>(model, variables.params)));
    },
    trainOnBatch: (training, batch, options) => trainOnBatch(trainer, training, batch, options),
    testOnBatch: (variables, batch) => testOnBatch(trainer, variables, batch),
    predictOnBatch: (variables, x) => predictOnBatch(trainer, variables, x),
  };
  return trainer;
}

/** What predicts: the part of a trainer that needs neither a loss nor an optimizer, nor what brings them along. */
export interface Predictor<Step extends PredictRunner = PredictRunner>
  extends Pick<Trainer, "model" | "convertInput" | "upload" | typeof Symbol.dispose> {
  /** The compiled prediction for these variables and inputs. State that it leaves as it is, it returns itself. */
  predictor(variables: Variables, x: Tree<Tensor>): Step;
}

/**
 * What predicts for `model`.
 *
 * @throws RangeError for an unknown device.
 */
export function createPredictor(model: Layer, options: Pick<TrainerOptions, "device">): Predictor {
  checkDevice(options.device);
  return predictorOf(createSteps(model, options, runTrace<PredictArguments, PredictResult>));
}

function predictorOf<Step extends PredictRunner>(steps: Steps<Step>): Predictor<Step> {
  const { model, options: { device } } = steps;
  const predictor: Predictor<Step> = {
    model,
    convertInput(what, variables, x) {
      checkText("convert an input", what, "the first argument", WHAT);
      checkVariables(what, variables);
      checkSamples(what, x);
      return isPlainInput(floatDType(variables), x)
        ? x
        : convertTree("x", x, inputDTypesFor(steps, variables, x));
    },
    predictor(variables, x) {
      checkVariables("predict", variables);
      checkSamples("predict", x);
      const compiled = predictorFor(steps, variables, x);
      checkInput(model, x);
      return compiled;
    },
    upload: (variables) => uploadTree(variables, device),
    [Symbol.dispose]: () => {
      forgetLive(predictor);
      disposeSteps(steps);
    },
  };
  return predictor;
}

async function trainOnBatch(
  trainer: Trainer,
  training: TrainingState,
  given: Data,
  options: { readonly key?: Tensor } = {},
): Promise<TrainedBatch> {
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
  const [params, state, nextOptimizerState, metrics, loss] = await session.trainKeepingInputs()(
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
}

async function testOnBatch(trainer: Trainer, variables: Variables, given: Data): Promise<Logs> {
  const batch = trainer.convert("evaluate", variables, given);
  const session = trainer.session("evaluate", variables, batch);
  const [state, metrics] = await session.test()(
    variables.params,
    variables.state,
    session.objective.initState(),
    batch,
  );
  const logs = session.objective.results(await toHost(metrics));
  disposeTree([state, metrics], variables.state);
  return logs;
}

async function predictOnBatch(
  trainer: Trainer,
  variables: Variables,
  given: Tree<Tensor>,
): Promise<Tree<Tensor>> {
  const x = trainer.convertInput("predict", variables, given);
  const [output, state] = await trainer.predictor(variables, x)(variables.params, variables.state, x);
  disposeTree(state, variables.state);
  return output;
}

/** The first argument that the methods above expect, for errors. */
const WHAT = 'a verb for errors, such as "fit"';

/** Throws a TypeError unless a value was made by `createTrainer`. */
export function checkTrainer(what: string, trainer: unknown): asserts trainer is Trainer {
  const given = trainer as Partial<Trainer> | null | undefined; // any member may be missing
  if (typeof given?.session === "function" && typeof given.predictor === "function") return;
  throw wrongKind(what, trainer, "the trainer", "what createTrainer(model, ...) gives");
}
