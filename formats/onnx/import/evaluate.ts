/**
 * Computes a graph on values: inside a trace it records the graph's operations, outside it computes them
 * immediately.
 */
import type { Tensor } from "../../../src/tensor/tensor.ts";
import type { Tree } from "../../../src/tree/tree.ts";
import { quoted } from "../../../src/quoted.ts";
import { OnnxError, reading } from "../errors.ts";
import { countNode, folded, type Folding } from "./folding.ts";
import type { Mark } from "./limits.ts";
import type { Node } from "./node.ts";
import type { Call, Graph, Inside, Operator, Step } from "./operator.ts";
import { constantValue, type OnnxValue } from "./values.ts";

/** What the model provides to an evaluation. */
export interface Evaluation {
  readonly training: boolean;
  keyFor(node: Node): Tensor | undefined;
  /** A weight or a part of the state, by the graph and the name in it; undefined for a plain constant. */
  variableOf(graph: Graph, name: string): OnnxValue | undefined;
  weightsOf(node: Node): Tree<Tensor> | undefined;
  isState(name: string): boolean;
  setState(name: string, tensor: Tensor): void;
  /** What nodes with known operands may compute while they are traced. */
  readonly folding: Folding;
  /** Called for each node of the model's own graph that was computed. */
  computed?: Mark;
}

/** The values of a graph, and of those around it. */
interface Scope {
  readonly values: Map<string, OnnxValue>;
  /** Lists of values, which operators of sequences alone read. */
  readonly sequences: Map<string, readonly OnnxValue[]>;
  readonly parent: Scope | undefined;
}

/** What a name is in a scope, or in those around it. */
function find<Found>(scope: Scope, read: (scope: Scope) => Found | undefined): Found | undefined {
  for (let at: Scope | undefined = scope; at; at = at.parent) {
    const found = read(at);
    if (found !== undefined) return found;
  }
  return undefined;
}

function findValue(scope: Scope, name: string): OnnxValue | undefined {
  return find(scope, ({ values }) => values.get(name));
}

function findSequence(scope: Scope, name: string): readonly OnnxValue[] | undefined {
  return find(scope, ({ sequences }) => sequences.get(name));
}

/** The names that a step reads, with those that graphs inside it read. */
function readsOf({ node, graphs }: Step): string[] {
  const inner = [...graphs.values()].flatMap((graph) => [...graph.steps.flatMap(readsOf), ...graph.outputs]);
  return [...node.inputs, ...inner];
}

/** The steps that some values of a graph need. */
function stepsFor(graph: Graph, { only, preset }: Inside): readonly Step[] {
  if (!only && !preset) return graph.steps;
  const wanted = new Set(only ?? graph.outputs);
  return graph.steps.toReversed().filter((step) => {
    const isWanted = step.node.outputs.some((name) => wanted.has(name) && !preset?.has(name));
    if (isWanted) { for (const name of readsOf(step)) wanted.add(name); }
    return isWanted;
  }).reverse();
}

/** What cannot be done, for errors of a call. */
export const RUN = "run the ONNX model";

/** The outputs of `graph` for these inputs, which are in its order; one that is undefined must not be read. */
export function evaluate(
  graph: Graph,
  inputs: readonly (OnnxValue | undefined)[],
  evaluation: Evaluation,
  parent?: Scope,
  inside: Inside = {},
): OnnxValue[] {
  const scope: Scope = { values: new Map(inside.preset), sequences: new Map(), parent };
  if (inputs.length !== graph.inputs.length) {
    const reason = `it is given ${inputs.length} inputs, expected ${graph.inputs.length}`;
    throw new OnnxError(graph.place, reason, { doing: RUN });
  }
  graph.inputs.forEach(({ name }, index) => {
    const value = inputs[index];
    if (value) scope.values.set(name, value);
  });
  for (const [name, constant] of graph.constants) {
    const variable = evaluation.variableOf(graph, name);
    scope.values.set(
      name,
      variable ?? constantValue(`initializer ${quoted(name)}`, constant),
    );
  }
  for (const { node, operator, graphs } of stepsFor(graph, inside)) {
    const call: Call = {
      ...evaluation,
      elementTypeOf: (name) => graph.types.get(name),
      inside: (inner, given, options) => evaluate(inner, given, evaluation, scope, options),
      valueOf: (name) => findValue(scope, name),
      sequenceOf: (name) => {
        const found = findSequence(scope, name);
        if (found) return found;
        throw new TypeError(`it takes a sequence, but ${quoted(name)} is none`);
      },
      setSequence: (name, values) => scope.sequences.set(name, values),
      graphOf: (_, attribute) => {
        const found = graphs.get(attribute);
        if (found) return found;
        throw new TypeError(`it has no attribute ${attribute} with a graph`);
      },
    };
    reading(node.place, () => {
      countNode(evaluation.folding);
      const { work } = evaluation.folding;
      const operands = node.inputs.map((name) => name === "" ? undefined : findValue(scope, name));
      checkNoSequences(node, operator, operands, scope);
      const compute = () => operator.compute(node, operands, call);
      // What is in a node's graphs is folded node by node, as it reads more than the operands.
      const isApart = graphs.size > 0 || operator.takesSequences;
      const results = isApart ? compute() : folded(operands, compute, evaluation.folding);
      node.outputs.forEach((name, index) => {
        if (name === "") return;
        const result = results[index];
        if (!result && scope.sequences.has(name)) return;
        if (!result) throw new TypeError(`it has no output ${index} (${quoted(name)})`);
        scope.values.set(name, result);
      });
      if (!parent) {
        evaluation.computed?.(
          node.place,
          results.flatMap((result) => result.kind === "tensor" ? [result.base] : []),
          work - evaluation.folding.work,
        );
      }
    }, RUN);
  }
  return (inside.only ?? graph.outputs).map((name) => {
    const value = findValue(scope, name);
    if (value) return value;
    const reason = findSequence(scope, name)
      ? `its output ${quoted(name)} is a sequence, expected a tensor`
      : `nothing gave its output ${quoted(name)}`;
    throw new OnnxError(graph.place, reason, { doing: RUN });
  });
}

/** Throws if a node whose operator takes tensors reads a sequence. */
function checkNoSequences(
  node: Node,
  { takesSequences }: Operator,
  operands: readonly unknown[],
  scope: Scope,
): void {
  if (takesSequences) return;
  const wrong = node.inputs.find((name, index) =>
    operands[index] === undefined && name !== "" && findSequence(scope, name)
  );
  if (wrong !== undefined) {
    throw new TypeError(`it takes tensors, but ${quoted(wrong)} is a sequence of them`);
  }
}
