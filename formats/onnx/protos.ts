/**
 * ONNX's messages (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), as far as they are used: their
 * fields as types, and as a description with field numbers for the codec. What the values mean is defined
 * elsewhere.
 */
import { create, createFileRegistry, type DescMessage, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { OnnxError, reading } from "./errors.ts";

/** A whole file. */
export interface ModelProto {
  readonly irVersion: bigint;
  readonly opsetImport: readonly OperatorSetIdProto[];
  readonly producerName: string;
  readonly producerVersion: string;
  readonly domain: string;
  readonly modelVersion: bigint;
  readonly docString: string;
  readonly graph?: GraphProto;
  readonly metadataProps: readonly StringStringEntryProto[];
}

/** A domain of operators and its version. */
export interface OperatorSetIdProto {
  readonly domain: string;
  readonly version: bigint;
}

/** An entry of a string table. */
export interface StringStringEntryProto {
  readonly key: string;
  readonly value: string;
}

/** A graph, of a model or in an attribute. */
export interface GraphProto {
  readonly node: readonly NodeProto[];
  readonly name: string;
  readonly initializer: readonly TensorProto[];
  readonly sparseInitializer: readonly object[];
  readonly docString: string;
  readonly input: readonly ValueInfoProto[];
  readonly output: readonly ValueInfoProto[];
  readonly valueInfo: readonly ValueInfoProto[];
}

/** An application of an operator. */
export interface NodeProto {
  readonly input: readonly string[];
  readonly output: readonly string[];
  readonly name: string;
  readonly opType: string;
  readonly domain: string;
  readonly attribute: readonly AttributeProto[];
}

/** A named option of a node. */
export interface AttributeProto {
  readonly name: string;
  readonly refAttrName: string;
  readonly type: number;
  readonly f: number;
  readonly i: bigint;
  readonly s: Uint8Array;
  readonly t?: TensorProto;
  readonly g?: GraphProto;
  readonly floats: readonly number[];
  readonly ints: readonly bigint[];
  readonly strings: readonly Uint8Array[];
}

/** `AttributeProto.type`. */
export const attributeTypes = {
  float: 1,
  int: 2,
  string: 3,
  tensor: 4,
  graph: 5,
  floats: 6,
  ints: 7,
  strings: 8,
} as const;

/** A tensor with its values, or their location. */
export interface TensorProto {
  readonly dims: readonly bigint[];
  readonly dataType: number;
  readonly floatData: readonly number[];
  readonly int32Data: readonly number[];
  readonly stringData: readonly Uint8Array[];
  readonly int64Data: readonly bigint[];
  readonly name: string;
  readonly rawData: Uint8Array;
  readonly externalData: readonly StringStringEntryProto[];
  readonly dataLocation: number;
  readonly doubleData: readonly number[];
  readonly uint64Data: readonly bigint[];
}

/** An input or output of a graph. */
export interface ValueInfoProto {
  readonly name: string;
  readonly type?: TypeProto;
}

/** The type of a value; without members if it is not a tensor. */
export interface TypeProto {
  readonly tensorType?: { readonly elemType: number; readonly shape?: TensorShapeProto };
}

/** The sizes of a tensor. */
export interface TensorShapeProto {
  readonly dim: readonly DimensionProto[];
}

/** A size: a number, a name, or neither. */
export interface DimensionProto {
  readonly dimValue: bigint;
  readonly dimParam: string;
}

/** A message to be written: any of its fields. */
export type Partly<T> = T extends bigint | number | string | Uint8Array | undefined ? T
  : T extends readonly (infer Item)[] ? readonly Partly<Item>[]
  : { readonly [Key in keyof T]?: Partly<T[Key]> };

/** The numbers of descriptor.proto's `FieldDescriptorProto.Type`. */
const scalarTypes = { double: 1, float: 2, int64: 3, uint64: 4, int32: 5, string: 9, bytes: 12 } as const;
const MESSAGE = 11;
const OPTIONAL = 1;
const REPEATED = 3;

/**
 * The fields of each message: number and type, `[]` for repeated, `[packed]` for packed ones. Enumerations
 * are int32, which is the same on the wire and keeps unknown numbers.
 */
const messages: Readonly<Record<string, Readonly<Record<string, readonly [number, string]>>>> = {
  ModelProto: {
    ir_version: [1, "int64"],
    opset_import: [8, "OperatorSetIdProto[]"],
    producer_name: [2, "string"],
    producer_version: [3, "string"],
    domain: [4, "string"],
    model_version: [5, "int64"],
    doc_string: [6, "string"],
    graph: [7, "GraphProto"],
    metadata_props: [14, "StringStringEntryProto[]"],
  },
  OperatorSetIdProto: { domain: [1, "string"], version: [2, "int64"] },
  StringStringEntryProto: { key: [1, "string"], value: [2, "string"] },
  GraphProto: {
    node: [1, "NodeProto[]"],
    name: [2, "string"],
    initializer: [5, "TensorProto[]"],
    sparse_initializer: [15, "SparseTensorProto[]"],
    doc_string: [10, "string"],
    input: [11, "ValueInfoProto[]"],
    output: [12, "ValueInfoProto[]"],
    value_info: [13, "ValueInfoProto[]"],
  },
  SparseTensorProto: {},
  NodeProto: {
    input: [1, "string[]"],
    output: [2, "string[]"],
    name: [3, "string"],
    op_type: [4, "string"],
    domain: [7, "string"],
    attribute: [5, "AttributeProto[]"],
  },
  AttributeProto: {
    name: [1, "string"],
    ref_attr_name: [21, "string"],
    type: [20, "int32"],
    f: [2, "float"],
    i: [3, "int64"],
    s: [4, "bytes"],
    t: [5, "TensorProto"],
    g: [6, "GraphProto"],
    floats: [7, "float[]"],
    ints: [8, "int64[]"],
    strings: [9, "bytes[]"],
  },
  TensorProto: {
    dims: [1, "int64[]"],
    data_type: [2, "int32"],
    float_data: [4, "float[packed]"],
    int32_data: [5, "int32[packed]"],
    string_data: [6, "bytes[]"],
    int64_data: [7, "int64[packed]"],
    name: [8, "string"],
    raw_data: [9, "bytes"],
    external_data: [13, "StringStringEntryProto[]"],
    data_location: [14, "int32"],
    double_data: [10, "double[packed]"],
    uint64_data: [11, "uint64[packed]"],
  },
  ValueInfoProto: { name: [1, "string"], type: [2, "TypeProto"] },
  TypeProto: { tensor_type: [1, "TensorTypeProto"] },
  TensorTypeProto: { elem_type: [1, "int32"], shape: [2, "TensorShapeProto"] },
  TensorShapeProto: { dim: [1, "DimensionProto[]"] },
  DimensionProto: { dim_value: [1, "int64"], dim_param: [2, "string"] },
};

/** The field of a descriptor for a type as written in `messages`. */
function fieldOf(name: string, number: number, type: string) {
  const [, base, list] = type.match(/^(\w+?)(\[\w*\])?$/) ?? ["", type];
  const common = { name, number, label: list === undefined ? OPTIONAL : REPEATED };
  if (base in scalarTypes) {
    const scalar = scalarTypes[base as keyof typeof scalarTypes]; // as just seen
    return { ...common, type: scalar, options: list === "[packed]" ? { packed: true } : undefined };
  }
  return { ...common, type: MESSAGE, typeName: `.onnx.${base}` };
}

/**
 * The codec's schema of `ModelProto`. proto2, like ONNX's own: a field that is set is written, even if it
 * is 0.
 */
const modelSchema: DescMessage = (() => {
  const file = create(FileDescriptorProtoSchema, {
    name: "onnx.proto",
    package: "onnx",
    syntax: "proto2",
    messageType: Object.entries(messages).map(([name, fields]) => ({
      name,
      field: Object.entries(fields).map(([field, [number, type]]) => fieldOf(field, number, type)),
    })),
  });
  const found = createFileRegistry(file, () => undefined).getMessage("onnx.ModelProto");
  if (!found) throw new Error("The description of ONNX's messages has no ModelProto");
  return found;
})();

/**
 * The model in a file.
 *
 * @throws OnnxError for bytes that are not such a message, or nest too deeply.
 */
export function decodeModel(bytes: Uint8Array): ModelProto {
  if (!(bytes instanceof Uint8Array)) {
    throw new OnnxError("its bytes", `they are ${typeof bytes}, expected a Uint8Array`);
  }
  // The schema is the interface's, message for message.
  return reading(
    "its messages",
    () => fromBinary(modelSchema, bytes, { readUnknownFields: false }) as unknown as ModelProto,
  );
}

/** A model as the bytes of a file. */
export function encodeModel(model: Partly<ModelProto>): Uint8Array<ArrayBuffer> {
  return toBinary(modelSchema, create(modelSchema, model as Record<string, unknown>));
}
