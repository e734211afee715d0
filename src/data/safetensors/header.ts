/**
 * The header of a safetensors file: 8 bytes with the length of a JSON text, the text, then the bytes of all
 * tensors without gaps (https://github.com/huggingface/safetensors, section Format). All sizes are checked
 * here, so that code reading the tensors may trust them. Tensors themselves are in decode.ts and encode.ts.
 */
import { quoted } from "../../quoted.ts";
import { storedTypes, type WrittenType } from "./dtypes.ts";

/** The largest header in bytes, as in the reference implementation. */
export const HEADER_LIMIT = 100_000_000;

/** The bytes before the header: its length. */
export const PREFIX = 8;

/** The key of the header that is not a tensor. */
export const METADATA = "__metadata__";

/** Text about a file, by key. */
export type Metadata = Readonly<Record<string, string>>;

/** A tensor as the header describes it. */
export interface Entry {
  readonly name: string;
  /** One of {@linkcode storedTypes}. */
  readonly stored: string;
  readonly shape: readonly number[];
  /** The offset of its bytes after the header. */
  readonly begin: number;
  readonly end: number;
}

/** The contents of a header. */
export interface Header {
  /** In the order of their bytes, which are contiguous. */
  readonly entries: readonly Entry[];
  readonly metadata: Metadata;
  /** How many bytes follow the header. */
  readonly dataLength: number;
}

/** The error for an invalid file. */
export function malformed(problem: string): SyntaxError {
  return new SyntaxError(`Cannot read the safetensors file: ${problem}`);
}

/**
 * The length of the header, from the first 8 bytes.
 *
 * @param fileLength The length of the file, if it is known.
 */
export function headerLengthOf(prefix: Uint8Array, fileLength?: number): number {
  if (prefix.length < PREFIX) {
    throw malformed(`it has ${prefix.length} bytes, expected at least 8 with the header's length`);
  }
  const length = new DataView(prefix.buffer, prefix.byteOffset).getBigUint64(0, true);
  if (length > BigInt(HEADER_LIMIT)) {
    throw malformed(`its header is said to have ${length} bytes, expected at most ${HEADER_LIMIT}`);
  }
  const known = Number(length);
  if (fileLength !== undefined && PREFIX + known > fileLength) {
    throw malformed(`its header is said to have ${length} bytes, but only ${fileLength - PREFIX} follow`);
  }
  return known;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

/** The number of bytes for elements of this shape; undefined if no file can hold them. */
function byteLength(shape: readonly number[], size: number): number | undefined {
  if (shape.includes(0)) return 0;
  let bytes = size;
  for (const dim of shape) {
    bytes *= dim;
    if (bytes > Number.MAX_SAFE_INTEGER) return undefined;
  }
  return bytes;
}

function parseEntry(name: string, value: unknown): Entry {
  const fail = (problem: string) => malformed(`the tensor ${quoted(name)} ${problem}`);
  if (!isObject(value)) throw fail("is described by something that is no object");
  const { dtype, shape, data_offsets: offsets } = value;
  const type = typeof dtype === "string" ? storedTypes.get(dtype) : undefined;
  if (typeof dtype !== "string" || type === undefined) {
    const given = typeof dtype === "string" ? quoted(dtype) : `a ${typeof dtype}`;
    throw fail(`has the dtype ${given}, expected one of ${[...storedTypes.keys()].join(", ")}`);
  }
  if (!Array.isArray(shape) || !shape.every(isSize)) {
    throw fail("has a shape that is no list of sizes, which are whole numbers from 0");
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw fail("has data_offsets that are no pair of whole numbers from 0");
  }
  const [begin, end]: number[] = offsets;
  const expected = byteLength(shape, type.size);
  const printed = quoted(`${dtype}[${shape.slice(0, 32).join(", ")}${shape.length > 32 ? ", ..." : ""}]`);
  if (expected === undefined) throw fail(`is ${printed}, which is more than any file can hold`);
  if (end - begin !== expected) {
    throw fail(`is ${printed} of ${expected} bytes, but its data_offsets are [${begin}, ${end}]`);
  }
  return { name, stored: dtype, shape, begin, end };
}

function parseMetadata(value: unknown): Metadata {
  if (value === undefined) return {};
  if (!isObject(value)) throw malformed(`its ${METADATA} is no object`);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") throw malformed(`its ${METADATA} ${quoted(key)} is no text`);
  }
  return value as Metadata; // each value was just checked
}

