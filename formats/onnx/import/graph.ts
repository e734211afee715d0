/**
 * A graph of a file, checked and ready to compute: every node's operator is known and used correctly, every
 * name is defined before it is read, and every constant has been read. evaluate.ts computes it.
 */
import { quoted } from "../../../src/quoted.ts";
import { OnnxError } from "../errors.ts";
import { listed } from "../../support/listed.ts";
import { attributeTypes, type GraphProto, type NodeProto, type TensorProto } from "../protos.ts";
import { type Constant, type ElementType, type ExternalData, isFloatType, readTensor } from "../tensors.ts";
import { knownType, typeOfOutput } from "./element_types.ts";
import { type Node, qualified, readNode } from "./node.ts";
import type { Graph, Operator, Operators, Step } from "./operator.ts";

/** The context for reading a graph. */
export interface GraphReader {
  readonly opset: number;
  readonly operators: Operators;
  readonly externalData: ExternalData | undefined;
  /**
   * Whether the floats of Constant nodes are weights, as in files without other weights: they are read as initializers.
   */
  readonly constantsAreWeights: boolean;
  /** The largest number of nodes in the model, in all its graphs. */
  readonly maxNodes: number;
}

/**
 * How deep graphs inside nodes may be nested. Deeper ones are refused, so that walking them never overflows
 * the stack.
 */
export const DEEPEST = 16;

/**
 * Reads a graph that `checkOperators` has seen. `outer` are the names known to the graphs around it, with the element
 * types of the values where these are known.
 */
export function readGraph(
  reader: GraphReader,
  proto: GraphProto,
  place: string,
  outer: ReadonlyMap<string, ElementType | undefined> = new Map(),
  depth = 0,
  read = { nodes: 0 },
): Graph {
  if (depth > DEEPEST) {
    throw new OnnxError(place, `it is the ${depth}th graph in a graph, expected at most ${DEEPEST}`);
  }
  if (proto.sparseInitializer.length > 0) {
    throw new OnnxError(place, "it has sparse initializers, which are not supported");
  }
  const known = new Map(outer);
  const own = new Set<string>();
  const define = (name: string, where: string, type?: ElementType) => {
    if (name === "" || name === "__proto__") {
      throw new OnnxError(where, `it gives a value whose name is ${quoted(name)}, expected another`);
    }
    if (own.has(name) || outer.has(name)) {
      throw new OnnxError(where, `it gives ${quoted(name)}, which another one gives already`);
    }
    own.add(name);
    known.set(name, type);
  };
  const constants = readInitializers(reader, proto, place);
  for (const [name, { type }] of constants) define(name, `initializer ${quoted(name)}`, type);
  const inputs = proto.input.filter(({ name }) => depth > 0 || !constants.has(name));
  for (const { name, type } of inputs) {
    define(name, `input ${quoted(name)}`, knownType(type?.tensorType?.elemType));
  }
  read.nodes += proto.node.length;
  if (read.nodes > reader.maxNodes) {
    throw new OnnxError(
      place,
      `the model has ${read.nodes} nodes and more, expected at most ${reader.maxNodes}; maxNodes allows more`,
    );
  }
  const steps = proto.node.flatMap((nodeProto, index): Step[] => {
    const node = readNode(nodeProto, reader.opset, index);
    const weight = reader.constantsAreWeights ? weightOf(nodeProto) : undefined;
    if (weight) {
      const [name] = node.outputs;
      define(name, node.place);
      constants.set(name, readTensor(node.place, weight, reader.externalData));
      return [];
    }
    const operator = reader.operators[node.operator]; // known, as `checkOperators` saw
    checkUse(node, operator);
    for (const name of node.inputs) checkKnown(node.place, name, known);
    const graphs = new Map<string, Graph>();
    for (const [name, { type, g }] of node.attributes) {
      if (type !== attributeTypes.graph || !g) continue;
      graphs.set(name, readGraph(reader, g, `${node.place}, ${name}`, known, depth + 1, read));
    }
    node.outputs.forEach((name, index) => {
      if (name !== "") define(name, node.place, typeOfOutput(node, index, known));
    });
    return [{ node, operator, graphs }];
  });
  const outputs = proto.output.map(({ name }) => name);
  for (const name of outputs) {
    if (name === "") throw new OnnxError(place, "an output has no name");
    checkKnown(`output ${quoted(name)}`, name, known);
  }
  return { place, inputs, outputs, constants, types: known, steps };
}

function readInitializers(
  { externalData }: GraphReader,
  proto: GraphProto,
  place: string,
): Map<string, Constant> {
  const constants = new Map<string, Constant>();
  for (const tensor of proto.initializer) {
    const where = `initializer ${quoted(tensor.name)}`;
    if (tensor.name === "") throw new OnnxError(place, "an initializer has no name");
    if (constants.has(tensor.name)) throw new OnnxError(where, "there are two of this name");
    constants.set(tensor.name, readTensor(where, tensor, externalData));
  }
  return constants;
}

