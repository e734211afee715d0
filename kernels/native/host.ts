/** What this backend needs of Deno, and what of it is permitted; nothing here prompts. */

/** Whether the process runs in Deno, which alone has the interface to C that is used here. */
export function isDeno(): boolean {
  return typeof globalThis.Deno?.dlopen === "function";
}

/** Whether something is permitted without a prompt. */
export function isGranted(permission: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}

/** The value of a variable of the environment, if it may be read. */
export function variable(name: string): string | undefined {
  return isGranted({ name: "env", variable: name }) ? Deno.env.get(name) : undefined;
}

/** The command of the compiler. */
export function compilerCommand(): string {
  return variable("CC") || "cc";
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
  return isGranted({ name: "run", command: compilerCommand() });
}

/** Where it is kept what the compiler is. */
export function identityPath(directory: string): string {
  return `${directory}/compiler-${compilerCommand().replace(/\W/g, "_")}.json`;
}

function isThere(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** What Deno is not permitted, as flags that permit it; undefined if nothing is missing. */
export function missingPermissions(): string | undefined {
  const flags: string[] = [];
  if (!isGranted({ name: "ffi" })) flags.push("--allow-ffi");
  const directory = cacheDirectory();
  const mayName = isGranted({ name: "env", variable: "HOME" }) ||
    isGranted({ name: "env", variable: "XDG_CACHE_HOME" });
  if (!mayName) flags.push("--allow-env=CC,HOME,XDG_CACHE_HOME");
  if (directory !== undefined) {
    if (!isGranted({ name: "read", path: directory })) flags.push(`--allow-read=${directory}`);
    if (!isGranted({ name: "write", path: directory })) flags.push(`--allow-write=${directory}`);
  } else if (!mayName) flags.push("--allow-read", "--allow-write");
  if (!mayCompile() && !(directory !== undefined && flags.length === 0 && isThere(identityPath(directory)))) {
    flags.push(`--allow-run=${compilerCommand()}`);
  }
  return flags.length === 0 ? undefined : flags.join(" ");
}
