/** The ways in which wasm is held against the reference. */
import type { Backend } from "../../../kernels/backend.ts";
import { hasRelaxedSimd } from "../../../kernels/wasm/assembler.ts";
import { createWasm } from "../../../kernels/wasm/mod.ts";

/** Backends that share work of any size, and one that runs alone on plain SIMD. */
export const backends: readonly Backend[] = [
  createWasm({ threads: 1, relaxed: false }, "1 thread, plain SIMD"),
  createWasm({ threads: 2, relaxed: hasRelaxedSimd(), shareFrom: 0 }, "2 threads"),
  createWasm({ threads: 3, relaxed: false, shareFrom: 0 }, "3 threads, plain SIMD"),
];