function isWeight({ dataType, dims }: TensorProto): boolean {
  return dims.length > 0 && isFloatType(dataType);
}

/** The tensor of a Constant node that may be a weight: floats with axes. */
function weightOf({ opType, attribute: [value, ...rest], output }: NodeProto): TensorProto | undefined {
  const tensor = opType === "Constant" && output.length === 1 && rest.length === 0 && value?.name === "value"
    ? value.t
    : undefined;
  return tensor && isWeight(tensor) ? tensor : undefined;
}

/** Whether an initializer of a graph, or of those inside it, may be a weight. */
export function hasWeights(root: GraphProto): boolean {
  const pending: [GraphProto, number][] = [[root, 0]];
  for (let next = pending.shift(); next; next = pending.shift()) {
    const [graph, depth] = next;
    if (graph.initializer.some(isWeight)) return true;
    if (depth >= DEEPEST) continue;
    for (const { attribute } of graph.node) {
      for (const { type, g } of attribute) {
        if (type === attributeTypes.graph && g) pending.push([g, depth + 1]);
      }
    }
  }
  return false;
}

function checkKnown(place: string, name: string, known: ReadonlyMap<string, unknown>): void {
  if (name === "" || known.has(name)) return;
  throw new OnnxError(
    place,
    `it reads ${
      quoted(name)
    }, which no input, no initializer and no node before it gives: the graph has a cycle, ` +
      `or its nodes are not in order`,
  );
}

function describeOperator(name: string, domain: string): string {
  return `${quoted(name)} of the domain ${quoted(domain === "" ? "ai.onnx" : domain)}`;
}

function unsupported(lacking: readonly string[]): string {
  return lacking.length === 1
    ? `the operator ${lacking[0]} is not supported`
    : `${lacking.length} operators of the model are not supported: ${listed(lacking, MOST_LISTED)}`;
}

/** The most operators that an error lists. */
const MOST_LISTED = 20;

/**
 * Throws if operators of a graph, or of those inside it, are not supported, and names them all.
 *
 * @throws OnnxError with the place of the first one.
 */
export function checkOperators({ opset, operators }: GraphReader, root: GraphProto): void {
  const lacking = new Set<string>();
  let first: string | undefined;
  const pending: [GraphProto, number][] = [[root, 0]];
  for (let next = pending.shift(); next; next = pending.shift()) {
    const [graph, depth] = next;
    graph.node.forEach((proto, index) => {
      if (!Object.hasOwn(operators, qualified(proto.opType, proto.domain))) {
        first ??= readNode(proto, opset, index).place;
        lacking.add(describeOperator(proto.opType, proto.domain));
      }
      if (depth >= DEEPEST) return;
      for (const { type, g } of proto.attribute) {
        if (type === attributeTypes.graph && g) pending.push([g, depth + 1]);
      }
    });
  }
  if (first === undefined) return;
  throw new OnnxError(first, unsupported([...lacking]));
}

/** Throws unless a node has valid attributes, inputs and outputs for its operator. */
function checkUse({ place, attributes, inputs, outputs }: Node, operator: Operator): void {
  const strange = [...attributes.keys()].find((name) => !operator.attributes.includes(name));
  if (strange !== undefined) {
    const known = operator.attributes.length === 0 ? "none" : operator.attributes.join(", ");
    throw new OnnxError(place, `it has an attribute ${quoted(strange)}; known are ${known}`);
  }
  const [least, most] = operator.inputs;
  const missing = Array.from({ length: least }, (_, index) => index).find((index) => !inputs[index]);
  if (missing !== undefined) throw new OnnxError(place, `its input ${missing} is missing`);
  if (inputs.length > most) {
    throw new OnnxError(place, `it has ${inputs.length} inputs, expected at most ${most}`);
  }
  const given = operator.outputs ?? 1;
  if (outputs.length === 0) throw new OnnxError(place, "it has no outputs");
  if (outputs.length > given) {
    throw new OnnxError(place, `it has ${outputs.length} outputs, expected at most ${given}`);
  }
}

/** The constant of an attribute. */
export function readAttributeTensor(place: string, tensor: TensorProto): Constant {
  return readTensor(place, tensor, undefined);
}

/** How often each name is read, in this graph and those inside it. */
export function countReads(graph: Graph, counts: Map<string, number> = new Map()): Map<string, number> {
  const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);
  for (const { node, graphs } of graph.steps) {
    node.inputs.forEach(count);
    for (const inner of graphs.values()) countReads(inner, counts);
  }
  graph.outputs.forEach(count);
  return counts;
}
