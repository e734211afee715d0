/** Training: losses, metrics, optimizers, schedules, and the loops that use them. */
export {
  type Callback,
  type CallbackContext,
  earlyStopping,
  type EarlyStoppingOptions,
  type SaveContext,
  saving,
  type SavingInfo,
  type SavingOptions,
} from "./callbacks.ts";
export type { CallbackState } from "./callback_state.ts";
export type { MonitorMode } from "./monitor.ts";
export type { Validation } from "./checks.ts";
export { checkpoint, type CheckpointingOptions } from "./checkpoint.ts";
export { csvLog, type CsvLogOptions, type LogFormat } from "./csv_log.ts";
export { fit, type FitOptions, fitWith } from "./fit.ts";
export type { FitLoopOptions, FitResult } from "./fit_options.ts";
export { BatchError, type BatchPlace, type Progressed } from "./batch_error.ts";
export type { ClassWeight } from "./class_weight.ts";
export type { ItemKind } from "./feed.ts";
export type { FeedsOptions } from "./fit_feeds.ts";
export { DeviceLostError } from "./device_lost.ts";
export { learningRateSchedule, reduceLrOnPlateau, type ReduceLrOnPlateauOptions } from "./learning_rates.ts";
export { type History, type NonFiniteDetails, NonFiniteLossError, type StepPlace } from "./non_finite.ts";
export type {
  Data,
  Head,
  Logs,
  Objective,
  ObjectiveOptions,
  ObjectiveState,
  Prediction,
} from "./objective.ts";
export type { PerOutput } from "./per_output.ts";
export {
  type BatchingOptions,
  evaluate,
  type EvaluateOptions,
  evaluateWith,
  predict,
  type PredictOptions,
  predictWith,
} from "./predict.ts";
export type { Progress } from "./pace.ts";
export type { Report, Reporter } from "./progress.ts";
export type { Resume } from "./resume.ts";
export {
  type PredictArguments,
  type PredictResult,
  predictStep,
  type TestArguments,
  type TestResult,
  testStep,
  type TrainArguments,
  type TrainResult,
  trainStep,
} from "./step.ts";
export {
  createTrainer,
  type Session,
  type TrainedBatch,
  type Trainer,
  type TrainerOptions,
  type TrainingState,
} from "./trainer.ts";
export { computeLoss } from "./compute_loss.ts";
export {
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
  type LossLike,
  type LossName,
  type LossOptions,
  meanAbsoluteError,
  meanSquaredError,
  type Mixture,
  mixtureDensity,
  type MixtureDensityOptions,
  mixtureOf,
  type MixtureOptions,
  poisson,
  type PoissonOptions,
  type Reduction,
  type SmoothedCrossentropyOptions,
  sparseCategoricalCrossentropy,
  type SparseCrossentropyOptions,
} from "./losses.ts";
export {
  ctcBeamSearch,
  type CtcBeamSearchOptions,
  type CtcDecodeOptions,
  ctcGreedyDecode,
  type Decoded,
} from "./ctc_decoding.ts";
export { editDistance, errorRate, type LabelSequence } from "./edit_distance.ts";
export { checkLabels } from "./labels.ts";
export type { ClippingOptions } from "./gradients.ts";
export type { Options, Weighting } from "./alignment.ts";
export { type MetricLike, type MetricName, resolveMetric } from "./resolve_metric.ts";
export { auc, type AucOptions } from "./auc.ts";
export {
  type F1Average,
  type F1Options,
  f1Score,
  precision,
  recall,
  type ThresholdOptions,
} from "./confusion_metrics.ts";
export {
  accuracy,
  binaryAccuracy,
  type BinaryAccuracyOptions,
  categoricalAccuracy,
  crfAccuracy,
  lossMetric,
  meanMetric,
  type Metric,
  type MetricOptions,
  type MetricState,
  perplexity,
  type PerplexityOptions,
  rootMeanSquaredError,
  sparseCategoricalAccuracy,
  sparseTopKCategoricalAccuracy,
  topKCategoricalAccuracy,
  type TopKOptions,
} from "./metrics.ts";
export {
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
  type OptimizerLike,
  type OptimizerName,
  type OptimizerOptions,
  type OptimizerState,
  rmsprop,
  type RmspropOptions,
  sgd,
  type SgdOptions,
} from "./optimizers.ts";
export {
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
} from "./schedules.ts";
