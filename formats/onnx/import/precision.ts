/**
 * Files that hold doubles beside floats: what is no input is converted, as all computes in float32 unless the inputs are
 * doubles themselves.
 */
import { type AttributeProto, attributeTypes, type GraphProto, type TensorProto } from "../protos.ts";
import { dataTypes } from "../tensors.ts";
import { DEEPEST } from "./graph.ts";

/** A message with some of its fields changed; fields that are not set are on its prototype. */
function changed<Message extends object>(message: Message, fields: Partial<Message>): Message {
  return Object.assign(Object.create(Object.getPrototypeOf(message)), message, fields);
}

/** Whether an input of a graph is of doubles: the file computes in them then. */
export function takesDoubles({ input }: GraphProto): boolean {
  return input.some(({ type }) => type?.tensorType?.elemType === dataTypes.double);
}

/** A tensor as floats. What lies in another file is left as it is, as only that says how long it is. */
function asFloats(tensor: TensorProto): TensorProto {
  const { dataType, rawData, doubleData, externalData } = tensor;
  if (dataType !== dataTypes.double || externalData.length > 0) return tensor;
  if (!Object.hasOwn(tensor, "rawData")) {
    return changed(tensor, { dataType: dataTypes.float, floatData: doubleData });
  }
  if (rawData.length % 8 !== 0) return tensor; // refused when it is read
  const floats = Float32Array.from(new Float64Array(new Uint8Array(rawData).buffer));
  return changed(tensor, { dataType: dataTypes.float, rawData: new Uint8Array(floats.buffer) });
}

/** Attributes that name an element type. */
const TYPES = ["to", "dtype"];

function attributeAsFloats(attribute: AttributeProto, depth: number): AttributeProto {
  const { name, type, i, t, g } = attribute;
  if (type === attributeTypes.tensor && t) return changed(attribute, { t: asFloats(t) });
  if (type === attributeTypes.graph && g) return changed(attribute, { g: withoutDoubles(g, depth + 1) });
  const isDouble = type === attributeTypes.int && TYPES.includes(name) && i === BigInt(dataTypes.double);
  return isDouble ? changed(attribute, { i: BigInt(dataTypes.float) }) : attribute;
}

/** A graph that computes in floats what it computes in doubles. */
export function withoutDoubles(graph: GraphProto, depth = 0): GraphProto {
  if (depth > DEEPEST) return graph; // refused when it is read
  return changed(graph, {
    initializer: graph.initializer.map(asFloats),
    node: graph.node.map((node) =>
      changed(node, { attribute: node.attribute.map((attribute) => attributeAsFloats(attribute, depth)) })
    ),
  });
}
