/**
 * The element types of a graph's values, as far as they can be read off it. All whole numbers are int32 here, but
 * quantization needs the type that the file means: its range.
 */
import { dataTypes, type ElementType, isElementType } from "../tensors.ts";
import { attribute, type Node } from "./node.ts";

/** Operators whose output has the type of their first input, among those that quantized values go through. */
const KEEPS_TYPE = [
  "Concat",
  "Expand",
  "Flatten",
  "Gather",
  "Identity",
  "MaxPool",
  "Pad",
  "Reshape",
  "Slice",
  "Split",
  "Squeeze",
  "Tile",
  "Transpose",
  "Unsqueeze",
];

/** Which input has the type of the output. */
const TYPE_OF_INPUT: { readonly [operator: string]: number } = {
  ...Object.fromEntries(KEEPS_TYPE.map((name) => [name, 0])),
  CastLike: 1,
  "com.microsoft.QLinearAdd": 7,
  "com.microsoft.QLinearLeakyRelu": 4,
  "com.microsoft.QLinearMul": 7,
  "com.microsoft.QLinearSigmoid": 4,
  QLinearConv: 7,
  QLinearMatMul: 7,
  QuantizeLinear: 2,
  "com.microsoft.QuantizeLinear": 2,
};

/** The attribute that says the type of the output. */
const TYPE_ATTRIBUTES: { readonly [operator: string]: string } = {
  Cast: "to",
  QuantizeLinear: "output_dtype",
};

/** The type of an output of a node, where it is known. `known` has the types of the values before it. */
export function typeOfOutput(
  node: Node,
  output: number,
  known: ReadonlyMap<string, ElementType | undefined>,
): ElementType | undefined {
  if (node.operator === "DynamicQuantizeLinear") return output === 1 ? "float" : "uint8";
  if (node.operator === "Constant") return knownType(attribute(node, "value", "tensor")?.dataType);
  const said = TYPE_ATTRIBUTES[node.operator];
  const number = said === undefined ? undefined : attribute(node, said, "int");
  if (number) return knownType(number);
  const input = TYPE_OF_INPUT[node.operator];
  if (input === undefined) return undefined;
  const name = node.inputs[input] ?? "";
  return name === "" && isQuantization(node) ? "uint8" : known.get(name);
}

function isQuantization({ operator }: Node): boolean {
  return operator === "QuantizeLinear" || operator === "com.microsoft.QuantizeLinear";
}

/** The element type of a `DataType` number; those that cannot be read are refused where they are read. */
export function knownType(number: number | undefined): ElementType | undefined {
  const name = Object.entries(dataTypes).find(([, value]) => value === number)?.[0];
  return name !== undefined && isElementType(name) ? name : undefined;
}
