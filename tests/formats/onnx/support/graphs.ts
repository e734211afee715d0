/** Small ONNX files made by hand. */
import { type HostTensor, tensor } from "@cellfold/cellfold";
import {
  type AttributeProto,
  attributeTypes,
  encodeModel,
  type GraphProto,
  type NodeProto,
  type Partly,
} from "../../../../formats/onnx/protos.ts";
import {
  dataTypes,
  elementTypes,
  int64Proto,
  tensorProto,
  valueInfo,
} from "../../../../formats/onnx/tensors.ts";
import type { Named } from "./runtime.ts";

/** An attribute: numbers are floats where they have a fraction or are given as `{ float }`. */
export type Value =
  | number
  | string
  | { readonly float: number }
  | readonly number[]
  | { readonly floats: readonly number[] }
  | readonly string[]
  | { readonly tensor: HostTensor }
  | { readonly graph: Partly<GraphProto> };

function attribute(name: string, value: Value): Partly<AttributeProto> {
  const bytes = (text: string) => new TextEncoder().encode(text);
  if (typeof value === "number") return { name, type: attributeTypes.int, i: BigInt(value) };
  if (typeof value === "string") return { name, type: attributeTypes.string, s: bytes(value) };
  if (Array.isArray(value)) {
    return typeof value[0] === "string"
      ? { name, type: attributeTypes.strings, strings: value.map((item) => bytes(String(item))) }
      : { name, type: attributeTypes.ints, ints: value.map((item) => BigInt(Number(item))) };
  }
  const object = value as Exclude<Value, number | string | readonly number[] | readonly string[]>; // no array, as just seen
  if ("float" in object) return { name, type: attributeTypes.float, f: object.float };
  if ("floats" in object) return { name, type: attributeTypes.floats, floats: object.floats };
  if ("tensor" in object) return { name, type: attributeTypes.tensor, t: tensorProto("", object.tensor) };
  return { name, type: attributeTypes.graph, g: object.graph };
}

/** A node. */
export function node(
  opType: string,
  input: readonly string[],
  output: readonly string[],
  attributes: { readonly [name: string]: Value } = {},
): Partly<NodeProto> {
  const dot = opType.lastIndexOf("."); // before it is a domain
  return {
    opType: opType.slice(dot + 1),
    domain: opType.slice(0, Math.max(dot, 0)),
    input,
    output,
    attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
  };
}

/** What a graph is made of. */
export interface GraphParts {
  readonly nodes: readonly Partly<NodeProto>[];
  /** Tensors that a call gives; their shapes are left open. */
  readonly inputs: Named;
  /** Initialisers. */
  readonly weights?: Named;
  /** Initialisers of whole numbers of 64 bits. */
  readonly ints?: { readonly [name: string]: readonly number[] | number };
  /** The names and dtypes of the outputs; `int64` where that is one. */
  readonly outputs: { readonly [name: string]: "float32" | "int32" | "bool" | "int64" };
  readonly opset?: number;
}

/** The graph as a message. */
export function graphOf({ nodes, inputs, weights = {}, ints = {}, outputs }: GraphParts): Partly<GraphProto> {
  const open = ({ shape }: HostTensor, name: string) => shape.map((_, axis) => `${name}_${axis}`);
  return {
    name: "graph",
    node: nodes,
    initializer: [
      ...Object.entries(weights).map(([name, value]) => tensorProto(name, value)),
      ...Object.entries(ints).map(([name, value]) =>
        typeof value === "number" ? int64Proto(name, [value], true) : int64Proto(name, value)
      ),
    ],
    input: Object.entries(inputs).map(([name, value]) =>
      valueInfo(name, dataTypes[elementTypes[value.dtype]], open(value, name))
    ),
    output: Object.entries(outputs).map(([name, dtype]) =>
      valueInfo(name, dtype === "int64" ? dataTypes.int64 : dataTypes[elementTypes[dtype]], undefined)
    ),
  };
}

/** The graph as a file. */
export function fileOf(parts: GraphParts): Uint8Array<ArrayBuffer> {
  return encodeModel({
    irVersion: 8n,
    opsetImport: [{ domain: "", version: BigInt(parts.opset ?? 17) }, {
      domain: "com.microsoft",
      version: 1n,
    }],
    graph: graphOf(parts),
  });
}

/** Numbers from -1 to 1 that look random and are the same every time. */
export function signed(shape: readonly number[], seed = 1): HostTensor {
  let word = Math.imul(seed, 0x9e3779b1) | 1;
  const values = Array.from({ length: shape.reduce((size, dim) => size * dim, 1) }, () => {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    return (word >>> 8) / 2 ** 23 - 1;
  });
  return tensor(values, { shape });
}
