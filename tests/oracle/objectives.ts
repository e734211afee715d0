/** Keras's losses, metrics, optimizers and learning rates as ours, by class name or short name. */
import {
  adagrad,
  type AdagradOptions,
  adam,
  type AdamOptions,
  adamw,
  lion,
  type LionOptions,
  nadam,
  type NadamOptions,
  type Optimizer,
  rmsprop,
  type RmspropOptions,
  sgd,
  type SgdOptions,
} from "../../src/training/optimizers.ts";
import { auc, type AucOptions } from "../../src/training/auc.ts";
import {
  type F1Options,
  f1Score,
  precision,
  recall,
  type ThresholdOptions,
} from "../../src/training/confusion_metrics.ts";
import {
  binaryCrossentropy,
  binaryFocalCrossentropy,
  type BinaryFocalOptions,
  categoricalCrossentropy,
  categoricalFocalCrossentropy,
  type CategoricalFocalOptions,
  cosineSimilarity,
  crfLoss,
  type CrossentropyOptions,
  ctc,
  type CtcOptions,
  huber,
  type HuberOptions,
  klDivergence,
  type Loss,
  type LossOptions,
  meanAbsoluteError,
  meanSquaredError,
  mixtureDensity,
  type MixtureDensityOptions,
  poisson,
  type PoissonOptions,
  type SmoothedCrossentropyOptions,
  sparseCategoricalCrossentropy,
  type SparseCrossentropyOptions,
} from "../../src/training/losses.ts";
import {
  accuracy,
  binaryAccuracy,
  type BinaryAccuracyOptions,
  categoricalAccuracy,
  lossMetric,
  meanMetric,
  type Metric,
  type MetricOptions,
  rootMeanSquaredError,
  sparseCategoricalAccuracy,
  sparseTopKCategoricalAccuracy,
  topKCategoricalAccuracy,
  type TopKOptions,
} from "../../src/training/metrics.ts";
import {
  cosineDecay,
  type CosineDecayOptions,
  type DecayOptions,
  exponentialDecay,
  inverseTimeDecay,
  piecewiseConstantDecay,
  type PiecewiseConstantDecayOptions,
  polynomialDecay,
  type PolynomialDecayOptions,
  type Schedule,
} from "../../src/training/schedules.ts";
import { isObject, type Json, type JsonObject } from "./format.ts";
import { camelCase, kerasObject, optionsOf } from "./names.ts";

/** Options as read. They are cast to what a factory asks for, as each factory checks what it is given. */
type Options = Readonly<Record<string, Json>>;

const losses: Readonly<Record<string, (options: Options) => Loss>> = {
  sparseCategoricalCrossentropy: (options) =>
    sparseCategoricalCrossentropy(options as SparseCrossentropyOptions),
  categoricalCrossentropy: (options) => categoricalCrossentropy(options as SmoothedCrossentropyOptions),
  binaryCrossentropy: (options) => binaryCrossentropy(options as SmoothedCrossentropyOptions),
  meanSquaredError: (options) => meanSquaredError(options as LossOptions),
  mse: (options) => meanSquaredError(options as LossOptions),
  meanAbsoluteError: (options) => meanAbsoluteError(options as LossOptions),
  mae: (options) => meanAbsoluteError(options as LossOptions),
  huber: (options) => huber(options as HuberOptions),
  binaryFocalCrossentropy: (options) => binaryFocalCrossentropy(options as BinaryFocalOptions),
  categoricalFocalCrossentropy: (options) => categoricalFocalCrossentropy(options as CategoricalFocalOptions),
  cosineSimilarity: (options) => cosineSimilarity(options as LossOptions),
  klDivergence: (options) => klDivergence(options as CrossentropyOptions),
  poisson: (options) => poisson(options as PoissonOptions),
  ctc: (options) => ctc(options as CtcOptions),
  crf: (options) => crfLoss(options as LossOptions),
  mixtureDensity: (options) => mixtureDensity(options as unknown as MixtureDensityOptions),
};

