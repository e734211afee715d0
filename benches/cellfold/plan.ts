/**
 * How the wasm backend compiles a Program, and what it plans for given shapes, without running it: kernels,
 * memory and code. The steps are those of `kernels/wasm/code_for.ts`.
 */
import { type Arena, planArena } from "../../kernels/lowering/arena.ts";
import { hasRelaxedSimd } from "../../kernels/wasm/assembler.ts";
import { emitModule, type Emitted } from "../../kernels/wasm/emit/module.ts";
import { cpuFunctions, type CpuKernel } from "../../kernels/cpu/kernels.ts";
import { lowerForCpu } from "../../kernels/cpu/lower.ts";
import { WORTH_SHARING } from "../../kernels/cpu/partition.ts";
import { wasmTarget } from "../../kernels/wasm/target.ts";
import { Slots } from "../../kernels/cpu/slots.ts";
import { bindShapes } from "../../src/program/bindings.ts";
import type { Program } from "../../src/program/types.ts";
import type { Bindings } from "../../src/tensor/dims.ts";

/** A compiled Program, and its plan for one set of sizes: the words of phases, the table, the arena. */
export interface Plan {
  readonly bindings: Bindings;
  readonly kernels: readonly CpuKernel[];
  readonly arena: Arena;
  readonly emitted: Emitted;
  readonly slots: Slots;
  readonly addresses: typeof ADDRESSES;
}

/** The memory layout; inputs and outputs follow the arena. */
const ADDRESSES = { phases: 64, table: 1024, arena: 1 << 16 } as const;

/** The maximum memory of a module. */
export const MAXIMUM_PAGES = 65_536;

/** Lowers, plans and emits a Program for inputs of these shapes. */
export function planProgram(
  program: Program,
  shapes: readonly (readonly number[])[],
  { threads, marks = false }: { readonly threads: number; readonly marks?: boolean },
): Plan {
  const bindings = bindShapes(program.inputs.map(({ shape }) => shape), shapes);
  const { kernels } = lowerForCpu(program, {
    threads,
    target: wasmTarget,
    shareFrom: WORTH_SHARING,
  });
  const slots = new Slots(ADDRESSES.table, (ADDRESSES.arena - ADDRESSES.table) / 4);
  const emitted = emitModule(kernels, {
    features: { relaxed: hasRelaxedSimd(), wide: false },
    slots,
    limits: { minimum: 1, maximum: MAXIMUM_PAGES, shared: true },
    ...(threads > 1 && { phasesAddress: ADDRESSES.phases }),
    threads,
    marks,
  });
  return {
    bindings,
    kernels,
    arena: planArena(kernels, cpuFunctions, { bindings }),
    emitted,
    slots,
    addresses: ADDRESSES,
  };
}
