/**
 * Tensors from stored numbers: in any order of axes, from any element on, of either order of bytes. The dtypes
 * are those of safetensors files.
 */
import { storedTypes } from "../../../src/data/safetensors/dtypes.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/tensor.ts";

/** Where the elements of a tensor are among stored ones. */
export interface Strided {
  /** A stored type of safetensors, such as `F32`. */
  readonly stored: string;
  readonly shape: readonly number[];
  /** How many elements lie between neighbors on each axis. */
  readonly strides: readonly number[];
  /** The first element. */
  readonly offset: number;
}

/** The strides of contiguous elements, the last axis fastest. */
export function rowMajor(shape: readonly number[]): number[] {
  const strides: number[] = [];
  shape.reduceRight((step, size, axis) => {
    strides[axis] = step;
    return step * size;
  }, 1);
  return strides;
}

/** The strides of contiguous elements, the first axis fastest. */
export function columnMajor(shape: readonly number[]): number[] {
  return rowMajor(shape.toReversed()).reverse();
}

/** The number of elements of a shape; Infinity for more than can be counted exactly. */
export function countOf(shape: readonly number[]): number {
  if (shape.includes(0)) return 0;
  const count = shape.reduce((count, size) => count * size, 1);
  return Number.isSafeInteger(count) ? count : Infinity;
}

/** The number of elements that must be stored, up to the last that is read; Infinity as in {@linkcode countOf}. */
export function extentOf({ shape, strides, offset }: Strided): number {
  if (shape.includes(0)) return 0;
  const last = shape.reduce((last, size, axis) => last + (size - 1) * strides[axis], offset);
  return Number.isSafeInteger(last) ? last + 1 : Infinity;
}

/** The bytes that a tensor of this stored type and count takes in memory, as a dtype of the library. */
export function bytesInMemory(stored: string, count: number): number {
  const size = { float32: 4, float64: 8, int32: 4, bool: 1 }[storedTypes.get(stored)?.dtype ?? "float64"];
  return size * count;
}

/** An array of elements that are moved, not read. */
type Elements = Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** Bytes as elements of this many bytes; a rest that is no whole element is left out. */
function elementsOf(bytes: Uint8Array<ArrayBuffer>, size: number): Elements {
  const { buffer } = bytes.byteOffset === 0 ? bytes : bytes.slice(); // elements must be aligned
  const count = Math.floor(bytes.length / size);
  switch (size) {
    case 1:
      return new Uint8Array(buffer, 0, count);
    case 2:
      return new Uint16Array(buffer, 0, count);
    case 4:
      return new Uint32Array(buffer, 0, count);
    default:
      throw new Error(`there are no elements of ${size} bytes`); // of no stored type
  }
}

/** Elements in the order of the axes; all of them are there. */
function gather(from: Elements, to: Elements, { shape, strides, offset }: Omit<Strided, "stored">): void {
  const inner = shape.at(-1) ?? 1;
  const step = strides.at(-1) ?? 1;
  const index = new Array(Math.max(0, shape.length - 1)).fill(0);
  let place = offset;
  for (let written = 0; written < to.length;) {
    for (let i = 0; i < inner; i++) to[written++] = from[place + i * step];
    for (let axis = index.length - 1; axis >= 0; axis--) { // the next row
      place += strides[axis];
      if (++index[axis] < shape[axis]) break;
      place -= index[axis] * strides[axis];
      index[axis] = 0;
    }
  }
}

/** The bytes of some elements, contiguous. */
function contiguous(bytes: Uint8Array<ArrayBuffer>, size: number, where: Strided): Uint8Array<ArrayBuffer> {
  const { shape, strides, offset } = where;
  const count = countOf(shape);
  const same = rowMajor(shape).every((stride, axis) => stride === strides[axis] || shape[axis] === 1);
  if (same || count === 0) return bytes.slice(offset * size, (offset + count) * size);
  const result = new Uint8Array(count * size);
  if (size === 8) { // moved as halves, as a NaN that is read as a number may change its bits
    const halves = { shape: [...shape, 2], strides: [...strides.map((stride) => 2 * stride), 1] };
    gather(elementsOf(bytes, 4), elementsOf(result, 4), { ...halves, offset: 2 * offset });
  } else {
    gather(elementsOf(bytes, size), elementsOf(result, size), where);
  }
  return result;
}

/** Puts the bytes of each element into the other order. */
function swapBytes(bytes: Uint8Array, size: number): void {
  for (let begin = 0; begin < bytes.length; begin += size) bytes.subarray(begin, begin + size).reverse();
}

/**
 * A tensor.
 *
 * @param bytes The stored elements from the first on, at least up to {@linkcode extentOf}.
 * @param littleEndian The order of bytes in the file.
 * @throws RangeError naming the element that no dtype can hold.
 */
export function tensorFrom(
  bytes: Uint8Array<ArrayBuffer>,
  where: Strided,
  littleEndian: boolean,
): HostTensor {
  const type = storedTypes.get(where.stored);
  if (type === undefined) throw new Error(`there is no stored type ${where.stored}`); // callers have known types
  const elements = contiguous(bytes, type.size, where);
  if (!littleEndian && type.size > 1) swapBytes(elements, type.size);
  return hostTensor(type.read(elements), where.shape, type.dtype);
}
