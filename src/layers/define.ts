/**
 * What the factories of layers share: `defineLayer` fills in the members that most layers have alike; `layerJson`
 * and `LayerReviver` are how a layer is written as JSON and read back. No layer lives here.
 */
import type { ReviveCell } from "../cells/json.ts";
import type { Json, JsonOptions } from "../options/json.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { treeLeaves } from "../tree/tree.ts";
import type { Layer } from "./layer.ts";

/** The options that every layer takes. */
export interface LayerOptions {
  /** The layer's name in summaries, errors and weights; default: its type. */
  readonly name?: string;
  /** Whether training changes the parameters; default true. */
  readonly trainable?: boolean;
}

/** The names of the options that every layer takes. */
export const layerOptionNames = ["name", "trainable"] as const;

/** A layer of which only what is its own must be given. */
export type LayerDefinition =
  & Pick<Layer, "type" | "options" | "initParams" | "apply">
  & Partial<Omit<Layer, "type" | "options" | "initParams" | "apply">>;

/**
 * The layer of a definition: trainable, without state, and with all parameters trained or none, unless it says
 * otherwise.
 */
export function defineLayer(definition: LayerDefinition): Layer {
  const trainable = definition.trainable ?? true;
  return {
    initState: () => [],
    trainableLeaves: (params) => treeLeaves<Tensor>(params).map(() => trainable),
    ...definition,
    trainable,
  };
}

/** A layer's name in errors: its type, and its own name where it has one. */
export function layerName(layer: Pick<Layer, "type" | "name">): string {
  return layer.name === undefined || layer.name === layer.type ? layer.type : `${layer.type} ${layer.name}`;
}

/**
 * A layer as JSON: `{ type, name?, trainable?, options }`. `JSON.stringify` of it throws a TypeError where an option
 * is a function (see `functionOption`).
 */
export function layerJson(layer: Layer): Json {
  return {
    type: layer.type,
    ...(layer.name === undefined ? {} : { name: layer.name }),
    ...(layer.trainable ? {} : { trainable: false }),
    options: layer.options,
  };
}

/** How the parts of a layer are read from JSON. */
export interface Revive extends ReviveCell {
  /** The layer that `layerJson` wrote. */
  layer(json: Json): Layer;
}

/** The layer of saved options; `name` and `trainable` are among them where the JSON had them. */
export type LayerReviver = (options: JsonOptions, revive: Revive) => Layer;
