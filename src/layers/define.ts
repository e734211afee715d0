/**
 * What the layer factories share: `defineLayer` fills in the members that most layers have in common;
 * `layerJson` and `LayerReviver` write a layer as JSON and read it back. No layer lives here.
 */
import { checkVariables } from "./checks.ts";
import { checkFunction, checkObject, checkText, wrongKind } from "../describe.ts";
import type { ReviveCell } from "../cells/json.ts";
import { type Json, type JsonOptions, refusedJson } from "../options/json.ts";
import { checkAsMade, made, unsavable } from "../options/made.ts";
import { type RegularizerLike, regularizerOption, resolveRegularizer } from "../options/regularizers.ts";
import type { HostTensor, Spec, Tensor } from "../tensor/tensor.ts";
import { type Tree, treeLeaves } from "../tree/tree.ts";
import type { Applied, ApplyContext, Layer, Mask, Variables } from "./layer.ts";
import { harmlessInput } from "./masks.ts";
import { checkedPenalty, withActivityPenalty } from "./penalties.ts";

/** The options that every layer takes. */
export interface LayerOptions {
  /** The layer's name in summaries, errors and weights; default: its type. */
  readonly name?: string;
  /** Whether training changes the parameters; default true. */
  readonly trainable?: boolean;
  /**
   * A penalty of the output that is added to the loss: of each of its tensors, divided by the batch size, as in
   * Keras. Masked steps are left out, which Keras counts. Default null: none.
   */
  readonly activityRegularizer?: RegularizerLike | null;
}

/** The names of the options that every layer takes. */
export const layerOptionNames = ["name", "trainable", "activityRegularizer"] as const;

/**
 * The definition of a layer: only what is specific to it must be given.
 *
 * Its functions need not know whether the layer is trainable: `trainableLeaves` says what is trained unless
 * the layer is frozen, and `apply` gets `context.frozen`.
 *
 * @typeParam Output What `apply` computes.
 * @typeParam Params What `initParams` makes; the other functions get it.
 * @typeParam State What `initState` makes; `apply` gets it.
 */
export type LayerDefinition<Output = Tree<Tensor>, Params = Tree<Tensor>, State = Tree<Tensor>> =
  & Pick<Layer, "type" | "options">
  & Partial<
    Pick<
      Layer,
      | "name"
      | "trainable"
      | "layers"
      | "checkInput"
      | "sequenceInputs"
      | "inputNames"
      | "batch"
      | "batchAsNumber"
      | "unbatched"
    >
  >
  & {
    /** See {@linkcode Layer.initParams}. */
    initParams(key: Tensor, input: Tree<Spec>): Params;
    /** See {@linkcode Layer.initState}; default: no state. */
    initState?(params: Params, input: Tree<Spec>, mask?: Mask): State;
    /** See {@linkcode Layer.apply}. */
    apply(variables: Variables<Params, State>, input: Tree<Tensor>, context: ApplyContext): Applied<Output>;
    /** See {@linkcode Layer.trainableLeaves}; default: all. */
    trainableLeaves?(params: Params): boolean[];
    /** See {@linkcode Layer.withStateful}. */
    withStateful?(): Layer<Output>;
    /** See {@linkcode Layer.penalty}. */
    penalty?(params: Params): Tensor | undefined;
    /** See {@linkcode Layer.constrain}. */
    constrain?(params: Params): Tree<Tensor>;
    /** The option of this name, which acts on what `apply` gives and is saved among the options. */
    readonly activityRegularizer?: LayerOptions["activityRegularizer"];
    /** The name of the factory in errors; default: the type. */
    readonly factory?: string;
    /**
     * Whether the layer replaces masked values itself, or leaves that to the layers inside it. For other
     * layers they are replaced beforehand: they never see NaN in a step that does not count.
     */
    readonly masksInput?: boolean;
    /**
     * Whether the layer takes `context.resets`, as layers around a recurrent one may; default: they are
     * refused.
     */
    readonly takesResets?: boolean;
    /**
     * Makes the same layer under another name, so that its errors use that name; default: they keep the first
     * name.
     */
    named?(name: string | undefined): Layer<Output>;
  };

/** The definitions of layers, by their `apply`. */
const definitions = new WeakMap<object, LayerDefinition>();

