/**
 * Layers as parts of a graph. Containers are walked through; a recurrent layer or a normalization that ONNX
 * has an operator for becomes that operator; everything else is traced and written equation by equation.
 */
import type { Layer, Variables } from "../../../src/layers/layer.ts";
import { type Container, isContainer } from "../../../src/models/container.ts";
import type { Spec, Tensor } from "../../../src/tensor/tensor.ts";
import type { Tree } from "../../../src/tree/tree.ts";
import type { ExportContext } from "./context.ts";
import type { Edge } from "./graph_builder.ts";
import { recurrentOf } from "./library.ts";
import { writeNormalization } from "./normalization.ts";
import { writeRecurrent } from "./recurrent.ts";
import { addFinalStates, withStates } from "./states.ts";
import { type LayerCall, type LayerResult, traceCall, traceLayer, writeLayer } from "./trace_layer.ts";

/** Writes a call of a layer into the graph. */
export function exportLayer(
  context: ExportContext,
  name: string,
  layer: Layer,
  variables: Variables,
  call: LayerCall,
): LayerResult {
  if (isContainer(layer)) return exportContainer(context, name, layer, variables, call);
  const recurrent = recurrentOf(layer);
  if (recurrent) return exportRecurrent(context, name, layer, variables, call);
  return writeNormalization(context, name, layer, variables, call) ??
    writeLayer(context.builder, name, traceLayer(layer, variables, call));
}

function exportContainer(
  context: ExportContext,
  name: string,
  layer: Container,
  { params, state }: Variables,
  { input, mask }: LayerCall,
): LayerResult {
  const partsOf = (tree: Tree<Tensor>) => tree as readonly Tree<Tensor>[]; // one entry per layer
  const path = (part: string) => name === "" ? part : `${name}/${part}`;
  // Edges stand for tensors in a walk, which reads only their specs.
  const asTensors = (tree: Tree<Edge>) => tree as Tree<Spec> as Tree<Tensor>;
  const asEdges = (tree: Tree<Tensor>) => tree as Tree<Spec> as Tree<Edge>;
  const { output, mask: outputMask } = layer.walk(asTensors(input), mask, {
    call: (index, input, { mask, initialState, resets }) => {
      const variables = { params: partsOf(params)[index], state: partsOf(state)[index] };
      const result = exportLayer(context, path(layer.layerNames[index]), layer.layers[index], variables, {
        input: asEdges(input),
        mask,
        initialState: initialState && asEdges(initialState),
        resets: resets && asEdges(resets) as Edge, // one tensor
      });
      return { output: asTensors(result.output), mask: result.mask };
    },
    compute: ({ fn, call }, args, masks) => {
      const traced = traceCall(args, masks, (args, masks) => call(args, masks, {}));
      const result = writeLayer(context.builder, path(fn.name === "" ? "function" : fn.name), traced);
      return { output: asTensors(result.output), mask: result.mask };
    },
  });
  return { output: asEdges(output), mask: outputMask };
}

/**
 * Writes a recurrent layer: as one operator if there is one, else as a Scan. Its state may come from outside.
 */
function exportRecurrent(
  context: ExportContext,
  name: string,
  layer: Layer,
  variables: Variables,
  call: LayerCall,
): LayerResult {
  const { shown, given, stateless } = withStates(context, name, layer, variables, call);
  const whole = writeRecurrent(context, name, shown, stateless, given) ??
    writeLayer(context.builder, name, traceLayer(shown, stateless, given));
  if (!context.states) return whole;
  const [output, final] = whole.output as readonly Tree<Edge>[]; // [output, state], as the layer shown returns it
  addFinalStates(context, name, layer, final);
  if (recurrentOf(layer)?.forward.flags.returnState) return whole;
  return { output, mask: Array.isArray(whole.mask) ? whole.mask[0] : whole.mask };
}
