/**
 * What training minimizes: from the options `loss`, `lossWeights`, `metrics` and `weightedMetrics` and the
 * shapes of a model's outputs, one function from predictions and targets to the loss of a batch and the
 * running means of an epoch. An output is a leaf of the model's output tree; each of several outputs has its
 * own loss, weight and metrics.
 */
import type { Mask } from "../layers/layer.ts";
import { add, and, cast, mul } from "../operations/elementwise.ts";
import { zerosLike } from "../operations/creation.ts";
import { sizeAsTensor } from "../operations/reduction.ts";
import { isTensor, type Spec, type Tensor, tensor } from "../tensor/tensor.ts";
import { flattenTree, type Path, printPath, type Tree } from "../tree/tree.ts";
import { alignWeight, type Weighting } from "./alignment.ts";
import { whatCounts } from "./counting.ts";
import { lossSums } from "./compute_loss.ts";
import { type Loss, type LossLike, measureOf, resolveLoss } from "./losses.ts";
import { type MetricLike, resolveMetric } from "./resolve_metric.ts";
import type { Metric, MetricState } from "./metrics.ts";
import { type PerOutput, placesOfTargets, spread } from "./per_output.ts";
import { addToSums, initSums, meanOfSums, readSum } from "./running.ts";

/** What is minimized and what is monitored. */
export interface ObjectiveOptions {
  /**
   * The loss by name or as made by a function such as `huber()`; one for every output, or a tree like the
   * outputs. In a tree, an output that is null or left out has no loss: it is not trained, and needs no
   * targets unless it has metrics.
   */
  readonly loss: PerOutput<LossLike | null>;
  /**
   * The weight of each output's loss in the sum; default 1. A loss of weight 0 is only monitored, and may be
   * NaN.
   */
  readonly lossWeights?: PerOutput<number>;
  /**
   * Metrics of every output, or a tree like the outputs with a list for each; default none. As in Keras,
   * sample weights do not apply to them; masks do.
   */
  readonly metrics?: PerOutput<readonly MetricLike[]>;
  /**
   * Metrics that sample weights apply to, in the same forms; one that is also in `metrics` is called
   * `weighted_<name>`.
   */
  readonly weightedMetrics?: PerOutput<readonly MetricLike[]>;
}

/** Samples and their targets: trees of tensors `[samples, ...]`. */
export interface Data {
  /** The model's input. */
  readonly x: Tree<Tensor>;
  /** Targets, a tree like the model's output; outputs without a loss and metrics may be left out. */
  readonly y: Tree<Tensor>;
  /**
   * The weight of each sample (`[samples]`) or step (`[samples, time]`): for every output, or a tree like
   * them.
   */
  readonly sampleWeight?: Tree<Tensor>;
}

/** Losses and metrics by name. */
export interface Logs {
  /** The loss over all data seen, as if it were one batch. */
  readonly [name: string]: number;
}

/** The running results of an epoch by name: the loss of every output, and the metrics. */
export interface ObjectiveState {
  /** Its sums: of a mean, a total and a count. */
  readonly [name: string]: MetricState;
}

/** One output: its place, loss and metrics. */
export interface Head {
  /** Its name in logs; empty if it is the only one. */
  readonly name: string;
  /** Its path in the output tree. */
  readonly path: Path;
  /** What is minimized; absent if the output is not trained. */
  readonly loss?: Loss;
  /** The weight of its loss in the sum. */
  readonly weight: number;
  /** The metrics without sample weights. */
  readonly metrics: readonly Metric[];
  /** The metrics with sample weights. */
  readonly weightedMetrics: readonly Metric[];
}

/** The model's results for a batch. */
export interface Prediction {
  /** The model's output. */
  readonly output: Tree<Tensor>;
  /** Which steps of the output count. */
  readonly mask?: Mask;
  /** What the regularizers of the model add to the loss, a float scalar; undefined without any. */
  readonly penalty?: Tensor | undefined;
}

