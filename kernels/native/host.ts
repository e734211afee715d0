/** The process that native code runs in, and what follows from it: the compiler, the cache, what is not permitted. */
import { denoHost } from "./deno_host.ts";
import type { NativeHost } from "./host_interface.ts";

let current: NativeHost | undefined = typeof globalThis.Deno?.dlopen === "function" ? denoHost : undefined;

/** Makes a process the host, where Deno is not. */
export function useHost(host: NativeHost): void {
  current = host;
}

/** Whether there is a host. */
export function hasHost(): boolean {
  return current !== undefined;
}

/** The host, which must be there. */
export function theHost(): NativeHost {
  if (current) return current;
  throw new Error("Cannot use native: this process has no interface to C that it knows");
}

/** The value of a variable of the environment, if it may be read. */
export function variable(name: string): string | undefined {
  return theHost().variable(name);
}

/** How the compiler is called. */
export interface CompilerCommand {
  readonly command: string;
  /** What comes before all else, such as `-m64`, or `gcc` after `ccache`. */
  readonly first: readonly string[];
}

/**
 * The compiler that `CC` names: a file if there is one of that name, else a command, and behind spaces what it is called
 * with first, as make and others have it.
 */
export function compilerCommand(): CompilerCommand {
  const named = variable("CC")?.trim() || "cc";
  const [command, ...first] = named.split(/\s+/);
  const isFile = first.length > 0 && theHost().mayRead(named) && theHost().isThere(named);
  return isFile ? { command: named, first: [] } : { command, first };
}

/** Whether a path does not depend on the working directory. */
const isAbsolute = (path: string): boolean => /^([/\\]|[A-Za-z]:)/.test(path);

/**
 * Where compiled code is kept: the user's cache directory; undefined if that is not known. As its specification says,
 * a relative `XDG_CACHE_HOME` does not count.
 */
export function cacheDirectory(): string | undefined {
  const cache = variable("XDG_CACHE_HOME"), home = variable("HOME");
  if (cache && isAbsolute(cache)) return `${cache}/cellfold/native`;
  return home ? `${home}/.cache/cellfold/native` : undefined;
}

/** Whether the compiler may be run; what is kept can be used without. */
export function mayCompile(): boolean {
  return theHost().mayRun(compilerCommand().command);
}

/** Where it is kept what the compiler is. */
export function identityPath(directory: string): string {
  const { command, first } = compilerCommand();
  return `${directory}/compiler-${[command, ...first].join(" ").replace(/\W/g, "_")}.json`;
}

/** What is not permitted, as flags that permit it; undefined if nothing is missing. */
export function missingPermissions(): string | undefined {
  const directory = cacheDirectory(), host = theHost();
  const flags = host.missingFlags({
    command: compilerCommand().command,
    directory,
    isKept: () => directory !== undefined && host.isThere(identityPath(directory)),
  });
  return flags.length === 0 ? undefined : flags.join(" ");
}
