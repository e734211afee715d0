/**
 * Which initializers are no weights, though they are floats: scalars, and small tensors that serve a graph as numbers do.
 * Exporters put such numbers beside the weights: exponents, bounds, epsilons, the fill values of first states.
 */
import type { Constant } from "../tensors.ts";
import type { Node } from "./node.ts";
import type { Graph } from "./operator.ts";

/** The inputs of operators that are numbers and not weights, whatever their shape. */
const NUMBERS: { readonly [operator: string]: readonly number[] } = {
  Pow: [1],
  Clip: [1, 2],
  Pad: [2],
  Range: [0, 1, 2],
  Dropout: [1],
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

/**
 * Tells which initializers are no weights.
 *
 * @param root The whole graph.
 * @returns Whether the initializer of this name is a number: it has no axes, or every node that reads it reads a number.
 */
export function fixedConstants(root: Graph): (name: string, constant: Constant) => boolean {
  const nodes = nodesOf(root);
  const readers = new Map<string, { readonly node: Node; readonly index: number }[]>();
  for (const node of nodes) {
    node.inputs.forEach((name, index) => readers.set(name, [...readers.get(name) ?? [], { node, index }]));
  }
  const isEpsilon = (node: Node, constant: Constant) =>
    node.operator === "Add" && elements(constant) === 1 && Number(constant.data[0]) > 0 &&
    Number(constant.data[0]) <= MOST_EPSILON &&
    (readers.get(node.outputs[0]) ?? []).some(({ node }) => KEPT_FROM_ZERO.includes(node.operator));
  return (name, constant) => {
    if (constant.shape.length === 0) return true;
    const uses = readers.get(name) ?? [];
    return uses.length > 0 && uses.every(({ node, index }) =>
      NUMBERS[node.operator]?.includes(index) ||
      (elements(constant) === 1 && FILLS[node.operator]?.includes(index)) ||
      isEpsilon(node, constant)
    );
  };
}
