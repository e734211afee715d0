/**
 * The archive of a `.keras` file: a zip of `config.json`, `metadata.json` and `model.weights.h5`.
 */
import { type Entry, Uint8ArrayReader, Uint8ArrayWriter, ZipWriter } from "@zip.js/zip.js";
import { quoted } from "../../src/quoted.ts";
import { type Fail, here, inflate, isArchive, openArchive } from "../support/archive.ts";
import { KerasFileError } from "./errors.ts";

export { isArchive } from "../support/archive.ts";

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

/** The error for a problem in the archive. */
const fail: Fail = (reason, place, options) => new KerasFileError(place, reason, options);

function textOf(name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new KerasFileError(`the archive's entry ${quoted(name)}`, "it is not UTF-8 text", { cause });
  }
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
  const entries = await openArchive(bytes, fail);
  const find = (name: string): Entry => {
    const entry = entries.get(name);
    if (entry) return entry;
    throw new KerasFileError("the archive", `it has no ${name}, only ${quoted([...entries.keys()])}`);
  };
  const config = textOf(CONFIG, await inflate(find(CONFIG), MOST_TEXT, fail));
  const metadata = entries.get(METADATA);
  return {
    config,
    ...(metadata ? { metadata: textOf(METADATA, await inflate(metadata, MOST_TEXT, fail)) } : {}),
    weights: await inflate(find(WEIGHTS), maxBytes, fail),
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
