/**
 * The element types of safetensors files, and how each becomes one of ours. Files are little-endian, as is
 * every machine that runs Deno, Node or a browser.
 */
import { quoted } from "../../quoted.ts";
import { brainBits, brainValue, halfBits, halfValue } from "../../tensor/halves.ts";
import type { DType, HostTensor, Values } from "../../tensor/tensor.ts";

/** An element type of a file. */
export interface StoredType {
  /** Bytes per element. */
  readonly size: number;
  /** The dtype of its elements here. */
  readonly dtype: DType;
  /**
   * The values of some elements.
   *
   * @param bytes All bytes of a separate buffer, which may be kept; as many as the elements need.
   * @throws RangeError naming the element that cannot be represented.
   */
  readonly read: (bytes: Uint8Array<ArrayBuffer>) => Values;
}

/** Each element as an int32; values out of range are refused. */
function wholeNumbers(elements: ArrayLike<number | bigint>): Int32Array {
  const values = new Int32Array(elements.length);
  for (let index = 0; index < values.length; index++) {
    const value = Number(elements[index]);
    values[index] = value;
    if (values[index] === value) continue;
    throw new RangeError(
      `element ${index} is ${
        elements[index]
      }, which int32, the only dtype of whole numbers here, cannot hold`,
    );
  }
  return values;
}

function booleans(bytes: Uint8Array): Uint8Array {
  const wrong = bytes.findIndex((byte) => byte > 1);
  if (wrong < 0) return bytes;
  throw new RangeError(`element ${wrong} is the byte ${bytes[wrong]}, which is no boolean, expected 0 or 1`);
}

/** Floats of 16 bits. */
function widened(buffer: ArrayBuffer, valueOf: (bits: number) => number): Float32Array {
  return Float32Array.from(new Uint16Array(buffer), valueOf);
}

/**
 * The supported element types. F32, F64, I32 and BOOL are our dtypes; F16 and BF16 are widened, and integers
 * become int32 if they fit. Those left out (F8, F4, complex numbers) have no dtype here.
 */
export const storedTypes: ReadonlyMap<string, StoredType> = new Map<string, StoredType>([
  ["F32", { size: 4, dtype: "float32", read: ({ buffer }) => new Float32Array(buffer) }],
  ["F64", { size: 8, dtype: "float64", read: ({ buffer }) => new Float64Array(buffer) }],
  ["I32", { size: 4, dtype: "int32", read: ({ buffer }) => new Int32Array(buffer) }],
  ["BOOL", { size: 1, dtype: "bool", read: booleans }],
  ["F16", { size: 2, dtype: "float32", read: ({ buffer }) => widened(buffer, halfValue) }],
  ["BF16", { size: 2, dtype: "float32", read: ({ buffer }) => widened(buffer, brainValue) }],
  ["I8", { size: 1, dtype: "int32", read: ({ buffer }) => wholeNumbers(new Int8Array(buffer)) }],
  ["U8", { size: 1, dtype: "int32", read: (bytes) => wholeNumbers(bytes) }],
  ["I16", { size: 2, dtype: "int32", read: ({ buffer }) => wholeNumbers(new Int16Array(buffer)) }],
  ["U16", { size: 2, dtype: "int32", read: ({ buffer }) => wholeNumbers(new Uint16Array(buffer)) }],
  ["U32", { size: 4, dtype: "int32", read: ({ buffer }) => wholeNumbers(new Uint32Array(buffer)) }],
  ["I64", { size: 8, dtype: "int32", read: ({ buffer }) => wholeNumbers(new BigInt64Array(buffer)) }],
  ["U64", { size: 8, dtype: "int32", read: ({ buffer }) => wholeNumbers(new BigUint64Array(buffer)) }],
]);

/** How float32 is written: as it is, or as the nearest number of 16 bits. */
export type StoredFloats = "float32" | "float16" | "bfloat16";

/** The element type that tensors are written as. */
export interface WrittenType {
  readonly name: string;
  /** Bytes per element. */
  readonly size: number;
  /** The bits of an element, where they are not those that it has. */
  readonly bitsOf?: (value: number) => number;
}

/** The element types for float32. */
export const writtenFloats: Readonly<Record<StoredFloats, WrittenType>> = {
  float32: { name: "F32", size: 4 },
  float16: { name: "F16", size: 2, bitsOf: halfBits },
  bfloat16: { name: "BF16", size: 2, bitsOf: brainBits },
};

/** The element type that each other dtype is written as. */
const written: Readonly<Record<Exclude<DType, "float32">, WrittenType>> = {
  float64: { name: "F64", size: 8 },
  int32: { name: "I32", size: 4 },
  bool: { name: "BOOL", size: 1 },
};

/** The element type that a dtype is written as. */
export function writtenAs(dtype: DType, floats: StoredFloats): WrittenType {
  return dtype === "float32" ? writtenFloats[floats] : written[dtype];
}

/**
 * The bytes of a tensor's values; those of its own if its elements are written as they are.
 *
 * @throws RangeError for a number that would become infinite.
 */
export function bytesOf(name: string, { data }: HostTensor, { bitsOf, name: type }: WrittenType): Uint8Array {
  if (!bitsOf) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const infinite = bitsOf(Infinity);
  const bits = Uint16Array.from(data, (value: number) => {
    const own = bitsOf(value);
    if ((own & 0x7fff) !== infinite || !Number.isFinite(value)) return own;
    throw new RangeError(
      `Cannot write ${
        quoted(name)
      } as ${type}: it has ${value}, which would be infinite; write it as float32`,
    );
  });
  return new Uint8Array(bits.buffer);
}
