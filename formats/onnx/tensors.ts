/** Tensors in ONNX files: dtypes, sizes checked against the data present, and both ways of storing it. */
import { brainValue, halfValue } from "../../src/tensor/halves.ts";
import { type DType, type HostTensor, hostTensor } from "../../src/tensor/tensor.ts";
import { quoted } from "../../src/quoted.ts";
import { OnnxError } from "./errors.ts";
import type { Partly, TensorProto, ValueInfoProto } from "./protos.ts";

/** The numbers of `TensorProto.DataType` by name. */
export const dataTypes = {
  float: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  double: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
} as const;

const FLOATS = ["float", "float16", "bfloat16", "double"] as const;

/** The name of an element type that can be read. */
export type ElementType =
  | "float"
  | "double"
  | "float16"
  | "bfloat16"
  | "int8"
  | "uint8"
  | "int16"
  | "uint16"
  | "int32"
  | "int64"
  | "uint32"
  | "uint64"
  | "bool";

/** Our dtype for each element type: integers are int32 here, and floats of half precision float32. */
const dtypes: Readonly<Record<ElementType, DType>> = {
  float: "float32",
  double: "float64",
  float16: "float32",
  bfloat16: "float32",
  int8: "int32",
  uint8: "int32",
  int16: "int32",
  uint16: "int32",
  int32: "int32",
  int64: "int32",
  uint32: "int32",
  uint64: "int32",
  bool: "bool",
};

/** The element type for one of our dtypes. */
export const elementTypes: Readonly<Record<DType, "float" | "double" | "int32" | "bool">> = {
  float32: "float",
  float64: "double",
  int32: "int32",
  bool: "bool",
};

/** The largest size of an axis: int32, like sizes on devices. */
const LARGEST_SIZE = 2 ** 31 - 1;

/** Whether tensors of this type can be read. */
export function isElementType(name: string): name is ElementType {
  return Object.hasOwn(dtypes, name);
}

/** The element type of a `DataType` number. */
export function elementTypeOf(place: string, number: number): ElementType {
  const name = Object.entries(dataTypes).find(([, value]) => value === number)?.[0];
  if (name !== undefined && isElementType(name)) return name;
  throw new OnnxError(
    place,
    `its type of elements is ${name ?? number}, expected one of ${Object.keys(dtypes).join(", ")}`,
  );
}

/** Whether a `DataType` number is that of floats. */
export function isFloatType(number: number): boolean {
  return FLOATS.some((name) => dataTypes[name] === number);
}

/** Our dtype for a `DataType` number. */
export function dtypeOf(place: string, number: number): DType {
  return dtypes[elementTypeOf(place, number)];
}

/**
 * A constant of a file: integers of 64 bits and unsigned ones of 32 are kept unchanged, as int64; floats of half precision
 * are float; others are as a tensor has them.
 */
export interface Constant {
  readonly shape: readonly number[];
  readonly type: ElementType;
  /** Row-major; 0 or 1 for bool. */
  readonly data: Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;
}

/** Reads a file next to the model by the location that the model names; `length` bytes from `offset`. */
export type ExternalData = (location: string, offset: number, length: number | undefined) => Uint8Array;

/** A request to an external file. */
interface ExternalRange {
  readonly location: string;
  readonly offset: number;
  readonly length: number | undefined;
}

function bytesPerElement(type: ElementType): number {
  switch (type) {
    case "double":
    case "int64":
    case "uint64":
      return 8;
    case "float":
    case "int32":
    case "uint32":
      return 4;
    case "float16":
    case "bfloat16":
    case "int16":
    case "uint16":
      return 2;
    case "int8":
    case "uint8":
    case "bool":
      return 1;
  }
}

/** Sizes as numbers; throws if one is negative or too large. */
export function sizesOf(place: string, dims: readonly bigint[]): number[] {
  return dims.map((dim, axis) => {
    if (dim >= 0n && dim <= BigInt(LARGEST_SIZE)) return Number(dim);
    throw new OnnxError(place, `the size of axis ${axis} is ${dim}, expected 0 to ${LARGEST_SIZE}`);
  });
}

