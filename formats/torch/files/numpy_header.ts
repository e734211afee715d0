/** The header of a `.npy` file: a dict of Python with the element type, the order of axes and the shape. */
import { quoted } from "../../../src/quoted.ts";
import { NumpyFileError } from "./errors.ts";

/** How an array is stored. */
export interface ArrayHeader {
  /** The same element type in a safetensors file, such as `F32`. */
  readonly stored: string;
  /** Bytes per element. */
  readonly size: number;
  readonly littleEndian: boolean;
  /** Whether the first axis is the fastest. */
  readonly fortran: boolean;
  readonly shape: readonly number[];
}

/** The first bytes: 0x93 and NUMPY. */
const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];

/** The largest header in bytes: it has a few words and some sizes. */
const MOST_BYTES = 65_536;

/** The largest number of axes, as in NumPy. */
const MOST_AXES = 64;

/** Element types by the kind and size of NumPy. */
const types: Readonly<Record<string, string>> = {
  b1: "BOOL",
  i1: "I8",
  i2: "I16",
  i4: "I32",
  i8: "I64",
  u1: "U8",
  u2: "U16",
  u4: "U32",
  u8: "U64",
  f2: "F16",
  f4: "F32",
  f8: "F64",
};

/** What other kinds of elements are. */
const kinds: Readonly<Record<string, string>> = {
  O: "objects of Python, whose pickles could run code",
  c: "complex numbers",
  S: "bytes",
  a: "bytes",
  U: "texts",
  V: "raw memory",
  M: "dates",
  m: "durations",
  f: "floats of another size than 2, 4 or 8 bytes",
};

/** A part of the text: a text in quotes, a word, a number, a sign, or a mistake. */
const TOKEN = /\s*(?:'([^'\\]*)'|"([^"\\]*)"|(True|False)|(\d+)L?|([{}():,[\]])|(\S))/y;

/** Reads the text of a header from left to right. */
interface Reader {
  readonly text: string;
  at: number;
  readonly fail: (reason: string) => NumpyFileError;
}

type Token =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "truth"; readonly value: boolean }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "sign"; readonly text: string };

function next(reader: Reader): Token {
  TOKEN.lastIndex = reader.at;
  const match = TOKEN.exec(reader.text);
  if (match === null) throw reader.fail("it ends in the middle");
  reader.at = TOKEN.lastIndex;
  const [, single, double, truth, digits, sign, mistake] = match;
  if (single !== undefined || double !== undefined) return { kind: "text", text: single ?? double };
  if (truth !== undefined) return { kind: "truth", value: truth === "True" };
  if (digits !== undefined) return { kind: "number", value: Number(digits) };
  if (mistake !== undefined) throw reader.fail(`it has ${quoted(mistake)} where no such sign may be`);
  return { kind: "sign", text: sign };
}

function isSign(token: Token, sign: string): boolean {
  return token.kind === "sign" && token.text === sign;
}

function expectSign(reader: Reader, sign: string): void {
  if (!isSign(next(reader), sign)) throw reader.fail(`it lacks ${quoted(sign)} at character ${reader.at}`);
}

/** The sizes of a tuple, after its opening parenthesis. */
function readShape(reader: Reader): readonly number[] {
  const shape: number[] = [];
  for (;;) {
    const size = next(reader);
    if (isSign(size, ")")) return shape;
    if (size.kind !== "number" || !Number.isSafeInteger(size.value) || shape.length === MOST_AXES) {
      throw reader.fail(`its shape is no tuple of at most ${MOST_AXES} sizes`);
    }
    shape.push(size.value);
    const after = next(reader);
    if (isSign(after, ")")) return shape;
    if (!isSign(after, ",")) throw reader.fail(`its shape is no tuple of at most ${MOST_AXES} sizes`);
  }
}

type Fields = Record<"descr" | "fortran_order" | "shape", string | boolean | readonly number[]>;

