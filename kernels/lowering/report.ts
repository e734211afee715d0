/** Kernels as the data that `explanation` gives: what each is, how often it runs, and how much it does. */
import type { KernelReport } from "../backend.ts";
import type { AnyKernel, KernelFunctions, Sizes } from "./kinds/kind.ts";

/** The reports of kernels that `runs` calls of a loop repeat; `timeOf` gives the milliseconds measured of one. */
export function reportKernels<Kernel extends AnyKernel>(
  functions: KernelFunctions<Kernel>,
  kernels: readonly Kernel[],
  sizes: Sizes,
  timeOf: (kernel: Kernel) => number | undefined = () => undefined,
  runs = 1,
): KernelReport[] {
  return kernels.map((kernel) => {
    const { cost, times } = functions.workOf(kernel, sizes);
    const inside = kernel.body as readonly Kernel[] | undefined; // of the same union
    const milliseconds = timeOf(kernel);
    return {
      kind: kernel.kind,
      text: functions.printKernel(kernel)[0],
      runs,
      work: inside ? 0 : cost * times * runs,
      ...(milliseconds !== undefined && { milliseconds }),
      body: reportKernels(functions, inside ?? [], sizes, timeOf, runs * times),
    };
  });
}