/** The loss and the metrics of a model, prepared for its shapes. */
export interface Objective {
  /** Its outputs, in the order of the leaves. */
  readonly heads: readonly Head[];
  /** Whether predictions come with a penalty. */
  readonly penalized: boolean;
  /** The names in logs, in display order. */
  readonly names: readonly string[];
  /** The target of each output, from a tree of targets; undefined for one that has none. */
  targets<Leaf>(y: Tree<Leaf>): (Leaf | undefined)[];
  /** The running means before the first batch. */
  initState(): ObjectiveState;
  /** The loss of a batch, a float scalar, and the running means including it. Pure, traceable. */
  compute(
    prediction: Prediction,
    target: Omit<Data, "x">,
    state: ObjectiveState,
  ): { readonly loss: Tensor; readonly state: ObjectiveState };
  /**
   * Per output, which values count for its loss, or for a loss of sequences, which steps: bool of their shape;
   * undefined if all do. Pure, traceable.
   */
  counted(prediction: Prediction, target: Omit<Data, "x">): (Tensor | undefined)[];
  /** The running means as numbers; the state is on the host. */
  results(state: ObjectiveState): Logs;
}

/** What {@linkcode objectiveFor} needs to know besides the options of training. */
interface ModelOptions {
  /** Whether the model has regularizers, so that predictions come with a penalty; default false. */
  readonly penalized?: boolean;
}

/** The name of the running mean of penalties; those of losses and metrics differ from it. */
const PENALTY = "loss/penalty";

/**
 * The objective for outputs and targets of these specs.
 *
 * @throws TypeError if targets or options do not match the outputs, naming the path; RangeError for an
 *   unknown name, two metrics of one name, or a loss with the reduction `none`.
 */
export function objectiveFor(
  options: ObjectiveOptions & ModelOptions,
  output: Tree<Spec>,
  target: Tree<Spec>,
): Objective {
  const { leaves: outputs, paths } = flattenTree<Spec>(output);
  const losses = spread(options.loss, output, isLossLike, {
    what: "loss",
    value: "the name of a loss, or a loss",
    missing: undefined,
  }).map((loss) => loss === undefined ? undefined : resolveLoss(loss));
  if (losses.every((loss) => loss === undefined)) {
    throw new TypeError(
      "Cannot train or evaluate: no output has a loss, expected one for at least one output",
    );
  }
  const weights = lossWeightsFor(options.lossWeights, output, losses);
  const [metrics, weightedMetrics] = (["metrics", "weightedMetrics"] as const).map((what) =>
    spread(options[what] ?? [], output, isMetricList, { what, value: "an array of metrics", missing: [] })
  );
  const isUsed = (index: number) =>
    losses[index] !== undefined || metrics[index].length > 0 || weightedMetrics[index].length > 0;
  const places = placesOfTargets(output, target, isUsed);
  const targets = flattenTree<Spec>(target).leaves;
  const heads = outputs.map((spec, index): Head => {
    const loss = losses[index];
    if (loss?.reduction === "none") {
      throw new RangeError(`Cannot train with ${loss.type}: its reduction is none, expected one to a number`);
    }
    // An output with a metric has a target, as placesOfTargets has checked.
    const resolve = (metric: MetricLike) => resolveMetric(metric, loss, targets[places[index] ?? 0], spec);
    return {
      name: outputs.length === 1 ? "" : outputName(paths[index]),
      path: paths[index],
      loss,
      weight: weights[index],
      metrics: metrics[index].map(resolve),
      weightedMetrics: weightedMetrics[index].map(resolve),
    };
  });
  return objectiveOf(heads, places, options.penalized ?? false);
}

/** The weight of each output's loss. Throws a RangeError for one that is given to an output without a loss. */
function lossWeightsFor(
  given: PerOutput<number> | undefined,
  output: Tree<Spec>,
  losses: readonly (Loss | undefined)[],
): number[] {
  const option = { what: "lossWeights", value: "a number", missing: undefined };
  return spread(given, output, isNumber, option).map((weight, index) => {
    if (weight !== undefined && typeof given !== "number" && !losses[index]) {
      const path = printPath(flattenTree(output).paths[index]);
      throw new RangeError(
        `Cannot use lossWeights for the output ${path}: current value is ${weight}, but the output has no loss; ` +
          `leave its weight out, or give it a loss`,
      );
    }
    return weight ?? 1;
  });
}

