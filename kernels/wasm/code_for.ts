/** From a Program to loaded code: lowered and emitted once, for all sizes. */
import type { Program } from "../../src/program/types.ts";
import { sizesAt } from "../lowering/kinds/kind.ts";
import { type Code, scratchLifetimes, staysPacked } from "../cpu/device.ts";
import { PHASES_ADDRESS, type Pool } from "./threads.ts";
import { emitModule, type Emitted } from "./emit/module.ts";
import { lowerForCpu } from "../cpu/lower.ts";
import type { Features } from "./features.ts";
import { KernelClock } from "./kernel_clock.ts";
import { type DeviceMemory, MAXIMUM_PAGES } from "./memory.ts";
import { onlyPacked } from "../cpu/packed.ts";
import { alwaysSingleThreaded, costOf, isOpen, isSingleThreaded } from "../cpu/partition.ts";
import { Slots, TableFull } from "../cpu/slots.ts";
import { wasmTarget } from "./target.ts";

/** Words of a table at first; one that needs more gets twice as many. */
const FEW_WORDS = 256;

/** Multiply-adds of a call that take one thread about as long as starting another. */
const LONG_CALL = 1e9;

/** What compiling needs of a device. */
interface CompilingDevice {
  readonly memory: DeviceMemory;
  /** What the engine can do. */
  features(): Promise<Features>;
  readonly threads: number;
  readonly shareFrom: number;
  /** Whether kernels are measured, which needs one thread. */
  readonly profile: boolean;
  /** The threads, started when they are worth it; undefined for one thread. */
  pool(): Pool | undefined;
  check(): void;
}

/** Lowers, emits and loads a Program. */
export async function codeFor(
  device: CompilingDevice,
  program: Program,
  stays: (input: number) => boolean,
): Promise<Code> {
  const { memory, threads, shareFrom, profile } = device;
  const features = await device.features();
  const sharing = { target: wasmTarget, shareFrom };
  const { kernels, checks } = lowerForCpu(program, { threads, stays, ...sharing });
  device.check();
  const isSingleAlways = kernels.every((kernel) =>
    isOpen(kernel)
      ? alwaysSingleThreaded(kernel, sharing) === true
      : isSingleThreaded([kernel], sizesAt({}), sharing)
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
        marks: profile,
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
    const clock = profile ? new KernelClock(emitted.kernels) : undefined;
    const { exports } = await WebAssembly.instantiate(module, {
      env: { memory: memory.memory },
      ...(clock && { profile: { mark: clock.mark } }),
    });
    const run = exports.alone as () => void; // emitted with this signature
    const shared = await pool?.load(module);
    const packs = kernels.filter(staysPacked);
    return {
      kernels,
      slots,
      packs,
      lifetimes: scratchLifetimes(kernels, packs),
      onlyPacked: onlyPacked(kernels, packs),
      pack: exports.pack as Code["pack"],
      alone: clock ? () => clock.measure(run) : run,
      ...(clock && { times: clock }),
      together: pool && shared !== undefined ? () => pool.run(shared, []) : undefined,
      threadsNow: () => shared === undefined ? 1 : pool?.threadsOf(shared) ?? 1,
      describe: () =>
        `${emitted.bytes.length} bytes of code in ${emitted.functions.length} functions for all sizes`,
      planned: pool && ((sizes) => {
        if (costOf(kernels, sizes) >= LONG_CALL) pool.start();
      }),
      isSingleThreaded: (sizes) => pool === undefined || isSingleThreaded(kernels, sizes, sharing),
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
