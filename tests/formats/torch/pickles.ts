/** Pickles and files of PyTorch by hand, for what torch.save never writes. */
import { Uint8ArrayReader, Uint8ArrayWriter, ZipWriter } from "@zip.js/zip.js";

/** Opcodes and their arguments. */
export type Code = readonly number[];

function littleEndian(value: number, size: number): Code {
  return Array.from({ length: size }, (_, index) => Math.floor(value / 2 ** (8 * index)) % 256);
}

const utf8 = (text: string): Code => [...new TextEncoder().encode(text)];

/** A text. */
export function text(value: string): Code {
  const bytes = utf8(value);
  return [0x58, ...littleEndian(bytes.length, 4), ...bytes];
}

/** A whole number, which may be negative or large. */
export function int(value: number): Code {
  const negative = value < 0 ? 2 ** 64 : 0;
  if (negative) {
    return [
      0x8a,
      8,
      ...Array.from({ length: 8 }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 255n)),
    ];
  }
  return [0x8a, 9, ...littleEndian(value, 8), 0];
}

/** Something by its name. */
export function global(module: string, name: string): Code {
  return [0x63, ...utf8(`${module}\n${name}\n`)];
}

/** A tuple. */
export function tuple(...items: readonly Code[]): Code {
  return [0x28, ...items.flat(), 0x74];
}

/** A dict. */
export function dict(...items: readonly (readonly [Code, Code])[]): Code {
  return [0x7d, 0x28, ...items.flat(2), 0x75];
}

/** A call. */
export function call(called: Code, ...args: readonly Code[]): Code {
  return [...called, ...tuple(...args), 0x52];
}

/** A storage; with `view`, a part of it as old files have it. */
export function storage(type: string, key: string, count: number, ...view: readonly Code[]): Code {
  const parts = [text("storage"), global("torch", type), text(key), text("cpu"), int(count), ...view];
  return [...tuple(...parts), 0x51];
}

/** A tensor. */
export function tensor(
  storage: Code,
  { offset = 0, shape, strides }: {
    readonly offset?: number;
    readonly shape: readonly number[];
    readonly strides: readonly number[];
  },
): Code {
  const sizes = [tuple(...shape.map(int)), tuple(...strides.map(int))];
  const hooks = call(global("collections", "OrderedDict"));
  return call(global("torch._utils", "_rebuild_tensor_v2"), storage, int(offset), ...sizes, [0x89], hooks);
}

/** A whole pickle. */
export function pickle(code: Code): Uint8Array {
  return Uint8Array.from([0x80, 2, ...code, 0x2e]);
}

/** Bytes one after another. */
export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

/** A file of the format before PyTorch 1.6; the storages have the counts and bytes given. */
export function oldFile(
  contents: Uint8Array,
  storages: Readonly<Record<string, readonly [count: number, bytes: Uint8Array]>> = {},
): Uint8Array {
  const magic = [0x8a, 10, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
  const keys = Object.keys(storages).flatMap(text);
  return joined(
    pickle(magic),
    pickle(int(1001)),
    pickle(dict()),
    contents,
    pickle([0x5d, 0x28, ...keys, 0x65]),
    ...Object.values(storages).flatMap(([count, bytes]) => [
      Uint8Array.from(littleEndian(count, 8)),
      bytes,
    ]),
  );
}

/** A zip archive of any entries. */
export async function zip(entries: Readonly<Record<string, Uint8Array>>, level = 0): Promise<Uint8Array> {
  const writer = new ZipWriter(new Uint8ArrayWriter(), {
    useWebWorkers: false,
    level,
    dataDescriptor: false,
  });
  for (const [name, bytes] of Object.entries(entries)) await writer.add(name, new Uint8ArrayReader(bytes));
  return await writer.close();
}

/** The bytes of float32 numbers. */
export function floats(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(values).buffer);
}