/** A metric of the output at `index`, under its name in logs. */
interface Tracked {
  readonly name: string;
  readonly metric: Metric;
  readonly index: number;
  readonly weighted: boolean;
}

function trackedBy(heads: readonly Head[]): Tracked[] {
  const track = (weighted: boolean): Tracked[] =>
    heads.flatMap((head, index) =>
      (weighted ? head.weightedMetrics : head.metrics).map((metric) => ({
        name: head.name === "" ? metric.name : `${head.name}_${metric.name}`,
        metric,
        index,
        weighted,
      }))
    );
  const plain = track(false);
  const names = new Set(plain.map(({ name }) => name));
  const weighted = track(true).map((one) =>
    names.has(one.name) ? { ...one, name: `weighted_${one.name}` } : one
  );
  return [...plain, ...weighted];
}

function objectiveOf(
  heads: readonly Head[],
  places: readonly (number | undefined)[],
  penalized: boolean,
): Objective {
  const trained = heads.flatMap(({ name, loss, weight }, index) =>
    loss ? [{ loss, weight, index, name: heads.length === 1 ? "loss" : `${name}_loss` }] : []
  );
  const lossNames = trained.map(({ name }) => name);
  const tracked = trackedBy(heads);
  const names = [...new Set(["loss", ...lossNames]), ...tracked.map(({ name }) => name)];
  const kept = penalized ? [...names, PENALTY] : names;
  const twice = kept.find((name, index) => kept.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new RangeError(
      `Cannot compute two metrics of the name ${JSON.stringify(twice)}: give one of them another name`,
    );
  }
  const targets = <Leaf>(y: Tree<Leaf>): (Leaf | undefined)[] => {
    const { leaves } = flattenTree<Leaf>(y);
    return places.map((place) => place === undefined ? undefined : leaves[place]);
  };
  const pairs = (prediction: Prediction, data: Omit<Data, "x">) =>
    pairsOf(heads, prediction, targets(data.y), data.sampleWeight);
  let firstState: ReturnType<Objective["initState"]> | undefined; // the same for every step
  return {
    heads,
    penalized,
    names,
    targets,
    initState: () =>
      firstState ??= Object.fromEntries([
        ...lossNames.map((name) => [name, initSums()]),
        ...tracked.map(({ name, metric }) => [name, metric.initState()]),
        ...(penalized ? [[PENALTY, initSums()] as const] : []),
      ]),
    counted: (prediction, target) =>
      pairs(prediction, target).map((pair) => {
        if (!pair?.loss) return undefined;
        const { loss, target, prediction, weighting } = pair;
        return whatCounts(loss.type, measureOf(loss), target, prediction, weighting)?.steps;
      }),
    compute(given, data, state) {
      const paired = pairs(given, data);
      const next: Record<string, MetricState> = Object.create(null); // a name may be that of a member of Object
      const losses = trained.map(({ loss, index, name }) => {
        const { target, prediction, weighting } = used(paired[index]);
        const sums = lossSums(loss, target, prediction, weighting);
        next[name] = addToSums(state[name], { total: sums.total, count: sums.count ?? tensor(1) });
        return sums.loss;
      });
      const masks = paired.map((pair) => pair && metricMask(pair));
      for (const { name, metric, index, weighted } of tracked) {
        const { target, prediction, weighting } = used(paired[index]);
        const { sampleWeight } = weighted ? weighting : {};
        next[name] = metric.update(state[name], target, prediction, { mask: masks[index], sampleWeight });
      }
      const loss = weightedSum(trained, losses);
      const { penalty } = given;
      if (!penalized) return { loss, state: next };
      if (penalty === undefined) return { loss, state: { ...next, [PENALTY]: state[PENALTY] } };
      const [{ shape: [batch] }] = flattenTree<Tensor>(given.output).leaves;
      const count = sizeAsTensor(batch);
      next[PENALTY] = addToSums(state[PENALTY], { total: mul(cast(penalty, "float32"), count), count });
      return { loss: add(loss, cast(penalty, loss.dtype)), state: next };
    },
    results(state) {
      const losses = trained.map(({ loss, name }) =>
        loss.reduction === "sum" ? readSum(state[name], "total")[0] : meanOfSums(state[name])
      );
      // An output of weight 0 is left out: its loss may be NaN.
      const loss = losses.reduce(
        (sum, value, index) => trained[index].weight === 0 ? sum : sum + trained[index].weight * value,
        penalized ? meanOfSums(state[PENALTY]) : 0,
      );
      return Object.fromEntries([
        ["loss", loss],
        ...(heads.length === 1 ? [] : lossNames.map((name, index) => [name, losses[index]])),
        ...tracked.map(({ name, metric }) => [name, metric.result(state[name])]),
      ]);
    },
  };
}

