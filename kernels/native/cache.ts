/**
 * Compiled code on disk: files named by the hash of all that they depend on, in a directory of the user alone. A file is
 * written under another name and then renamed, so that processes side by side see it whole or not at all; it ends with a
 * checksum, so that a damaged one is found and made anew. The files that were used least recently go when all of them
 * take more than {@linkcode MOST_BYTES}.
 */
import { DeviceUnavailable } from "../backend.ts";
import { theHost } from "./host.ts";

/** The most bytes of all files. */
const MOST_BYTES = 256 * 2 ** 20;

/** Bytes of a checksum. */
const CHECKSUM = 32;

async function hashOf(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** A name for what depends on these texts. */
export async function nameFor(...texts: readonly string[]): Promise<string> {
  const hash = await hashOf(new TextEncoder().encode(texts.join("\0")));
  return [...hash.slice(0, 16)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Creates the directory, if need be. */
export async function prepare(directory: string): Promise<void> {
  try {
    await theHost().files.makeDirectory(directory, 0o700);
  } catch (cause) {
    throw unwritable(directory, cause);
  }
}

/**
 * Throws if others may write to the directory: what they put there would be loaded.
 *
 * @throws DeviceUnavailable
 */
export async function checkOwn(directory: string): Promise<void> {
  const mode = (await theHost().files.info(directory))?.mode ?? 0;
  if ((mode & 0o022) === 0) return;
  throw new DeviceUnavailable(
    "native",
    `others may write to ${directory}, and could put code there; remove it, and ` +
      "it is made anew for you alone, or set XDG_CACHE_HOME to another directory",
  );
}

function unwritable(directory: string, cause: unknown): DeviceUnavailable {
  const why = cause instanceof Error ? cause.message : cause;
  return new DeviceUnavailable(
    "native",
    `${directory} cannot be written (${why}); set XDG_CACHE_HOME to a directory ` +
      `that can`,
    { cause },
  );
}

/** Whether there is a file of this name. */
export async function isThere(path: string): Promise<boolean> {
  return (await theHost().files.info(path))?.isFile ?? false;
}

/** Whether a file is there, and as it was written. */
export async function isWhole(path: string): Promise<boolean> {
  const { files } = theHost();
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = await files.read(path);
  } catch {
    return false;
  }
  if (bytes.length <= CHECKSUM) return false;
  const [hash] = await Promise.all([
    hashOf(bytes.subarray(0, bytes.length - CHECKSUM)),
    files.touch(path, new Date()).catch(() => {}), // the time of last use; a read-only cache has none
  ]);
  return hash.every((byte, index) => byte === bytes[bytes.length - CHECKSUM + index]);
}

/**
 * Makes a file: `make` writes it to the path that it is given, and it appears at `path` with its checksum.
 *
 * @throws DeviceUnavailable if the directory is read-only or full.
 */
export async function keep(
  directory: string,
  path: string,
  make: (to: string) => Promise<void>,
): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}`, { files } = theHost();
  try {
    await make(temporary);
    const bytes = await files.read(temporary);
    const whole = new Uint8Array(bytes.length + CHECKSUM);
    whole.set(bytes);
    whole.set(await hashOf(bytes), bytes.length);
    await files.write(temporary, whole, 0o700);
    await files.rename(temporary, path);
  } catch (error) {
    await files.remove(temporary).catch(() => {});
    throw error instanceof DeviceUnavailable ? error : unwritable(directory, error);
  }
  await makeRoom(directory, path);
}

/**
 * Writes a text beside the code, for people to read.
 *
 * @throws DeviceUnavailable if the directory is read-only or full.
 */
export async function keepText(path: string, text: string): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}`, { files } = theHost();
  try {
    await files.write(temporary, new TextEncoder().encode(text), 0o600);
    await files.rename(temporary, path);
  } catch (error) {
    await files.remove(temporary).catch(() => {});
    throw unwritable(path.slice(0, path.lastIndexOf("/")), error);
  }
}

/** Says that a text is used as recently as its code, and writes it again if it is gone; a read-only cache stays as it is. */
export async function useText(path: string, text: string): Promise<void> {
  await theHost().files.touch(path, new Date()).catch(() => keepText(path, text)).catch(() => {});
}

/** Removes the files that were used least recently. */
async function makeRoom(directory: string, except: string): Promise<void> {
  const { files } = theHost();
  const kept: { readonly path: string; readonly size: number; readonly used: number }[] = [];
  for (const name of await files.list(directory)) {
    const path = `${directory}/${name}`, info = await files.info(path);
    if (info?.isFile) kept.push({ path, size: info.size, used: info.modified ?? 0 });
  }
  let bytes = kept.reduce((sum, { size }) => sum + size, 0);
  for (const { path, size } of kept.toSorted((a, b) => a.used - b.used)) {
    if (bytes <= MOST_BYTES) return;
    if (path === except) continue;
    await files.remove(path).catch(() => {}); // another process may have done it
    bytes -= size;
  }
}
