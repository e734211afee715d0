/** Deno as the host of native code. Nothing here prompts. */
import type { NativeHost } from "./host_interface.ts";

/** Whether something is permitted without a prompt. */
function isGranted(permission: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(permission).state === "granted";
}

/** Deno, whatever it permits. */
export const denoHost: NativeHost = {
  system: globalThis.Deno?.build.os ?? "none", // elsewhere, it is not used
  variable: (name) => isGranted({ name: "env", variable: name }) ? Deno.env.get(name) : undefined,
  mayRead: (path) => isGranted({ name: "read", path }),
  mayRun: (command) => isGranted({ name: "run", command }),
  missingFlags({ command, directory, isKept }) {
    const flags: string[] = [];
    if (!isGranted({ name: "ffi" })) flags.push("--allow-ffi");
    const mayName = isGranted({ name: "env", variable: "HOME" }) ||
      isGranted({ name: "env", variable: "XDG_CACHE_HOME" });
    if (!mayName) flags.push("--allow-env=CC,HOME,XDG_CACHE_HOME");
    if (directory !== undefined) {
      if (!isGranted({ name: "read", path: directory })) flags.push(`--allow-read=${directory}`);
      if (!isGranted({ name: "write", path: directory })) flags.push(`--allow-write=${directory}`);
    } else if (!mayName) flags.push("--allow-read", "--allow-write");
    if (!isGranted({ name: "run", command }) && !(flags.length === 0 && isKept())) {
      flags.push(`--allow-run=${command}`);
    }
    return flags;
  },
  isThere(path) {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  },
  async run(command, args) {
    try {
      const { success, stdout, stderr } = await new Deno.Command(command, {
        args: [...args],
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      return { success, stdout: text(stdout), stderr: text(stderr) };
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  },
  files: {
    read: (path) => Deno.readFile(path),
    write: (path, content, mode) => Deno.writeFile(path, content, { mode }),
    rename: (from, to) => Deno.rename(from, to),
    remove: (path) => Deno.remove(path),
    makeDirectory: (path, mode) => Deno.mkdir(path, { recursive: true, mode }),
    async list(path) {
      const names: string[] = [];
      for await (const { name } of Deno.readDir(path)) names.push(name);
      return names;
    },
    touch: (path, time) => Deno.utime(path, time, time),
    async info(path) {
      try {
        const { isFile, size, ino, mode, mtime, ctime } = await Deno.stat(path);
        return { isFile, size, inode: ino, mode, modified: mtime?.getTime(), changed: ctime?.getTime() };
      } catch {
        return undefined;
      }
    },
  },
  open: (path, symbols) => Deno.dlopen(path, symbols) as never, // Deno has a pointer where a pointer is said
  bufferOf: (pointer, bytes) => Deno.UnsafePointerView.getArrayBuffer(pointer as Deno.PointerObject, bytes),
};
