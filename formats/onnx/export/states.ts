/**
 * The states of recurrent layers as inputs and outputs of the graph, and those of stateful layers as
 * constants.
 */
import { bidirectional, type MergeMode } from "../../../src/layers/bidirectional.ts";
import type { Layer, Variables } from "../../../src/layers/layer.ts";
import { isRecurrentLayer, type RecurrentLayer } from "../../../src/layers/rnn.ts";
import { stepSpec } from "../../../src/program/types.ts";
import { printSpec, type Spec, type Tensor } from "../../../src/tensor/tensor.ts";
import { outputSpecs } from "../../../src/program/functions.ts";
import { flattenTree, mapTree, type Path, type Tree, unflattenTree } from "../../../src/tree/tree.ts";
import type { ExportContext } from "./context.ts";
import type { Edge } from "./graph_builder.ts";
import { recurrentOf } from "./library.ts";
import { type LayerCall, weightName } from "./trace_layer.ts";

/** A layer and its call, with the initial state made explicit unless it is zeros. */
export interface WithStates {
  readonly shown: Layer;
  readonly given: LayerCall;
  readonly stateless: Variables;
}

/** A recurrent layer as it is written: it returns its state if that is an output, and is not stateful. */
export function withStates(
  context: ExportContext,
  name: string,
  layer: Layer,
  variables: Variables,
  call: LayerCall,
): WithStates {
  const stateful = recurrentOf(layer)?.forward.flags.stateful ?? false;
  if (!context.states && !stateful) return { shown: layer, given: call, stateless: variables };
  const shown = withFlags(name, layer, { stateful: false, ...(context.states ? { returnState: true } : {}) });
  const stateless = { params: variables.params, state: shown.initState(variables.params, call.input) };
  if (call.initialState !== undefined) return { shown, given: call, stateless };
  const initialState = context.states
    ? addStates(
      context,
      context.stateInputs,
      layer,
      `${name}.initial`,
      stateSpecs(layer, variables, call.input),
    )
    : carriedState(context, name, layer, variables, call.input);
  return { shown, given: { ...call, initialState }, stateless };
}

/** A recurrent layer, or both of a pair, with other flags. */
function withFlags(
  name: string,
  layer: Layer,
  flags: { readonly stateful: boolean; readonly returnState?: boolean },
): Layer {
  if (isRecurrentLayer(layer)) return layer.withFlags(flags);
  const pair = recurrentOf(layer);
  const { mergeMode } = layer.options;
  if (!pair?.backward || (typeof mergeMode !== "string" && mergeMode !== null)) {
    throw new TypeError(
      `Cannot export ${name} to ONNX with its states: its merge mode is a function; use one of those with a name`,
    );
  }
  return bidirectional(pair.forward.withFlags(flags), {
    backwardLayer: pair.backward.withFlags(flags),
    mergeMode: mergeMode as MergeMode, // one with a name, or null
    name: layer.name,
  });
}

/** The part of each direction in a tree `{ forward, backward }`, or all of it if there is one direction. */
function ofDirections(
  layer: Layer,
  tree: Tree<Tensor>,
): readonly (readonly [RecurrentLayer, Tree<Tensor>])[] {
  const pair = recurrentOf(layer);
  if (!pair) return [];
  if (!pair.backward) return [[pair.forward, tree]];
  const both = tree as { readonly [direction: string]: Tree<Tensor> }; // as bidirectional has them
  return [[pair.forward, both.forward], [pair.backward, both.backward]];
}

/** One tree, or a list with those of both directions. */
function joined<T>(trees: readonly Tree<T>[]): Tree<T> {
  return trees.length === 1 ? trees[0] : trees;
}

/** The specs of a layer's initial state. */
function stateSpecs(layer: Layer, { params }: Variables, input: Tree<Edge>): Tree<Spec> {
  const steps = mapTree(input, (edge: Spec) => stepSpec(edge));
  return joined(
    ofDirections(layer, params).map(([{ cell }, own]) =>
      outputSpecs<Tree<Spec>>((params: Tree<Tensor>) => cell.initState(params, steps), own)
    ),
  );
}

/** The state of a stateful layer, as constants. */
function carriedState(
  { builder }: ExportContext,
  name: string,
  layer: Layer,
  { state }: Variables,
  input: Tree<Edge>,
): Tree<Edge> {
  const carries = ofDirections(layer, state).map(([, own]) => (own as { readonly carry: Tree<Tensor> }).carry // the layer is stateful
  );
  const [{ shape: [batch] }] = flattenTree<Spec>(input).leaves;
  return mapTree(joined(carries), (tensor: Tensor, path): Edge => {
    if (tensor.shape[0] !== batch) {
      throw new RangeError(
        `Cannot export ${name} to ONNX: it is stateful with the state ${
          printSpec(tensor)
        }, but its input has a ` +
          `batch of ${batch}; give an input of that batch, or { states: true } to have the state as an input`,
      );
    }
    const edge = builder.tensor(tensor, weightName(name, ["carry", ...path]));
    return { shape: tensor.shape, dtype: tensor.dtype, edge };
  });
}

/** Makes the final state of a layer an output. */
export function addFinalStates(context: ExportContext, name: string, layer: Layer, final: Tree<Edge>): void {
  addStates(context, context.stateOutputs, layer, `${name}.final`, final);
}

/** The name of a part of a state: `h` and `c` of an LSTM, `h` if there is only one, else its path. */
function labelOf(layer: Layer, path: Path): string {
  const pair = recurrentOf(layer);
  const [direction, rest] = pair?.backward
    ? [[["forward", "backward"][Number(path[0])]], path.slice(1)]
    : [[], path];
  const isLstm = /lstmCell/i.test(pair?.forward.cell.type ?? "");
  const part = rest.length === 0 ? ["h"] : isLstm && rest.length === 1 ? [["h", "c"][Number(rest[0])]] : rest;
  return [...direction, ...part].join("_");
}

/** Adds inputs or outputs of the graph for a state: `lstm.initial_h`, `lstm.final_c`. */
function addStates(
  { builder }: ExportContext,
  list: Edge[],
  layer: Layer,
  name: string,
  state: Tree<Spec | Edge>,
): Tree<Edge> {
  const { leaves, paths, structure } = flattenTree<Spec | Edge>(state);
  const edges = leaves.map((leaf, index): Edge => {
    const edge = builder.fresh(`${name}_${labelOf(layer, paths[index])}`);
    if ("edge" in leaf) builder.named("Identity", [leaf.edge], edge);
    return { shape: leaf.shape, dtype: leaf.dtype, edge };
  });
  list.push(...edges);
  return unflattenTree<Tree<Edge>>(structure, edges);
}
