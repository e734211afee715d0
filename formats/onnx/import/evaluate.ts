/**
 * Computes a graph on values: inside a trace it records the graph's operations, outside it computes them
 * immediately.
 */
import type { Tensor } from "../../../src/tensor/tensor.ts";
import type { Tree } from "../../../src/tree/tree.ts";
import { quoted } from "../../../src/quoted.ts";
import { OnnxError, reading } from "../errors.ts";
import type { Mark } from "./limits.ts";
import type { Node } from "./node.ts";
import type { Call, Graph } from "./operator.ts";
import { constantValue, type OnnxValue, valueOf } from "./values.ts";

/** What the model provides to an evaluation. */
export interface Evaluation {
  readonly training: boolean;
  keyFor(node: Node): Tensor | undefined;
  /** A weight or a part of the state, by the graph and the name in it; undefined for a plain constant. */
  variableOf(graph: Graph, name: string): Tensor | undefined;
  weightsOf(node: Node): Tree<Tensor> | undefined;
  isState(name: string): boolean;
  setState(name: string, tensor: Tensor): void;
  /** Called for each node of the model's own graph that was computed. */
  computed?: Mark;
}

/** The values of a graph, and of those around it. */
interface Scope {
  readonly values: Map<string, OnnxValue>;
  readonly parent: Scope | undefined;
}

function find(scope: Scope | undefined, name: string): OnnxValue | undefined {
  for (let at = scope; at; at = at.parent) {
    const value = at.values.get(name);
    if (value) return value;
  }
  return undefined;
}

/** What cannot be done, for errors of a call. */
export const RUN = "run the ONNX model";

/** The outputs of `graph` for these inputs, which are in its order. */
export function evaluate(
  graph: Graph,
  inputs: readonly OnnxValue[],
  evaluation: Evaluation,
  parent?: Scope,
): OnnxValue[] {
  const scope: Scope = { values: new Map(), parent };
  if (inputs.length !== graph.inputs.length) {
    const reason = `it is given ${inputs.length} inputs, expected ${graph.inputs.length}`;
    throw new OnnxError(graph.place, reason, { doing: RUN });
  }
  graph.inputs.forEach(({ name }, index) => scope.values.set(name, inputs[index]));
  for (const [name, constant] of graph.constants) {
    const variable = evaluation.variableOf(graph, name);
    scope.values.set(
      name,
      variable ? valueOf(variable) : constantValue(`initializer ${quoted(name)}`, constant),
    );
  }
  for (const { node, operator, graphs } of graph.steps) {
    const call: Call = {
      ...evaluation,
      inside: (inner, given) => evaluate(inner, given, evaluation, scope),
      graphOf: (_, attribute) => {
        const found = graphs.get(attribute);
        if (found) return found;
        throw new TypeError(`it has no attribute ${attribute} with a graph`);
      },
    };
    reading(node.place, () => {
      const operands = node.inputs.map((name) => name === "" ? undefined : find(scope, name));
      const results = operator.compute(node, operands, call);
      node.outputs.forEach((name, index) => {
        if (name === "") return;
        const result = results[index];
        if (!result) throw new TypeError(`it has no output ${index} (${quoted(name)})`);
        scope.values.set(name, result);
      });
      if (!parent) {
        evaluation.computed?.(
          node.place,
          results.flatMap((result) => result.kind === "tensor" ? [result.base] : []),
        );
      }
    }, RUN);
  }
  return graph.outputs.map((name) => {
    const value = find(scope, name);
    if (value) return value;
    throw new OnnxError(graph.place, `nothing gave its output ${quoted(name)}`, { doing: RUN });
  });
}
