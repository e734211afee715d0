/** The loop over time: calls the kernels of the body one after the other, all on the same rows. */
import { cpuFunctions, type CpuScanKernel } from "../../cpu/kernels.ts";
import type { View } from "../../lowering/views.ts";
import { type KernelSource, lastOf } from "./code.ts";
import type { Emission, EmittedKinds } from "./kind.ts";

function emitScan(
  f: KernelSource,
  { length, reverse, rows }: CpuScanKernel,
  { depth, inside }: Emission,
): void {
  const outer = Array.from({ length: depth }, (_, loop) => `t${loop}, `).join("");
  // Threads without rows have nothing to do.
  if (rows !== 0) f.line("if (begin >= end) return;");
  f.loop("step", f.size(length), (step) => {
    if (inside.length === 0) return;
    f.line(`const ${f.indexType} t${depth} = ${reverse ? `${f.size(lastOf(length))} - ${step}` : step};`);
    for (const { name, mark = "", units } of inside) {
      f.line(`${name}(c, ${rows !== 0 ? "begin, end" : `0, ${units(f)}`}, ${outer}t${depth});${mark}`);
    }
  });
}

function viewsOf(kernel: CpuScanKernel): View[] {
  return [...cpuFunctions.readsOf(kernel), ...cpuFunctions.writesOf(kernel)];
}

/** How this kind is written. */
export const scanEmission: EmittedKinds<CpuScanKernel> = {
  scan: {
    emit: emitScan,
    dependsOnShare: (kernel) => kernel.rows !== 0 && viewsOf(kernel).some(({ share }) => share !== undefined),
    cut: ({ rows }, { units }) => ({ grain: 1, singleThreaded: rows === 0 || units < 2 }),
  },
};