/**
 * The layer of a definition: trainable, stateless, and with all parameters trained or none, unless the
 * definition says otherwise.
 *
 * The layer is its data. In a copy, `{ ...layer, trainable: false, name: "encoder" }`, `trainable` and `name`
 * take effect; a copy with other options, another type or other layers inside is refused with a TypeError
 * where it is used, unless it has its own `apply`.
 *
 * The types are those of the definition's functions: `apply` gets the params that `initParams` makes, and the
 * layer gives the output that `apply` returns.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { defineLayer, init, isTensor, key, mul, ones, spec, tensor, toNested } from "@cellfold/cellfold";
 * const scale = defineLayer({
 *   type: "scale",
 *   options: {},
 *   initParams: () => ({ factor: tensor(2) }),
 *   apply({ params: { factor }, state }, input) {
 *     if (!isTensor(input)) throw new TypeError("Cannot scale a list: expected one tensor");
 *     return { output: mul(input, factor), state };
 *   },
 * });
 * const variables = init(scale, key(0), spec([null, 1]));
 * const { output } = scale.apply(variables, ones([2, 1]), { training: false });
 * assertEquals(toNested(output), [[2], [2]]);
 * ```
 */
export function defineLayer<Output = Tree<Tensor>, Params = Tree<Tensor>, State = Tree<Tensor>>(
  definition: LayerDefinition<Output, Params, State>,
): Layer<Output>;
/**
 * The same for a layer that has more members than every layer has. Its functions get the layer as `this`.
 *
 * @typeParam Extra The further members.
 */
export function defineLayer<Extra extends object>(definition: LayerDefinition & Extra): Layer & Extra;
export function defineLayer<Extra extends object>(definition: LayerDefinition & Extra): Layer & Extra {
  checkDefinition(definition);
  const { factory, named, masksInput, takesResets, activityRegularizer = null, ...given } = definition;
  const activity = activityRegularizer === null
    ? undefined
    : resolveRegularizer(layerName(given), "activityRegularizer", activityRegularizer);
  const renamed = new Map<string | undefined, LayerDefinition>([[given.name, definition]]);
  /** The definition under the name that the layer has. */
  const as = ({ name }: Layer): LayerDefinition => {
    let found = renamed.get(name);
    if (!found) renamed.set(name, found = definitions.get(named?.(name).apply ?? layer.apply) ?? definition);
    return found;
  };
  const options = activityRegularizer === null ? given.options : withOption(
    given.options,
    "activityRegularizer",
    regularizerOption(layerName(given), "activityRegularizer", activityRegularizer),
  );
  const members: Pick<Layer, "initParams" | "initState" | "apply" | "trainableLeaves"> & ThisType<Layer> = {
    initParams(key, input) {
      return as(this).initParams(key, input);
    },
    initState(params, input, mask) {
      return as(this).initState?.(params, input, mask) ?? [];
    },
    apply(variables, input, context) {
      const what = `apply ${layerName(this)}`;
      checkVariables(what, variables);
      checkObject(what, context, "the context", "{ training: false }, or what a layer is given");
      if (context.resets !== undefined && !takesResets) {
        throw new TypeError(
          `Cannot use ${layerName(this)} with resets: only recurrent layers take them; ` +
            `give them to one of those, as call(layer, x, { resets }) in a graph does`,
        );
      }
      const counted = masksInput ? input : harmlessInput(input, context.mask);
      const applied = as(this).apply(
        variables,
        counted,
        this.trainable ? context : { ...context, frozen: true },
      );
      return activity ? withActivityPenalty(layerName(this), activity, applied) : applied;
    },
    trainableLeaves(params) {
      const leaves = as(this).trainableLeaves?.(params) ?? treeLeaves<Tensor>(params).map(() => true);
      return leaves.map((leaf) => leaf && this.trainable);
    },
  };
  const optional: Pick<Layer, "checkInput" | "withStateful" | "penalty" | "constrain"> & ThisType<Layer> = {
    ...(given.checkInput && {
      checkInput(input: Tree<HostTensor>) {
        return as(this).checkInput?.(input);
      },
    }),
    ...(given.withStateful && {
      withStateful() {
        return changed(this, layer, as(this).withStateful?.() ?? layer);
      },
    }),
    ...(given.penalty && {
      penalty(params: Tree<Tensor>) {
        return as(this).penalty?.(params);
      },
    }),
    ...(given.constrain && {
      constrain(params: Tree<Tensor>) {
        return as(this).constrain?.(params) ?? params;
      },
    }),
  };
  const layer: Layer & Extra = made<Layer & Extra>(
    { ...given as Layer & Extra, options, trainable: given.trainable ?? true, ...members, ...optional },
    { main: "apply", acts: ["trainable", "name"], factory },
  );
  definitions.set(layer.apply, definition);
  return layer;
}

