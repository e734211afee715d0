/**
 * Writes weights in half the bytes: safetensors files with elements of the type F16, which `decodeSafetensors` reads as
 * float32. (The library writes the dtypes that it computes with.)
 */
import { type Metadata } from "@cellfold/cellfold/safetensors";

/** The bits of the float16 nearest to a float32, ties to even. */
const half = new Float16Array(1);
const bits = new Uint16Array(half.buffer);

/** The file of `encodeSafetensors` with its float32 elements as F16; others are refused. */
export function inHalves(file: Uint8Array): Uint8Array<ArrayBuffer> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const length = Number(view.getBigUint64(0, true));
  interface Entry {
    readonly dtype: string;
    readonly data_offsets: readonly [start: number, end: number];
  }
  const header: Record<string, Entry> & { readonly __metadata__?: Metadata } = JSON.parse(
    new TextDecoder().decode(file.subarray(8, 8 + length)),
  );
  const data = view.byteOffset + 8 + length;
  const values = new Float32Array(file.buffer.slice(data, view.byteOffset + file.byteLength));
  const { __metadata__: metadata, ...entries } = header;
  const halved = Object.entries(entries).map(([name, entry]) => {
    if (entry.dtype !== "F32") {
      throw new TypeError(`Cannot halve ${name}: it is ${entry.dtype}, expected F32`);
    }
    const [start, end] = entry.data_offsets;
    return [name, { ...entry, dtype: "F16", data_offsets: [start / 2, end / 2] }] as const;
  });
  const text = JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(halved) });
  const encoded = new TextEncoder().encode(text.padEnd(Math.ceil(text.length / 8) * 8));
  const result = new Uint8Array(8 + encoded.length + 2 * values.length);
  const into = new DataView(result.buffer);
  into.setBigUint64(0, BigInt(encoded.length), true);
  result.set(encoded, 8);
  values.forEach((value, i) => {
    half[0] = value;
    into.setUint16(8 + encoded.length + 2 * i, bits[0], true);
  });
  return result;
}
