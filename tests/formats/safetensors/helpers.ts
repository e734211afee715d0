/** Files that no writer makes. */

/** A file of a header and the bytes after it. */
export function textOf(header: string | Uint8Array, data = new Uint8Array(0)): Uint8Array<ArrayBuffer> {
  const text = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  return file;
}

/** A file of this header as JSON. */
export function fileOf(
  header: unknown,
  data?: Uint8Array<ArrayBuffer> | Uint8Array,
): Uint8Array<ArrayBuffer> {
  return textOf(JSON.stringify(header), data ? new Uint8Array(data) : undefined);
}

/** A stream of portions. */
export function streamOf(bytes: Uint8Array, portion: number): ReadableStream<Uint8Array> {
  let offset = 0;
  return new ReadableStream({
    pull(controller) {
      if (offset >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(offset, offset + portion));
      offset += portion;
    },
  });
}
