/**
 * Safetensors files as named tensors: from bytes, or from a stream, whose declared sizes are not trusted
 * beyond what has arrived.
 */
import { checkBytes, checkCount, wrongKind } from "../../describe.ts";
import { checkOptions } from "../../option_names.ts";
import { quoted } from "../../quoted.ts";
import { type HostTensor, hostTensor } from "../../tensor/tensor.ts";
import { storedTypes } from "./dtypes.ts";
import { type Entry, headerLengthOf, malformed, type Metadata, parseHeader, PREFIX } from "./header.ts";

/** The contents of a safetensors file. */
export interface SafetensorsFile {
  /** The tensors by name, in the order of their bytes. */
  readonly tensors: Readonly<Record<string, HostTensor>>;
  /** Text about the file, by key. */
  readonly metadata: Metadata;
}

/** The tensor of an entry from its bytes, which are in a separate buffer. */
function tensorOf({ name, stored, shape }: Entry, bytes: Uint8Array<ArrayBuffer>): [string, HostTensor] {
  const type = storedTypes.get(stored);
  if (type === undefined) throw malformed(`the dtype ${stored} is unknown`); // entries have known types
  try {
    return [name, hostTensor(type.read(bytes), shape, type.dtype)];
  } catch (error) {
    if (error instanceof RangeError) {
      throw malformed(`the tensor ${quoted(name)} (${stored}): ${error.message}`);
    }
    throw error;
  }
}

/**
 * The tensors of a safetensors file by name.
 *
 * F32, F64, I32 and BOOL have our dtypes. F16 and BF16 become float32, which holds each of their values; I8,
 * U8, I16, U16, U32, I64 and U64 become int32. The values are copied.
 *
 * @throws SyntaxError saying what is wrong with the file and where, before anything is allocated: a header
 *   that is too long, is not JSON, or describes tensors with gaps, overlaps or sizes that do not match the
 *   file; or a dtype or a value that no tensor here can hold.
 *
 * @example
 * ```ts
 * import { assertEquals, assertThrows } from "@std/assert";
 * import { tensor } from "@cellfold/cellfold";
 * import { decodeSafetensors, encodeSafetensors } from "@cellfold/cellfold/safetensors";
 * const bytes = encodeSafetensors({ kernel: tensor([1, 2]) });
 * assertEquals(decodeSafetensors(bytes).tensors.kernel, tensor([1, 2]));
 * assertThrows(() => decodeSafetensors(bytes.subarray(0, -1)), SyntaxError, "Cannot read the safetensors file");
 * ```
 */
export function decodeSafetensors(bytes: Uint8Array): SafetensorsFile {
  checkBytes("read a safetensors file", bytes);
  const headerLength = headerLengthOf(bytes.subarray(0, PREFIX), bytes.length);
  const start = PREFIX + headerLength;
  const { entries, metadata } = parseHeader(bytes.subarray(PREFIX, start), bytes.length);
  const tensors = entries.map((entry) => {
    const copy = new Uint8Array(entry.end - entry.begin);
    copy.set(bytes.subarray(start + entry.begin, start + entry.end));
    return tensorOf(entry, copy);
  });
  return { tensors: Object.fromEntries(tensors), metadata };
}

/** Options of {@linkcode readSafetensors}. */
export interface ReadOptions {
  /**
   * The length of the file in bytes, if it is known: sizes are then checked against it before anything is
   * read.
   */
  readonly length?: number;
}

/** Bytes from a stream in portions of any size. */
class ByteReader {
  readonly #source: ReadableStreamDefaultReader<Uint8Array>;
  readonly #trusted: boolean;
  #rest: Uint8Array = new Uint8Array(0);

  /** @param trusted Whether the sizes asked for have been checked against the length of the file. */
  constructor(stream: ReadableStream<Uint8Array>, trusted: boolean) {
    this.#source = stream.getReader();
    this.#trusted = trusted;
  }

