/** From a Program to loaded code: lowered and emitted once, for all sizes. */
import type { Program } from "../../src/program/types.ts";
import type { Bindings } from "../../src/tensor/dims.ts";
import { type Lifetime, lifetimesOf } from "../lowering/arena.ts";
import { type Sizes, sizesAt } from "../lowering/kinds/kind.ts";
import type { Buffer } from "../lowering/views.ts";
import { PHASES_ADDRESS, type WasmDevice } from "./device.ts";
import { emitModule, type Emitted } from "./emit/module.ts";
import { wasmFunctions, type WasmKernel } from "./kernels.ts";
import { lowerForWasm } from "./lower.ts";
import { MAXIMUM_PAGES } from "./memory.ts";
import { onlyPacked, type StayingPack } from "./packed.ts";
import { alwaysSingleThreaded, isOpen, isSingleThreaded } from "./partition.ts";
import { Slots, TableFull } from "./slots.ts";

/** Words of a table at first; one that needs more gets twice as many. */
const FEW_WORDS = 256;

/** The code of a Program on a device. */
export interface Code {
  readonly kernels: readonly WasmKernel[];
  readonly emitted: Emitted;
  readonly slots: Slots;
  /** The kernels that pack operands which stay packed from call to call. */
  readonly packs: readonly StayingPack[];
  /** Which intermediate results may share memory. */
  readonly lifetimes: ReadonlyMap<Buffer, Lifetime>;
  /** Inputs that are only packed, so that they need not lie on the device otherwise. */
  readonly onlyPacked: ReadonlySet<number>;
  /** Packs an operand on the calling thread; absent if nothing stays packed. */
  readonly pack?: (...args: number[]) => void;
  /** Runs all kernels on the calling thread. */
  readonly alone: () => void;
  /** The number of the module in the pool of threads; undefined if one thread does everything. */
  readonly shared: number | undefined;
  /** Whether a call of these sizes has too little work to share. */
  readonly isSingleThreaded: (sizes: Sizes) => boolean;
  /** Throws if the sizes of a call are such that it has no result. */
  readonly check: (bindings: Bindings) => void;
  readonly unload: () => void;
}

/** Lowers, emits and loads a Program. */
export async function codeFor(
  device: WasmDevice,
  program: Program,
  stays: (input: number) => boolean,
): Promise<Code> {
  const { memory, features, threads, shareFrom } = device;
  const { kernels, checks } = lowerForWasm(program, { threads, shareFrom, stays });
  device.check();
  const isSingleAlways = kernels.every((kernel) =>
    isOpen(kernel)
      ? alwaysSingleThreaded(kernel, shareFrom) === true
      : isSingleThreaded([kernel], sizesAt({}), shareFrom)
  );
  const pool = isSingleAlways ? undefined : device.pool();
  const emit = (words: number): { readonly slots: Slots; readonly emitted: Emitted } => {
    const slots = new Slots(
      memory.allocate(words * 4, () => "it was for a table of sizes and addresses", "tables"),
      words,
    );
    try {
      const emitted = emitModule(kernels, {
        features,
        slots,
        limits: { minimum: 1, maximum: MAXIMUM_PAGES, shared: memory.shared },
        phasesAddress: pool && PHASES_ADDRESS,
        threads,
        shareFrom,
      });
      return { slots, emitted };
    } catch (error) {
      memory.free(slots.address);
      if (error instanceof TableFull) return emit(words * 2);
      throw error;
    }
  };
  const { slots, emitted } = emit(FEW_WORDS);
  try {
    const module = await WebAssembly.compile(emitted.bytes);
    const { exports } = await WebAssembly.instantiate(module, { env: { memory: memory.memory } });
    const shared = await pool?.load(module);
    const packs = kernels.filter(staysPacked);
    return {
      kernels,
      emitted,
      slots,
      packs,
      lifetimes: scratchLifetimes(kernels, packs),
      onlyPacked: onlyPacked(kernels, packs),
      pack: exports.pack as Code["pack"],
      alone: exports.alone as () => void, // emitted with this signature
      shared,
      isSingleThreaded: (sizes) => pool === undefined || isSingleThreaded(kernels, sizes, shareFrom),
      check: (bindings) => checks.forEach((check) => check(bindings)),
      unload: () => {
        if (shared !== undefined) pool?.unload(shared);
        memory.free(slots.address);
      },
    };
  } catch (error) {
    memory.free(slots.address);
    throw error;
  }
}

function staysPacked(kernel: WasmKernel): kernel is StayingPack {
  return kernel.kind === "pack" && kernel.once === true;
}

/** The lifetimes of everything that lives during a call. */
function scratchLifetimes(kernels: readonly WasmKernel[], packs: readonly StayingPack[]): Code["lifetimes"] {
  const packed = new Set<Buffer>(packs.map(({ packed }) => packed));
  return lifetimesOf(
    kernels,
    wasmFunctions,
    (buffer) => buffer.storage.kind !== "constant" && !packed.has(buffer),
  );
}
