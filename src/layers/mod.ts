/** The layers: what every layer is, the recurrent ones, and the others. */
export type { Applied, ApplyContext, Json, Layer, Mask, Variables } from "./layer.ts";
export {
  cellJson,
  type CellReviver,
  defineLayer,
  functionOption,
  type JsonOptions,
  type LayerDefinition,
  layerJson,
  layerName,
  layerOptionNames,
  type LayerOptions,
  type LayerReviver,
  type Revive,
} from "./define.ts";
export { type CarryState, isCarryState, resetStates, statefulLayer } from "./stateful.ts";
export { activation } from "./activation.ts";
export {
  batchNormalization,
  type BatchNormalizationOptions,
  type BatchNormalizationState,
  type NormalizationParams,
} from "./batch_normalization.ts";
export { dense, type DenseOptions, type DenseParams } from "./dense.ts";
export { dropout, type DropoutOptions } from "./dropout.ts";
export { embedding, type EmbeddingOptions, type EmbeddingParams } from "./embedding.ts";
export { flatten } from "./flatten.ts";
export { layerNormalization, type LayerNormalizationOptions } from "./layer_normalization.ts";
export { masking, type MaskingOptions } from "./masking.ts";
export { reshapeLayer, type ReshapeLayerOptions } from "./reshape.ts";
