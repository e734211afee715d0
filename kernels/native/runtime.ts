/** The runtime of a process: loaded once, and shared by all devices. */
import { DeviceUnavailable } from "../backend.ts";
import { RUNTIME } from "./c/runtime.ts";
import { compileC, type Compiler, findCompiler, isKept } from "./compiler.ts";
import { theHost } from "./host.ts";
import type { CLibrary, CSignatures } from "./host_interface.ts";
import { NativeMemory } from "./memory.ts";

const SYMBOLS = {
  cellfold_reserve: { parameters: ["f64"], result: "pointer" },
  cellfold_give_back: { parameters: ["pointer", "f64", "f64"], result: "void" },
  cellfold_machine_bytes: { parameters: [], result: "f64" },
  cellfold_open: { parameters: ["pointer", "f64", "u32"], result: "f64" },
  cellfold_load: { parameters: ["f64", "pointer", "f64"], result: "f64" },
  cellfold_unload: { parameters: ["f64"], result: "void" },
  cellfold_run: { parameters: ["f64", "u32"], result: "u32" },
  cellfold_pack: { parameters: ["f64", "f64", "f64", "f64", "f64", "f64", "f64"], result: "void" },
  cellfold_is_supported: { parameters: [], result: "u32" },
  cellfold_lanes: { parameters: [], result: "u32" },
} as const satisfies CSignatures;

const PROGRAM = {
  cellfold_program: { parameters: [], result: "pointer" },
} as const satisfies CSignatures;

/** The addresses that are asked for: the first that the system grants. */
const RESERVATIONS = [64, 16, 4, 1].map((gibibytes) => gibibytes * 2 ** 30);

/** The runtime, and the compiler that made it. */
export interface Runtime {
  readonly compiler: Compiler;
  readonly symbols: CLibrary<typeof SYMBOLS>["symbols"];
  /** Floats in a vector. */
  readonly lanes: number;
}

let compiler: Promise<Compiler> | undefined;
let runtime: Promise<Runtime> | undefined;
let isLoaded = false;

/** The compiler of this process, found at the first call. */
export function openCompiler(): Promise<Compiler> {
  return compiler ??= findCompiler().catch((error) => {
    compiler = undefined;
    throw error;
  });
}

/**
 * Begins to open the runtime. Where it must be compiled first, which takes a second, only the compiler is waited for.
 *
 * @throws DeviceUnavailable if that is not possible.
 */
export async function beginRuntime(): Promise<void> {
  const opening = openRuntime();
  opening.catch(() => {}); // whoever needs it gets the error
  if (await isKept(await openCompiler(), RUNTIME, "runtime")) await opening;
}

/** Whether the runtime is there already. */
export function isRuntimeLoaded(): boolean {
  return isLoaded;
}

/**
 * The runtime, compiled and loaded at the first call.
 *
 * @throws DeviceUnavailable if that is not possible.
 */
export function openRuntime(): Promise<Runtime> {
  return runtime ??= load().catch((error) => {
    runtime = undefined;
    throw error;
  });
}

async function load(): Promise<Runtime> {
  const compiler = await openCompiler();
  const { object } = await compileC(compiler, RUNTIME, "runtime");
  const { symbols } = open(object, SYMBOLS);
  if (!symbols.cellfold_is_supported()) {
    throw new DeviceUnavailable(
      "native",
      `${object} was compiled for another processor; let ${compiler.command} ` +
        `run (in Deno by --allow-run=${compiler.command}), or set XDG_CACHE_HOME to a directory of this machine`,
    );
  }
  isLoaded = true;
  return { compiler, symbols, lanes: symbols.cellfold_lanes() };
}

function open<const S extends CSignatures>(path: string, symbols: S): CLibrary<S> {
  try {
    return theHost().open(path, symbols);
  } catch (cause) {
    throw new DeviceUnavailable(
      "native",
      `${path} cannot be loaded (${cause instanceof Error ? cause.message : cause}); ` +
        `set XDG_CACHE_HOME to a directory from which code may be loaded`,
      { cause },
    );
  }
}

/** Memory for a device, and the device over it, as the runtime names it. */
export function openDevice({ symbols }: Runtime, threads: number): { memory: NativeMemory; device: number } {
  for (const bytes of RESERVATIONS) {
    const pointer = symbols.cellfold_reserve(bytes);
    if (pointer === null) continue;
    const device = symbols.cellfold_open(pointer, bytes, threads);
    if (device === 0) break;
    const memory = new NativeMemory({
      bufferOf: (size) => theHost().bufferOf(pointer, size),
      giveBack: (address, size) => symbols.cellfold_give_back(pointer, address, size),
      bytes,
      machineBytes: symbols.cellfold_machine_bytes(),
    });
    return { memory, device };
  }
  throw new DeviceUnavailable("native", "the system has no memory for it");
}

/** The code of a Program. */
export interface LoadedProgram {
  /** What the runtime calls it. */
  readonly id: number;
  readonly unload: () => void;
}

/** Loads the shared object of a Program whose table lies at an address of the device's memory. */
export function loadProgram(
  { symbols }: Runtime,
  device: number,
  path: string,
  table: number,
): LoadedProgram {
  const library = open(path, PROGRAM);
  const id = symbols.cellfold_load(device, library.symbols.cellfold_program(), table);
  if (id === 0) {
    throw new DeviceUnavailable("native", "the system has no memory for a Program");
  }
  return {
    id,
    unload: () => {
      symbols.cellfold_unload(id);
      library.close();
    },
  };
}