function parseText(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw malformed("its header is no UTF-8 text");
  }
  if (!text.startsWith("{")) throw malformed("its header does not begin with {");
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw malformed(`its header is no JSON (${reason.slice(0, 120)})`);
  }
  const twice = repeatedKey(text);
  if (twice !== undefined) throw malformed(`its header has the name ${quoted(twice)} twice`);
  return json;
}

const QUOTE = '"'.charCodeAt(0), BACKSLASH = "\\".charCodeAt(0), COLON = ":".charCodeAt(0);
const OPEN = "{".charCodeAt(0), CLOSE = "}".charCodeAt(0);

/**
 * The first key that occurs twice in an object of a JSON text: the format forbids it, and `JSON.parse` keeps
 * the last.
 */
function repeatedKey(text: string): string | undefined {
  const objects: Set<string>[] = [];
  let string: readonly [start: number, end: number] = [0, 0];
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) {
      const start = at++;
      for (; text.charCodeAt(at) !== QUOTE; at++) if (text.charCodeAt(at) === BACKSLASH) at++;
      string = [start, at + 1];
    } else if (char === OPEN) {
      objects.push(new Set());
    } else if (char === CLOSE) {
      objects.pop();
    } else if (char === COLON) { // a text before a colon is a key
      const key: string = JSON.parse(text.slice(...string));
      const keys = objects[objects.length - 1];
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

/**
 * The contents of a header, checked: the byte ranges of the tensors match their shapes, are contiguous
 * without gaps or overlaps, and end where the file does.
 *
 * @param bytes The header alone.
 * @param fileLength The length of the file, if it is known.
 */
export function parseHeader(bytes: Uint8Array, fileLength?: number): Header {
  const json = parseText(bytes);
  if (!isObject(json)) throw malformed("its header is no object");
  const entries = Object.entries(json)
    .filter(([name]) => name !== METADATA)
    .map(([name, value]) => parseEntry(name, value))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  let dataLength = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== dataLength) {
      const what = begin > dataLength ? "leaves a gap after" : "overlaps";
      throw malformed(
        `the tensor ${quoted(name)} begins at byte ${begin} of the data and ${what} what is before it, ` +
          `expected ${dataLength}`,
      );
    }
    dataLength = end;
  }
  const rest = fileLength === undefined ? dataLength : fileLength - PREFIX - bytes.length;
  if (rest !== dataLength) {
    throw malformed(`its tensors have ${dataLength} bytes, but ${rest} follow the header`);
  }
  return {
    entries,
    metadata: parseMetadata(Object.hasOwn(json, METADATA) ? json[METADATA] : undefined),
    dataLength,
  };
}

/** Where the bytes of tensors are written. */
export interface Layout<Leaf> {
  /** The header with its length, padded with spaces so that all values are aligned. */
  readonly header: Uint8Array<ArrayBuffer>;
  /** The tensors in the order of their bytes: larger elements first, then by name. */
  readonly leaves: readonly Leaf[];
  /** The length of the whole file. */
  readonly fileLength: number;
}

/** A tensor with its name, a shape of numbers and what it is written as. */
export interface NamedLeaf {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: WrittenType;
}

/**
 * The header for tensors, and the order of their bytes.
 *
 * @throws TypeError for metadata that is not text; RangeError if the header is larger than readers accept.
 */
export function layOut<Leaf extends NamedLeaf>(leaves: readonly Leaf[], metadata: Metadata): Layout<Leaf> {
  for (const [key, text] of Object.entries(metadata)) {
    if (typeof text !== "string") {
      throw new TypeError(
        `Cannot write the metadata ${quoted(key)}: current value is a ${typeof text}, expected a text`,
      );
    }
  }
  const sizeOf = ({ type }: Leaf) => type.size;
  const ordered = [...leaves].sort((a, b) => sizeOf(b) - sizeOf(a) || (a.name < b.name ? -1 : 1));
  let end = 0;
  const described = ordered.map((leaf): [string, unknown] => {
    const begin = end;
    end += leaf.shape.reduce((size, dim) => size * dim, sizeOf(leaf));
    return [leaf.name, { dtype: leaf.type.name, shape: leaf.shape, data_offsets: [begin, end] }];
  });
  const about: [string, unknown][] = Object.keys(metadata).length > 0 ? [[METADATA, metadata]] : [];
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries([...about, ...described])));
  const length = Math.ceil(json.length / 8) * 8;
  if (length > HEADER_LIMIT) {
    throw new RangeError(
      `Cannot write a safetensors file: its header has ${length} bytes, expected at most ${HEADER_LIMIT}`,
    );
  }
  const header = new Uint8Array(PREFIX + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, PREFIX);
  return { header, leaves: ordered, fileLength: header.length + end };
}
