/** How the work of a kernel is shared among threads. */
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
 * if `alone`.
 */
export interface Share extends Cut {
  readonly units: number;
}

/** How threads share a kernel in a call of these sizes, which is worth it from `shareFrom` elements on. */
export function shareOf(kernel: WasmKernel, shareFrom: number, sizes: Sizes): Share {
  const work = wasmFunctions.workOf(kernel, sizes);
  return { units: work.units, ...emissionOf(kernel).cut(kernel, work, shareFrom) };
}

/** Whether one thread does a kernel, if that is the same for all sizes; else undefined. */
export function aloneAlways(kernel: WasmKernel, shareFrom: number): boolean | undefined {
  const aloneWith = (amount: number) =>
    emissionOf(kernel).cut(kernel, { units: amount, items: amount, cost: amount, times: 1 }, shareFrom).alone;
  return aloneWith(0) === aloneWith(Infinity) ? aloneWith(0) : undefined;
}

/** The sizes of kernels in which none is open. */
export const fixedSizes: Sizes = sizesAt({});

/** Whether a kernel's own work depends on open sizes. */
export function isOpen(kernel: WasmKernel): boolean {
  const isOpenDim = (dim: Dim) => typeof dim !== "number";
  if (kernel.kind === "scan") return isOpenDim(kernel.rows);
  return [...wasmFunctions.readsOf(kernel), ...wasmFunctions.writesOf(kernel)].some(({ shape }) => shape.some(isOpenDim));
}

/** Whether one thread runs all kernels in a call of these sizes, so that no other need be woken. */
export function isSingleThreaded(
  kernels: readonly WasmKernel[],
  sizes: Sizes,
  shareFrom = WORTH_SHARING,
): boolean {
  return kernels.every((kernel) => shareOf(kernel, shareFrom, sizes).alone);
}
