/** How the work of a kernel is divided among threads. */
import type { Cut } from "./emit/kind.ts";
import { wasmFunctions, type WasmKernel } from "./kernels.ts";
import { emissionOf } from "./kinds.ts";

/**
 * Elements from which a kernel is worth sharing among threads; products count a term as a quarter of an
 * element.
 */
export const WORTH_SHARING = 4096;

/**
 * How a kernel's work is divided: `units` units, in pieces of a multiple of `grain`;
 * one thread does all of it if `singleThreaded`.
 */
export interface Partition extends Cut {
  readonly units: number;
}

/** How threads share a kernel, which is worth it from `shareFrom` elements on. */
export function partitionOf(kernel: WasmKernel, shareFrom: number): Partition {
  const work = wasmFunctions.workOf(kernel);
  return { units: work.units, ...emissionOf(kernel).cut(kernel, work, shareFrom) };
}

/** Whether one thread runs all kernels, so that no other need be woken. */
export function isSingleThreaded(kernels: readonly WasmKernel[], shareFrom = WORTH_SHARING): boolean {
  return kernels.every((kernel) => partitionOf(kernel, shareFrom).singleThreaded);
}
