/**
 * The wasm backend: any Program as WebAssembly SIMD, emitted at run time, on all threads of the machine.
 * Programs in float64 run on the reference backend instead.
 *
 * `lower.ts` adds to the common lowering what only wasm needs: it packs the right operands of products,
 * before the loop if they stay the same. `long_products.ts` joins gradients of weights that share an operand,
 * and `partition.ts` divides a kernel among threads. `emit/` writes the code of kernels with the assembler in
 * `assembler.ts`; `matmul/` has the packed products, with tiles in registers, and `math/` the vector forms of
 * `exp`, `tanh` and the like. `executable.ts` makes the calls and repacks weights only when they change
 * between calls.
 *
 * A call is a sequence of phases, each divided into as many shares as the device has threads. Shares fix the
 * order of additions, so results depend only on the `threads` option. Which thread computes a share is
 * decided at run time (`phases.ts`), and how many threads make a kernel fastest is measured (`crew.ts`);
 * `threads.ts` has the pool of workers, which `start_worker.ts` starts on any host. What limits the speed is
 * in docs/performance.md.
 */
import { loadOnce } from "../../src/load_once.ts";
import type { Backend, DeviceEntry } from "../backend.ts";
import { checkBoolean, checkWhole } from "../device_options.ts";
import type { WasmDevice } from "./device.ts";
import { float64In } from "../lowering/dtypes.ts";
import { MOST_SHARES, type WasmOptions } from "./options.ts";

export type { WasmOptions } from "./options.ts";

/** The device wasm with options. */
export interface WasmChoice extends WasmOptions {
  /** The backend. */
  readonly name: "wasm";
}

/** What writes and runs code, loaded when it is first needed: models are made and traced without it. */
const load = loadOnce(() =>
  Promise.all([import("./assembler.ts"), import("./device.ts"), import("../cpu/executable.ts")])
);

/** What the engine, or a page's content security policy, refuses; checked once, as it does not change. */
let missing: Promise<string | undefined> | undefined;

async function findMissing(): Promise<string | undefined> {
  if (typeof WebAssembly !== "object") return "the engine has no WebAssembly";
  const [{ hasSimd, smallestModule }] = await load();
  if (!hasSimd()) return "the engine has no SIMD in WebAssembly";
  try {
    await WebAssembly.compile(smallestModule());
    return undefined;
  } catch (error) {
    return `WebAssembly cannot be compiled (${
      error instanceof Error ? error.message : error
    }); a content security ` +
      `policy needs script-src 'wasm-unsafe-eval'`;
  }
}

/** A wasm backend; its device is created on first use. */
export function createWasm(options: WasmOptions = {}, name = "wasm"): Backend {
  let device: WasmDevice | undefined;
  const open = async () => {
    const [, { WasmDevice }] = await load();
    // A lost device stays lost; the next compilation creates a new one.
    if (device?.isLost) device = undefined;
    return device ??= new WasmDevice(name, options);
  };
  return {
    name,
    supports: (program) => float64In(program) === undefined,
    available: async () => await (missing ??= findMissing()) === undefined,
    missing: () => missing ??= findMissing(),
    compile: async (program, compileOptions) => {
      const [, , { CpuExecutable }] = await load();
      return new CpuExecutable(await open(), program, compileOptions);
    },
    upload: async (tensor) => (await open()).upload(tensor),
    share: async (tensor) => (await open()).share(tensor),
  };
}

/** WebAssembly SIMD on all threads. */
export const wasm: Backend = createWasm();

/** The device, for the list of all devices. */
export const wasmDevice: DeviceEntry = {
  backend: wasm,
  optionNames: ["threads", "relaxed", "wide", "profile", "shareFrom"],
  configure: (options: WasmOptions) => {
    const { threads, relaxed, wide, profile, shareFrom } = options;
    checkBoolean("wasm", "relaxed", relaxed);
    checkBoolean("wasm", "wide", wide);
    checkBoolean("wasm", "profile", profile);
    checkWhole("wasm", "threads", threads, { least: 1, most: MOST_SHARES });
    checkWhole("wasm", "shareFrom", shareFrom, { least: 0 });
    if (profile && threads !== undefined && threads !== 1) {
      throw new RangeError(
        `Cannot use the device wasm with profile and ${threads} threads: kernels are measured on one thread; ` +
          `leave threads out`,
      );
    }
    const given = [
      ...(wide ? ["wide"] : []),
      ...(profile ? ["profile"] : []),
      ...(shareFrom === undefined ? [] : [`shareFrom: ${shareFrom}`]),
    ];
    return {
      text: `wasm(${
        [`threads: ${threads ?? "default"}`, `relaxed: ${relaxed ?? "default"}`, ...given].join(", ")
      })`,
      create: (name) => createWasm(options, name),
    };
  },
};