const metrics: Readonly<Record<string, (options: Options) => Metric>> = {
  accuracy: (options) => accuracy(options as MetricOptions),
  acc: (options) => accuracy(options as MetricOptions),
  sparseCategoricalAccuracy: (options) => sparseCategoricalAccuracy(options as MetricOptions),
  categoricalAccuracy: (options) => categoricalAccuracy(options as MetricOptions),
  binaryAccuracy: (options) => binaryAccuracy(options as BinaryAccuracyOptions),
  topKCategoricalAccuracy: (options) => topKCategoricalAccuracy(options as TopKOptions),
  sparseTopKCategoricalAccuracy: (options) => sparseTopKCategoricalAccuracy(options as TopKOptions),
  rootMeanSquaredError: (options) => rootMeanSquaredError(options as MetricOptions),
  rmse: (options) => rootMeanSquaredError(options as MetricOptions),
  mean: (options) => meanMetric(options as MetricOptions),
  precision: (options) => precision(options as ThresholdOptions),
  recall: (options) => recall(options as ThresholdOptions),
  f1Score: (options) => f1Score(options as F1Options),
  auc: (options) => auc(options as AucOptions),
};

const optimizers: Readonly<Record<string, (options: Options) => Optimizer>> = {
  sgd: (options) => sgd(options as SgdOptions),
  rmsprop: (options) => rmsprop(options as RmspropOptions),
  adam: (options) => adam(options as AdamOptions),
  adamw: (options) => adamw(options as AdamOptions),
  adagrad: (options) => adagrad(options as AdagradOptions),
  nadam: (options) => nadam(options as NadamOptions),
  lion: (options) => lion(options as LionOptions),
};

const schedules: Readonly<Record<string, (options: Options) => Schedule>> = {
  exponentialDecay: (options) => exponentialDecay(options as unknown as DecayOptions),
  inverseTimeDecay: (options) => inverseTimeDecay(options as unknown as DecayOptions),
  cosineDecay: (options) => cosineDecay(options as unknown as CosineDecayOptions),
  piecewiseConstantDecay: (options) =>
    piecewiseConstantDecay(options as unknown as PiecewiseConstantDecayOptions),
  polynomialDecay: (options) => polynomialDecay(options as unknown as PolynomialDecayOptions),
};

/** `MeanSquaredError` and `mean_squared_error` as `meanSquaredError`. */
function factoryName(className: string): string {
  const name = camelCase(className);
  return name[0].toLowerCase() + name.slice(1);
}

/** Options of a loss or metric; classes are along the last axis, which Keras may say. */
function lossOptions(config: JsonObject): Options {
  return optionsOf(config, ...(config.axis === -1 ? ["axis"] : []));
}

function find<Made>(
  kind: string,
  table: Readonly<Record<string, Made>>,
  name: string,
  className: string,
): Made {
  if (Object.hasOwn(table, name)) return table[name];
  throw new Error(`there is no ${kind} for ${className}`);
}

/** The loss for `{ class_name, config }` or a name. */
export function lossOf(value: Json | undefined): Loss {
  const { className, config } = kerasObject(value);
  return find("loss", losses, factoryName(className), className)(lossOptions(config));
}

/** The metric for `{ class_name, config }` or a name, under the name that Keras gives it in logs. */
export function metricOf(value: Json): Metric {
  const { className, config } = kerasObject(value);
  const name = factoryName(className);
  const options = lossOptions(config);
  const logged = typeof value === "string" ? value : config.name;
  const named: Readonly<Record<string, string>> = typeof logged === "string" ? { name: logged } : {};
  if (Object.hasOwn(metrics, name)) return metrics[name]({ ...options, ...named });
  return lossMetric(find("metric", losses, name, className)(options), named);
}

/** The optimizer for `{ class_name, config }`, its learning rate a number or a schedule. */
export function optimizerOf(value: Json | undefined): Optimizer {
  const { className, config } = kerasObject(value);
  const rate = config.learning_rate;
  const options = optionsOf(config, "learning_rate");
  const made = find("optimizer", optimizers, className.toLowerCase(), className);
  if (!isObject(rate)) return made(rate === undefined ? options : { ...options, learningRate: rate });
  const { className: schedule, config: decay } = kerasObject(rate);
  const learningRate = find("schedule", schedules, factoryName(schedule), schedule)(optionsOf(decay));
  return made({ ...options, learningRate: learningRate as unknown as Json }); // handed through to the factory
}
