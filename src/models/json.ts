/** A model as JSON and back: its layers with their options. Weights are handled separately, in weights.ts. */
import type { RecurrentCell } from "../cells/cell.ts";
import type { CellReviver } from "../cells/json.ts";
import { checkLayer } from "../layers/checks.ts";
import { layerJson, type LayerReviver, type Revive } from "../layers/define.ts";
import type { Layer } from "../layers/layer.ts";
import { nearest } from "../known_names.ts";
import { checkOptions } from "../option_names.ts";
import { asKey, quoted } from "../quoted.ts";
import type { Json, JsonOptions } from "../options/json.ts";
import type { GraphFunction } from "./revive_graph.ts";
import { cellTypes, layerTypes } from "./saved_types.ts";

/**
 * How deep layers may be nested. Deeper models are refused, so that walking them never overflows the stack.
 */
const DEEPEST = 100;

/** The parts of a saved model that JSON cannot hold. */
export interface FromJsonOptions {
  /** Custom cells by type: functions that make one from its saved options. */
  readonly cells?: { readonly [type: string]: CellReviver };
  /** Custom layers by type; `name` and `trainable` are among the options. */
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
  return JSON.parse(JSON.stringify(layerJson(layer))); // throws if an option is a function
}

/**
 * Reads the layer or model that `toJson` wrote.
 *
 * @param json The result of `toJson`, possibly after `JSON.stringify` and `JSON.parse`.
 * @param options Custom cells, layers and functions, which are not data, by type or name.
 * @throws RangeError for an unknown type or function, naming it and what to pass, or for an unknown option.
 * @throws RangeError for layers nested more than 100 deep; TypeError for JSON that is not a layer.
 */
export function fromJson(json: Json, options: FromJsonOptions = {}): Layer {
  checkOptions("fromJson", options, ["cells", "layers", "functions"]);
  const cells = { ...cellTypes, ...options.cells };
  const layers = { ...layerTypes(options.functions), ...options.layers };
  let depth = 0;
  /** Each layer, and each cell, is inside the one being read. */
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
