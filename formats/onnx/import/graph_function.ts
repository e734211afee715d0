/** A graph as a function of its variables and inputs: traceable, with its work counted before it is computed. */
import { quoted } from "../../../src/quoted.ts";
import { foldIn } from "../../../src/operations/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { flattenTree, type Tree, unflattenTree } from "../../../src/tree/tree.ts";
import { reading } from "../errors.ts";
import { evaluate, RUN } from "./evaluate.ts";
import { newFolding } from "./folding.ts";
import { checkInput, type OnnxInput } from "./inputs.ts";
import { checkWork, type Mark, type OnnxLimits } from "./limits.ts";
import type { Graph } from "./operator.ts";
import { type OnnxValue, tensorOf, valueOf } from "./values.ts";
import type { Collected } from "./variables.ts";

/** The variables of a graph: params by name, and the moving statistics of its normalizations. */
export interface GraphVariables {
  readonly params: { readonly [name: string]: Tree<Tensor> };
  readonly state: { readonly [name: string]: Tensor };
}

/** A call of a graph. */
export interface GraphCall extends GraphVariables {
  /** The tensors of its inputs, in order. */
  readonly given: readonly Tensor[];
  readonly training: boolean;
  /** What random nodes draw with. */
  readonly key: Tensor | undefined;
}

/** The results of a call. */
export interface GraphResults {
  /** In the order of the graph's outputs. */
  readonly outputs: readonly Tensor[];
  readonly state: { readonly [name: string]: Tensor };
}

/** A graph as a function. */
export interface GraphFunction {
  /** Those that are not bound to constants, in order. */
  readonly inputs: readonly OnnxInput[];
  readonly outputs: readonly string[];
  readonly collected: Collected;
  /** Its results in the file's order of axes. */
  call(call: GraphCall): GraphResults;
}

/** Everything that a call reads. */
interface Read extends GraphVariables {
  readonly given: readonly Tensor[];
  readonly key: Tensor | undefined;
}

/**
 * The function of a graph.
 *
 * @param inputs All inputs of the graph.
 * @param bound The values of inputs that are the same in every call, by name.
 */
export function graphFunction(
  graph: Graph,
  inputs: readonly OnnxInput[],
  bound: ReadonlyMap<string, OnnxValue>,
  collected: Collected,
  limits: Required<OnnxLimits>,
): GraphFunction {
  const order = new Map(graph.steps.map(({ node }, index) => [node, index]));
  const open = inputs.filter(({ name }) => !bound.has(name));
  const compute = (read: Read, training: boolean, computed?: Mark): GraphResults => {
    const { params, key } = read;
    const state = { ...read.state };
    let next = 0;
    const values = evaluate(
      graph,
      inputs.map(({ name }) => bound.get(name) ?? valueOf(read.given[next++])),
      {
        training,
        folding: newFolding(limits.maxNodes),
        keyFor: (node) => key && foldIn(key, order.get(node) ?? 0),
        variableOf: (graph, name) => collected.variableOf(graph, name, params, state),
        weightsOf: (node) => collected.weightsOf(node, params),
        isState: (name) => Object.hasOwn(state, name),
        setState: (name, tensor) => state[name] = tensor,
        computed,
      },
    );
    const outputs = values.map((value, index) =>
      reading(`output ${quoted(graph.outputs[index])}`, () => tensorOf(value), RUN)
    );
    return { outputs, state };
  };
  return {
    inputs: open,
    outputs: graph.outputs,
    collected,
    call: ({ params, state, given, key, training }) => {
      open.forEach((input, index) => checkInput(input, given[index]));
      const read: Read = { params, state, given, key };
      const { leaves, structure } = flattenTree<Tensor>(read);
      checkWork(limits, graph.place, leaves, (tensors, mark) => {
        compute(unflattenTree<Read>(structure, tensors), training, mark);
      });
      return compute(read, training);
    },
  };
}
