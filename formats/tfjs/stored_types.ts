/** The types as which the numbers of a `model.json` are stored, and how each is read. */
import { halfValue } from "../../src/tensor/halves.ts";

/** A type in a weight file. */
export type StoredType = "float32" | "int32" | "bool" | "uint8" | "uint16" | "float16";

/** How a number of a type is read. */
export interface Decoder {
  /** Its size in bytes. */
  readonly size: number;
  /** Reads a number at an offset. */
  readonly read: (view: DataView, offset: number) => number;
}

/** All types; numbers are little-endian. */
export const decoders: { readonly [Type in StoredType]: Decoder } = {
  float32: { size: 4, read: (view, offset) => view.getFloat32(offset, true) },
  int32: { size: 4, read: (view, offset) => view.getInt32(offset, true) },
  bool: { size: 1, read: (view, offset) => view.getUint8(offset) },
  uint8: { size: 1, read: (view, offset) => view.getUint8(offset) },
  uint16: { size: 2, read: (view, offset) => view.getUint16(offset, true) },
  float16: { size: 2, read: (view, offset) => halfValue(view.getUint16(offset, true)) },
};