/** The number of elements; throws if no array could have it. */
function countOf(place: string, shape: readonly number[]): number {
  const count = shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1);
  if (count <= LARGEST_SIZE) return count;
  throw new OnnxError(place, `its shape is [${shape.join(", ")}], which has too many elements`);
}

/** A constant of a file. Every size is checked against the data present before anything is allocated. */
export function readTensor(place: string, proto: TensorProto, external: ExternalData | undefined): Constant {
  const type = elementTypeOf(place, proto.dataType);
  const shape = sizesOf(place, proto.dims);
  const count = countOf(place, shape);
  const size = count * bytesPerElement(type);
  if (proto.dataLocation === 1 || proto.externalData.length > 0) {
    const range = externalRange(place, proto);
    if (!external) {
      throw new OnnxError(
        place,
        `its data is in the file ${quoted(range.location)}; give what reads it: ` +
          `fromOnnx(bytes, { externalData: (location, offset, length) => … })`,
      );
    }
    const bytes = external(range.location, range.offset, range.length);
    if (!(bytes instanceof Uint8Array)) {
      throw new OnnxError(place, `externalData gave ${typeof bytes}, expected a Uint8Array`);
    }
    return fromBytes(place, shape, type, size, bytes);
  }
  if (Object.hasOwn(proto, "rawData")) return fromBytes(place, shape, type, size, proto.rawData);
  const list = listOf(proto, type);
  if (list.length !== count) {
    throw new OnnxError(
      place,
      `it has ${list.length} elements, expected ${count} for the shape [${shape.join(", ")}]`,
    );
  }
  return { shape, ...fromList(place, list, type) };
}

/** The location of a tensor's data; refused unless it lies in the model's own folder. */
function externalRange(place: string, { externalData }: TensorProto): ExternalRange {
  const entries = new Map(externalData.map(({ key, value }) => [key, value]));
  const location = entries.get("location") ?? "";
  const outside = location === "" || /^([/\\]|[A-Za-z][A-Za-z0-9+.-]*:)/.test(location) ||
    location.includes("\0") || location.split(/[/\\]/).includes("..");
  if (outside) {
    throw new OnnxError(
      place,
      `its data is said to be in ${quoted(location)}, expected a file in the model's own folder`,
    );
  }
  const number = (key: string) => {
    const text = entries.get(key);
    if (text === undefined) return undefined;
    const value = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
    if (Number.isSafeInteger(value)) return value;
    throw new OnnxError(place, `the ${key} of its data is ${quoted(text)}, expected a whole number from 0`);
  };
  return { location, offset: number("offset") ?? 0, length: number("length") };
}

/** Unsigned integers of 64 bits as signed ones; throws for those that are larger. */
function signed(place: string, values: Iterable<bigint>): BigInt64Array {
  return BigInt64Array.from(values, (value) => {
    if (value < 2n ** 63n) return value;
    throw new OnnxError(place, `an element is ${value}, expected less than 2^63`);
  });
}

/** Values of `size` bytes, little-endian, copied. */
function fromBytes(
  place: string,
  shape: readonly number[],
  type: ElementType,
  size: number,
  bytes: Uint8Array,
): Constant {
  if (bytes.length !== size) {
    throw new OnnxError(
      place,
      `its data has ${bytes.length} bytes, expected ${size} for ${type}[${shape.join(", ")}]`,
    );
  }
  const { buffer } = new Uint8Array(bytes); // a separate copy, aligned
  switch (type) {
    case "float":
      return { shape, type, data: new Float32Array(buffer) };
    case "double":
      return { shape, type, data: new Float64Array(buffer) };
    case "float16":
      return { shape, type: "float", data: Float32Array.from(new Uint16Array(buffer), halfValue) };
    case "bfloat16":
      return { shape, type: "float", data: Float32Array.from(new Uint16Array(buffer), brainValue) };
    case "int64":
      return { shape, type, data: new BigInt64Array(buffer) };
    case "uint64":
      return { shape, type: "int64", data: signed(place, new BigUint64Array(buffer)) };
    case "uint32":
      return { shape, type: "int64", data: BigInt64Array.from(new Uint32Array(buffer), BigInt) };
    case "int32":
      return { shape, type, data: new Int32Array(buffer) };
    case "bool":
      return { shape, type, data: new Uint8Array(buffer).map((value) => value === 0 ? 0 : 1) };
    case "int16":
      return { shape, type, data: Int32Array.from(new Int16Array(buffer)) };
    case "uint16":
      return { shape, type, data: Int32Array.from(new Uint16Array(buffer)) };
    case "int8":
      return { shape, type, data: Int32Array.from(new Int8Array(buffer)) };
    case "uint8":
      return { shape, type, data: Int32Array.from(new Uint8Array(buffer)) };
  }
}

