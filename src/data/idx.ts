/**
 * The IDX format, in which MNIST and its relatives are published. It works on bytes: the caller reads or
 * fetches files, so that the library itself needs no permission.
 *
 * Layout (LeCun, Cortes, Burges, "The MNIST database", section "File formats"): two zero bytes, a type code,
 * the number of axes, the size of each axis as a 32-bit big-endian number, then the values, big-endian and
 * row-major.
 */
import { checkBytes } from "../describe.ts";
import { allocateValues, type DType, type HostTensor, hostTensor } from "../tensor/tensor.ts";
import { printShape } from "../tensor/dims.ts";
import { gunzip, isGzip } from "./gzip.ts";

interface Element {
  readonly bytes: number;
  readonly dtype: DType;
  read(view: DataView, offset: number): number;
}

const ELEMENTS: Readonly<Record<number, Element>> = {
  0x08: { bytes: 1, dtype: "int32", read: (view, offset) => view.getUint8(offset) },
  0x09: { bytes: 1, dtype: "int32", read: (view, offset) => view.getInt8(offset) },
  0x0b: { bytes: 2, dtype: "int32", read: (view, offset) => view.getInt16(offset) },
  0x0c: { bytes: 4, dtype: "int32", read: (view, offset) => view.getInt32(offset) },
  0x0d: { bytes: 4, dtype: "float32", read: (view, offset) => view.getFloat32(offset) },
  0x0e: { bytes: 8, dtype: "float64", read: (view, offset) => view.getFloat64(offset) },
};

interface Header {
  readonly element: Element;
  readonly shape: readonly number[];
  /** Where the values start. */
  readonly offset: number;
  /** How long the file must be. */
  readonly total: number;
}

/**
 * Reads an IDX file, plain or gzipped.
 *
 * @param bytes The whole file; gzip is recognized by its magic bytes.
 * @returns A host tensor of the file's shape. Types of 8, 16 and 32 bits become `int32`, float `float32`,
 *   double `float64`.
 * @throws SyntaxError if the magic number or type code is unknown, the file is shorter or longer than its
 *   header says, or the gzip data is corrupt.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { parseIdx } from "@cellfold/cellfold";
 * const labels = await parseIdx(new Uint8Array([0, 0, 0x08, 1, 0, 0, 0, 3, 5, 0, 4]));
 * assertEquals(labels.dtype, "int32");
 * assertEquals(labels.data.join(), "5,0,4");
 * ```
 */
export async function parseIdx(bytes: Uint8Array): Promise<HostTensor> {
  checkBytes("parse IDX data", bytes);
  const plain = isGzip(bytes) ? await gunzip(bytes, (beginning) => readHeader(beginning)?.total) : bytes;
  const header = readHeader(plain);
  if (header === undefined) {
    throw new SyntaxError(
      `Cannot parse IDX data: it is truncated within its header, at ${plain.length} bytes`,
    );
  }
  const { element, shape, offset, total } = header;
  if (plain.length !== total) {
    const which = plain.length < total ? "truncated" : "followed by trailing bytes";
    const length = isGzip(bytes) && plain.length > total ? `more than ${total}` : `${plain.length}`;
    throw new SyntaxError(
      `Cannot parse IDX data: it is ${which}, shape ${printShape(shape)} of ${element.bytes}-byte values ` +
        `takes ${total} bytes, current value has ${length}`,
    );
  }
  const count = (total - offset) / element.bytes;
  const values = allocateValues(element.dtype, count);
  const view = new DataView(plain.buffer, plain.byteOffset, plain.byteLength);
  for (let i = 0; i < count; i++) values[i] = element.read(view, offset + i * element.bytes);
  return hostTensor(values, shape);
}

/** The header, or undefined if `bytes` end before it does. Allocates nothing of the declared size. */
function readHeader(bytes: Uint8Array): Header | undefined {
  const magic = [...bytes.subarray(0, 4)].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
  if ((bytes[0] ?? 0) !== 0 || (bytes[1] ?? 0) !== 0) {
    throw new SyntaxError(`Cannot parse IDX data: the magic number is ${magic}, expected 00 00 first`);
  }
  if (bytes.length < 4) return undefined;
  const element = ELEMENTS[bytes[2]];
  if (element === undefined) {
    throw new SyntaxError(
      `Cannot parse IDX data: the magic number is ${magic}, expected a type code of 08, 09, 0b, 0c, 0d or 0e ` +
        `as its third byte`,
    );
  }
  const rank = bytes[3];
  const offset = 4 + 4 * rank;
  if (bytes.length < offset) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, offset);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  // The product of the sizes that are not zero, so that infinity is never multiplied by zero.
  if (!Number.isSafeInteger(shape.reduce((size, dim) => size * (dim || 1), element.bytes))) {
    throw new SyntaxError(
      `Cannot parse IDX data: its header declares ${printShape(shape)}, more values than a file can hold`,
    );
  }
  const count = shape.reduce((size, dim) => size * dim, 1);
  return { element, shape, offset, total: offset + count * element.bytes };
}
