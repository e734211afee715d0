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
