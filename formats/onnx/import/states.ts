/**
 * A graph whose inputs and outputs include its state, as a recurrent layer: a step is a call of the graph, and the
 * state goes from the outputs of one step to the inputs of the next.
 */
import type { RecurrentCell } from "../../../src/cells/cell.ts";
import { isObject, wrongKind } from "../../../src/describe.ts";
import type { Layer } from "../../../src/layers/layer.ts";
import { recurrentLayer } from "../../../src/layers/rnn.ts";
import { zeros } from "../../../src/operations/creation.ts";
import { functionOption } from "../../../src/options/json.ts";
import { quoted } from "../../../src/quoted.ts";
import { printShape, type Shape } from "../../../src/tensor/dims.ts";
import type { Spec, Tensor } from "../../../src/tensor/tensor.ts";
import { flattenTree, type Tree } from "../../../src/tree/tree.ts";
import { OnnxError } from "../errors.ts";
import {
  type BatchAxes,
  type BatchAxis,
  batchAxisOf,
  batchAxisOfState,
  fromGraph,
  noSuch,
  shapeFromGraph,
  toGraph,
} from "./axes.ts";
import type { GraphFunction } from "./graph_function.ts";
import { inputsOf, treeOf } from "./inputs.ts";
import { layerInput, type LayerParts, selfOf, trainedBy } from "./layer.ts";

/** Which output each state input gets in the next step, by the names of both. */
export type States = { readonly [input: string]: string };

/** Throws unless an option names states of a graph. */
export function checkStates(
  states: unknown,
  inputs: readonly string[],
  outputs: readonly string[],
): asserts states is States {
  if (!isObject(states) || Object.keys(states).length === 0) {
    throw wrongKind("use fromOnnx", states, "states", 'an object such as { h: "hn" }');
  }
  const seen = new Set<unknown>();
  for (const [input, output] of Object.entries(states)) {
    if (!inputs.includes(input)) throw noSuch(input, inputs, "states");
    if (typeof output !== "string" || !outputs.includes(output)) {
      throw noSuch(String(output), outputs, "states");
    }
    if (seen.has(output)) {
      throw new RangeError(`Cannot use fromOnnx: states names the output ${quoted(output)} twice`);
    }
    seen.add(output);
  }
  if (Object.keys(states).length === inputs.length) {
    throw new RangeError(
      "Cannot use fromOnnx: states names all inputs, expected one or more that are given at every step",
    );
  }
}

/** A state of the graph. */
interface State {
  readonly input: string;
  readonly output: string;
  readonly axis: BatchAxis;
  /** With the batch first. */
  readonly shape: Shape;
  readonly dtype: Spec["dtype"];
}

function statesOf(graph: GraphFunction, states: States, axes: BatchAxes | undefined): State[] {
  const given = graph.inputs.find(({ name }) => !Object.hasOwn(states, name));
  const batch = given && layerInput(given, axes).shape?.[0];
  return graph.inputs.flatMap(({ name, shape, dtype }): State[] => {
    if (!Object.hasOwn(states, name)) return [];
    if (!shape) {
      throw new OnnxError(`input ${quoted(name)}`, "it is a state, but the file does not give its shape");
    }
    const isGiven = axes !== undefined &&
      (typeof axes !== "object" || axes === null || Object.hasOwn(axes, name));
    const axis = isGiven ? batchAxisOf(axes, name) : batchAxisOfState(name, shape, batch);
    const ours = shapeFromGraph(shape, axis);
    if (ours.slice(1).some((dim) => typeof dim !== "number")) {
      throw new OnnxError(
        `input ${quoted(name)}`,
        `it is a state of ${
          printShape(shape)
        }, expected sizes that are known, apart from the batch on axis ${axis}`,
      );
    }
    return [{ input: name, output: states[name], axis, shape: ours, dtype }];
  });
}

/** The layer whose steps are calls of the graph. */
export function statefulLayerOf(
  graph: GraphFunction,
  states: States,
  { name, batchAxis, trainable }: LayerParts,
): Layer {
  const self = selfOf(name);
  const { collected } = graph;
  const kept = statesOf(graph, states, batchAxis);
  const stateOutputs = new Map(kept.map((state) => [state.output, state]));
  const axisOfInput = new Map<string, BatchAxis>(kept.map(({ input, axis }) => [input, axis]));
  const names = graph.inputs.map(({ name }) => name).filter((name) => !axisOfInput.has(name));
  const shown = graph.outputs.filter((name) => !stateOutputs.has(name));
  if (shown.length === 0) {
    throw new OnnxError("the graph", "all its outputs are states, expected another one");
  }
  const { state: statistics } = collected.variables;
  const cell: RecurrentCell = {
    type: "onnx",
    options: { graph: functionOption(self, "graph") },
    initParams: () => collected.variables.params,
    initState: (_, input) => {
      const [batch] = flattenTree<Spec>(input).leaves[0].shape;
      return Object.fromEntries(
        kept.map(({ input, shape, dtype }) => [input, zeros([batch, ...shape.slice(1)], { dtype })]),
      );
    },
    step: (given, { training, key }) => {
      const params = given as { readonly [name: string]: Tree<Tensor> }; // checked next
      collected.checkParams(self, params, statistics);
      return (before, input) => {
        const state = before as { readonly [name: string]: Tensor }; // as `initState` made it
        const inputs = inputsOf(names, input);
        const byName = new Map(names.map((name, index) => [name, inputs[index]]));
        const { outputs } = graph.call({
          params,
          state: statistics,
          given: graph.inputs.map(({ name }) => {
            const axis = axisOfInput.get(name);
            return axis === undefined
              ? toGraph(name, byName.get(name) as Tensor, batchAxisOf(batchAxis, name)) // an input or a state
              : toGraph(name, state[name], axis);
          }),
          key,
          // Moving statistics stay those of the file, as a step has nowhere to put others.
          training: training && Object.keys(statistics).length === 0,
        });
        const after: Record<string, Tensor> = {};
        const results = graph.outputs.flatMap((name, index): Tensor[] => {
          const kept = stateOutputs.get(name);
          if (!kept) return [fromGraph(name, outputs[index], batchAxisOf(batchAxis, name))];
          after[kept.input] = fromGraph(name, outputs[index], kept.axis);
          return [];
        });
        return [treeOf(shown, results), after];
      };
    },
  };
  const hasNone = names.some((name) => batchAxisOf(batchAxis, name) === null);
  return recurrentLayer({
    type: "onnx",
    cell,
    cellOptions: cell.options,
    options: { returnSequences: true, ...(name === undefined ? {} : { name }) },
    trainableLeaves: trainedBy(trainable),
    ...(hasNone ? { batch: 1 } : {}),
  });
}
