/**
 * The option values of cells and layers: JSON, initializers, regularizers and constraints. (Activations are among the
 * operations.)
 */
export type {
  Constraint,
  ConstraintConfig,
  ConstraintLike,
  ConstraintName,
  ConstraintOptions,
  NormAxes,
} from "./constraints.ts";
export { functionOption, type Json, type JsonOptions } from "./json.ts";
export {
  type Initializer,
  type InitializerConfig,
  type InitializerLike,
  type InitializerName,
  initializerNames,
  type InitializerOptions,
  type NoOptions,
  resolveInitializer,
  shapesOnly,
} from "./initializers.ts";
export type {
  NormPenalty,
  OrthogonalPenalty,
  Regularizer,
  RegularizerLike,
  RegularizerName,
} from "./regularizers.ts";
export type { WeightOptions } from "./weight_rules.ts";
