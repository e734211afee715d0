/** Batch and layer normalization as ONNX operators, so that readers of the file recognize them. */
import type { Layer, Variables } from "../../../src/layers/layer.ts";
import type { NormalizationParams } from "../../../src/layers/batch_normalization.ts";
import { resolveAxes, resolveAxis } from "../../../src/operations/axes.ts";
import { fixedSize, host, hostTensor, isLeaf, type Spec, type Tensor } from "../../../src/tensor/tensor.ts";
import type { ExportContext } from "./context.ts";
import type { Edge } from "./graph_builder.ts";
import { isLibraryLayer } from "./library.ts";
import { type LayerCall, type LayerResult, weightName } from "./trace_layer.ts";

/** Writes a normalization of the library; undefined for other layers, and if no operator computes it. */
export function writeNormalization(
  context: ExportContext,
  name: string,
  layer: Layer,
  variables: Variables,
  call: LayerCall,
): LayerResult | undefined {
  const write = writers[layer.type];
  const { input, mask } = call;
  if (!write || !isLeaf(input) || input.dtype !== "float32" || !isLibraryLayer(layer, variables, call)) {
    return undefined;
  }
  if (isOverMasked(layer, input, mask)) return undefined;
  const edge = write(context, name, layer, variables, input);
  return edge === undefined ? undefined : { output: { ...input, edge }, mask };
}

/** Whether a layer normalization excludes masked steps, which ONNX's does not. */
function isOverMasked({ type, options }: Layer, input: Spec, mask: LayerCall["mask"]): boolean {
  if (type !== "layerNormalization" || mask === undefined || !isLeaf(mask)) return false;
  const axes = resolveAxes(options.axis as number | readonly number[], input.shape.length, "normalize"); // as it is saved
  return axes.some((axis) => axis < mask.shape.length);
}

type Writer = (
  context: ExportContext,
  name: string,
  layer: Layer,
  variables: Variables,
  input: Edge,
) => string | undefined;

const batchNormalization: Writer = ({ builder: graph }, name, { options }, variables, input) => {
  const { gamma, beta } = variables.params as unknown as NormalizationParams; // of a library layer, as was checked
  const { movingMean, movingVariance } = variables.state as { readonly [name: string]: Tensor };
  const rank = input.shape.length;
  const axis = resolveAxis(Number(options.axis), rank, "normalize");
  const size = fixedSize(movingMean, 0);
  const filled = (value: number) => hostTensor(new Float32Array(size).fill(value), [size]);
  const builder = graph.within(name);
  // ONNX normalizes axis 1.
  const others = input.shape.map((_, other) => other).filter((other) => other !== axis);
  const order = [...others.slice(0, 1), axis, ...others.slice(1)];
  const straight = order.every((from, to) => from === to);
  const x = straight ? input.edge : builder.node("Transpose", [input.edge], { perm: { ints: order } });
  const normal = builder.node("BatchNormalization", [
    x,
    builder.tensor(gamma ?? filled(1), weightName(name, ["gamma"])),
    builder.tensor(beta ?? filled(0), weightName(name, ["beta"])),
    builder.tensor(movingMean, weightName(name, ["movingMean"])),
    builder.tensor(movingVariance, weightName(name, ["movingVariance"])),
  ], { epsilon: { float: Number(options.epsilon) }, momentum: { float: Number(options.momentum) } });
  if (straight) return normal;
  return builder.node("Transpose", [normal], { perm: { ints: order.map((_, at) => order.indexOf(at)) } });
};

const layerNormalization: Writer = ({ builder: graph }, name, { options }, { params }, input) => {
  const { gamma, beta } = params as unknown as NormalizationParams; // of a library layer, as was checked
  const rank = input.shape.length;
  const axes = resolveAxes(options.axis as number | readonly number[], rank, "normalize"); // as the layer's option is
  const last = axes.every((axis, index) => axis === rank - axes.length + index);
  if (!gamma || !last) return undefined;
  const weights = [builderTensor(gamma, "gamma"), ...(beta ? [builderTensor(beta, "beta")] : [])];
  return graph.within(name).node("LayerNormalization", [input.edge, ...weights], {
    axis: { int: axes[0] - rank },
    epsilon: { float: Number(options.epsilon) },
  });
  function builderTensor(tensor: Tensor, weight: string): string {
    return graph.tensor(host(tensor), weightName(name, [weight]));
  }
};

const writers: { readonly [type: string]: Writer | undefined } = { batchNormalization, layerNormalization };
