/** Which layer of a model is which module of a PyTorch model, and a walk through all of them. */
import { layerName } from "../../src/layers/define.ts";
import type { Layer, Variables } from "../../src/layers/layer.ts";
import { isContainer } from "../../src/models/container.ts";
import { unknownName } from "../../src/known_names.ts";
import { isLeaf, type Tensor } from "../../src/tensor/tensor.ts";
import { type Tree, treeLeaves } from "../../src/tree/tree.ts";
import { type Conversion, type Counterpart, noModule } from "./conversion.ts";
import { plainConversions } from "./plain.ts";
import { recurrentOf } from "./recurrent.ts";

/** A layer with tensors, and their place in a state dict. */
export interface ModulePlace {
  /** The prefix of its tensors' names, such as `encoder.rnn.`. */
  readonly prefix: string;
  readonly conversion: Conversion;
}

/** The module of each layer, by the path of its name in the model. */
export type ModuleNames = Readonly<Record<string, string>>;

/** How modules are named. */
export interface Naming {
  readonly modules: ModuleNames;
  readonly cells: readonly string[];
  readonly prefix: string;
}

/** A layer inside containers, with its names in them joined by dots. */
interface Inner {
  readonly layer: Layer;
  readonly path: string;
}

/** All layers that are not containers, in order; for a layer applied to each step, the inner layer. */
function innerLayers(layer: Layer, path: readonly string[] = []): Inner[] {
  if (isContainer(layer)) {
    return layer.layers.flatMap((inner, index) => innerLayers(inner, [...path, layer.layerNames[index]]));
  }
  if (layer.type === "timeDistributed" && layer.layers) return innerLayers(layer.layers[0], path);
  return [{ layer, path: path.join(".") }];
}

/** The variables of each layer of a container. */
function parts(layer: Layer, what: string, tree: Tree<Tensor>, count: number): readonly Tree<Tensor>[] {
  if (Array.isArray(tree) && tree.length === count) return tree;
  throw new TypeError(
    `Cannot convert ${layerName(layer)}: its ${what} are ${isLeaf(tree) ? "a tensor" : "no array"}, ` +
      `expected an array of ${count}; make the variables with init(layer, key, input)`,
  );
}

/** The same variables with those of every layer changed, in the order of {@linkcode placesOf}. */
export function changeVariables(
  layer: Layer,
  variables: Variables,
  change: (variables: Variables, index: number) => Variables,
): Variables {
  let index = 0;
  const walk = (layer: Layer, { params, state }: Variables): Variables => {
    if (isContainer(layer)) {
      const count = layer.layers.length;
      const [ofParams, ofState] = [
        parts(layer, "params", params, count),
        parts(layer, "state", state, count),
      ];
      const changed = layer.layers.map((inner, i) => walk(inner, { params: ofParams[i], state: ofState[i] }));
      return { params: changed.map(({ params }) => params), state: changed.map(({ state }) => state) };
    }
    if (layer.type === "timeDistributed" && layer.layers) return walk(layer.layers[0], { params, state });
    return change({ params, state }, index++);
  };
  return walk(layer, variables);
}

/** A layer as PyTorch sees it; undefined for one without tensors. */
function counterpartOf(layer: Layer, params: Tree<Tensor>, asCell: boolean): Counterpart | undefined {
  const recurrent = recurrentOf(layer, asCell);
  if (recurrent) return recurrent;
  const conversion = plainConversions.get(layer.type)?.(layer);
  if (conversion) return { depth: 1, conversion: () => conversion };
  if (treeLeaves(params).length === 0) return undefined;
  const known = ["lstm", "gru", "simpleRnn", "bidirectional", ...plainConversions.keys()];
  throw noModule(
    layer,
    `there is no module for it, only for ${known.join(", ")} and layers without parameters`,
  );
}

/**
 * For each layer that is not a container, in order, its place in a state dict; undefined for a layer without
 * tensors.
 *
 * @param variables The model's variables, which determine the layers that have parameters.
 * @param naming `modules`: names that differ from those of the layers; recurrent layers with the same name are
 * the layers of one module. `cells`: the layers whose cell is the module. `prefix`: what all names begin with.
 * @throws TypeError for a layer that has no PyTorch module; RangeError for a path that the model does not
 *   have, or layers that cannot form one module.
 */
export function placesOf(
  model: Layer,
  variables: Variables,
  { modules, cells, prefix }: Naming,
): (ModulePlace | undefined)[] {
  const inner = innerLayers(model);
  const paths = inner.map(({ path }) => path);
  for (const path of [...Object.keys(modules), ...cells]) {
    if (!paths.includes(path)) throw unknownName("layer", path, paths);
  }
  const params: Tree<Tensor>[] = [];
  changeVariables(model, variables, (own) => {
    params.push(own.params);
    return own;
  });
  const taken = new Map<string, { readonly path: string; readonly kind?: string; depth: number }>();
  return inner.map(({ layer, path }, index) => {
    const counterpart = counterpartOf(layer, params[index], cells.includes(path));
    if (!counterpart) return undefined;
    const { kind, depth, conversion } = counterpart;
    const module = Object.hasOwn(modules, path) ? modules[path] : path;
    const before = taken.get(module);
    if (before && (kind === undefined || before.kind !== kind)) {
      throw new RangeError(
        `Cannot convert ${path} to or from PyTorch: ${before.path} is the module ${
          JSON.stringify(module)
        } too` +
          (kind && before.kind ? `, but that is ${before.kind}, and this ${kind}` : ""),
      );
    }
    const first = before?.depth ?? 0;
    taken.set(module, { path, kind, depth: first + depth });
    return {
      prefix: [prefix, module].filter((part) => part !== "").map((part) => `${part}.`).join(""),
      conversion: conversion(first),
    };
  });
}
