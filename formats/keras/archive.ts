/**
 * The archive of a `.keras` file: a zip of `config.json`, `metadata.json` and `model.weights.h5`. Every name
 * and size is checked before anything is inflated; zip.js checks the inflated size and the checksum against
 * the declared ones.
 */
import { type Entry, Uint8ArrayReader, Uint8ArrayWriter, ZipReader, ZipWriter } from "@zip.js/zip.js";
import { quoted } from "../../src/quoted.ts";
import { KerasFileError, reasonOf } from "./errors.ts";

/** The contents of a `.keras` file, as stored. */
export interface Archive {
  /** `config.json`. */
  readonly config: string;
  /** `metadata.json`; it may be missing. */
  readonly metadata?: string;
  /** `model.weights.h5`. */
  readonly weights: Uint8Array;
}

const CONFIG = "config.json";
const METADATA = "metadata.json";
const WEIGHTS = "model.weights.h5";

/** The largest inflated size of text entries. */
const MOST_TEXT = 16 * 2 ** 20;

/** The largest number of entries; Keras writes three, and one for each asset. */
const MOST_ENTRIES = 10_000;

/** Deflate never compresses more than this many bytes into one. */
const DEFLATE_FACTOR = 1032;

/** No threads, so that no permission is needed and nothing outlives the call. */
const here = { useWebWorkers: false } as const;

/** Why a name is not that of a file inside the archive; undefined if it is. */
function refusesName(name: string): string | undefined {
  if (/^([/\\]|[A-Za-z]:)/.test(name)) return "it is absolute";
  if (name.split(/[/\\]/).includes("..")) return "it leads out of the archive";
  if (name.includes("\\") || name.includes("\0")) return "it has a character that no entry may have";
  return undefined;
}

/** The entries by name, all checked. */
function checkedEntries(entries: readonly Entry[], length: number): Map<string, Entry> {
  if (entries.length > MOST_ENTRIES) {
    throw new KerasFileError(
      "the archive",
      `it has ${entries.length} entries, at most ${MOST_ENTRIES} are read`,
    );
  }
  const byName = new Map<string, Entry>();
  for (const entry of entries) {
    const place = `the archive's entry ${quoted(entry.filename)}`;
    const reason = refusesName(entry.filename);
    if (reason !== undefined) throw new KerasFileError(place, `its name is refused: ${reason}`);
    if (byName.has(entry.filename)) throw new KerasFileError(place, "it is there twice");
    if (entry.encrypted) throw new KerasFileError(place, "it is encrypted");
    const { compressedSize, uncompressedSize } = entry;
    if (compressedSize > length) {
      throw new KerasFileError(place, `it says that it has ${compressedSize} bytes, the file has ${length}`);
    }
    if (uncompressedSize > DEFLATE_FACTOR * compressedSize + DEFLATE_FACTOR) {
      throw new KerasFileError(
        place,
        `it says that ${compressedSize} bytes inflate to ${uncompressedSize}, which is impossible`,
      );
    }
    byName.set(entry.filename, entry);
  }
  return byName;
}

async function inflate(entry: Entry, most: number): Promise<Uint8Array> {
  const place = `the archive's entry ${quoted(entry.filename)}`;
  if (entry.directory) throw new KerasFileError(place, "it is a folder, expected a file");
  if (entry.uncompressedSize > most) {
    throw new KerasFileError(
      place,
      `it says that it inflates to ${entry.uncompressedSize} bytes, at most ${most} are read; ` +
        `if the file can be trusted, raise maxBytes`,
    );
  }
  try {
    const bytes = await entry.getData(new Uint8ArrayWriter(), { ...here, checkSignature: true });
    if (bytes.length === entry.uncompressedSize) return bytes;
    throw new Error(`it has ${bytes.length} bytes, expected ${entry.uncompressedSize} as it says`);
  } catch (error) {
    throw new KerasFileError(place, reasonOf(error), { cause: error });
  }
}

function textOf(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new KerasFileError(`the archive's entry ${quoted(name)}`, "it is not UTF-8 text", { cause });
  }
}

/** Whether the bytes start like a zip archive. */
export function isArchive(bytes: Uint8Array): boolean {
  return bytes.length > 3 && bytes[0] === 0x50 && bytes[1] === 0x4b;
}

/**
 * Opens a `.keras` file.
 *
 * @param maxBytes The largest inflated size of the weights.
 * @throws KerasFileError if it is not such an archive, a name leads out of it, or a size is wrong or too
 * large.
 */
export async function readArchive(bytes: Uint8Array, maxBytes: number): Promise<Archive> {
  if (!isArchive(bytes)) {
    throw new KerasFileError("the archive", "it is no zip archive, which a .keras file is, and no HDF5 file");
  }
  const reader = new ZipReader(new Uint8ArrayReader(bytes), here);
  let entries: Map<string, Entry>;
  try {
    entries = checkedEntries(await reader.getEntries({ filenameValidation: "tolerant" }), bytes.length);
  } catch (error) {
    if (error instanceof KerasFileError) throw error;
    throw new KerasFileError("the archive", reasonOf(error), { cause: error });
  }
  const find = (name: string): Entry => {
    const entry = entries.get(name);
    if (entry) return entry;
    throw new KerasFileError("the archive", `it has no ${name}, only ${quoted([...entries.keys()])}`);
  };
  const config = textOf(CONFIG, await inflate(find(CONFIG), MOST_TEXT));
  const metadata = entries.get(METADATA);
  return {
    config,
    ...(metadata ? { metadata: textOf(METADATA, await inflate(metadata, MOST_TEXT)) } : {}),
    weights: await inflate(find(WEIGHTS), maxBytes),
  };
}

/** Writes a `.keras` file; its entries are stored rather than deflated, as in Keras. */
export async function writeArchive({ config, metadata = "{}", weights }: Archive): Promise<Uint8Array> {
  const writer = new ZipWriter(new Uint8ArrayWriter(), { ...here, level: 0, dataDescriptor: false });
  const encoder = new TextEncoder();
  for (
    const [name, content] of [
      [METADATA, encoder.encode(metadata)],
      [CONFIG, encoder.encode(config)],
      [WEIGHTS, weights],
    ] as const
  ) await writer.add(name, new Uint8ArrayReader(content));
  return await writer.close();
}
