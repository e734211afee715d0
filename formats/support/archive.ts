/**
 * Zip archives from anywhere: every name and size is checked before anything is inflated; zip.js checks the
 * inflated size and the checksum against the declared ones. What the entries mean is known by each format.
 */
import { type Entry, Uint8ArrayReader, Uint8ArrayWriter, ZipReader } from "@zip.js/zip.js";
import { quoted } from "../../src/quoted.ts";

/** Makes the error of a format for a problem at a place. */
export type Fail = (reason: string, place: string, options?: ErrorOptions) => Error;

/** The entries of an archive, by name. */
export type Entries = ReadonlyMap<string, Entry>;

/** The largest number of entries; a file of weights has one for each tensor. */
const MOST_ENTRIES = 100_000;

/** Deflate never compresses more than this many bytes into one. */
const DEFLATE_FACTOR = 1032;

/** No threads, so that no permission is needed and nothing outlives the call. */
export const here = { useWebWorkers: false } as const;

/** Whether the bytes start like a zip archive. */
export function isArchive(bytes: Uint8Array): boolean {
  return bytes.length > 3 && bytes[0] === 0x50 && bytes[1] === 0x4b;
}

/** An entry as the place of an error. */
export function entryPlace(name: string): string {
  return `the archive's entry ${quoted(name)}`;
}

/** Why a name is not that of a file inside the archive; undefined if it is. */
function refusesName(name: string): string | undefined {
  if (/^([/\\]|[A-Za-z]:)/.test(name)) return "it is absolute";
  if (name.split(/[/\\]/).includes("..")) return "it leads out of the archive";
  if (name.includes("\\") || name.includes("\0")) return "it has a character that no entry may have";
  return undefined;
}

/** The entries by name, all checked. */
function checkedEntries(entries: readonly Entry[], length: number, fail: Fail): Entries {
  if (entries.length > MOST_ENTRIES) {
    throw fail(`it has ${entries.length} entries, at most ${MOST_ENTRIES} are read`, "the archive");
  }
  const byName = new Map<string, Entry>();
  for (const entry of entries) {
    const place = entryPlace(entry.filename);
    const reason = refusesName(entry.filename);
    if (reason !== undefined) throw fail(`its name is refused: ${reason}`, place);
    if (byName.has(entry.filename)) throw fail("it is there twice", place);
    if (entry.encrypted) throw fail("it is encrypted", place);
    const { compressedSize, uncompressedSize } = entry;
    if (compressedSize > length) {
      throw fail(`it says that it has ${compressedSize} bytes, the file has ${length}`, place);
    }
    if (uncompressedSize > DEFLATE_FACTOR * compressedSize + DEFLATE_FACTOR) {
      throw fail(
        `it says that ${compressedSize} bytes inflate to ${uncompressedSize}, which is impossible`,
        place,
      );
    }
    byName.set(entry.filename, entry);
  }
  return byName;
}

/** The text of a thrown value. */
function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/**
 * The entries of an archive; nothing is inflated.
 *
 * @throws The error of `fail` for what is no archive, a name that leads out of it, or an impossible size.
 */
export async function openArchive(bytes: Uint8Array, fail: Fail): Promise<Entries> {
  let entries: readonly Entry[];
  try {
    const reader = new ZipReader(new Uint8ArrayReader(bytes), here);
    entries = await reader.getEntries({ filenameValidation: "tolerant" });
  } catch (cause) {
    throw fail(textOf(cause), "the archive", { cause });
  }
  return checkedEntries(entries, bytes.length, fail);
}

/**
 * The bytes of an entry.
 *
 * @param most The largest inflated size.
 * @throws The error of `fail` for a folder, a size above `most`, or contents that are not as declared.
 */
export async function inflate(entry: Entry, most: number, fail: Fail): Promise<Uint8Array<ArrayBuffer>> {
  const place = entryPlace(entry.filename);
  if (entry.directory) throw fail("it is a folder, expected a file", place);
  if (entry.uncompressedSize > most) {
    throw fail(
      `it says that it inflates to ${entry.uncompressedSize} bytes, at most ${most} are read; ` +
        `if the file can be trusted, raise maxBytes`,
      place,
    );
  }
  try {
    const bytes = await entry.getData(new Uint8ArrayWriter(), { ...here, checkSignature: true });
    if (bytes.length === entry.uncompressedSize) return bytes;
    throw new Error(`it has ${bytes.length} bytes, expected ${entry.uncompressedSize} as it says`);
  } catch (cause) {
    throw fail(textOf(cause), place, { cause });
  }
}