/** Options with one more; those that are computed when they are read stay so. */
function withOption(options: JsonOptions, name: string, value: Json): JsonOptions {
  const all = { ...Object.getOwnPropertyDescriptors(options), [name]: { value, enumerable: true } };
  return Object.create(Object.prototype, all) as JsonOptions; // the same options and one more
}

/**
 * Throws unless this can be the definition of a layer: the names and flags of all layers are checked here.
 */
function checkDefinition(definition: LayerDefinition): void {
  const what = "define a layer";
  checkObject(what, definition, "the definition", "{ type, options, initParams, apply }");
  const { type, name, trainable, options, initParams, apply } = definition;
  checkText(what, type, "its type");
  if (name !== undefined) checkText(`make ${type}`, name, "name");
  if (trainable !== undefined && typeof trainable !== "boolean") {
    throw wrongKind(`make ${type}`, trainable, "trainable", "true or false");
  }
  checkObject(`make ${type}`, options, "its options");
  checkFunction(`make ${type}`, initParams, "its initParams");
  checkFunction(`make ${type}`, apply, "its apply");
}

/** The functions that a copy may have of its own. */
const ownKeys = [
  "initParams",
  "initState",
  "apply",
  "trainableLeaves",
  "checkInput",
  "penalty",
  "constrain",
] as const;

/**
 * A variant of a layer (such as one with state across calls) that matches the layer as it is now: with its
 * changed data, where that takes effect.
 *
 * @param layer The layer, or a copy of it.
 * @param original The layer as it was made.
 * @param other The variant made from the original.
 * @throws TypeError if the copy has its own functions, which cannot be carried over.
 */
export function changed<Other extends Layer>(layer: Layer, original: Layer, other: Other): Other {
  const own: Record<string, unknown> = {};
  for (const key of ownKeys) {
    if (layer[key] === original[key]) continue;
    if (key === "initState" || key === "apply") {
      throw new TypeError(
        `Cannot change how ${layerName(layer)} works: its ${key} is a function of your own; ` +
          `give it a withStateful of its own too`,
      );
    }
    own[key] = layer[key];
  }
  const { name, trainable } = layer;
  if (name === other.name && trainable === other.trainable && Object.keys(own).length === 0) return other;
  return Object.freeze({ ...other, ...own, name, trainable });
}

/** Applies any layer, custom ones included, so that masked values do not count in its derivative either. */
export function applyLayer<Output>(
  layer: Layer<Output>,
  variables: Variables,
  input: Tree<Tensor>,
  context: ApplyContext,
): Applied<Output> {
  const counted = definitions.has(layer.apply) ? input : harmlessInput(input, context.mask);
  const applied = layer.apply(variables, counted, context);
  checkedPenalty(layer, applied.penalty);
  return applied;
}

/**
 * Per leaf of `params`, in order, whether training changes it; none in a frozen layer, custom ones included.
 */
export function trainedLeaves(layer: Layer, params: Tree<Tensor>): boolean[] {
  return layer.trainableLeaves(params).map((leaf) => leaf && layer.trainable);
}

/** Throws a TypeError unless `layer` has the type of one, which is enough to name it. */
function checkNamed(what: string, layer: Pick<Layer, "type">): void {
  if (typeof layer?.type !== "string") throw wrongKind(what, layer, "it", "a layer such as dense(...)");
}

/** A layer's name in errors: its type, and its own name if it has one. */
export function layerName(layer: Pick<Layer, "type" | "name">): string {
  checkNamed("name a layer", layer);
  return layer.name === undefined || layer.name === layer.type ? layer.type : `${layer.type} ${layer.name}`;
}

/**
 * A layer as JSON: `{ type, name?, trainable?, options }`. `JSON.stringify` of it throws a TypeError if an
 * option is a function (see `functionOption`), or if the layer is a copy that has its own functions but keeps
 * the type of the original.
 *
 * @throws TypeError for a copy whose changed data has no effect.
 */
export function layerJson(layer: Layer): Json {
  checkNamed("save a layer", layer);
  checkAsMade(layer);
  const reason = unsavable(layer);
  if (reason !== undefined) return refusedJson(`Cannot save ${layerName(layer)}: ${reason}`);
  return {
    type: layer.type,
    ...(layer.name === undefined ? {} : { name: layer.name }),
    ...(layer.trainable ? {} : { trainable: false }),
    options: layer.options,
  };
}

/** How the parts of a layer are read from JSON. */
export interface Revive extends ReviveCell {
  /** Reads the layer that `layerJson` wrote. */
  layer(json: Json): Layer;
}

/** Makes the layer from saved options; `name` and `trainable` are among them if the JSON has them. */
export type LayerReviver = (options: JsonOptions, revive: Revive) => Layer;
