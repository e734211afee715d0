/** The work of kernels whose sizes are known, as they are on webgpu. */
import { type Kernel, kernelFunctions } from "../lowering/kernels.ts";
import { sizesAt, type Work } from "../lowering/kinds/kind.ts";

const fixed = sizesAt({});

/** The work of a kernel; for a loop, of one step. */
export function workOf(kernel: Kernel): Work {
  return kernelFunctions.workOf(kernel, fixed);
}
