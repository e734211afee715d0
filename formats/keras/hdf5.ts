/**
 * HDF5 files through h5wasm, which is libhdf5 compiled to WebAssembly: groups with tensors of floats, read and written.
 * Nothing here knows which groups Keras writes. What the library throws becomes a KerasFileError that names the path.
 */
import type { Dataset, File as H5File, Group } from "h5wasm";
import { type HostTensor, hostTensor } from "../../src/tensor/tensor.ts";
import { printShape } from "../../src/tensor/dims.ts";
import { KerasFileError, reading, reasonOf } from "./errors.ts";

type H5wasm = typeof import("h5wasm");

/** The library, loaded on first use: it is 4 MB and compiles itself when imported. */
let loaded: Promise<H5wasm> | undefined;

function load(): Promise<H5wasm> {
  return loaded ??= import("h5wasm").then(async (h5wasm) => {
    await h5wasm.ready;
    h5wasm.Module.activate_throwing_error_handler(); // errors are thrown and not printed to the console
    return h5wasm;
  });
}

/** Distinguishes the files in the library's memory. */
let serial = 0;

/** `\x89HDF\r\n\x1a\n`. */
const SIGNATURE = [0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a];

/** Whether the bytes begin as an HDF5 file does. */
export function isHdf5(bytes: Uint8Array): boolean {
  return SIGNATURE.every((byte, index) => bytes[index] === byte);
}

/** An open HDF5 file. */
export interface WeightFile {
  /** The names in a group, sorted; undefined where there is no such group. */
  names(path: string): readonly string[] | undefined;
  /** The shape of a tensor of floats; undefined where there is nothing at the path. */
  shape(path: string): readonly number[] | undefined;
  /** The values of a tensor whose shape must be this, as float32. */
  tensor(path: string, shape: readonly number[]): HostTensor;
}

/**
 * Opens an HDF5 file for the time of `run`.
 *
 * @param maxBytes The most that a tensor may take.
 * @throws KerasFileError for what is no HDF5 file or is damaged.
 */
export async function readHdf5<T>(
  bytes: Uint8Array,
  maxBytes: number,
  run: (file: WeightFile) => T,
): Promise<T> {
  if (!isHdf5(bytes)) {
    throw new KerasFileError("the weights", "they are no HDF5 file, which begins with \\x89HDF");
  }
  const h5wasm = await load();
  const { FS } = h5wasm.Module;
  const path = `/cellfold-${serial++}.h5`;
  return reading("the weights", () => {
    FS.writeFile(path, bytes);
    try {
      const file = new h5wasm.File(path, "r");
      try {
        return run(weightFile(h5wasm, file, maxBytes));
      } finally {
        quietly(() => file.close());
      }
    } finally {
      quietly(() => FS.unlink(path));
    }
  });
}

/** Runs what tidies up after an error that matters more than one in here. */
function quietly(run: () => unknown): void {
  try {
    run();
  } catch {
    // the file was damaged so that it cannot be closed either
  }
}

function weightFile(
  { Module, Group, Dataset, ExternalLink, BrokenSoftLink }: H5wasm,
  file: H5File,
  maxBytes: number,
): WeightFile {
  const names = new Map<string, ReadonlySet<string>>();
  const namesIn = (group: Group): ReadonlySet<string> => {
    const found = names.get(group.path) ?? new Set(group.keys());
    names.set(group.path, found);
    return found;
  };
  /** The object at a path, which is followed from group to group; links elsewhere are refused. */
  const find = (path: string): Group | Dataset | undefined => {
    let group: Group = file;
    const parts = path.split("/");
    for (const [index, part] of parts.entries()) {
      const place = parts.slice(0, index + 1).join("/");
      if (!namesIn(group).has(part)) return undefined;
      if (group.get_link(`/${place}`) !== null) {
        throw new KerasFileError(place, "it is a link, which is refused");
      }
      const found = group.get(`/${place}`);
      if (found instanceof Dataset && index === parts.length - 1) return found;
      if (found instanceof ExternalLink || found instanceof BrokenSoftLink) {
        throw new KerasFileError(place, "it is a link, which is refused");
      }
      if (!(found instanceof Group)) throw new KerasFileError(place, "it is neither a group nor a tensor");
      group = found;
    }
    return group;
  };
  const floats = (path: string): Dataset | undefined => {
    const found = find(path);
    if (found === undefined) return undefined;
    if (!(found instanceof Dataset)) throw new KerasFileError(path, "it is a group, expected a tensor");
    const { type, size, littleEndian, virtual_sources: sources } = found.metadata;
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
  const shapeOf = (path: string, { metadata: { shape, size, chunks } }: Dataset): readonly number[] => {
    const whole = shape?.map(Number) ?? [];
    const bytes = whole.reduce((product, dim) => product * dim, size);
    const chunk = (chunks ?? []).reduce((product, dim) => product * Number(dim), size);
    if (shape === null || !(Math.max(bytes, chunk) <= maxBytes)) {
      throw new KerasFileError(
        path,
        `its shape is ${shape === null ? "empty" : printShape(whole)}, ` +
          `and at most ${maxBytes} bytes are read; if the file can be trusted, raise maxBytes`,
      );
    }
    return whole;
  };
  return {
    names: (path) =>
      reading(path, () => {
        const found = path === "" ? file : find(path);
        if (found === undefined) return undefined;
        if (found instanceof Dataset) throw new KerasFileError(path, "it is a tensor, expected a group");
        return [...namesIn(found)].sort();
      }),
    shape: (path) =>
      reading(path, () => {
        const dataset = floats(path);
        return dataset && shapeOf(path, dataset);
      }),
    tensor: (path, shape) =>
      reading(path, () => {
        const dataset = floats(path);
        if (dataset === undefined) throw new KerasFileError(path, "it is not there");
        const found = shapeOf(path, dataset);
        if (found.join() !== shape.join()) {
          throw new KerasFileError(path, `its shape is ${printShape(found)}, expected ${printShape(shape)}`);
        }
        const { value } = dataset;
        if (!(value instanceof Float32Array || value instanceof Float64Array)) {
          throw new KerasFileError(path, "its values are no list of floats");
        }
        return hostTensor(Float32Array.from(value), shape);
      }),
  };
}

/** A group to write: tensors named `0`, `1` and so on, and attributes. */
export interface WeightGroup {
  /** Its path from the root, such as `layers/dense/vars`. */
  readonly path: string;
  /** Texts that describe it. */
  readonly attributes: Readonly<Record<string, string>>;
  /** float32. */
  readonly tensors: readonly HostTensor[];
}

/** An HDF5 file of groups. */
export async function writeHdf5(groups: readonly WeightGroup[]): Promise<Uint8Array> {
  const h5wasm = await load();
  const { FS } = h5wasm.Module;
  const path = `/cellfold-${serial++}.h5`;
  try {
    const file = new h5wasm.File(path, "w");
    try {
      for (const group of groups) writeGroup(file, group);
    } finally {
      file.close();
    }
    return Uint8Array.from(FS.readFile(path)); // a copy: the library's memory may grow and detach it
  } catch (error) {
    throw new Error(`Cannot write the Keras file: its weights: ${reasonOf(error)}`, { cause: error });
  } finally {
    quietly(() => FS.unlink(path));
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
    group.create_dataset({ name: String(index), data: values, shape: shape.map(Number), dtype: "<f" });
  });
}
