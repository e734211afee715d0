/** The ways in which native is held against the reference, and whether this machine has it. */
import type { Backend } from "../../../kernels/backend.ts";
import { createNative, native } from "../../../kernels/native/mod.ts";

/** What is missing where it cannot run; tests that are left out for it say so. */
export const missing: string | undefined = await native.missing();
if (missing !== undefined) console.warn(`tests of the device native are left out: ${missing}`);

/** One that runs alone, and backends that share work of any size. */
export const backends: readonly Backend[] = [
  createNative({ threads: 1 }, "1 thread"),
  createNative({ threads: 2, shareFrom: 0 }, "2 threads"),
  createNative({ threads: 3, shareFrom: 0 }, "3 threads"),
];
