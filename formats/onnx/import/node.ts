/** A node of a graph as operators see it: its attributes by name and type, and where it is, for errors. */
import { quoted } from "../../../src/quoted.ts";
import { OnnxError, reading } from "../errors.ts";
import {
  type AttributeProto,
  attributeTypes,
  type GraphProto,
  type NodeProto,
  type TensorProto,
} from "../protos.ts";

/** A node. */
export interface Node {
  /** Its operator, with the domain before it if that is not ONNX's own: `com.microsoft.DynamicQuantizeLSTM`. */
  readonly operator: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, AttributeProto>;
  /** The version of the operator set that the file requires. */
  readonly opset: number;
  /** `node "scores" (Gemm)`. */
  readonly place: string;
  /** Its name, or one made from its operator and its first output. */
  readonly name: string;
}

/** The name of an operator among those of all domains. */
export function qualified(name: string, domain: string): string {
  return domain === "" || domain === "ai.onnx" ? name : `${domain}.${name}`;
}

/** Reads a node and checks that its operator has these attributes. */
export function readNode(proto: NodeProto, opset: number, index: number): Node {
  const { name, opType, domain } = proto;
  const from = domain === "" || domain === "ai.onnx" ? "" : `, domain ${quoted(domain)}`;
  const place = `node ${name === "" ? index : quoted(name)} (${opType}${from})`;
  const attributes = new Map<string, AttributeProto>();
  for (const attribute of proto.attribute) {
    if (attributes.has(attribute.name)) {
      throw new OnnxError(place, `it has two attributes ${quoted(attribute.name)}`);
    }
    if (attribute.refAttrName !== "") {
      throw new OnnxError(
        place,
        `its attribute ${quoted(attribute.name)} is one of a function, which is not supported`,
      );
    }
    attributes.set(attribute.name, attribute);
  }
  const own = name !== "" ? name : `${opType}_${proto.output.find((output) => output !== "") ?? index}`;
  return {
    operator: qualified(opType, domain),
    inputs: proto.input,
    outputs: proto.output,
    attributes,
    opset,
    place,
    name: own,
  };
}

/** The contents of an attribute's fields, by the name of its type. */
interface AttributeValues {
  readonly float: number;
  readonly int: number;
  readonly string: string;
  readonly tensor: TensorProto;
  readonly graph: GraphProto;
  readonly floats: readonly number[];
  readonly ints: readonly number[];
  readonly strings: readonly string[];
}

function text(place: string, bytes: Uint8Array): string {
  return reading(place, () => new TextDecoder("utf-8", { fatal: true }).decode(bytes));
}

/**
 * A 64-bit integer as a number; the extreme ones, which mean "to the end", lose digits that do not matter.
 */
function whole(value: bigint): number {
  return Number(value);
}

const readers: {
  readonly [Type in keyof AttributeValues]: (
    place: string,
    attribute: AttributeProto,
  ) => AttributeValues[Type] | undefined;
} = {
  float: (_, { f }) => f,
  int: (_, { i }) => whole(i),
  string: (place, { s }) => text(place, s),
  tensor: (_, { t }) => t,
  graph: (_, { g }) => g,
  floats: (_, { floats }) => floats,
  ints: (_, { ints }) => ints.map(whole),
  strings: (place, { strings }) => strings.map((bytes) => text(place, bytes)),
};

/**
 * An attribute of a node; undefined if it is absent.
 *
 * @throws OnnxError if it has another type.
 */
export function attribute<Type extends keyof AttributeValues>(
  node: Node,
  name: string,
  type: Type,
): AttributeValues[Type] | undefined {
  const found = node.attributes.get(name);
  if (!found) return undefined;
  const given = found.type;
  const value = readers[type](`${node.place}, attribute ${name}`, found);
  if (given === attributeTypes[type] && value !== undefined) return value;
  const known = Object.entries(attributeTypes).find(([, number]) => number === given)?.[0] ?? `type ${given}`;
  throw new OnnxError(node.place, `its attribute ${name} is ${known}, expected ${type}`);
}

/** An attribute that is 0 or 1. */
export function flag(node: Node, name: string, otherwise: boolean): boolean {
  const value = attribute(node, name, "int") ?? Number(otherwise);
  if (value === 0 || value === 1) return value === 1;
  throw new OnnxError(node.place, `its attribute ${name} is ${value}, expected 0 or 1`);
}

/** An axis of a tensor of this rank, counted from the front or the back. */
export function axisOf(axis: number, rank: number): number {
  const resolved = axis < 0 ? axis + rank : axis;
  if (Number.isInteger(resolved) && resolved >= 0 && resolved < rank) return resolved;
  throw new RangeError(`its axis is ${axis}, expected ${-rank} to ${rank - 1} for a tensor of ${rank} axes`);
}

/** Several axes, each once, in order. */
export function axesOf(axes: readonly number[], rank: number): number[] {
  const resolved = axes.map((axis) => axisOf(axis, rank)).sort((a, b) => a - b);
  if (new Set(resolved).size === resolved.length) return resolved;
  throw new RangeError(`its axes are [${axes.join(", ")}], where one is given twice`);
}
