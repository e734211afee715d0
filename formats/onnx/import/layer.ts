/** The layer of an imported graph, whose inputs and outputs are batches. */
import { defineLayer } from "../../../src/layers/define.ts";
import type { Applied, ApplyContext, Layer, Variables } from "../../../src/layers/layer.ts";
import { functionOption } from "../../../src/options/json.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { type Tree, treeLeaves } from "../../../src/tree/tree.ts";
import { type BatchAxes, batchAxisOf, fromGraph, shapeFromGraph, toGraph } from "./axes.ts";
import { unbatched } from "./batching.ts";
import type { GraphFunction, GraphVariables } from "./graph_function.ts";
import { inputsOf, type OnnxInput, treeOf } from "./inputs.ts";

/** What the layers of a graph have in common. */
export interface LayerParts {
  readonly name: string | undefined;
  readonly batchAxis: BatchAxes | undefined;
  readonly trainable: (weight: string) => boolean;
}

/** The name of the layer in errors. */
export function selfOf(name: string | undefined): string {
  return name === undefined ? "onnx" : `onnx ${name}`;
}

/** Which leaves of the params are trained. */
export function trainedBy(trainable: LayerParts["trainable"]): (params: Tree<Tensor>) => boolean[] {
  return (params) =>
    Object.entries(params).sort(([a], [b]) => a < b ? -1 : 1).flatMap(([weight, tree]) =>
      treeLeaves(tree).map(() => trainable(weight))
    );
}

/** An input as the layer takes it: with the batch first. */
export function layerInput({ name, dtype, shape }: OnnxInput, axes: BatchAxes | undefined): OnnxInput {
  return { name, dtype, shape: shape && shapeFromGraph(shape, batchAxisOf(axes, name)) };
}

/** The layer of a graph. */
export function layerOf(graph: GraphFunction, { name, batchAxis, trainable }: LayerParts): Layer {
  const self = selfOf(name);
  const { collected, outputs } = graph;
  const names = graph.inputs.map(({ name }) => name);
  const { variables } = collected;
  const apply = (given: Variables, input: Tree<Tensor>, context: ApplyContext): Applied => {
    const refused = context.mask !== undefined
      ? "a mask"
      : context.initialState !== undefined
      ? "an initial state"
      : context.resets !== undefined && "resets";
    if (refused) {
      throw new TypeError(
        `Cannot use ${self} with ${refused}: what its graph takes are its inputs, {${names.join(", ")}}`,
      );
    }
    const { params, state } = given as GraphVariables; // checked next
    collected.checkParams(self, params, state);
    const results = graph.call({
      params,
      state,
      given: inputsOf(names, input).map((x, index) =>
        toGraph(names[index], x, batchAxisOf(batchAxis, names[index]))
      ),
      key: context.key,
      training: context.training && !context.frozen,
    });
    const batched = results.outputs.map((y, index) =>
      fromGraph(outputs[index], y, batchAxisOf(batchAxis, outputs[index]))
    );
    return { output: treeOf(outputs, batched), state: results.state };
  };
  const inputs = graph.inputs.map((input) => layerInput(input, batchAxis));
  const batches = inputs.map(({ shape }) => shape?.[0]);
  const [batch] = batches;
  const isFixed = typeof batch === "number" && batches.every((other) => other === batch);
  let reason: { readonly text: string | undefined } | undefined;
  return defineLayer({
    type: "onnx",
    name,
    options: { graph: functionOption(self, "graph") },
    ...(isFixed ? { batch } : {}),
    batchAsNumber: true,
    unbatched: () => (reason ??= { text: unbatched(inputs, outputs, variables, apply) }).text,
    initParams: () => variables.params,
    initState: () => variables.state,
    trainableLeaves: trainedBy(trainable),
    apply,
  });
}
