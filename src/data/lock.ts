/**
 * A lock on a directory, so that one run writes there at a time. In Deno the system holds it for the process
 * and drops it with the process; in Node, which has no such locks, the number of the process in the file says
 * who holds it, for as long as that process lives.
 */
import { type FileSystem, hasCode, hostProcess, UNFINISHED, withFiles, writeAll } from "./files.ts";

/** The name of the lock's file. */
export const LOCK = "lock";

/** The part of an open file of Deno that is used here. */
interface DenoFile {
  readonly tryLockSync: (exclusive: boolean) => boolean;
  readonly truncateSync: (length: number) => void;
  readonly writeSync: (bytes: Uint8Array) => number;
  readonly close: () => void;
}

/** The part of Deno that is used here. */
interface DenoHost {
  readonly openSync?: (
    path: string,
    options: { readonly read: true; readonly write: true; readonly create: true },
  ) => Partial<DenoFile> & Pick<DenoFile, "close">;
}

/** What the file of a lock says. */
interface Holder {
  readonly pid: number;
  /** Whether the system holds the lock too, so that one that it does not hold is nobody's. */
  readonly bySystem: boolean;
}

/** The locks that this process holds by its number alone. */
const held = new Set<string>();

/**
 * Locks a directory, which exists.
 *
 * @param what What cannot be done while another process holds the lock.
 * @returns What releases it.
 * @throws Error naming the process that holds it.
 */
export function lockDirectory(what: string, directory: string): () => void {
  const { Deno: deno } = globalThis as { readonly Deno?: DenoHost };
  return withFiles(what, (files) => lockBySystem(files, deno, directory) ?? lockByNumber(files, directory));
}

/** A lock that the system holds; undefined where there is none. */
function lockBySystem(
  files: FileSystem,
  deno: DenoHost | undefined,
  directory: string,
): (() => void) | undefined {
  const path = `${directory}/${LOCK}`;
  const opened = deno?.openSync?.(path, { read: true, write: true, create: true });
  if (!opened) return undefined;
  const { tryLockSync } = opened;
  if (!tryLockSync) {
    opened.close();
    return undefined;
  }
  const file = opened as DenoFile; // whatever can lock can write
  try {
    const locked = file.tryLockSync(true);
    const holder = holderOf(files, path);
    if (!locked || holder && !holder.bySystem && isAlive(files, holder.pid)) throw taken(directory, holder);
    file.truncateSync(0);
    file.writeSync(textOf(true));
  } catch (error) {
    file.close();
    throw error;
  }
  return () => {
    file.truncateSync(0); // the file stays: another process may have opened it to lock it next
    file.close();
  };
}

function lockByNumber(files: FileSystem, directory: string): () => void {
  const path = `${directory}/${LOCK}`;
  const holder = holderOf(files, path);
  if (held.has(path) || holder && holder.pid !== hostProcess().pid && isAlive(files, holder.pid)) {
    throw taken(directory, holder);
  }
  const own = `${path}-${hostProcess().pid}${UNFINISHED}`;
  const file = files.openSync(own, "w");
  writeAll(files, file, textOf(false));
  files.closeSync(file);
  files.renameSync(own, path); // of two that take over a lock at once, the last one has it
  if (holderOf(files, path)?.pid !== hostProcess().pid) throw taken(directory, holderOf(files, path));
  held.add(path);
  return () => {
    held.delete(path);
    files.unlinkSync(path);
  };
}

function textOf(bySystem: boolean): Uint8Array {
  return new TextEncoder().encode(
    JSON.stringify({ pid: hostProcess().pid, bySystem } satisfies Partial<Holder>),
  );
}

/** A small file as text, also one of `/proc`, whose size is not known before it is read. */
function readText(files: FileSystem, path: string): string {
  return new TextDecoder().decode(files.readFileSync(path));
}

/** Who holds a lock, by its file; undefined if that is empty, unreadable or not there. */
function holderOf(files: FileSystem, path: string): Holder | undefined {
  try {
    const holder: Partial<Holder> = JSON.parse(readText(files, path));
    return typeof holder.pid === "number"
      ? { pid: holder.pid, bySystem: holder.bySystem === true }
      : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

/** Whether a process lives; also if this one may not ask. */
function isAlive(files: FileSystem, pid: number): boolean {
  try {
    hostProcess().kill?.(pid, 0);
  } catch (error) {
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
  return !hasEnded(files, pid);
}

/** Whether a process has ended and only its number is left, until its parent asks for its result (Linux). */
function hasEnded(files: FileSystem, pid: number): boolean {
  try {
    const text = readText(files, `/proc/${pid}/stat`);
    return /^[ZX]/.test(text.slice(text.lastIndexOf(")") + 2)); // the state follows the name in parentheses
  } catch {
    return false; // there is no such file, or it may not be read
  }
}

function taken(directory: string, holder: Holder | undefined): Error {
  const who = holder === undefined ? "another run" : `the run of process ${holder.pid}`;
  return new Error(
    `${directory} is written by ${who}, expected one run in a directory; wait until it ends, or give ` +
      `another directory (if there is no such run, remove ${directory}/${LOCK})`,
  );
}
