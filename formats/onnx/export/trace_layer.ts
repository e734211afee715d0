/** A layer as a Program, written into the graph as it is: what any layer is exported by that has no operator of its own. */
import type { Layer, Mask, Variables } from "../../../src/layers/layer.ts";
import { maskOfTree, masksOfLeaves } from "../../../src/models/masks.ts";
import type { Program } from "../../../src/program/types.ts";
import type { Spec, Tensor } from "../../../src/tensor/tensor.ts";
import { trace } from "../../../src/transforms/compile.ts";
import { flattenTree, type Path, type Structure, type Tree, unflattenTree } from "../../../src/tree/tree.ts";
import type { Edge, GraphBuilder } from "./graph_builder.ts";
import { translateProgram } from "./program.ts";

/** What a layer is called with: edges of the graph. */
export interface LayerCall {
  readonly input: Tree<Edge>;
  readonly mask: Mask;
  readonly initialState: Tree<Edge> | undefined;
}

/** What a layer gives. */
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
  /** What each input of the Program stands for: an edge, or a variable with its path. */
  readonly inputs: readonly (Edge | { readonly variable: Tensor; readonly path: Path })[];
}

/** Traces a layer in inference. */
export function traceLayer(layer: Layer, variables: Variables, call: LayerCall): TracedLayer {
  const masks = packed(masksOfLeaves(call.input, call.mask));
  const extras = { masks, initialState: call.initialState };
  const count = flattenTree(call.input).leaves.length;
  const { program, structure } = trace(
    (params: Tree<Tensor>, state: Tree<Tensor>, input: Tree<Tensor>, given: typeof extras) => {
      const list = Array.from({ length: count }, (_, index) => given.masks[index]);
      const applied = layer.apply({ params, state }, input, {
        training: false,
        mask: maskOfTree(input, list),
        // The tree of edges stands for tensors in a trace.
        initialState: given.initialState as Tree<Tensor> | undefined,
      });
      return { output: applied.output, masks: packed(masksOfLeaves(applied.output, applied.mask)) };
    },
    variables.params,
    variables.state,
    call.input,
    extras,
  );
  const leaves = (tree: unknown) => {
    const { leaves, paths } = flattenTree<Tensor>(tree);
    return leaves.map((variable, index) => ({ variable, path: paths[index] }));
  };
  return {
    program,
    structure,
    inputs: [
      ...leaves(variables.params),
      ...leaves(variables.state),
      ...flattenTree<Edge>(call.input).leaves,
      ...flattenTree<Edge>(extras).leaves,
    ],
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
    if (given && "edge" in given) return given; // what is passed on stays what it is: a mask with known lengths
    const { shape, dtype }: Spec = value;
    return { shape, dtype, edge: names[index] };
  });
  const { output, masks } = unflattenTree<{ output: Tree<Edge>; masks: Record<string, Edge> }>(
    structure,
    edges,
  );
  const count = flattenTree(output).leaves.length;
  const list = Array.from({ length: count }, (_, index) => masks[index] as Spec as Tensor | undefined); // stands for one
  return { output, mask: maskOfTree(output, list) };
}
