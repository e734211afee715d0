/**
 * What training minimizes: from the options `loss`, `lossWeights`, `metrics` and `weightedMetrics` and the
 * shapes of a model's outputs, one function from predictions and targets to the loss of a batch and the
 * running means of an epoch. An output is a leaf of the model's output tree; each of several outputs has its
 * own loss, weight and metrics.
 */
import { wrongKind } from "../describe.ts";
import type { Mask } from "../layers/layer.ts";
import { unknownName } from "../known_names.ts";
import { add, and, cast, mul } from "../operations/elementwise.ts";
import { zerosLike } from "../operations/creation.ts";
import { isLeaf, isTensor, type Spec, type Tensor, tensor } from "../tensor/tensor.ts";
import { checkSameStructure, flattenTree, type Path, printPath, type Tree } from "../tree/tree.ts";
import { alignWeight, type Weighting } from "./alignment.ts";
import { whatCounts } from "./counting.ts";
import { lossSums } from "./compute_loss.ts";
import { type Loss, type LossLike, measureOf, resolveLoss } from "./losses.ts";
import { type MetricLike, resolveMetric } from "./resolve_metric.ts";
import type { Metric, MetricState } from "./metrics.ts";
import { addToSums, initSums, meanOfSums, readSums } from "./running.ts";

/**
 * One value for every output, or a tree like the outputs with one value for each (or for each part of it).
 */
export type PerOutput<Value> =
  | Value
  | readonly PerOutput<Value>[]
  | { readonly [output: string]: PerOutput<Value> };

/** What is minimized and what is monitored. */
export interface ObjectiveOptions {
  /**
   * The loss by name or as made by a function such as `huber()`; one for every output, or a tree like the
   * outputs.
   */
  readonly loss: PerOutput<LossLike>;
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
  /** Targets, a tree like the model's output. */
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
  /** A total and a count. */
  readonly [name: string]: MetricState;
}

/** One output: its place, loss and metrics. */
export interface Head {
  /** Its name in logs; empty if it is the only one. */
  readonly name: string;
  /** Its path in the output tree. */
  readonly path: Path;
  /** What is minimized. */
  readonly loss: Loss;
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
}

/** The loss and the metrics of a model, prepared for its shapes. */
export interface Objective {
  /** Its outputs, in the order of the leaves. */
  readonly heads: readonly Head[];
  /** The names in logs, in display order. */
  readonly names: readonly string[];
  /** The running means before the first batch. */
  initState(): ObjectiveState;
  /** The loss of a batch, a float scalar, and the running means including it. Pure, traceable. */
  compute(
    prediction: Prediction,
    target: Omit<Data, "x">,
    state: ObjectiveState,
  ): { readonly loss: Tensor; readonly state: ObjectiveState };
  /**
   * Per output, which values count for its loss: bool of their shape; undefined if all do. Pure, traceable.
   */
  counted(prediction: Prediction, target: Omit<Data, "x">): (Tensor | undefined)[];
  /** The running means as numbers; the state is on the host. */
  results(state: ObjectiveState): Logs;
}

/**
 * The objective for outputs and targets of these specs.
 *
 * @throws TypeError if targets or options do not match the outputs, naming the path; RangeError for an
 *   unknown name, two metrics of one name, or a loss with the reduction `none`.
 */
