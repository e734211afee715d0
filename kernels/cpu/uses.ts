/** What kernels use, found once for each: rewriting a long body asks for it again and again. */
import type { Buffer, View } from "../lowering/views.ts";
import { cpuFunctions, type CpuKernel } from "./kernels.ts";

/** What a kernel uses. */
export interface Uses {
  readonly reads: readonly View[];
  readonly writes: readonly View[];
  /** The buffers that it writes. */
  readonly written: ReadonlySet<Buffer>;
  /** All that it touches. */
  readonly buffers: ReadonlySet<Buffer>;
}

const known = new WeakMap<CpuKernel, Uses>();

/** What a kernel uses; kernels do not change. */
export function usesOf(kernel: CpuKernel): Uses {
  const found = known.get(kernel);
  if (found) return found;
  const writes = cpuFunctions.writesOf(kernel);
  const uses: Uses = {
    reads: cpuFunctions.readsOf(kernel),
    writes,
    written: new Set(writes.map(({ buffer }) => buffer)),
    buffers: new Set(cpuFunctions.buffersOf(kernel)),
  };
  known.set(kernel, uses);
  return uses;
}

/** What any of some kernels touches. */
export function buffersIn(kernels: readonly CpuKernel[]): ReadonlySet<Buffer> {
  return new Set(kernels.flatMap((kernel) => [...usesOf(kernel).buffers]));
}
