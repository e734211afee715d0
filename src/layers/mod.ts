/** The layers: what every layer is, the recurrent ones, and the others. */
export type { Applied, ApplyContext, Layer, Mask, Variables } from "./layer.ts";
export {
  defineLayer,
  type LayerDefinition,
  layerJson,
  layerName,
  layerOptionNames,
  type LayerOptions,
  type LayerReviver,
  type Revive,
} from "./define.ts";
export { constrained, penaltyOf } from "./penalties.ts";
export { activityRegularization, type ActivityRegularizationOptions } from "./activity_regularization.ts";
export { bidirectional, type BidirectionalOptions, type Merge, type MergeMode } from "./bidirectional.ts";
export { convLstm1d, convLstm2d, convLstm3d, type ConvLstmOptions } from "./conv_lstm.ts";
export { gru, type GruOptions } from "./gru.ts";
export { layerNormLstm, type LayerNormLstmOptions } from "./layer_norm_lstm.ts";
export { lstm, type LstmOptions } from "./lstm.ts";
export type { RecurrentFlags, RnnOptions } from "./recurrent_options.ts";
export { isRecurrentLayer, type RecurrentLayer, rnn } from "./rnn.ts";
export { simpleRnn, type SimpleRnnOptions } from "./simple_rnn.ts";
export type { Stream } from "./stream.ts";
export type { StepArrays } from "./step_arrays.ts";
export { streaming, type StreamingOptions } from "./streaming.ts";
export {
  type StepTogetherOptions,
  type Streams,
  streams,
  type StreamsOptions,
  type StreamsSession,
} from "./streams.ts";
export {
  beamSearch,
  type BeamSearchOptions,
  type BeamSearchResult,
  generate,
  type Generated,
  type GenerateOptions,
  type PromptOptions,
} from "./generation/mod.ts";
export { timeDistributed } from "./time_distributed.ts";
export { type CarryState, isCarryState, resetStates, statefulLayer } from "./stateful.ts";
export { activation } from "./activation.ts";
export {
  batchNormalization,
  type BatchNormalizationOptions,
  type BatchNormalizationState,
  type NormalizationParams,
} from "./batch_normalization.ts";
export { crf, type CrfOptions, type CrfParams } from "./crf.ts";
export { dense, type DenseOptions, type DenseParams } from "./dense.ts";
export {
  dropout,
  type DropoutOptions,
  gaussianNoise,
  type GaussianNoiseOptions,
  spatialDropout1d,
  spatialDropout2d,
  spatialDropout3d,
  type SpatialDropoutOptions,
} from "./dropout.ts";
export { embedding, type EmbeddingOptions, type EmbeddingParams } from "./embedding.ts";
export { flatten } from "./flatten.ts";
export { layerNormalization, type LayerNormalizationOptions } from "./layer_normalization.ts";
export { masking, type MaskingOptions } from "./masking.ts";
export { merge, type MergeMethod, type MergeOptions } from "./merge.ts";
export { adapt, normalization, type NormalizationOptions } from "./normalization.ts";
export { reshapeLayer, type ReshapeLayerOptions } from "./reshape.ts";
export { type BestTags, viterbi, type ViterbiOptions } from "./viterbi.ts";
export {
  averagePooling1d,
  averagePooling2d,
  averagePooling3d,
  maxPooling1d,
  maxPooling2d,
  maxPooling3d,
  type PoolingLayerOptions,
} from "./pooling.ts";
export {
  globalAveragePooling1d,
  globalAveragePooling2d,
  globalAveragePooling3d,
  globalMaxPooling1d,
  globalMaxPooling2d,
  globalMaxPooling3d,
  type GlobalPoolingOptions,
} from "./global_pooling.ts";
export {
  cropping1d,
  type Cropping1dOptions,
  cropping2d,
  cropping3d,
  type CroppingOptions,
  type Sides,
  zeroPadding1d,
  type ZeroPadding1dOptions,
  zeroPadding2d,
  zeroPadding3d,
  type ZeroPaddingOptions,
} from "./padding.ts";
export {
  upSampling1d,
  type UpSampling1dOptions,
  upSampling2d,
  upSampling3d,
  type UpSamplingOptions,
} from "./up_sampling.ts";
export {
  eluLayer,
  type EluLayerOptions,
  leakyReluLayer,
  type LeakyReluLayerOptions,
  reluLayer,
  type ReluLayerOptions,
} from "./activation_layers.ts";
export { prelu, type PreluOptions, type PreluParams } from "./prelu.ts";
export { softmaxLayer, type SoftmaxLayerOptions } from "./softmax.ts";
export { unitNormalization, type UnitNormalizationOptions } from "./unit_normalization.ts";
export { dot, type DotOptions } from "./dot.ts";
export { permute, type PermuteOptions } from "./permute.ts";
export { repeatVector, type RepeatVectorOptions } from "./repeat_vector.ts";
export {
  conv1d,
  conv1dTranspose,
  conv2d,
  conv2dTranspose,
  conv3d,
  conv3dTranspose,
  type ConvOptions,
  type ConvParams,
  type ConvTransposeOptions,
} from "./conv.ts";
export type { ConvolutionLayerOptions } from "./convolution_layer.ts";
export {
  depthwiseConv1d,
  depthwiseConv2d,
  type DepthwiseConvOptions,
  separableConv1d,
  separableConv2d,
  type SeparableConvOptions,
} from "./depthwise_conv.ts";
export {
  additiveAttention,
  type AdditiveAttentionOptions,
  attention,
  type AttentionLayerOptions,
  type AttentionOptions,
} from "./attention.ts";
export type { Attended } from "./attention_weights.ts";
export {
  type HeadsParams,
  multiHeadAttention,
  type MultiHeadAttentionOptions,
  type MultiHeadAttentionParams,
} from "./multi_head_attention.ts";
