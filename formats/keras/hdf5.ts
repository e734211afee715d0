/**
 * HDF5 files through h5wasm, which is libhdf5 compiled to WebAssembly: groups of float tensors, read and
 * written. Nothing here knows which groups Keras writes. Errors of the library become KerasFileErrors that
 * name the path.
 */
import type { Dataset, File as H5File, Group } from "h5wasm";
import { type HostTensor, hostTensor } from "../../src/tensor/tensor.ts";
import { printShape } from "../../src/tensor/dims.ts";
import { KerasFileError, reading, reasonOf } from "./errors.ts";
import { textsOf } from "./attributes.ts";
import { checkHeaps } from "./heaps.ts";
import { inSession, loadHdf5, quietly, withFile } from "./library.ts";

type H5wasm = typeof import("h5wasm");

/** `\x89HDF\r\n\x1a\n`. */
const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];

/** Deflate never compresses more than this many bytes into one. */
const DEFLATE_FACTOR = 1032;

/** Whether the bytes start like an HDF5 file. */
export function isHdf5(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, index) => bytes[index] === byte);
}

/** An open HDF5 file. */
export interface WeightFile {
  /** The names in a group, sorted; undefined if there is no such group. */
  names(path: string): readonly string[] | undefined;
  /** The shape of a float tensor; undefined if there is nothing at the path. */
  shape(path: string): readonly number[] | undefined;
  /** The values of a tensor that must have this shape, as float32. */
  tensor(path: string, shape: readonly number[]): HostTensor;
  /** The texts in an attribute of a group; undefined if the group or the attribute is not there. */
  texts(path: string, attribute: string): readonly string[] | undefined;
  /** What errors call the place of a tensor: its path in the file, if that is another. */
  placeOf(path: string): string;
}

/**
 * Opens an HDF5 file while `run` runs.
 *
 * @param maxBytes The largest total size of all tensors.
 * @throws KerasFileError if it is not an HDF5 file or is damaged.
 */
export async function readHdf5<T>(
  bytes: Uint8Array,
  maxBytes: number,
  run: (file: WeightFile) => T,
): Promise<T> {
  if (!isHdf5(bytes)) {
    throw new KerasFileError("the weights", "they are no HDF5 file, which begins with \\x89HDF");
  }
  const h5wasm = await loadHdf5();
  return reading("the weights", () =>
    inSession(h5wasm, () =>
      withFile(h5wasm, bytes, (path) => {
        const file = new h5wasm.File(path, "r");
        if (file.file_id < 0n) throw new Error("libhdf5 cannot open them: they are damaged");
        try {
          return run(weightFile(h5wasm, file, { bytes, maxBytes }));
        } finally {
          quietly(() => file.close());
        }
      })));
}

/** The memory limit of the file's tensors. */
interface Bounds {
  /** The whole file. */
  readonly bytes: Uint8Array;
  readonly maxBytes: number;
}

function weightFile(h5wasm: H5wasm, file: H5File, bounds: Bounds): WeightFile {
  const { Module, Group, Dataset } = h5wasm;
  const known = new Map<string, ReadonlySet<string>>();
  const namesIn = (group: Group): ReadonlySet<string> => {
    const found = known.get(group.path) ?? new Set(undamaged(group.path, () => group.keys()));
    known.set(group.path, found);
    return found;
  };
  const addresses = new Map<string, string>();
  /** Where a group lies in the file, by which it is known again under another path. */
  const addressOf = (group: Group): string => {
    const found = addresses.get(group.path) ??
      undamaged(group.path, () => group.create_reference().ref_data.join());
    addresses.set(group.path, found);
    return found;
  };
  /** The object at a path, followed from group to group; links to other places are refused. */
  const find = (path: string): Group | Dataset | undefined => {
    let group: Group = file;
    const parts = path === "" ? [] : path.split("/");
    const above = new Set([addressOf(file)]);
    for (const [index, part] of parts.entries()) {
      const place = parts.slice(0, index + 1).join("/");
      if (!namesIn(group).has(part)) return undefined;
      const found = group.get_link(`/${place}`) === null ? group.get(`/${place}`) : undefined;
      if (found instanceof Dataset && index === parts.length - 1) return found;
      if (found instanceof Group) {
        const address = addressOf(found);
        if (above.has(address)) {
          throw new KerasFileError(place, "it is a group around itself, which is refused");
        }
        above.add(address);
        group = found;
        continue;
      }
      const isLink = found === undefined || found instanceof h5wasm.ExternalLink;
      throw new KerasFileError(
        place,
        isLink ? "it is a link, which is refused" : "it is neither a group nor a tensor, or it is damaged",
      );
    }
    return group;
  };
  const floats = (path: string): Dataset | undefined => {
    const found = find(path);
    if (found === undefined) return undefined;
    if (!(found instanceof Dataset)) {
      throw new KerasFileError(path, "it is a group or damaged, expected a tensor");
    }
    const { type, size, littleEndian, virtual_sources: sources } = undamaged(path, () => found.metadata);
    if (type !== Module.H5T_class_t.H5T_FLOAT.value || (size !== 4 && size !== 8) || !littleEndian) {
      throw new KerasFileError(
        path,
        "its values are no little-endian float32 or float64, which alone are read",
      );
    }
    if (sources !== undefined && sources.length > 0) {
      throw new KerasFileError(path, "its values are in another file, which is refused");
    }
    return found;
  };
  let taken = 0;
  let areHeapsChecked = false;
  return {
    names: (path) =>
      reading(path, () => {
        const found = find(path);
        if (found === undefined) return undefined;
        if (found instanceof Dataset) throw new KerasFileError(path, "it is a tensor, expected a group");
        return [...namesIn(found)].sort();
      }),
    shape: (path) =>
      reading(path, () => {
        const dataset = floats(path);
        return dataset && shapeOf(path, dataset, bounds);
      }),
    tensor: (path, shape) =>
      reading(path, () => {
        const dataset = floats(path);
        if (dataset === undefined) throw new KerasFileError(path, "it is not there");
        const found = shapeOf(path, dataset, bounds);
        if (found.join() !== shape.join()) {
          throw new KerasFileError(path, `its shape is ${printShape(found)}, expected ${printShape(shape)}`);
        }
        const values = valuesOf(h5wasm, path, dataset, found);
        taken += values.byteLength;
        if (taken > bounds.maxBytes) throw new KerasFileError(path, tooMuch("the weights take", bounds));
        return hostTensor(values, shape);
      }),
    texts: (path, attribute) =>
      reading(path, () => {
        const found = find(path);
        if (!(found instanceof Group)) return undefined;
        if (!areHeapsChecked) checkHeaps(bounds.bytes);
        areHeapsChecked = true;
        return undamaged(found.path, () => textsOf(h5wasm, found, attribute, bounds.bytes.length));
      }),
    placeOf: (path) => path,
  };
}

