/**
 * The weights of a `model.json`: which there are, how they are stored, and in which files. Nothing is read
 * before its size is known, and files are asked for by names inside the model's folder only.
 */
import type { Json } from "../../src/options/json.ts";
import { quoted } from "../../src/quoted.ts";
import { type HostTensor, hostTensor } from "../../src/tensor/tensor.ts";
import { printShape } from "../../src/tensor/dims.ts";
import { KerasFileError } from "../keras/errors.ts";
import { isList, isObject } from "../keras/objects.ts";
import { decoders, type StoredType } from "./stored_types.ts";

/**
 * Reads a file beside `model.json`, by its name in the manifest, such as `group1-shard1of2.bin`: from a folder,
 * by `fetch`, or from an archive.
 */
export type ReadShard = (path: string) => Uint8Array | Promise<Uint8Array>;

/** A weight in the manifest. */
interface Entry {
  readonly name: string;
  readonly place: string;
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly stored: StoredType;
  readonly scale: number;
  readonly min: number;
  /** How many numbers it has. */
  readonly count: number;
}

/** The weights by name, in the order of the manifest. */
export type TfjsWeights = ReadonlyMap<string, { readonly shape: readonly number[]; tensor(): HostTensor }>;

/** The most weights that a manifest may have. */
const MOST_WEIGHTS = 100_000;

/** Reads all weights of a manifest but those of an optimizer. */
export async function readWeights(
  manifest: Json | undefined,
  readShard: ReadShard,
  maxBytes: number,
): Promise<TfjsWeights> {
  if (!isList(manifest)) {
    throw new KerasFileError(
      "weightsManifest",
      `it is ${quoted(manifest)}, expected a list of { paths, weights }`,
    );
  }
  const weights = new Map<string, { shape: readonly number[]; tensor(): HostTensor }>();
  let taken = 0;
  for (const [index, group] of manifest.entries()) {
    const place = `weightsManifest[${index}]`;
    if (!isObject(group) || !isList(group.paths) || !isList(group.weights)) {
      throw new KerasFileError(place, `it is ${quoted(group)}, expected { paths, weights }`);
    }
    if (weights.size + group.weights.length > MOST_WEIGHTS) {
      throw new KerasFileError(place, `it has more than ${MOST_WEIGHTS} weights, which is not read`);
    }
    const entries = group.weights.map((weight, at) => entryOf(weight, `${place}.weights[${at}]`));
    const sizes = entries.map(({ count, stored }) => count * decoders[stored].size);
    taken += entries.reduce((sum, { count }) => sum + 4 * count, 0);
    if (!(taken <= maxBytes)) {
      throw new KerasFileError(
        place,
        `the weights take more than ${maxBytes} bytes, which is not read; if the file can be trusted, raise maxBytes`,
      );
    }
    const bytes = await readGroup(group.paths, readShard, sizes.reduce((a, b) => a + b, 0), place);
    let offset = 0;
    entries.forEach((entry, at) => {
      const own = bytes.subarray(offset, offset += sizes[at]);
      if (weights.has(entry.name)) {
        throw new KerasFileError(entry.place, `the name ${quoted(entry.name)} is there twice`);
      }
      if (entry.isOptimizer) return;
      weights.set(entry.name, { shape: entry.shape, tensor: () => decoded(entry, own) });
    });
  }
  return weights;
}

function entryOf(json: Json, place: string): Entry & { readonly isOptimizer: boolean } {
  if (!isObject(json) || typeof json.name !== "string" || !isList(json.shape)) {
    throw new KerasFileError(place, `it is ${quoted(json)}, expected { name, shape, dtype }`);
  }
  const { name, shape, dtype, quantization, group } = json;
  const sizes = shape.map(Number);
  const count = sizes.reduce((product, size) => product * size, 1);
  if (
    !shape.every((size) => Number.isSafeInteger(size) && Number(size) >= 0) ||
    !Number.isSafeInteger(4 * count)
  ) {
    throw new KerasFileError(place, `the shape of ${quoted(name)} is ${quoted(shape)}, expected sizes`);
  }
  const entry = { name, place, shape: sizes, count, isOptimizer: group === "optimizer" };
  if (quantization === undefined || quantization === null) {
    const stored = storedType(dtype, `the dtype of ${quoted(name)}`, ["float32", "int32", "bool"], place);
    return { ...entry, dtype: stored, stored, scale: 1, min: 0 };
  }
  if (!isObject(quantization)) {
    throw new KerasFileError(
      place,
      `the quantization of ${quoted(name)} is ${quoted(quantization)}, expected { dtype }`,
    );
  }
  const declared = storedType(dtype, `the dtype of ${quoted(name)}`, ["float32", "int32"], place);
  const what = `the quantization of ${quoted(name)}`;
  const stored = storedType(quantization.dtype, what, ["uint8", "uint16", "float16"], place);
  if (stored === "float16") return { ...entry, dtype: declared, stored, scale: 1, min: 0 };
  const { scale, min } = quantization;
  if (typeof scale !== "number" || typeof min !== "number" || !(scale > 0) || !Number.isFinite(scale + min)) {
    throw new KerasFileError(
      place,
      `${what} has the scale ${quoted(scale)} and the min ${
        quoted(min)
      }, expected numbers, the scale above 0`,
    );
  }
  return { ...entry, dtype: declared, stored, scale, min };
}

function storedType(
  value: Json | undefined,
  what: string,
  known: readonly StoredType[],
  place: string,
): StoredType {
  const found = known.find((type) => type === value);
  if (found !== undefined) return found;
  throw new KerasFileError(place, `${what} is ${quoted(value)}, expected one of ${known.join(", ")}`);
}

/** The bytes of all files of a group, which must be as many as its weights take. */
async function readGroup(
  paths: readonly Json[],
  readShard: ReadShard,
  size: number,
  place: string,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (const path of paths) {
    const shard = await readShard(checkedPath(path, place));
    if (!(shard instanceof Uint8Array)) {
      throw new TypeError(
        `Cannot use readShard: it gives ${typeof shard} for ${quoted(path)}, expected a Uint8Array`,
      );
    }
    length += shard.length;
    if (length > size) break;
    parts.push(shard);
  }
  if (length !== size) {
    throw new KerasFileError(
      `${place}.paths`,
      `the files ${quoted(paths)} have ${length > size ? "more than " : ""}${
        Math.min(length, size)
      } bytes, ` +
        `the weights take ${size}`,
    );
  }
  if (parts.length === 1) return parts[0];
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** A path that stays in the folder of the model. */
function checkedPath(path: Json, place: string): string {
  const isInside = typeof path === "string" && path !== "" &&
    !/^[/\\]|^[A-Za-z][A-Za-z0-9+.-]*:|[\\\0]/.test(path) &&
    !path.split("/").includes("..");
  if (isInside) return path;
  throw new KerasFileError(
    `${place}.paths`,
    `the file ${quoted(path)} is refused: it must be a name in the model's folder`,
  );
}

/** The numbers of a weight. */
function decoded(
  { name, place, shape, dtype, stored, scale, min, count }: Entry,
  bytes: Uint8Array,
): HostTensor {
  if (dtype !== "float32") {
    throw new KerasFileError(place, `${quoted(name)} is ${dtype} ${printShape(shape)}, expected float32`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { size, read } = decoders[stored];
  const isWhole = stored === "uint8" || stored === "uint16";
  const values = new Float32Array(count);
  for (let index = 0; index < count; index++) {
    const value = read(view, index * size);
    values[index] = isWhole ? value * scale + min : value;
  }
  return hostTensor(values, shape);
}
