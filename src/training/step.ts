/**
 * The steps of training as pure functions: one update, one evaluation, one prediction. Everything that they
 * change (weights, batch-norm statistics, the optimizer's state, the running means of the epoch) is an
 * argument and a result, so that a compiled step may overwrite it in place. The trainer compiles and calls
 * them.
 */
import { checkLayer } from "../layers/checks.ts";
import { wrongKind } from "../describe.ts";
import { layerName, trainedLeaves } from "../layers/define.ts";
import type { Applied, Layer, Mask } from "../layers/layer.ts";
import { constrained, wholePenalty } from "../layers/penalties.ts";
import { foldIn } from "../operations/random.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { valueAndGrad } from "../transforms/grad.ts";
import { flattenTree, type Tree, unflattenTree } from "../tree/tree.ts";
import type { Data, Objective, ObjectiveState } from "./objective.ts";
import { checkCounted, uncounted } from "./optimizer_state.ts";
import { type Optimizer, type OptimizerState, resolveOptimizer } from "./optimizers.ts";

/**
 * The arguments of a train step; dropout draws with the key folded with the optimizer's step, the only count
 * of updates.
 */
export type TrainArguments = [
  params: Tree<Tensor>,
  state: Tree<Tensor>,
  optimizerState: OptimizerState,
  metricsState: ObjectiveState,
  key: Tensor,
  batch: Data,
];

/** The results of a train step; the loss is that of the batch before the update. */
export type TrainResult = [
  params: Tree<Tensor>,
  state: Tree<Tensor>,
  optimizerState: OptimizerState,
  metricsState: ObjectiveState,
  loss: Tensor,
];

/** The arguments of an evaluation step. */
export type TestArguments = [
  params: Tree<Tensor>,
  state: Tree<Tensor>,
  metricsState: ObjectiveState,
  batch: Data,
];

/** The results of an evaluation step; the state changes only if a layer is stateful. */
export type TestResult = [state: Tree<Tensor>, metricsState: ObjectiveState];

/** The arguments of a prediction step. */
export type PredictArguments = [params: Tree<Tensor>, state: Tree<Tensor>, x: Tree<Tensor>];

/** The results of a prediction step. */
export type PredictResult = [output: Tree<Tensor>, state: Tree<Tensor>];

/**
 * The parameters that training changes, in order: the list that the optimizer gets.
 *
 * @throws RangeError if the length of the layer's `trainableLeaves` is not the number of leaves.
 */
export function trainableParams<Leaf>(model: Layer, params: Tree<Leaf>): Leaf[] {
  const { leaves } = flattenTree<Leaf>(params, "params");
  const chosen = trainableFlags(model, params as Tree<Tensor>, leaves.length); // only the structure is read
  return leaves.filter((_, index) => chosen[index]);
}

/** Params with others in place of those that training changes, in the order of {@linkcode trainableParams}. */
export function withTrainable(
  model: Layer,
  params: Tree<Tensor>,
  trainable: readonly Tensor[],
): Tree<Tensor> {
  const { leaves, structure } = flattenTree<Tensor>(params, "params");
  const flags = trainableFlags(model, params, leaves.length);
  let next = 0;
  return unflattenTree(structure, leaves.map((leaf, index) => flags[index] ? trainable[next++] : leaf));
}

function trainableFlags(model: Layer, params: Tree<Tensor>, count: number): readonly boolean[] {
  const flags = trainedLeaves(model, params);
  if (flags.length === count) return flags;
  throw new RangeError(
    `Cannot train ${model.type}: its trainableLeaves has ${flags.length} entries, expected ${count}`,
  );
}

/** Throws a TypeError unless the loss and metrics of `objective` can be computed. */
function checkObjective(what: string, objective: unknown): void {
  const given = objective as Partial<Objective> | null | undefined; // any member may be missing
  if (typeof given?.compute === "function" && Array.isArray(given.heads)) return;
  throw wrongKind(what, objective, "the objective", "that of a trainer's session");
}

/**
 * One update of the weights by the gradient of a batch's loss. Frozen parameters are returned unchanged.
 *
 * @throws TypeError if the optimizer's state does not count updates.
 */
export function trainStep(
  model: Layer,
  objective: Objective,
  optimizer: Optimizer,
): (...args: TrainArguments) => TrainResult {
  checkLayer("train", model);
  checkObjective("train", objective);
  resolveOptimizer(optimizer); // throws for an invalid state
  return (params, state, optimizerState, metricsState, key, batch) => {
    const { step } = checkCounted(optimizer, optimizerState);
    // Metrics are computed inside too: a crossentropy finds the logits only behind the prediction itself.
    const lossOf = (trainable: Tensor[]): [Tensor, { state: Tree<Tensor>; metricsState: ObjectiveState }] => {
      const used = withTrainable(model, params, trainable);
      const applied = model.apply({ params: used, state }, batch.x, {
        training: true,
        key: foldIn(key, step),
      });
      const computed = objective.compute(withPenalties(model, objective, used, applied), batch, metricsState);
      return [computed.loss, { state: applied.state, metricsState: computed.state }];
    };
    const trainable = trainableParams<Tensor>(model, params);
    const [[loss, after], gradients] = valueAndGrad(lossOf)(trainable);
    const [updated, nextOptimizerState] = optimizer.update(gradients, optimizerState, trainable);
    if (checkCounted(optimizer, nextOptimizerState, "update").step === step) {
      throw uncounted(optimizer, "update leaves it");
    }
    const next = constrained(model, withTrainable(model, params, updated));
    return [next, after.state, nextOptimizerState, after.metricsState, loss];
  };
}

/** What the model gives, with the penalty of its weights in that of the call. */
function withPenalties(
  model: Layer,
  objective: Objective,
  params: Tree<Tensor>,
  applied: Applied,
): Applied {
  const penalty = wholePenalty(model, params, applied);
  if (penalty === undefined || objective.penalized) return { ...applied, penalty };
  throw new TypeError(
    `Cannot train ${
      layerName(model)
    }: it has a penalty in training and none in evaluations, whose loss must be ` +
      `the same; give it in both`,
  );
}

/** The running means including one more batch, in inference. */
export function testStep(model: Layer, objective: Objective): (...args: TestArguments) => TestResult {
  checkLayer("evaluate", model);
  checkObjective("evaluate", objective);
  return (params, state, metricsState, batch) => {
    const applied = model.apply({ params, state }, batch.x, { training: false });
    return [
      applied.state,
      objective.compute(withPenalties(model, objective, params, applied), batch, metricsState).state,
    ];
  };
}

/** The outputs for one batch, in inference; with a mask, for the steps that count. */
export function predictStep(model: Layer): (...args: [...PredictArguments, mask?: Mask]) => PredictResult {
  checkLayer("predict", model);
  return (params, state, x, mask) => {
    const applied = model.apply({ params, state }, x, { training: false, mask });
    return [applied.output, applied.state];
  };
}
