/** How the work of a kernel is divided among threads. */
import type { Dim } from "../../src/tensor/dims.ts";
import { type Sizes, sizesAt } from "../lowering/kinds/kind.ts";
import { cpuFunctions, type CpuKernel } from "./kernels.ts";
import type { Cut, Sharing } from "./target.ts";

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

/** How threads share a kernel in a call of these sizes. */
export function partitionOf(
  kernel: CpuKernel,
  { target, shareFrom }: Sharing,
  sizes: Sizes,
): Partition {
  const work = cpuFunctions.workOf(kernel, sizes);
  return { units: work.units, ...target.cut(kernel, work, shareFrom) };
}

/** Whether one thread does a kernel, if that is the same for all sizes; else undefined. */
export function alwaysSingleThreaded(
  kernel: CpuKernel,
  { target, shareFrom }: Sharing,
): boolean | undefined {
  const singleThreadedFor = (amount: number) =>
    target.cut(kernel, { units: amount, items: amount, cost: amount, times: 1 }, shareFrom)
      .singleThreaded;
  return singleThreadedFor(0) === singleThreadedFor(Infinity) ? singleThreadedFor(0) : undefined;
}

/** The sizes of kernels in which none is open. */
export const fixedSizes: Sizes = sizesAt({});

/** Whether a kernel's own work depends on open sizes. */
export function isOpen(kernel: CpuKernel): boolean {
  const isOpenDim = (dim: Dim) => typeof dim !== "number";
  if (kernel.kind === "scan" && (isOpenDim(kernel.rows) || isOpenDim(kernel.length))) return true;
  return [...cpuFunctions.readsOf(kernel), ...cpuFunctions.writesOf(kernel)].some(({ shape }) =>
    shape.some(isOpenDim)
  );
}

/** Whether one thread runs all kernels in a call of these sizes, so that no other need be woken. */
export function isSingleThreaded(
  kernels: readonly CpuKernel[],
  sizes: Sizes,
  sharing: Sharing,
): boolean {
  return kernels.every((kernel) => partitionOf(kernel, sharing, sizes).singleThreaded);
}

/** The multiply-adds that take about as long as a call of these sizes. */
export function costOf(kernels: readonly CpuKernel[], sizes: Sizes): number {
  return kernels.reduce((sum, kernel) => {
    const { cost, times } = cpuFunctions.workOf(kernel, sizes);
    return sum + cost * times;
  }, 0);
}
