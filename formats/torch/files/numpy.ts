/**
 * NumPy's files: `.npy`, an array, and `.npz`, a zip archive of them
 * (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
 */
import { checkBytes, checkCount } from "../../../src/describe.ts";
import { checkOptions } from "../../../src/option_names.ts";
import { quoted } from "../../../src/quoted.ts";
import type { HostTensor } from "../../../src/tensor/tensor.ts";
import { entryPlace, inflate, isArchive, openArchive } from "../../support/archive.ts";
import { failNumpy, NumpyFileError } from "./errors.ts";
import { type ArrayHeader, parseHeader } from "./numpy_header.ts";
import { bytesInMemory, columnMajor, countOf, rowMajor, tensorFrom } from "./strided.ts";

/** The array of a header and the bytes behind it. */
function arrayOf(
  { stored, size, littleEndian, fortran, shape }: ArrayHeader,
  data: Uint8Array,
  place: string,
) {
  const count = countOf(shape);
  if (count * size !== data.length) {
    throw new NumpyFileError(
      place,
      `its shape is ${quoted(`(${shape.slice(0, 32).join(", ")})`)} of ${size} bytes each, ` +
        `but ${data.length} bytes follow the header, expected ${count * size}`,
    );
  }
  const strides = fortran ? columnMajor(shape) : rowMajor(shape);
  try {
    const bytes = data as Uint8Array<ArrayBuffer>; // copied below; a shared buffer is copied as well as any
    return tensorFrom(bytes, { stored, shape, strides, offset: 0 }, littleEndian);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new NumpyFileError(place, error.message, { cause: error });
  }
}

/** The array of a whole `.npy` file. */
function decodeArray(bytes: Uint8Array, place: string): HostTensor {
  const { header, end } = parseHeader(bytes, place);
  return arrayOf(header, bytes.subarray(end), place);
}

/**
 * The array of a `.npy` file of NumPy.
 *
 * Numbers of either order of bytes and arrays in Fortran order are read. Dtypes become ours as in
 * `decodeSafetensors`: float16 is float32, whole numbers are int32. The values are copied.
 *
 * @throws NumpyFileError saying what is wrong with the file: arrays of objects, which are pickles and could run
 *   code, of texts, structures, dates and complex numbers are refused, and whole numbers that int32 cannot hold.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { tensor } from "@cellfold/cellfold";
 * import { decodeNpy } from "@cellfold/cellfold/torch";
 * // In Python: np.save("x.npy", np.array([1.5, 2], dtype=np.float32)); here await Deno.readFile("x.npy")
 * const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }".padEnd(117) + "\n";
 * const file = Uint8Array.of(
 *   ...[0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length, 0],
 *   ...new TextEncoder().encode(header),
 *   ...new Uint8Array(Float32Array.of(1.5, 2).buffer),
 * );
 * assertEquals(decodeNpy(file), tensor([1.5, 2]));
 * ```
 */
export function decodeNpy(bytes: Uint8Array): HostTensor {
  checkBytes("read a NumPy file", bytes);
  return decodeArray(bytes, "the array");
}

/** Options of {@linkcode decodeNpz}. */
export interface NpzOptions {
  /** The largest size in bytes of all arrays together, in the file or in memory. Default 2³¹ - 1, about 2 GiB. */
  readonly maxBytes?: number;
}

/**
 * The arrays of a `.npz` file of NumPy, compressed or not, by name, in the order of the file.
 *
 * @throws NumpyFileError as {@linkcode decodeNpy}, and for what is no archive of arrays alone, or too large.
 *
 * @example
 * ```ts
 * import { assertRejects } from "@std/assert";
 * import { decodeNpz, NumpyFileError } from "@cellfold/cellfold/torch";
 * // const { weights } = await decodeNpz(await Deno.readFile("model.npz"));
 * await assertRejects(() => decodeNpz(new Uint8Array(3)), NumpyFileError, "it is no zip archive");
 * ```
 */
export async function decodeNpz(
  bytes: Uint8Array,
  options: NpzOptions = {},
): Promise<Readonly<Record<string, HostTensor>>> {
  checkBytes("read a NumPy file", bytes);
  checkOptions("decodeNpz", options, ["maxBytes"]);
  const { maxBytes = 2 ** 31 - 1 } = options;
  checkCount("read a NumPy file", maxBytes, "maxBytes");
  if (!isArchive(bytes)) {
    throw new NumpyFileError("the archive", "it is no zip archive, which a .npz file is");
  }
  const tensors: [string, HostTensor][] = [];
  let left = maxBytes;
  for (const [name, entry] of await openArchive(bytes, failNumpy)) {
    const place = entryPlace(name);
    if (!name.endsWith(".npy")) throw new NumpyFileError(place, "it is no array, expected names with .npy");
    const file = await inflate(entry, left, failNumpy);
    const { header, end } = parseHeader(file, place);
    left -= Math.max(file.length, bytesInMemory(header.stored, countOf(header.shape)));
    if (left < 0) {
      throw new NumpyFileError(
        place,
        `the arrays up to it have ${maxBytes - left} bytes, at most ${maxBytes} are read; ` +
          `if the file can be trusted, raise maxBytes`,
      );
    }
    tensors.push([name.slice(0, -".npy".length), arrayOf(header, file.subarray(end), place)]);
  }
  return Object.fromEntries(tensors);
}
