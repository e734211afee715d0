/** Texts in the attributes of an HDF5 file: Keras keeps its configuration and the names of weights there. */
import type { Group } from "h5wasm";
import { KerasFileError } from "./errors.ts";

type H5wasm = typeof import("h5wasm");

/**
 * The texts of an attribute, one or a list.
 *
 * @param length The size of the whole file in bytes, which no attribute exceeds.
 * @returns Undefined if the group has no such attribute.
 * @throws KerasFileError if it is no text.
 */
export function textsOf(
  { Module }: H5wasm,
  group: Group,
  name: string,
  length: number,
): readonly string[] | undefined {
  if (!Module.get_attribute_names(group.file_id, group.path).includes(name)) return undefined;
  const place = `${group.path.replace(/^\//, "")}@${name}`;
  const { type, vlen, size, shape } = Module.get_attribute_metadata(group.file_id, group.path, name);
  const count = (shape ?? [0]).reduce((product: number, dim: number | bigint) => product * Number(dim), 1);
  if (count === 0) return []; // of any type: NumPy writes an empty list as numbers
  if (type !== Module.H5T_class_t.H5T_STRING.value) {
    throw new KerasFileError(place, "the attribute is no text");
  }
  if (!(count * size <= length)) {
    throw new KerasFileError(place, `the attribute takes ${count * size} bytes, the file has ${length}`);
  }
  const at = Module._malloc(count * size);
  if (at === 0) throw new KerasFileError(place, `there is no memory for its ${count * size} bytes`);
  try {
    if (Module.get_attribute_data(group.file_id, group.path, name, BigInt(at)) < 0) {
      throw new KerasFileError(place, "libhdf5 cannot read the attribute: it is damaged");
    }
    const bytes = Module.HEAPU8.slice(at, at + count * size);
    if (!vlen) return Array.from({ length: count }, (_, index) => textIn(bytes, index * size, size));
    const read = [...new Uint32Array(bytes.buffer)].map((text) =>
      text === 0 ? "" : Module.UTF8ToString(text)
    );
    Module.reclaim_vlen_memory(group.file_id, group.path, name, BigInt(at));
    return read;
  } finally {
    Module._free(at);
  }
}

/** UTF-8 up to the first zero. */
function textIn(bytes: Uint8Array, start: number, size: number): string {
  const own = bytes.subarray(start, start + size);
  const end = own.indexOf(0);
  return new TextDecoder().decode(end < 0 ? own : own.subarray(0, end));
}
