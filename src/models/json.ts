/** A model as JSON and back: its layers with their options. Weights are apart, see weights.ts. */
import type { RecurrentCell } from "../cells/cell.ts";
import type { CellReviver } from "../cells/json.ts";
import { checkLayer } from "../layers/checks.ts";
import { layerJson, type LayerReviver, type Revive } from "../layers/define.ts";
import type { Layer } from "../layers/layer.ts";
import { asKey, checkOptions, nearest, quoted } from "../nearest.ts";
import type { Json, JsonOptions } from "../options/json.ts";
import type { GraphFunction } from "./revive_graph.ts";
import { cellTypes, layerTypes } from "./saved_types.ts";

/** Layers in layers, in layers, and so on. More are refused, so that nothing that walks them overflows its stack. */
const DEEPEST = 100;

/** What a saved model needs and JSON cannot hold. */
export interface FromJsonOptions {
  /** Cells of your own by type: what makes one from its saved options. */
  readonly cells?: { readonly [type: string]: CellReviver };
  /** Layers of your own by type; `name` and `trainable` are among the options. */
  readonly layers?: { readonly [type: string]: LayerReviver };
  /** The functions of `apply` by name. */
  readonly functions?: { readonly [name: string]: GraphFunction };
}

/** An object of JSON. */
function objectOf(json: Json | undefined, what: string): JsonOptions {
  if (typeof json === "object" && json !== null && !Array.isArray(json)) return json as JsonOptions; // no array
  throw new TypeError(`Cannot load ${what}: current value is ${quoted(json)}, expected an object`);
}

/** What was saved under a type. */
function ofType<T>(what: "layer" | "cell", type: Json | undefined, known: { readonly [type: string]: T }): T {
  if (typeof type !== "string") {
    throw new TypeError(`Cannot load a ${what}: its type is ${quoted(type)}, expected a text`);
  }
  if (Object.hasOwn(known, type)) return known[type];
  const near = nearest(type, Object.keys(known));
  throw new RangeError(
    `Cannot load the ${what} ${quoted(type)}: it is unknown; if it is your own, give what makes it: ` +
      `fromJson(json, { ${what}s: { ${asKey(type)}: (options) => … } })` +
      (near === undefined ? "" : `; or did you mean ${quoted(near)}?`),
  );
}

/**
 * A layer or model as JSON: types, names and options, no weights. `fromJson` reads it.
 *
 * @throws TypeError if an option is a function, naming the layer and the option.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dense, fromJson, sequential, toJson } from "@cellfold/cellfold";
 * const saved = JSON.stringify(toJson(sequential([dense({ units: 2 })])));
 * assertEquals(fromJson(JSON.parse(saved)).layers?.[0].type, "dense");
 * ```
 */
export function toJson(layer: Layer): Json {
  checkLayer("write as JSON", layer);
  return JSON.parse(JSON.stringify(layerJson(layer))); // where a function stands, writing the text throws
}

/**
 * The layer or model that `toJson` wrote.
 *
 * @param json What `toJson` gave, also through `JSON.stringify` and `JSON.parse`.
 * @param options Cells, layers and functions of your own, which are not data, by type or name.
 * @throws RangeError for a type or function that is not known, naming it and what to pass, or an unknown option.
 * @throws RangeError for layers that are nested more than 100 deep; TypeError for what no layer looks like.
 */
export function fromJson(json: Json, options: FromJsonOptions = {}): Layer {
  checkOptions("fromJson", options, ["cells", "layers", "functions"]);
  const cells = { ...cellTypes, ...options.cells };
  const layers = { ...layerTypes(options.functions), ...options.layers };
  let depth = 0;
  /** Each layer, and each cell, is inside the one that is being read. */
  const inside = <T>(read: () => T): T => {
    if (depth === DEEPEST) {
      throw new RangeError(`Cannot load a layer: it is nested more than ${DEEPEST} levels deep`);
    }
    depth++;
    try {
      return read();
    } finally {
      depth--;
    }
  };
  const revive: Revive = {
    layer: (json) =>
      inside((): Layer => {
        const { type, name, trainable, options } = objectOf(json, "a layer");
        const make = ofType("layer", type, layers);
        const common = {
          ...(name === undefined ? {} : { name }),
          ...(trainable === undefined ? {} : { trainable }),
        };
        return make({ ...objectOf(options ?? {}, `the options of ${quoted(type)}`), ...common }, revive);
      }),
    cell: (json) =>
      inside((): RecurrentCell => {
        const { type, options } = objectOf(json, "a cell");
        return ofType("cell", type, cells)(objectOf(options ?? {}, `the options of ${quoted(type)}`), revive);
      }),
  };
  return revive.layer(json);
}
