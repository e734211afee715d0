/**
 * The file system of the host, as Deno and Node have it: `node:fs`, found without an import, so that a page
 * can load this file. Permissions are those of the program.
 */

/** The part of `node:fs` that is used here. */
export interface FileSystem {
  readonly mkdirSync: (path: string, options: { readonly recursive: true }) => unknown;
  readonly readdirSync: (
    path: string,
    options: { readonly withFileTypes: true },
  ) => readonly { readonly name: string; readonly isDirectory: () => boolean }[];
  readonly readFileSync: (path: string) => Uint8Array;
  readonly readSync: (file: number, into: Uint8Array) => number;
  readonly realpathSync: (path: string) => string;
  readonly openSync: (path: string, flags: string) => number;
  readonly writeSync: (file: number, bytes: Uint8Array) => number;
  readonly fsyncSync: (file: number) => void;
  readonly ftruncateSync: (file: number, length: number) => void;
  readonly fstatSync: (file: number) => { readonly size: number };
  readonly closeSync: (file: number) => void;
  readonly renameSync: (from: string, to: string) => void;
  readonly unlinkSync: (path: string) => void;
}

/** What a host may have as `process`. */
interface HostProcess {
  readonly pid?: number;
  readonly getBuiltinModule?: (name: string) => unknown;
  readonly kill?: (pid: number, signal: 0) => unknown;
}

/** The `process` of the host; a page has none, or a polyfill that lacks `getBuiltinModule`. */
export function hostProcess(): HostProcess {
  return (globalThis as { readonly process?: HostProcess }).process ?? {};
}

/**
 * The file system of the host.
 *
 * @param what What cannot be done without one.
 * @throws Error if the host has none.
 */
export function fileSystem(what: string): FileSystem {
  const found = hostProcess().getBuiltinModule?.("node:fs") as FileSystem | undefined; // by its name
  if (found) return found;
  throw new Error(
    `Cannot ${what}: this host has no file system, expected Deno 2 or Node 22.3`,
  );
}

/** The result of `use`; an error of the file system says what could not be done. */
export function withFiles<Result>(what: string, use: (files: FileSystem) => Result): Result {
  const files = fileSystem(what);
  try {
    return use(files);
  } catch (error) {
    throw new Error(`Cannot ${what}: ${reasonOf(error)}`, { cause: error });
  }
}

/** The message of an error in one line. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Whether an error is that a file does not exist, or that it exists already. */
export function hasCode(error: unknown, code: "ENOENT" | "EEXIST"): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** How many bytes are read or written at once: Node takes no more than 2 GiB. */
const PORTION = 1 << 28;

/** Writes all bytes at the present position of an open file. */
export function writeAll(files: FileSystem, file: number, bytes: Uint8Array): void {
  for (let offset = 0; offset < bytes.length;) {
    offset += files.writeSync(file, bytes.subarray(offset, offset + PORTION));
  }
}

/** All bytes of a file. */
export function readWhole(files: FileSystem, path: string): Uint8Array<ArrayBuffer> {
  const file = files.openSync(path, "r");
  try {
    const bytes = new Uint8Array(files.fstatSync(file).size);
    let filled = 0;
    while (filled < bytes.length) {
      const count = files.readSync(file, bytes.subarray(filled, filled + PORTION));
      if (count === 0) return bytes.slice(0, filled); // it became shorter
      filled += count;
    }
    return bytes;
  } finally {
    files.closeSync(file);
  }
}

/** What a file is called until it is complete. */
export const UNFINISHED = ".unfinished";

/**
 * Writes a file so that its name stands for the old bytes or all of the new ones, whenever the process or the
 * machine stops: to a temporary file that is flushed to the disk and then renamed.
 */
export function writeAtomically(files: FileSystem, directory: string, name: string, bytes: Uint8Array): void {
  const path = `${directory}/${name}`;
  const file = files.openSync(path + UNFINISHED, "w");
  try {
    writeAll(files, file, bytes);
    files.fsyncSync(file);
  } finally {
    files.closeSync(file);
  }
  files.renameSync(path + UNFINISHED, path);
  flushDirectory(files, directory);
}

/** Flushes the names in a directory to the disk, where the host can: Windows cannot open one. */
function flushDirectory(files: FileSystem, directory: string): void {
  let file: number | undefined;
  try {
    file = files.openSync(directory, "r");
    files.fsyncSync(file);
  } catch {
    // the rename itself is atomic; only its moment on the disk is left to the system
  } finally {
    if (file !== undefined) files.closeSync(file);
  }
}
