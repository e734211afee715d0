/** From a Program to loaded code: lowered, written in C and compiled once, for all sizes. */
import type { Program } from "../../src/program/types.ts";
import { type Code, scratchLifetimes, staysPacked } from "../cpu/device.ts";
import { createCrew } from "../cpu/crew.ts";
import type { CpuKernel } from "../cpu/kernels.ts";
import { lowerForCpu } from "../cpu/lower.ts";
import { onlyPacked } from "../cpu/packed.ts";
import { isSingleThreaded } from "../cpu/partition.ts";
import { Slots } from "../cpu/slots.ts";
import type { Lowered } from "../lowering/lower.ts";
import { compileC } from "./compiler.ts";
import { emitProgram, type Emitted } from "./emit/program.ts";
import { nativeTarget } from "./kinds.ts";
import type { NativeMemory } from "./memory.ts";
import { loadProgram, type Runtime } from "./runtime.ts";

/** The table counts addresses in units of so many bytes, as its words have 32 bits. */
const ADDRESS_UNIT = 64;

/** What compiling needs of a device. */
export interface CompilingDevice {
  readonly runtime: Runtime;
  /** What the runtime calls it. */
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

/** The C of a Program, and what calling it needs. */
export interface Written {
  readonly kernels: readonly CpuKernel[];
  readonly checks: Lowered<CpuKernel>["checks"];
  readonly emitted: Emitted;
  /** Its table, which lies nowhere yet. */
  readonly slots: Slots;
}

/** Lowers and emits a Program; no device is needed for that. */
export function writeCode(
  program: Program,
  stays: (input: number) => boolean,
  { threads, shareFrom, marks }: Pick<CompilingDevice, "threads" | "shareFrom" | "marks">,
): Written {
  const { kernels, checks } = lowerForCpu(program, { threads, stays, target: nativeTarget, shareFrom });
  const slots = new Slots(0, Infinity, ADDRESS_UNIT);
  return {
    kernels,
    checks,
    slots,
    emitted: emitProgram(kernels, program, { slots, threads, shareFrom, marks }),
  };
}

/** Lowers, emits, compiles and loads a Program. */
export async function codeFor(
  { runtime, device, memory, threads, shareFrom, marks }: CompilingDevice,
  program: Program,
  stays: (input: number) => boolean,
): Promise<NativeCode> {
  const { kernels, checks, emitted, ...written } = writeCode(program, stays, { threads, shareFrom, marks });
  const sharing = { target: nativeTarget, shareFrom };
  const files = await compileC(runtime.compiler, emitted.source, "program");
  const slots = written.slots.movedTo(
    memory.allocate(written.slots.length * 4, () => "it was for a table of sizes and addresses"),
  );
  try {
    const { id, unload } = loadProgram(runtime, device, files.object, slots.address);
    const { cellfold_run: run, cellfold_pack: pack } = runtime.symbols;
    const packs = kernels.filter(staysPacked);
    const crew = createCrew(threads);
    let now = 1;
    const together = () => {
      now = crew.threads;
      const began = performance.now();
      now = Math.min(now, run(id, now));
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
      alone: () => void run(id, 1),
      together: threads > 1 ? together : undefined,
      threadsNow: () => now,
      isSingleThreaded: (sizes) => threads === 1 || isSingleThreaded(kernels, sizes, sharing),
      check: (bindings) => checks.forEach((check) => check(bindings)),
      describe: () =>
        `${emitted.kernels.size} kernels in ${emitted.source.split("\n").length} lines of C for all sizes: ` +
        `${files.source}`,
      functionOf: (kernel) => ({
        name: emitted.kernels.get(kernel) ?? "",
        text: emitted.functions.get(kernel) ?? "",
      }),
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
