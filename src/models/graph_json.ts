/**
 * How a graph is written as JSON: its steps in order, and references to their results. A reference is a
 * string, `"3.0"`: the first tensor of step 3. It is read back in revive_graph.ts.
 */
import { functionOption } from "../options/json.ts";
import type { Json } from "../options/json.ts";
import type { Layer } from "../layers/layer.ts";
import { isLeaf, type Spec } from "../tensor/tensor.ts";
import type { Tree } from "../tree/tree.ts";
import type { Node, Origin, Source } from "./nodes.ts";

/** A tree of nodes as a tree of references to the sources. */
export function referencesJson(tree: Tree<Node>, sources: readonly Source[]): Json {
  if (isLeaf(tree)) {
    const { source, index } = tree as Origin; // every node is a SourcedNode
    return `${sources.indexOf(source)}.${index}`;
  }
  if (Array.isArray(tree)) return tree.map((item) => referencesJson(item, sources));
  return Object.fromEntries(Object.entries(tree).map(([key, item]) => [key, referencesJson(item, sources)]));
}

function specJson({ shape, dtype }: Spec): Json {
  return { shape: shape.map((dim) => typeof dim === "number" ? dim : dim.toString()), dtype };
}

/**
 * A step as JSON. A function is written as its name; one without a name is refused when the model is saved.
 */
export function sourceJson(source: Source, sources: readonly Source[], layers: readonly Layer[]): Json {
  switch (source.kind) {
    case "input":
      return { input: source.name ?? null, ...specJson(source.spec) as { readonly [key: string]: Json } };
    case "call":
      return {
        layer: layers.indexOf(source.layer),
        inputs: referencesJson(source.inputs, sources),
        ...(source.initialState ? { initialState: referencesJson(source.initialState, sources) } : {}),
        ...(source.mask ? { mask: referencesJson(source.mask, sources) } : {}),
        ...(source.resets ? { resets: referencesJson(source.resets, sources) } : {}),
      };
    case "apply":
      return {
        function: source.fn.name || functionOption("model", "apply(function without a name)"),
        inputs: referencesJson(source.inputs, sources),
      };
  }
}
