/**
 * The native backend: any Program as C with vectors, compiled by the system's compiler, loaded through Deno's interface to C
 * and run on all threads of the machine. Programs in float64 run on the reference backend instead.
 *
 * What it has in common with wasm, from lowering to executables, is in `../cpu/`. `emit/` writes the C of a Program, one
 * readable file for all sizes; `c/` has the C that does not depend on a Program: vectors, products and threads, of which
 * the last two are the runtime that a process loads once (`runtime.ts`). `compiler.ts` runs the compiler, and `cache.ts`
 * keeps what it makes. `host.ts` knows what Deno permits; nothing here prompts.
 *
 * A call is a sequence of phases, each divided into as many shares as the device has threads. Shares fix the order of
 * additions, so results depend only on the `threads` option.
 */
import type { Program } from "../../src/program/types.ts";
import type { Backend, BackendCompileOptions, DeviceEntry } from "../backend.ts";
import { CpuExecutable } from "../cpu/executable.ts";
import { checkWhole } from "../device_options.ts";
import { float64In } from "../lowering/dtypes.ts";
import { compileC } from "./compiler.ts";
import { writeCode } from "./code_for.ts";
import { NativeDevice, type NativeOptions, withDefaults } from "./device.ts";
import { isDeno, missingPermissions } from "./host.ts";
import { beginRuntime, isRuntimeLoaded, openCompiler, openRuntime } from "./runtime.ts";

export type { NativeOptions } from "./device.ts";

/** The device native with options. */
export interface NativeChoice extends NativeOptions {
  /** The backend. */
  readonly name: "native";
}

/** The most threads of a device. */
const MOST_THREADS = 32;

async function findMissing(): Promise<string | undefined> {
  if (!isDeno()) return "only Deno has the interface to C that it uses";
  if (Deno.build.os === "windows") return "it needs Linux or macOS";
  const flags = missingPermissions();
  if (flags !== undefined) return `run Deno with ${flags}`;
  try {
    await beginRuntime();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.replace("Cannot open the device native: ", "") : `${error}`;
  }
}

/** Compiles a Program while the runtime is compiled, which takes as long; `compile` then finds it, or why it failed. */
function compileAhead(program: Program, { donate }: BackendCompileOptions, options: NativeOptions): void {
  const compiling = async () => {
    const { emitted } = writeCode(program, (input) => !donate[input], withDefaults(options));
    await compileC(await openCompiler(), emitted.source, "program");
  };
  compiling().catch(() => {});
}

/** A native backend; its device is created on first use. */
export function createNative(options: NativeOptions = {}, name = "native"): Backend {
  let device: Promise<NativeDevice> | undefined;
  const open = () =>
    device ??= NativeDevice.open(name, options).catch((error) => {
      device = undefined;
      throw error;
    });
  return {
    name,
    supports: (program) => float64In(program) === undefined,
    isAllowed: () => isDeno() && Deno.build.os !== "windows" && missingPermissions() === undefined,
    available: async () =>
      await findMissing() === undefined && await openRuntime().then(() => true, () => false),
    missing: findMissing,
    // Compiled at once, so that `auto` takes another device where that fails.
    compile: async (program, compileOptions) => {
      const opening = open();
      if (!isRuntimeLoaded()) compileAhead(program, compileOptions, options);
      return await new CpuExecutable(await opening, program, compileOptions, "native").prepare();
    },
    upload: async (tensor) => (await open()).upload(tensor),
    share: async (tensor) => (await open()).share(tensor),
  };
}

/** C on all threads. */
export const native: Backend = createNative();

/** The device, for the list of all devices. */
export const nativeDevice: DeviceEntry = {
  backend: native,
  optionNames: ["threads", "shareFrom"],
  configure: (options: NativeOptions) => {
    const { threads, shareFrom } = options;
    checkWhole("native", "threads", threads, { least: 1, most: MOST_THREADS });
    checkWhole("native", "shareFrom", shareFrom, { least: 0 });
    const shared = shareFrom === undefined ? "" : `, shareFrom: ${shareFrom}`;
    return {
      text: `native(threads: ${threads ?? "default"}${shared})`,
      create: (name) => createNative(options, name),
    };
  },
};
