/**
 * The native backend: any Program as C with vectors, compiled by the system's compiler, loaded through the interface to C of
 * Deno or Node and run on all threads of the machine. Programs in float64 run on the reference backend instead.
 *
 * What it has in common with wasm, from lowering to executables, is in `../cpu/`. `emit/` writes the C of a Program, one
 * readable file for all sizes; `c/` has the C that does not depend on a Program: vectors, products and threads, of which
 * the last two are the runtime that a process loads once (`runtime.ts`). `compiler.ts` runs the compiler, and `cache.ts`
 * keeps what it makes. `host_interface.ts` says what it needs of the process: Deno is `deno_host.ts`, and Node an entry
 * point of its own (`node/`). Nothing here prompts. All but this is loaded where native code is permitted: in a page it
 * would be dead weight.
 *
 * A call is a sequence of phases, each divided into as many shares as the device has threads. Shares fix the order of
 * additions, so results depend only on the `threads` option.
 */
import { type Backend, type DeviceEntry, DeviceUnavailable } from "../backend.ts";
import { checkWhole } from "../device_options.ts";
import { float64In } from "../lowering/dtypes.ts";
import type { NativeDevice, NativeOptions } from "./device.ts";
import { hasHost, missingPermissions, theHost } from "./host.ts";

export type { NativeOptions } from "./device.ts";

/** The device native with options. */
export interface NativeChoice extends NativeOptions {
  /** The backend. */
  readonly name: "native";
}

/** All but what is in this file. */
const loaded = () => import("./loaded.ts");

/** The most threads of a device. */
const MOST_THREADS = 32;

async function findMissing(): Promise<string | undefined> {
  if (!hasHost()) return "it needs Deno, or Node with enableNative() of @cellfold/cellfold/native-node";
  if (theHost().system === "windows") return "it needs Linux or macOS";
  const flags = missingPermissions();
  if (flags !== undefined) return `run Deno with ${flags}`;
  try {
    const { beginRuntime } = await loaded();
    await beginRuntime();
    return undefined;
  } catch (error) {
    return error instanceof DeviceUnavailable
      ? error.why
      : error instanceof Error
      ? error.message
      : `${error}`;
  }
}

/** A native backend; its device is created on first use. */
export function createNative(options: NativeOptions = {}, name = "native"): Backend {
  let device: Promise<NativeDevice> | undefined;
  const open = () =>
    device ??= loaded().then(({ NativeDevice }) => NativeDevice.open(name, options)).catch(
      (error) => {
        device = undefined;
        throw error;
      },
    );
  return {
    name,
    supports: (program) => float64In(program) === undefined,
    isAllowed: () => hasHost() && theHost().system !== "windows" && missingPermissions() === undefined,
    available: async () =>
      await findMissing() === undefined &&
      await loaded().then(({ openRuntime }) => openRuntime()).then(() => true, () => false),
    missing: findMissing,
    // Compiled at once, so that `auto` takes another device where that fails.
    compile: async (program, compileOptions) => {
      const { compileFor } = await loaded();
      return await compileFor(open(), program, compileOptions, options);
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