/** What libhdf5 finds at a path; the errors of its wrapper do not say why it finds nothing. */
function undamaged<T>(path: string, run: () => T): T {
  try {
    return run();
  } catch (cause) {
    if (cause instanceof KerasFileError) throw cause;
    const place = path.replace(/^\//, "") || "the weights";
    throw new KerasFileError(place, `libhdf5 cannot read it: it is damaged (${reasonOf(cause)})`, { cause });
  }
}

function tooMuch(what: string, { maxBytes }: Bounds): string {
  return `${what} more than ${maxBytes} bytes, which is not read; if the file can be trusted, raise maxBytes`;
}

/** The shape of a dataset, after checking that it fits into the file and into memory. */
function shapeOf(path: string, dataset: Dataset, bounds: Bounds): readonly number[] {
  const { shape, size, chunks } = dataset.metadata;
  if (shape === null) throw new KerasFileError(path, "it has no values");
  const whole = shape.map(Number);
  const bytes = whole.reduce((product, dim) => product * dim, size);
  const chunk = (chunks ?? []).reduce((product, dim) => product * Number(dim), size);
  const most = bounds.bytes.length * (chunks === null || dataset.filters.length === 0 ? 1 : DEFLATE_FACTOR);
  if (!(bytes <= most)) {
    throw new KerasFileError(
      path,
      `its shape ${
        printShape(whole)
      } takes ${bytes} bytes, which a file of ${bounds.bytes.length} bytes cannot hold`,
    );
  }
  if (!(Math.max(bytes, chunk) <= bounds.maxBytes)) {
    throw new KerasFileError(path, tooMuch(`its shape ${printShape(whole)} takes`, bounds));
  }
  return whole;
}

/** The values, first read into the library's memory. */
function valuesOf(
  { Module }: H5wasm,
  path: string,
  dataset: Dataset,
  shape: readonly number[],
): Float32Array {
  const { size } = dataset.metadata;
  const count = shape.reduce((product, dim) => product * dim, 1);
  if (count === 0) return new Float32Array(0);
  const at = Module._malloc(count * size);
  if (at === 0) throw new KerasFileError(path, `there is no memory for its ${count * size} bytes`);
  try {
    const status = Module.get_dataset_data(dataset.file_id, dataset.path, null, null, null, BigInt(at));
    if (status < 0) throw new KerasFileError(path, "libhdf5 cannot read its values: they are damaged");
    const { buffer } = Module.HEAPU8.slice(at, at + count * size);
    return size === 4 ? new Float32Array(buffer) : Float32Array.from(new Float64Array(buffer));
  } finally {
    Module._free(at);
  }
}

/** A group to write: tensors named `0`, `1` and so on, and attributes. */
export interface WeightGroup {
  /** Its path from the root, such as `layers/dense/vars`. */
  readonly path: string;
  /** Descriptive texts, written as attributes. */
  readonly attributes: Readonly<Record<string, string>>;
  /** float32. */
  readonly tensors: readonly HostTensor[];
}

/** An HDF5 file of groups. */
export async function writeHdf5(groups: readonly WeightGroup[]): Promise<Uint8Array> {
  const h5wasm = await loadHdf5();
  try {
    return inSession(h5wasm, () =>
      withFile(h5wasm, undefined, (path) => {
        const file = new h5wasm.File(path, "w");
        try {
          for (const group of groups) writeGroup(file, group);
        } finally {
          file.close();
        }
        return Uint8Array.from(h5wasm.Module.FS.readFile(path)); // a copy, as the library's file is removed
      }));
  } catch (error) {
    throw new Error(`Cannot write the Keras file: its weights: ${reasonOf(error)}`, { cause: error });
  }
}

function writeGroup(file: H5File, { path, attributes, tensors }: WeightGroup): void {
  let group: Group = file;
  for (const part of path.split("/")) {
    const below = group.path === "/" ? `/${part}` : `${group.path}/${part}`;
    group = (group.keys().includes(part) ? group.get(below) : group.create_group(part)) as Group; // made by this file
  }
  for (const [name, text] of Object.entries(attributes)) group.create_attribute(name, text);
  tensors.forEach(({ data, shape }, index) => {
    const values = data instanceof Float32Array ? data : Float32Array.from(data);
    const written = group.create_dataset({
      name: String(index),
      data: values,
      shape: shape.map(Number),
      dtype: "<f",
    });
    if (written === null) throw new Error(`${path}/${index} could not be written`);
  });
}
