/**
 * How the wasm backend compiles a Program for given shapes, without running it: kernels, memory and code. The
 * steps are those of `kernels/wasm/executable.ts`.
 */
import { planArena } from "../../kernels/lowering/arena.ts";
import type { Arena } from "../../kernels/lowering/arena.ts";
import { hasRelaxedSimd } from "../../kernels/wasm/assembler.ts";
import { emitModule, type Emitted } from "../../kernels/wasm/emit/module.ts";
import { wasmFunctions, type WasmKernel } from "../../kernels/wasm/kernels.ts";
import { lowerForWasm } from "../../kernels/wasm/lower.ts";
import { WORTH_SHARING } from "../../kernels/wasm/partition.ts";
import { bindShapes } from "../../src/program/bindings.ts";
import type { Program } from "../../src/program/types.ts";

/**
 * A compiled Program in one thread's memory: the words of phases, the addresses of inputs and outputs, the
 * arena.
 */
export interface Plan {
  readonly kernels: readonly WasmKernel[];
  readonly arena: Arena;
  readonly emitted: Emitted;
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
  const kernels = lowerForWasm(program, {
    bindings: bindShapes(program.inputs.map(({ shape }) => shape), shapes),
    threads,
    shareFrom: WORTH_SHARING,
  });
  const arena = planArena(kernels, wasmFunctions);
  const emitted = emitModule(kernels, {
    features: { relaxed: hasRelaxedSimd() },
    addresses: {
      addressOf: (buffer) => ADDRESSES.arena + (arena.offsets.get(buffer) ?? 0),
      slotOf: ({ storage }) => {
        const index = storage.kind === "output"
          ? program.inputs.length + storage.index
          : "index" in storage
          ? storage.index
          : 0;
        return ADDRESSES.table + 4 * index;
      },
    },
    limits: { minimum: 1, maximum: MAXIMUM_PAGES, shared: true },
    ...(threads > 1 && { phasesAddress: ADDRESSES.phases }),
    threads,
    marks,
  });
  return { kernels, arena, emitted, addresses: ADDRESSES };
}
