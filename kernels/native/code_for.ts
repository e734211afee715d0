/** From a Program to loaded code: lowered, written in C and compiled once, for all sizes. */
import type { Program } from "../../src/program/types.ts";
import { type Code, scratchLifetimes, staysPacked } from "../cpu/device.ts";
import { createCrew } from "../cpu/crew.ts";
import { lowerForCpu } from "../cpu/lower.ts";
import { onlyPacked } from "../cpu/packed.ts";
import { isSingleThreaded } from "../cpu/partition.ts";
import { Slots, TableFull } from "../cpu/slots.ts";
import { compileC } from "./compiler.ts";
import { emitProgram, type Emitted } from "./emit/program.ts";
import { nativeTarget } from "./kinds.ts";
import type { NativeMemory } from "./memory.ts";
import { loadProgram, type Runtime } from "./runtime.ts";

/** Words of a table at first; one that needs more gets twice as many. */
const FEW_WORDS = 256;

/** The table counts addresses in units of so many bytes, as its words have 32 bits. */
const ADDRESS_UNIT = 64;

/** What compiling needs of a device. */
export interface CompilingDevice {
  readonly runtime: Runtime;
  /** Its number in the runtime. */
  readonly device: number;
  readonly memory: NativeMemory;
  readonly threads: number;
  readonly shareFrom: number;
  /** Whether the code adds up how long each kernel takes, for profiles; default: it does not. */
  readonly marks?: boolean;
}

/** The code of a Program, and what a profile reads. */
export interface NativeCode extends Code {
  /** The shared object. */
  readonly object: string;
  /** The name of each kernel's function; times are in this order. */
  readonly names: Emitted["kernels"];
}

/** Lowers, emits, compiles and loads a Program. */
export async function codeFor(
  { runtime, device, memory, threads, shareFrom, marks }: CompilingDevice,
  program: Program,
  stays: (input: number) => boolean,
): Promise<NativeCode> {
  const sharing = { target: nativeTarget, shareFrom };
  const { kernels, checks } = lowerForCpu(program, { threads, stays, ...sharing });
  const emit = (words: number): { readonly slots: Slots; readonly emitted: Emitted } => {
    const address = memory.allocate(words * 4, () => "it was for a table of sizes and addresses");
    const slots = new Slots(address, words, ADDRESS_UNIT);
    try {
      return { slots, emitted: emitProgram(kernels, program, { slots, threads, shareFrom, marks }) };
    } catch (error) {
      memory.free(address);
      if (error instanceof TableFull) return emit(words * 2);
      throw error;
    }
  };
  const { slots, emitted } = emit(FEW_WORDS);
  try {
    const files = await compileC(runtime.compiler, emitted.source, "program");
    const { id, unload } = loadProgram(runtime, device, files.object, slots.address);
    const { cellfold_run: run, cellfold_pack: pack } = runtime.symbols;
    const packs = kernels.filter(staysPacked);
    const crew = createCrew(threads);
    let now = 1;
    const together = () => {
      now = crew.threads;
      const began = performance.now();
      now = Math.min(now, run(device, id, now));
      crew.took(performance.now() - began);
    };
    return {
      kernels,
      object: files.object,
      names: emitted.kernels,
      slots,
      packs,
      lifetimes: scratchLifetimes(kernels, packs),
      onlyPacked: onlyPacked(kernels, packs),
      pack: (...[source, destination, k, n, strideK, strideN]: number[]) =>
        pack(device, source, destination, k, n, strideK, strideN),
      alone: () => void run(device, id, 1),
      together: threads > 1 ? together : undefined,
      threadsNow: () => now,
      isSingleThreaded: (sizes) => threads === 1 || isSingleThreaded(kernels, sizes, sharing),
      check: (bindings) => checks.forEach((check) => check(bindings)),
      describe: () =>
        `${emitted.kernels.size} kernels in ${emitted.source.split("\n").length} lines of C for all sizes: ` +
        `${files.source}`,
      unload: () => {
        unload();
        memory.free(slots.address);
      },
    };
  } catch (error) {
    memory.free(slots.address);
    throw error;
  }
}
