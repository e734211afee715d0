/** Writes a layer as a Program into the graph: the general way to export layers without an operator. */
import type { Applied, Layer, Mask, Variables } from "../../../src/layers/layer.ts";
import { maskOfTree, masksOfLeaves } from "../../../src/layers/masks.ts";
import type { Program } from "../../../src/program/types.ts";
import type { Spec, Tensor } from "../../../src/tensor/tensor.ts";
import { trace } from "../../../src/program/functions.ts";
import { flattenTree, type Path, type Structure, type Tree, unflattenTree } from "../../../src/tree/tree.ts";
import type { Edge, GraphBuilder } from "./graph_builder.ts";
import { translateProgram } from "./program.ts";

/** The arguments of a layer call: edges of the graph. */
export interface LayerCall {
  readonly input: Tree<Edge>;
  readonly mask: Mask;
  readonly initialState: Tree<Edge> | undefined;
  readonly resets?: Edge;
}

/** The results of a layer. */
export interface LayerResult {
  readonly output: Tree<Edge>;
  readonly mask: Mask;
}

/** A list with holes as an object, which is a tree. */
function packed<T>(list: readonly (T | undefined)[]): { readonly [index: string]: T | undefined } {
  return Object.fromEntries(list.map((item, index) => [index, item]));
}

/** A layer's Program over its params, state, input, masks and initial state, in that order. */
export interface TracedLayer {
  readonly program: Program;
  readonly structure: Structure;
  /** What each input of the Program is: an edge, or a variable with its path. */
  readonly inputs: readonly (Edge | { readonly variable: Tensor; readonly path: Path })[];
}

/** Traces a layer in inference. */
export function traceLayer(layer: Layer, variables: Variables, call: LayerCall): TracedLayer {
  const { params, state } = variables;
  const { input, initialState, resets } = call;
  return traceCall(
    { params, state, input, initialState, resets },
    masksOfLeaves(input, call.mask),
    (given, masks) =>
      // The tree of edges stands for tensors in a trace.
      layer.apply(given as Variables, given.input as Tree<Tensor>, {
        training: false,
        mask: maskOfTree(given.input, masks),
        initialState: given.initialState as Tree<Tensor> | undefined,
        resets: given.resets as Spec as Tensor | undefined,
      }),
  );
}

/**
 * Traces a computation.
 *
 * @param given What it reads: variables and edges.
 * @param masks Edges. One that occurs several times is a single input, so that its readers recognize it.
 */
export function traceCall<Given>(
  given: Given,
  masks: readonly (Tensor | undefined)[],
  compute: (given: Given, masks: readonly (Tensor | undefined)[]) => Pick<Applied, "output" | "mask">,
): TracedLayer {
  const distinct = [...new Set(masks.filter((mask) => mask !== undefined))];
  const { program, structure } = trace(
    (given: Given, distinctMasks: readonly Tensor[]) => {
      const applied = compute(given, masks.map((mask) => mask && distinctMasks[distinct.indexOf(mask)]));
      return { output: applied.output, masks: packed(masksOfLeaves(applied.output, applied.mask)) };
    },
    given,
    distinct,
  );
  const { leaves, paths } = flattenTree<Tensor | Edge>([given, distinct]);
  return {
    program,
    structure,
    inputs: leaves.map((leaf, index) =>
      "edge" in leaf ? leaf : { variable: leaf, path: paths[index].slice(2) } // in the params or the state
    ),
  };
}

/** The name of a weight: its layer, then its path in the layer's variables. */
export function weightName(layer: string, path: Path): string {
  return [layer, ...path].join(".");
}

/** Writes a layer's Program into the graph. */
export function writeLayer(
  builder: GraphBuilder,
  name: string,
  { program, structure, inputs }: TracedLayer,
): LayerResult {
  const names = translateProgram(builder.within(name), program, (index) => {
    const input = inputs[index];
    return "edge" in input ? input.edge : builder.tensor(input.variable, weightName(name, input.path));
  });
  const edges = program.outputs.map((value, index): Edge => {
    const given = inputs[program.inputs.indexOf(value)];
    if (given && "edge" in given) return given; // passed through unchanged: a mask with known lengths
    const { shape, dtype }: Spec = value;
    return { shape, dtype, edge: names[index] };
  });
  const { output, masks } = unflattenTree<{ output: Tree<Edge>; masks: Record<string, Edge> }>(
    structure,
    edges,
  );
  const count = flattenTree(output).leaves.length;
  const list = Array.from({ length: count }, (_, index) => masks[index] as Spec as Tensor | undefined); // a stand-in
  return { output, mask: maskOfTree(output, list) };
}