export function objectiveFor(options: ObjectiveOptions, output: Tree<Spec>, target: Tree<Spec>): Objective {
  checkSameStructure(output, target, { first: "the model's output", second: "y" });
  const { leaves: outputs, paths } = flattenTree<Spec>(output);
  const targets = flattenTree<Spec>(target).leaves;
  const losses = spread(options.loss, output, isLossLike, {
    what: "loss",
    value: "the name of a loss, or a loss",
    needed: LOSS_NEEDED,
  }).map(
    resolveLoss,
  );
  const weights = spread(options.lossWeights ?? 1, output, isNumber, {
    what: "lossWeights",
    value: "a number",
    missing: 1,
  });
  const [metrics, weightedMetrics] = (["metrics", "weightedMetrics"] as const).map((what) =>
    spread(options[what] ?? [], output, isMetricList, { what, value: "an array of metrics", missing: [] })
  );
  const heads = outputs.map((spec, index): Head => {
    const loss = losses[index];
    if (loss.reduction === "none") {
      throw new RangeError(`Cannot train with ${loss.type}: its reduction is none, expected one to a number`);
    }
    const resolve = (metric: MetricLike) => resolveMetric(metric, loss, targets[index], spec);
    return {
      name: outputs.length === 1 ? "" : outputName(paths[index]),
      path: paths[index],
      loss,
      weight: weights[index],
      metrics: metrics[index].map(resolve),
      weightedMetrics: weightedMetrics[index].map(resolve),
    };
  });
  return objectiveOf(heads);
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

function objectiveOf(heads: readonly Head[]): Objective {
  const lossNames = heads.length === 1 ? ["loss"] : heads.map(({ name }) => `${name}_loss`);
  const tracked = trackedBy(heads);
  const names = [...new Set(["loss", ...lossNames]), ...tracked.map(({ name }) => name)];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new RangeError(
      `Cannot compute two metrics of the name ${JSON.stringify(twice)}: give one of them another name`,
    );
  }
  return {
    heads,
    names,
    initState: () =>
      Object.fromEntries([
        ...lossNames.map((name) => [name, initSums()]),
        ...tracked.map(({ name, metric }) => [name, metric.initState()]),
      ]),
    counted: (prediction, target) =>
      pairs(heads, prediction, target).map(({ loss, target, prediction, weighting }) =>
        whatCounts(loss.type, measureOf(loss), target, prediction, weighting)?.counts
      ),
    compute(given, data, state) {
      const paired = pairs(heads, given, data);
      const losses = paired.map(({ loss, target, prediction, weighting }) =>
        lossSums(loss, target, prediction, weighting)
      );
      const next: Record<string, MetricState> = Object.create(null); // a name may be that of a member of Object
      losses.forEach(({ total, count }, index) => {
        const name = lossNames[index];
        next[name] = addToSums(state[name], total, count ?? tensor(1));
      });
      const masks = paired.map(metricMask);
      for (const { name, metric, index, weighted } of tracked) {
        const { target, prediction, weighting } = paired[index];
        const { sampleWeight } = weighted ? weighting : {};
        next[name] = metric.update(state[name], target, prediction, { mask: masks[index], sampleWeight });
      }
      return { loss: weightedSum(heads, losses.map(({ loss }) => loss)), state: next };
    },
    results(state) {
      const losses = heads.map(({ loss }, index) => {
        const sums = state[lossNames[index]];
        return loss.reduction === "sum" ? readSums(sums).total : meanOfSums(sums);
      });
      // An output of weight 0 is left out: its loss may be NaN.
      const loss = losses.reduce(
        (sum, value, index) => heads[index].weight === 0 ? sum : sum + heads[index].weight * value,
        0,
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
function weightedSum(heads: readonly Head[], losses: readonly Tensor[]): Tensor {
  const terms = losses.flatMap((loss, index) => {
    const { weight } = heads[index];
    return weight === 0 ? [] : [weight === 1 ? loss : mul(loss, weight)];
  });
  return terms.length === 0 ? zerosLike(losses[0]) : terms.reduce((total, term) => add(total, term));
}

/** An output of a batch with everything that belongs to it. */
interface Pair {
  readonly loss: Loss;
  readonly target: Tensor;
  readonly prediction: Tensor;
  readonly weighting: Weighting;
}

function pairs(
  heads: readonly Head[],
  { output, mask }: Prediction,
  { y, sampleWeight }: Omit<Data, "x">,
): Pair[] {
  const predictions = flattenTree<Tensor>(output).leaves;
  const targets = flattenTree<Tensor>(y).leaves;
  const masks = spread(mask, output, isOptionalTensor, {
    what: "the mask",
    value: "a tensor",
    missing: undefined,
  });
  const sampleWeights = spread(sampleWeight, output, isOptionalTensor, {
    what: "sampleWeight",
    value: "a tensor",
  });
  return heads.map(({ loss }, index) => ({
    loss,
    target: targets[index],
    prediction: predictions[index],
    weighting: { mask: masks[index], sampleWeight: sampleWeights[index] },
  }));
}

/** Which steps of an output count for its metrics: those of the mask that its loss does not exclude. */
function metricMask({ loss, target, prediction, weighting: { mask } }: Pair): Tensor | undefined {
  const own = loss.counted?.(target, prediction);
  return mask && own ? and(alignWeight(loss.type, cast(mask, "bool"), own), own) : own ?? mask;
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

/** The expected value if an output has no loss. */
const LOSS_NEEDED =
  "one, as each output needs a loss; for one that is not to be trained give a loss of weight 0 " +
  "(lossWeights), or make a model without this output";

/** Per output leaf, its value in `given`: a value applies to all leaves below its place. */
function spread<Value>(
  given: unknown,
  output: Tree<Spec>,
  isValue: (value: unknown) => value is Value,
  option: {
    readonly what: string;
    /** What a value is called in errors. */
    readonly value: string;
    /** Why one is required. */
    readonly needed?: string;
    readonly missing?: Value;
  },
  path: Path = [],
): Value[] {
  if (isValue(given)) return flattenTree(output).leaves.map(() => given);
  const fail = (expected: string): never => {
    const where = path.length === 0 ? "the output" : `the output ${printPath(path)}`;
    throw wrongKind(`use ${option.what} for ${where}`, given, "it", expected);
  };
  const isNothing = given === undefined || given === null;
  if (isLeaf(output)) {
    return fail(isNothing ? option.needed ?? option.value : `${option.value}, as the output is one tensor`);
  }
  if (Array.isArray(output)) {
    if (!Array.isArray(given) || given.length !== output.length) {
      return fail(`one value for all, or a list of ${output.length}`);
    }
    return output.flatMap((part, index) => spread(given[index], part, isValue, option, [...path, index]));
  }
  const keys = Object.keys(output).sort();
  if (typeof given !== "object" || given === null || Array.isArray(given)) {
    return fail(`one value for all, or an object with the keys ${keys.join(", ")}`);
  }
  const stray = Object.keys(given).find((key) => !keys.includes(key));
  if (stray !== undefined) throw unknownName(`output of ${option.what}`, stray, keys);
  return keys.flatMap((key) => {
    const values = given as Readonly<Record<string, unknown>>; // an object, checked above
    const inner = Object.hasOwn(values, key) ? values[key] : undefined; // an output may be named like a member of Object
    const part = (output as { readonly [key: string]: Tree<Spec> })[key]; // neither leaf nor array
    if (inner === undefined && "missing" in option) {
      return flattenTree(part).leaves.map(() => option.missing as Value); // given, as just tested
    }
    return spread(inner, part, isValue, option, [...path, key]);
  });
}