function listOf(proto: TensorProto, type: ElementType): readonly number[] | readonly bigint[] {
  switch (type) {
    case "float":
      return proto.floatData;
    case "double":
      return proto.doubleData;
    case "int64":
      return proto.int64Data;
    case "uint32":
    case "uint64":
      return proto.uint64Data;
    case "float16":
    case "bfloat16":
    case "bool":
    case "int8":
    case "uint8":
    case "int16":
    case "uint16":
    case "int32":
      return proto.int32Data;
  }
}

function fromList(
  place: string,
  list: readonly number[] | readonly bigint[],
  type: ElementType,
): Pick<Constant, "type" | "data"> {
  switch (type) {
    case "int64":
      return { type, data: BigInt64Array.from(list as readonly bigint[]) }; // int64_data
    case "uint32":
    case "uint64":
      return { type: "int64", data: signed(place, list as readonly bigint[]) }; // uint64_data
    case "float16":
      return { type: "float", data: Float32Array.from(list as readonly number[], halfValue) }; // bits in int32_data
    case "bfloat16":
      return { type: "float", data: Float32Array.from(list as readonly number[], brainValue) };
    case "float":
      return { type, data: Float32Array.from(list as readonly number[]) };
    case "double":
      return { type, data: Float64Array.from(list as readonly number[]) };
    case "bool":
      return { type, data: Uint8Array.from(list as readonly number[], (value) => value === 0 ? 0 : 1) };
    case "int8":
    case "uint8":
    case "int16":
    case "uint16":
    case "int32":
      return { type, data: Int32Array.from(list as readonly number[]) };
  }
}

/** A constant as one of our tensors; throws if an integer is too large for int32. */
export function hostTensorOf(place: string, { shape, type, data }: Constant): HostTensor {
  if (!(data instanceof BigInt64Array)) return hostTensor(data, shape, dtypes[type]);
  const values = Int32Array.from(data, (value, index) => {
    const number = Number(value);
    if (number === (number | 0)) return number;
    throw new OnnxError(place, `element ${index} is ${value}, which is no int32`);
  });
  return hostTensor(values, shape);
}

/** One of our tensors as an initializer. */
export function tensorProto(name: string, { shape, dtype, data }: HostTensor): Partly<TensorProto> {
  return {
    name,
    dims: shape.map(BigInt),
    dataType: dataTypes[elementTypes[dtype]],
    rawData: new Uint8Array(data.slice().buffer),
  };
}

/** 64-bit integers as an initializer: sizes and axes. */
export function int64Proto(name: string, values: readonly number[], scalar = false): Partly<TensorProto> {
  return {
    name,
    dims: scalar ? [] : [BigInt(values.length)],
    dataType: dataTypes.int64,
    rawData: new Uint8Array(BigInt64Array.from(values, BigInt).buffer),
  };
}

/** An input or output of a graph; a size is a number, a name, or unknown. */
export function valueInfo(
  name: string,
  elemType: number,
  shape: readonly (number | string)[] | undefined,
): Partly<ValueInfoProto> {
  const dim = shape?.map((size) =>
    typeof size === "number" ? { dimValue: BigInt(size) } : { dimParam: size }
  );
  return { name, type: { tensorType: { elemType, ...(dim ? { shape: { dim } } : {}) } } };
}
