/**
 * Which initializers are no weights, though they are floats: scalars, and small tensors that serve a graph as numbers do.
 * Exporters put such numbers beside the weights: exponents, bounds, epsilons, the fill values of first states.
 */
import { type Constant, isFloatType } from "../tensors.ts";
import { attribute, type Node } from "./node.ts";
import type { Graph } from "./operator.ts";
import { scaleInputs } from "./quantized_weights.ts";

/** The inputs of operators that are numbers and not weights, whatever their shape. */
const NUMBERS: { readonly [operator: string]: readonly number[] } = {
  Pow: [1],
  Clip: [1, 2],
  Pad: [2],
  Range: [0, 1, 2],
  Dropout: [1],
  Resize: [1, 2],
  Upsample: [1],
};

/** The inputs that fill a tensor if they have one element. */
const FILLS: { readonly [operator: string]: readonly number[] } = {
  Expand: [0],
  Tile: [0],
  Where: [1, 2],
};

/** What reads a number that was added to it: a root or a quotient, which an epsilon keeps from zero. */
const KEPT_FROM_ZERO = ["Sqrt", "Pow", "Reciprocal", "Div", "Log"];

/** The largest epsilon. */
const MOST_EPSILON = 1e-2;

function elements({ shape }: Constant): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The nodes of a graph and of those inside it. */
function nodesOf(graph: Graph): Node[] {
  return graph.steps.flatMap(({ node, graphs }) => [node, ...[...graphs.values()].flatMap(nodesOf)]);
}

/** Operators through whose results no derivative goes: they are whole numbers or truths. */
const WITHOUT_DERIVATIVE = [
  "ArgMax",
  "ArgMin",
  "Equal",
  "Greater",
  "GreaterOrEqual",
  "IsInf",
  "IsNaN",
  "Less",
  "LessOrEqual",
  "NonZero",
  "Shape",
  "Size",
];

function hasDerivative(node: Node): boolean {
  if (node.operator !== "Cast") return !WITHOUT_DERIVATIVE.includes(node.operator);
  const to = attribute(node, "to", "int");
  return to === undefined || isFloatType(to);
}

/** The names that the outputs of a graph, and of those inside it, have a derivative with respect to. */
function differentiated(graph: Graph, found: Set<string>): Set<string> {
  for (const name of graph.outputs) found.add(name);
  for (const { node, graphs } of graph.steps.toReversed()) {
    if (!node.outputs.some((name) => found.has(name)) || !hasDerivative(node)) continue;
    for (const name of node.inputs) found.add(name);
    for (const inner of graphs.values()) differentiated(inner, found);
  }
  return found;
}

/**
 * Tells which initializers are no weights.
 *
 * @param root The whole graph.
 * @returns Whether the initializer of this name is a number: it has no axes, or every node that reads it reads a number,
 *   or it serves only whole numbers such as sizes.
 */
export function fixedConstants(root: Graph): (name: string, constant: Constant) => boolean {
  const nodes = nodesOf(root);
  const used = differentiated(root, new Set());
  const readers = new Map<string, { readonly node: Node; readonly index: number }[]>();
  for (const node of nodes) {
    node.inputs.forEach((name, index) => readers.set(name, [...readers.get(name) ?? [], { node, index }]));
  }
  const isEpsilon = (node: Node, constant: Constant) =>
    node.operator === "Add" && elements(constant) === 1 && Number(constant.data[0]) > 0 &&
    Number(constant.data[0]) <= MOST_EPSILON &&
    (readers.get(node.outputs[0]) ?? []).some(({ node }) => KEPT_FROM_ZERO.includes(node.operator));
  return (name, constant) => {
    if (constant.shape.length === 0 || !used.has(name)) return true;
    const uses = readers.get(name) ?? [];
    return uses.length > 0 && uses.every(({ node, index }) =>
      NUMBERS[node.operator]?.includes(index) ||
      scaleInputs(node.operator).includes(index) ||
      (elements(constant) === 1 && FILLS[node.operator]?.includes(index)) ||
      isEpsilon(node, constant)
    );
  };
}
