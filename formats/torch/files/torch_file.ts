/** Files of torch.save as named tensors: `.pt`, `.pth` and the like. */
import { checkBytes, checkCount, checkText } from "../../../src/describe.ts";
import { checkOptions } from "../../../src/option_names.ts";
import { quoted } from "../../../src/quoted.ts";
import type { HostTensor } from "../../../src/tensor/tensor.ts";
import { openTorchFile } from "./contents.ts";
import { TorchFileError } from "./errors.ts";
import { selectStateDict } from "./select.ts";
import { bytesInMemory, countOf, extentOf, tensorFrom } from "./strided.ts";
import type { StoredTensor } from "./values.ts";

/** Options of {@linkcode decodeTorchFile}. */
export interface TorchFileOptions {
  /**
   * Where the state dict is in the file: keys of dicts and indices of lists, joined by `/`, such as
   * `model_state`; `""` is the whole file. Dicts inside it are read too, their keys joined by dots. Default: the
   * one dict that has nothing but named tensors.
   */
  readonly path?: string;
  /**
   * The largest size in bytes of the tensors together in memory, or of an entry of the archive. Default 2³¹ - 1,
   * about 2 GiB.
   */
  readonly maxBytes?: number;
}

/** The state dict of a PyTorch file. */
export interface TorchFile {
  /** The tensors by name, in the order of the file. */
  readonly tensors: Readonly<Record<string, HostTensor>>;
  /** Where in the file they were found, as in {@linkcode TorchFileOptions}; `""` is the whole file. */
  readonly path: string;
  /** The names of what is beside them and no tensor, such as `epoch`; it is not read. */
  readonly others: readonly string[];
}

function placeOf(name: string): string {
  return `the tensor ${quoted(name)}`;
}

/** The stored type of a tensor; throws unless it is known, and all elements are in the storage. */
function checkTensor(name: string, tensor: StoredTensor): string {
  const { type, storage } = tensor;
  const { stored } = type;
  if (stored === undefined) {
    throw new TorchFileError(
      placeOf(name),
      `it has the dtype ${type.name}, expected a float of 16 to 64 bits, a whole number or bool`,
    );
  }
  const there = storage.count * storage.type.size;
  const needed = extentOf({ ...tensor, stored }) * type.size;
  if (needed > there) {
    throw new TorchFileError(
      placeOf(name),
      `its last element is in the first ${needed} bytes of its storage, which has ${there}`,
    );
  }
  return stored;
}

/** Throws unless each tensor can be read, and all together are small enough. */
function checkSizes(tensors: ReadonlyMap<string, StoredTensor>, maxBytes: number): void {
  let bytes = 0;
  for (const [name, tensor] of tensors) {
    bytes += bytesInMemory(checkTensor(name, tensor), countOf(tensor.shape));
    if (bytes <= maxBytes) continue;
    throw new TorchFileError(
      placeOf(name),
      `the tensors up to it have ${bytes} bytes, at most ${maxBytes} are read; ` +
        `if the file can be trusted, raise maxBytes`,
    );
  }
}

/** Tensors by the key of their storage, of which one at a time is in memory. */
function byStorage(
  tensors: ReadonlyMap<string, StoredTensor>,
): ReadonlyMap<string, readonly (readonly [string, StoredTensor])[]> {
  const groups = new Map<string, (readonly [string, StoredTensor])[]>();
  for (const named of tensors) {
    const { key } = named[1].storage;
    const group = groups.get(key);
    if (group) group.push(named);
    else groups.set(key, [named]);
  }
  return groups;
}

/**
 * The state dict of a file that torch.save wrote (`.pt`, `.pth`, `.bin`): today's zip archives, and the format
 * before PyTorch 1.6.
 *
 * Such a file is a pickle, which could run any code. This reader can only build tensors, dicts, lists, tuples,
 * numbers, texts, bytes and None; anything else is refused by name. In a checkpoint, such as
 * `{"model_state": …, "optimizer_state": …, "step": …}`, the dict of nothing but named tensors is found, and
 * `path` says where.
 *
 * Dtypes become ours as in `decodeSafetensors`: float16 and bfloat16 are float32, whole numbers int32. Tensors
 * that share a storage are copied, each in its own order of axes.
 *
 * @throws TorchFileError saying what is wrong with the file and where: something else than tensors and plain
 *   data, a program of TorchScript, several state dicts or none, a dtype or a value that no tensor here can hold.
 *   Sizes are checked before anything is allocated.
 *
 * @example
 * ```ts
 * import { assertRejects } from "@std/assert";
 * import { decodeTorchFile, TorchFileError } from "@cellfold/cellfold/torch";
 * // torch.save({"model": model.state_dict(), "epoch": 3}, "model.pt")
 * // const { tensors, path } = await decodeTorchFile(await Deno.readFile("model.pt")); // path is "model"
 * const harmful = new TextEncoder().encode("cos\nsystem\n");
 * const file = Uint8Array.of(0x80, 2, ...harmful);
 * await assertRejects(() => decodeTorchFile(file), TorchFileError, 'it wants "os.system"');
 * ```
 */
export async function decodeTorchFile(bytes: Uint8Array, options: TorchFileOptions = {}): Promise<TorchFile> {
  checkBytes("read a PyTorch file", bytes);
  checkOptions("decodeTorchFile", options, ["path", "maxBytes"]);
  const { path: where, maxBytes = 2 ** 31 - 1 } = options;
  if (where !== undefined) checkText("read a PyTorch file", where, "path");
  checkCount("read a PyTorch file", maxBytes, "maxBytes");
  const { value, littleEndian, bytesOf } = await openTorchFile(bytes, maxBytes);
  const { path, tensors: stored, others } = selectStateDict(value, where);
  checkSizes(stored, maxBytes);
  const read = new Map<string, HostTensor>();
  for (const group of byStorage(stored).values()) {
    const storage = await bytesOf(group[0][1].storage);
    for (const [name, tensor] of group) read.set(name, tensorOf(name, tensor, storage, littleEndian));
  }
  return {
    path,
    tensors: Object.fromEntries([...stored.keys()].map((name) => [name, read.get(name)!])), // each was read
    others,
  };
}

function tensorOf(
  name: string,
  tensor: StoredTensor,
  bytes: Uint8Array<ArrayBuffer>,
  littleEndian: boolean,
): HostTensor {
  const { first, wholeCount, type } = tensor.storage;
  if (bytes.length !== wholeCount * type.size) {
    throw new TorchFileError(
      placeOf(name),
      `its storage has ${bytes.length} bytes, expected ${wholeCount * type.size}`,
    );
  }
  const { shape, strides, offset } = tensor;
  try {
    const where = { stored: checkTensor(name, tensor), shape, strides, offset };
    return tensorFrom(bytes.subarray(first * type.size), where, littleEndian);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new TorchFileError(placeOf(name), error.message, { cause: error });
  }
}
