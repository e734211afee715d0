/**
 * The parts of a file of torch.save: the pickle, and the bytes of storages by their keys. Today's format is a zip
 * archive; the one before PyTorch 1.6 is a row of pickles with the storages behind them.
 */
import { quoted } from "../../../src/quoted.ts";
import { entryPlace, inflate, isArchive, openArchive } from "../../support/archive.ts";
import { failTorch, TorchFileError } from "./errors.ts";
import { readPickle } from "./pickle.ts";
import { describePickled, type PickleValue, type Storage } from "./values.ts";

/** A file whose numbers are not read yet. */
export interface Contents {
  readonly value: PickleValue;
  readonly littleEndian: boolean;
  /** The bytes of a whole storage in a separate buffer; throws for one that is not there or has another size. */
  readonly bytesOf: (storage: Storage) => Promise<Uint8Array<ArrayBuffer>>;
}

/** The first pickle of an old file: a number that marks it (torch/serialization.py, MAGIC_NUMBER). */
const MAGIC = 0x1950a86a20f9469cfc6cn;

const PICKLE = "data.pkl";

/** The largest pickle in bytes: it has names and numbers, but not those of tensors. */
const MOST_PICKLE = 2 ** 27;

/** Reads today's format: `NAME/data.pkl`, `NAME/byteorder` and `NAME/data/KEY`. */
async function fromArchive(bytes: Uint8Array, maxBytes: number): Promise<Contents> {
  const entries = await openArchive(bytes, failTorch);
  const pickles = [...entries.keys()].filter((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length !== 1) {
    throw new TorchFileError(
      "the archive",
      `it has ${pickles.length === 0 ? "no" : pickles.length} ${PICKLE} in a folder, expected one, ` +
        `as torch.save writes it; it has ${quoted([...entries.keys()])}`,
    );
  }
  const root = pickles[0].slice(0, -PICKLE.length);
  if (
    entries.has(`${root}constants.pkl`) || [...entries.keys()].some((name) => name.startsWith(`${root}code/`))
  ) {
    throw new TorchFileError(
      "the archive",
      "it is a program of TorchScript, expected what torch.save writes; in Python, save its state dict alone: " +
        "torch.save(torch.jit.load(file).state_dict(), other)",
    );
  }
  const orderEntry = entries.get(`${root}byteorder`);
  const order = orderEntry
    ? new TextDecoder().decode(await inflate(orderEntry, 16, failTorch)).trim()
    : "little";
  if (order !== "little" && order !== "big") {
    throw new TorchFileError(
      entryPlace(`${root}byteorder`),
      `it is ${quoted(order)}, expected "little" or "big"`,
    );
  }
  const pickle = await inflate(entries.get(pickles[0])!, Math.min(maxBytes, MOST_PICKLE), failTorch); // it is one of them
  const { value } = readPickle(pickle, 0, PICKLE, failTorch);
  return {
    value,
    littleEndian: order === "little",
    bytesOf: async ({ key, wholeCount, type }) => {
      const name = `${root}data/${key}`;
      const entry = entries.get(name);
      if (entry === undefined) throw new TorchFileError("the archive", `it has no entry ${quoted(name)}`);
      if (entry.uncompressedSize !== wholeCount * type.size) {
        throw new TorchFileError(
          entryPlace(name),
          `it has ${entry.uncompressedSize} bytes, expected ${
            wholeCount * type.size
          } for ${wholeCount} of ${type.name}`,
        );
      }
      return await inflate(entry, maxBytes, failTorch);
    },
  };
}

/** All storages that a pickle refers to, by key; of parts, any one. */
function storagesIn(value: PickleValue): ReadonlyMap<string, Storage> {
  const storages = new Map<string, Storage>();
  const seen = new Set<PickleValue>();
  const waiting: PickleValue[] = [value];
  while (waiting.length > 0) {
    const next = waiting.pop()!; // there is one
    if (typeof next !== "object" || next === null || next instanceof Uint8Array || seen.has(next)) continue;
    seen.add(next);
    if (Array.isArray(next)) { for (const item of next) waiting.push(item); }
    else if (next instanceof Map) { for (const [key, item] of next) waiting.push(key, item); }
    else if (next.kind === "tuple") { for (const item of next.items) waiting.push(item); }
    else if (next.kind === "tensor") storages.set(next.storage.key, next.storage);
    else if (next.kind === "storage") storages.set(next.key, next);
  }
  return storages;
}

/** Reads the format before PyTorch 1.6: five pickles, then each storage with its count, little-endian. */
function fromLegacy(bytes: Uint8Array): Contents {
  let at = 0;
  const next = (what: string): PickleValue => {
    const { value, end } = readPickle(bytes, at, what, failTorch);
    at = end;
    return value;
  };
  const expect = (what: string, isRight: (value: PickleValue) => boolean, expected: string): PickleValue => {
    const value = next(what);
    if (isRight(value)) return value;
    throw new TorchFileError(what, `it is ${describePickled(value)}, expected ${expected}`);
  };
  expect("the first pickle", (value) => value === MAGIC, "PyTorch's number");
  expect("the second pickle", (value) => value === 1001, "version 1001");
  expect("the third pickle", (value) => value instanceof Map, "a dict of sizes");
  const value = next("the pickle of the contents");
  const keys = expect("the keys of storages", Array.isArray, "a list") as readonly PickleValue[]; // as just checked
  const known = storagesIn(value);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const places = new Map<string, { readonly begin: number; readonly count: number }>();
  for (const key of keys) {
    const place = `the storage ${describePickled(key)}`;
    const storage = typeof key === "string" ? known.get(key) : undefined;
    if (typeof key !== "string" || storage === undefined) {
      throw new TorchFileError(place, "no tensor has it, so the size of its elements is unknown");
    }
    if (bytes.length - at < 8) throw new TorchFileError(place, "the file ends before it");
    const count = Number(view.getBigUint64(at, true));
    const begin = at + 8;
    if (count * storage.type.size > bytes.length - begin) {
      throw new TorchFileError(
        place,
        `it says that it has ${count} elements of ${storage.type.size} bytes, but ${
          bytes.length - begin
        } bytes follow`,
      );
    }
    places.set(key, { begin, count });
    at = begin + count * storage.type.size;
  }
  return {
    value,
    littleEndian: true,
    bytesOf: ({ key, wholeCount, type }) => {
      const place = places.get(key);
      if (place === undefined) {
        throw new TorchFileError(`the storage ${quoted(key)}`, "it is not in the file");
      }
      if (place.count !== wholeCount) {
        throw new TorchFileError(
          `the storage ${quoted(key)}`,
          `it has ${place.count} elements, expected ${wholeCount}`,
        );
      }
      const end = place.begin + wholeCount * type.size;
      if (end > bytes.length) {
        throw new TorchFileError(`the storage ${quoted(key)}`, "the file ends inside it");
      }
      return Promise.resolve(Uint8Array.from(bytes.subarray(place.begin, end)));
    },
  };
}

/** Whether the bytes are a tar archive: PyTorch's format before version 0.2. */
function isTar(bytes: Uint8Array): boolean {
  return new TextDecoder("latin1").decode(bytes.subarray(257, 262)) === "ustar";
}

/**
 * Opens a file of torch.save.
 *
 * @param maxBytes The largest inflated size of an entry.
 * @throws TorchFileError for what is no such file.
 */
export async function openTorchFile(bytes: Uint8Array, maxBytes: number): Promise<Contents> {
  if (isArchive(bytes)) return await fromArchive(bytes, maxBytes);
  if (bytes[0] === 0x80) return fromLegacy(bytes);
  const given = isTar(bytes) ? "a tar archive of PyTorch before 0.2" : "neither a zip archive nor a pickle";
  throw new TorchFileError(
    "the file",
    `it is ${given}, expected what torch.save writes; ` +
      `in Python, save the state dict with torch.save(model.state_dict(), file)`,
  );
}