function isField(name: string): name is keyof Fields {
  return name === "descr" || name === "fortran_order" || name === "shape";
}

function readValue(reader: Reader): Fields[keyof Fields] {
  const token = next(reader);
  if (token.kind === "text") return token.text;
  if (token.kind === "truth") return token.value;
  if (isSign(token, "(")) return readShape(reader);
  throw reader.fail(
    isSign(token, "[")
      ? "its elements are structures, expected numbers"
      : `it has a value at character ${reader.at} that none of its fields may have`,
  );
}

/** The three fields, each once. */
function readFields(reader: Reader): Fields {
  const fields: Partial<Fields> = {};
  expectSign(reader, "{");
  for (;;) {
    const name = next(reader);
    if (isSign(name, "}")) break;
    if (name.kind !== "text" || !isField(name.text) || fields[name.text] !== undefined) {
      throw reader.fail("it has other fields than descr, fortran_order and shape, each once");
    }
    expectSign(reader, ":");
    fields[name.text] = readValue(reader);
    const after = next(reader);
    if (isSign(after, "}")) break;
    if (!isSign(after, ",")) throw reader.fail(`it lacks "," at character ${reader.at}`);
  }
  if (reader.text.slice(reader.at).trim() !== "") throw reader.fail("something follows its }");
  const { descr, fortran_order, shape } = fields;
  if (descr === undefined || fortran_order === undefined || shape === undefined) {
    throw reader.fail("it lacks one of descr, fortran_order and shape");
  }
  return { descr, fortran_order, shape };
}

function typeOf(
  { descr }: Fields,
  fail: Reader["fail"],
): Pick<ArrayHeader, "stored" | "size" | "littleEndian"> {
  if (typeof descr !== "string") throw fail("its descr is no text");
  const [, order, kind, size] = descr.match(/^([<>|=]?)([A-Za-z?])(\d{0,9})$/) ?? [];
  const name = kind === "?" ? "b1" : `${kind}${size}`;
  if (kind !== undefined && Object.hasOwn(types, name)) {
    return { stored: types[name], size: Number(name.slice(1)), littleEndian: order !== ">" };
  }
  const what = kind !== undefined && Object.hasOwn(kinds, kind) ? `, which are ${kinds[kind]}` : "";
  throw fail(`its elements are ${quoted(descr)}${what}, expected numbers or booleans`);
}

/**
 * Reads the header of a `.npy` file.
 *
 * @param place Where the file is, for errors.
 * @returns The header, and where the elements begin.
 * @throws NumpyFileError for anything else than such a header, and for element types that no dtype here holds.
 */
export function parseHeader(
  bytes: Uint8Array,
  place: string,
): { readonly header: ArrayHeader; readonly end: number } {
  const fail = (reason: string) => new NumpyFileError(`${place}, header`, reason);
  if (bytes.length < 12 || MAGIC.some((byte, index) => bytes[index] !== byte)) {
    throw fail("it does not begin as a .npy file does");
  }
  const version = bytes[6];
  if (version < 1 || version > 3) throw fail(`its version is ${version}, expected 1, 2 or 3`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [length, start] = version === 1 ? [view.getUint16(8, true), 10] : [view.getUint32(8, true), 12];
  if (length > MOST_BYTES || length > bytes.length - start) {
    throw fail(
      `it says that it has ${length} bytes, expected at most ${Math.min(MOST_BYTES, bytes.length - start)}`,
    );
  }
  const text = new TextDecoder().decode(bytes.subarray(start, start + length));
  const fields = readFields({ text, at: 0, fail });
  const { fortran_order: fortran, shape } = fields;
  if (typeof fortran !== "boolean") throw fail("its fortran_order is neither True nor False");
  if (typeof shape === "string" || typeof shape === "boolean") throw fail("its shape is no tuple");
  return { header: { ...typeOf(fields, fail), fortran, shape }, end: start + length };
}
