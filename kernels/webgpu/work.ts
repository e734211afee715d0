/** For what a schedule is made: a device, and the sizes of a call. */
import { type Kernel, kernelFunctions } from "../lowering/kernels.ts";
import type { Sizes, Work } from "../lowering/kinds/kind.ts";
import type { DeviceShape } from "./device_shape.ts";

/** A device, and the sizes of a call. */
export interface Situation {
  readonly device: DeviceShape;
  readonly sizes: Sizes;
  /**
   * The sizes by which it is decided how sums are rounded, if these are others: results must not depend on the
   * sizes of the calls before.
   */
  readonly exact?: Sizes;
}

/** The work of a kernel; for a loop, of one step. */
export function workOf(kernel: Kernel, { sizes }: Pick<Situation, "sizes">): Work {
  return kernelFunctions.workOf(kernel, sizes);
}
