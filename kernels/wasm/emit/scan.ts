/** The loop over time: calls the kernels of the body one after the other, all on the same rows. */
import { i32 } from "../assembler.ts";
import type { CpuScanKernel } from "../../cpu/kernels.ts";
import { BEGIN, END, FIRST_LOOP, lastOf } from "./address.ts";
import type { KernelCode } from "./code.ts";
import type { Emission, EmittedKinds } from "./kind.ts";

function emitScan(
  f: KernelCode,
  { length, reverse, rows }: CpuScanKernel,
  { depth, inside }: Emission,
): void {
  const step = f.local(i32), time = f.local(i32);
  f.i32(0).set(step);
  // Threads without rows have nothing to do.
  f.block(() => {
    f.get(BEGIN).get(END).op("i32.ge_s").brIf(0);
    f.count(step, length, 1, () => {
      if (reverse) f.size(lastOf(length)).get(step).op("i32.sub").set(time);
      else f.get(step).set(time);
      for (const { pushUnits, called, mark } of inside) {
        if (rows !== 0) f.get(BEGIN).get(END);
        else {
          f.i32(0);
          pushUnits(f);
        }
        for (let loop = 0; loop < depth; loop++) f.get(FIRST_LOOP + loop);
        f.get(time).call(called);
        mark(f);
      }
    });
  });
}

/** How this kind is emitted. */
export const scanEmission: EmittedKinds<CpuScanKernel> = {
  scan: {
    emit: emitScan,
    cut: ({ rows }, { units }) => ({ grain: 1, singleThreaded: rows === 0 || units < 2 }),
  },
};
