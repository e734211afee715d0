/** The option values of cells and layers: JSON and initializers. (Activations are among the operations.) */
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
