/** Gzip for the data files of this folder: detected by its magic bytes, inflated by the platform's stream. */

/** Whether `bytes` start like a gzip file. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/**
 * Inflates a gzip file, or as much of it as is wanted.
 *
 * @param bytes The whole file.
 * @param wanted Given the start of the content, returns how many bytes are wanted, or undefined if that start
 *   is too short to decide. Inflating stops within one chunk after that number, so that a small file which
 *   inflates to gigabytes costs nothing; the result is then longer than wanted, and the caller must refuse
 *   it.
 * @returns The content.
 * @throws SyntaxError if the file is corrupt, truncated, or followed by other bytes.
 */
export async function gunzip(
  bytes: Uint8Array,
  wanted: (beginning: Uint8Array) => number | undefined = () => Infinity,
): Promise<Uint8Array> {
  const source = new Blob([bytes as Uint8Array<ArrayBuffer>]); // a Blob copies, so shared memory is no concern
  const reader = source.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  let limit: number | undefined;
  try {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      chunks.push(next.value);
      size += next.value.length;
      limit ??= wanted(concat(chunks, size));
      if (limit !== undefined && size > limit) {
        await reader.cancel();
        break;
      }
    }
  } catch (error) {
    if (error instanceof SyntaxError) throw error; // from `wanted`
    throw new SyntaxError(
      `Cannot inflate gzip data of ${bytes.length} bytes: it is corrupt or truncated`,
      { cause: error },
    );
  }
  return concat(chunks, size);
}

function concat(chunks: readonly Uint8Array[], size: number): Uint8Array {
  if (chunks.length === 1) return chunks[0];
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}
