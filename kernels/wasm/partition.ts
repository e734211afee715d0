/** How the work of a kernel is divided among threads. */
import type { Dim } from "../../src/tensor/dims.ts";
import { type Sizes, sizesAt } from "../lowering/kinds/kind.ts";
import type { Cut } from "./emit/kind.ts";
import { wasmFunctions, type WasmKernel } from "./kernels.ts";
import { emissionOf } from "./kinds.ts";

/**
 * Elements from which a kernel is worth sharing among threads; products count a term as a quarter of an
 * element.
 */
export const WORTH_SHARING = 4096;

/**
 * How a kernel's work is divided: `units` units, in pieces of a multiple of `grain`; one thread does it all
 * if `singleThreaded`.
 */
export interface Partition extends Cut {
  readonly units: number;
}

/** How threads share a kernel in a call of these sizes, which is worth it from `shareFrom` elements on. */
export function partitionOf(kernel: WasmKernel, shareFrom: number, sizes: Sizes): Partition {
  const work = wasmFunctions.workOf(kernel, sizes);
  return { units: work.units, ...emissionOf(kernel).cut(kernel, work, shareFrom) };
}

/** Whether one thread does a kernel, if that is the same for all sizes; else undefined. */
export function alwaysSingleThreaded(kernel: WasmKernel, shareFrom: number): boolean | undefined {
  const singleThreadedFor = (amount: number) =>
    emissionOf(kernel).cut(kernel, { units: amount, items: amount, cost: amount, times: 1 }, shareFrom)
      .singleThreaded;
  return singleThreadedFor(0) === singleThreadedFor(Infinity) ? singleThreadedFor(0) : undefined;
}

/** The sizes of kernels in which none is open. */
export const fixedSizes: Sizes = sizesAt({});

/** Whether a kernel's own work depends on open sizes. */
export function isOpen(kernel: WasmKernel): boolean {
  const isOpenDim = (dim: Dim) => typeof dim !== "number";
  if (kernel.kind === "scan" && (isOpenDim(kernel.rows) || isOpenDim(kernel.length))) return true;
  return [...wasmFunctions.readsOf(kernel), ...wasmFunctions.writesOf(kernel)].some(({ shape }) =>
    shape.some(isOpenDim)
  );
}

/** Whether one thread runs all kernels in a call of these sizes, so that no other need be woken. */
export function isSingleThreaded(
  kernels: readonly WasmKernel[],
  sizes: Sizes,
  shareFrom = WORTH_SHARING,
): boolean {
  return kernels.every((kernel) => partitionOf(kernel, shareFrom, sizes).singleThreaded);
}