  /** Some of the remaining bytes; undefined at the end. */
  async #more(): Promise<Uint8Array | undefined> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#source.read();
      if (done) return undefined;
      if (!(value instanceof Uint8Array)) {
        throw new TypeError("Cannot read a stream of something else than bytes");
      }
      this.#rest = value;
    }
    return this.#rest;
  }

  /**
   * Exactly `count` bytes, in a separate buffer; memory is allocated only for what has been checked or has
   * arrived.
   */
  async take(count: number, what: string): Promise<Uint8Array<ArrayBuffer>> {
    let bytes = new Uint8Array(this.#trusted ? count : Math.min(count, 1 << 16));
    let filled = 0;
    while (filled < count) {
      const some = await this.#more();
      if (some === undefined) throw malformed(`it ends after ${filled} of the ${count} bytes of ${what}`);
      if (filled === bytes.length) {
        const larger = new Uint8Array(Math.min(count, 2 * filled));
        larger.set(bytes);
        bytes = larger;
      }
      const taken = some.subarray(0, bytes.length - filled);
      bytes.set(taken, filled);
      filled += taken.length;
      this.#rest = some.subarray(taken.length);
    }
    return bytes;
  }

  async atEnd(): Promise<boolean> {
    return await this.#more() === undefined;
  }

  /** Releases the stream; after an error the rest is not read. */
  async close(error?: unknown): Promise<void> {
    if (error !== undefined) await this.#source.cancel(error).catch(() => {});
    this.#source.releaseLock();
  }
}

async function readStream(reader: ByteReader, length: number | undefined): Promise<SafetensorsFile> {
  const headerLength = headerLengthOf(await reader.take(PREFIX, "the header's length"), length);
  const { entries, metadata } = parseHeader(await reader.take(headerLength, "the header"), length);
  const tensors: [string, HostTensor][] = [];
  for (const entry of entries) {
    tensors.push(
      tensorOf(entry, await reader.take(entry.end - entry.begin, `the tensor ${quoted(entry.name)}`)),
    );
  }
  if (!await reader.atEnd()) throw malformed("bytes follow its last tensor");
  return { tensors: Object.fromEntries(tensors), metadata };
}

/**
 * The same as {@linkcode decodeSafetensors} from a stream, such as that of a file or a response; nothing is
 * held twice.
 *
 * @param source A stream of bytes, which is read to its end, or released when an error is found; or all
 * bytes.
 * @param options `length`: without it, at most twice as much is allocated as has arrived.
 * @throws SyntaxError as {@linkcode decodeSafetensors}, and if the stream is shorter or longer than it should
 * be.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { tensor } from "@cellfold/cellfold";
 * import { encodeSafetensors, readSafetensors } from "@cellfold/cellfold/safetensors";
 * const file = new Blob([encodeSafetensors({ kernel: tensor([1, 2]) })]);
 * const { tensors } = await readSafetensors(file.stream(), { length: file.size });
 * assertEquals(tensors.kernel, tensor([1, 2]));
 * ```
 */
export async function readSafetensors(
  source: ReadableStream<Uint8Array> | Uint8Array,
  options: ReadOptions = {},
): Promise<SafetensorsFile> {
  checkOptions("readSafetensors", options, ["length"]);
  const { length } = options;
  if (length !== undefined) checkCount("read a safetensors file", length, "length", 0);
  if (source instanceof Uint8Array) {
    if (length === undefined || length === source.length) return decodeSafetensors(source);
    throw malformed(`it has ${source.length} bytes, expected ${length}`);
  }
  if (typeof source?.getReader !== "function") {
    throw wrongKind(
      "read a safetensors file",
      source,
      "the source",
      "a ReadableStream of bytes, or a Uint8Array",
    );
  }
  const reader = new ByteReader(source, length !== undefined);
  try {
    const file = await readStream(reader, length);
    await reader.close();
    return file;
  } catch (error) {
    await reader.close(error);
    throw error;
  }
}
