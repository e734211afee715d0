/**
 * The element types of safetensors files, and how each becomes one of ours. Files are little-endian, as is
 * every machine that runs Deno, Node or a browser.
 */
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

/** IEEE 754 half precision; every value is a float32 too. */
function halves(bits: Uint16Array): Float32Array {
  return Float32Array.from(bits, (half) => {
    const sign = half >> 15 ? -1 : 1;
    const exponent = (half >> 10) & 31;
    const fraction = half & 1023;
    if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
    return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1024 + fraction) * 2 ** (exponent - 25);
  });
}

/** The upper half of a float32. */
function brainFloats(bits: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(bits, (half) => half << 16).buffer);
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
  ["F16", { size: 2, dtype: "float32", read: ({ buffer }) => halves(new Uint16Array(buffer)) }],
  ["BF16", { size: 2, dtype: "float32", read: ({ buffer }) => brainFloats(new Uint16Array(buffer)) }],
  ["I8", { size: 1, dtype: "int32", read: ({ buffer }) => wholeNumbers(new Int8Array(buffer)) }],
  ["U8", { size: 1, dtype: "int32", read: (bytes) => wholeNumbers(bytes) }],
  ["I16", { size: 2, dtype: "int32", read: ({ buffer }) => wholeNumbers(new Int16Array(buffer)) }],
  ["U16", { size: 2, dtype: "int32", read: ({ buffer }) => wholeNumbers(new Uint16Array(buffer)) }],
  ["U32", { size: 4, dtype: "int32", read: ({ buffer }) => wholeNumbers(new Uint32Array(buffer)) }],
  ["I64", { size: 8, dtype: "int32", read: ({ buffer }) => wholeNumbers(new BigInt64Array(buffer)) }],
  ["U64", { size: 8, dtype: "int32", read: ({ buffer }) => wholeNumbers(new BigUint64Array(buffer)) }],
]);

/** The element type that a dtype is written as. */
export const storedAs: Readonly<Record<DType, { readonly name: string; readonly size: number }>> = {
  float32: { name: "F32", size: 4 },
  float64: { name: "F64", size: 8 },
  int32: { name: "I32", size: 4 },
  bool: { name: "BOOL", size: 1 },
};

/** The bytes of a tensor's values, not copied. */
export function bytesOf({ data }: HostTensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