/**
 * The sum of the losses of a batch, each times its weight; those of weight 0 are left out, as they may be
 * NaN.
 */
function weightedSum(trained: readonly { readonly weight: number }[], losses: readonly Tensor[]): Tensor {
  const terms = losses.flatMap((loss, index) => {
    const { weight } = trained[index];
    return weight === 0 ? [] : [weight === 1 ? loss : mul(loss, weight)];
  });
  return terms.length === 0 ? zerosLike(losses[0]) : terms.reduce((total, term) => add(total, term));
}

/** An output of a batch with everything that belongs to it. */
interface Pair {
  readonly loss: Loss | undefined;
  readonly target: Tensor;
  readonly prediction: Tensor;
  readonly weighting: Weighting;
}

/** An output that has a loss or a metric: only others have no target. */
function used(pair: Pair | undefined): Pair {
  if (pair) return pair;
  throw new Error("Cannot compute a loss or a metric: its output has no target");
}

function pairsOf(
  heads: readonly Head[],
  { output, mask }: Prediction,
  targets: readonly (Tensor | undefined)[],
  sampleWeight: Tree<Tensor> | undefined,
): (Pair | undefined)[] {
  const predictions = flattenTree<Tensor>(output).leaves;
  const masks = spread(mask, output, isOptionalTensor, {
    what: "the mask",
    value: "a tensor",
    missing: undefined,
  });
  const sampleWeights = spread(sampleWeight, output, isOptionalTensor, {
    what: "sampleWeight",
    value: "a tensor",
    missing: undefined,
    mayEnd: true,
  });
  return heads.map(({ loss }, index) => {
    const target = targets[index];
    return target && {
      loss,
      target,
      prediction: predictions[index],
      weighting: { mask: masks[index], sampleWeight: sampleWeights[index] },
    };
  });
}

/** Which steps of an output count for its metrics: those of the mask that its loss does not exclude. */
function metricMask({ loss, target, prediction, weighting: { mask } }: Pair): Tensor | undefined {
  const own = loss?.counted?.(target, prediction);
  return loss && mask && own ? and(alignWeight(loss.type, cast(mask, "bool"), own), own) : own ?? mask;
}

/** `location[0]` is `location_0`, and the first of a list `output_0`. */
function outputName(path: Path): string {
  return [...(typeof path[0] === "number" ? ["output"] : []), ...path].join("_");
}

function isNumber(value: unknown): value is number {
  return typeof value === "number";
}

function isOptionalTensor(value: unknown): value is Tensor | undefined {
  return value === undefined || isTensor(value);
}

function has(value: unknown, method: string): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    typeof (value as Readonly<Record<string, unknown>>)[method] === "function"; // any object may be read so
}

function isLossLike(value: unknown): value is LossLike {
  return typeof value === "string" || has(value, "values");
}

function isMetricList(value: unknown): value is readonly MetricLike[] {
  return Array.isArray(value) && value.every((metric) => isLossLike(metric) || has(metric, "update"));
}
