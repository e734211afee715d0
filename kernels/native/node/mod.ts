/**
 * The device `native` in Node: Programs as C, compiled by the system's compiler. Calls of C go through `node:ffi`,
 * where Node has it and it is on, or else through the package `koffi`.
 *
 * ```ts ignore
 * import { enableNative } from "@cellfold/cellfold/native-node";
 * await enableNative(); // from now on, "native" is there and "auto" prefers it to "wasm"
 * ```
 *
 * @module
 */
import { spawn } from "node:child_process";
import { statSync } from "node:fs";
import { mkdir, readdir, readFile, rename, stat, unlink, utimes, writeFile } from "node:fs/promises";
import { env, platform } from "node:process";
import { useHost } from "../host.ts";
import type { NativeHost } from "../host_interface.ts";
import { type Ffi, findFfi, type Koffi, throughKoffi } from "./ffi.ts";

export type { Koffi } from "./ffi.ts";

/** How Node calls C. */
export interface EnableNativeOptions {
  /** The package `koffi`, where it cannot be imported by its name; default: `node:ffi`, or `koffi` by its name. */
  readonly koffi?: Koffi;
}

/**
 * Makes the device `native` available in this process of Node; without it, there are `wasm` and `reference`.
 *
 * @throws Error if Node has no interface to C: neither `node:ffi` nor `koffi`.
 *
 * @example
 * ```ts ignore
 * import { enableNative } from "@cellfold/cellfold/native-node";
 * await enableNative();
 * ```
 */
export async function enableNative({ koffi }: EnableNativeOptions = {}): Promise<void> {
  const ffi = koffi ? throughKoffi(koffi) : await findFfi();
  if (!ffi) {
    throw new Error(
      "Cannot enable native: this process has neither node:ffi nor koffi; run Node 26 or later with " +
        "--experimental-ffi, or install the package koffi",
    );
  }
  useHost(nodeHost(ffi));
}

function nodeHost(ffi: Ffi): NativeHost {
  return {
    ...ffi,
    system: platform === "win32" ? "windows" : platform,
    variable: (name) => env[name],
    // Node has no permissions to ask for; what the system refuses, it refuses when it is done.
    mayRead: () => true,
    mayRun: () => true,
    missingFlags: () => [],
    isThere: (path) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false,
    run,
    files: {
      read: async (path) => new Uint8Array(await readFile(path)),
      write: (path, content, mode) => writeFile(path, content, { mode }),
      rename,
      remove: unlink,
      makeDirectory: async (path, mode) => void await mkdir(path, { recursive: true, mode }),
      list: (path) => readdir(path),
      touch: (path, time) => utimes(path, time, time),
      async info(path) {
        const info = await stat(path).catch(() => undefined);
        if (!info) return undefined;
        const { size, ino, mode, mtimeMs, ctimeMs } = info;
        return {
          isFile: info.isFile(),
          size,
          inode: ino,
          mode,
          modified: Math.floor(mtimeMs),
          changed: Math.floor(ctimeMs),
        };
      },
    },
  };
}

/** What a command wrote; `undefined` if there is no such command. */
function run(command: string, args: readonly string[]): ReturnType<NativeHost["run"]> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], { stdio: ["ignore", "pipe", "pipe"] });
    const wrote = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (text: string) => wrote.stdout += text);
    child.stderr.setEncoding("utf8").on("data", (text: string) => wrote.stderr += text);
    child.on(
      "error",
      (error) => "code" in error && error.code === "ENOENT" ? resolve(undefined) : reject(error),
    );
    child.on("close", (code) => resolve({ success: code === 0, ...wrote }));
  });
}
