/**
 * What a lowered Program consists of: kernels over views, in order. Plain data, made by `lower.ts` and written as code
 * by the backends. What each kind is, and what is asked of it, is in `kinds/`.
 */
import { type CumsumKernel, cumsumKinds } from "./kinds/cumsum.ts";
import { type FusedKernel, fusedKinds } from "./kinds/fused.ts";
import { type GatherKernel, indexingKinds, type ScatterKernel } from "./kinds/indexing.ts";
import { functionsOver, type KernelFunctions, type Kinds } from "./kinds/kind.ts";
import { type MatmulKernel, productKinds } from "./kinds/product.ts";
import { type RandomKernel, randomKinds } from "./kinds/random.ts";
import { type ArgmaxKernel, type ReduceKernel, reductionKinds } from "./kinds/reduction.ts";
import { type ScanKernel as ScanOver, scanKinds } from "./kinds/scan.ts";

export type { CumsumKernel } from "./kinds/cumsum.ts";
export type { FusedKernel, FusedName, FusedOperation, Operand } from "./kinds/fused.ts";
export type { GatherKernel, ScatterKernel } from "./kinds/indexing.ts";
export type { MatmulKernel } from "./kinds/product.ts";
export type { RandomKernel } from "./kinds/random.ts";
export type { ArgmaxKernel, ReduceKernel } from "./kinds/reduction.ts";

/** A loop over time. */
export interface ScanKernel extends ScanOver<Kernel> {}

/** One piece of work. */
export type Kernel =
  | FusedKernel
  | ReduceKernel
  | ArgmaxKernel
  | CumsumKernel
  | MatmulKernel
  | GatherKernel
  | ScatterKernel
  | RandomKernel
  | ScanKernel;

/** The kernel of a kind. */
export type KernelOf<K extends Kernel["kind"]> = Extract<Kernel, { readonly kind: K }>;

/** The records of all kinds. */
const kinds: Kinds<Kernel> = {
  ...fusedKinds,
  ...reductionKinds,
  ...cumsumKinds,
  ...productKinds,
  ...indexingKinds,
  ...randomKinds,
  ...scanKinds,
};

/** What is asked of kernels of all kinds. */
export const kernelFunctions: KernelFunctions<Kernel> = functionsOver(kinds);

export const { readsOf, writesOf, buffersOf, workOf, kernelName, printKernel } = kernelFunctions;

/** A kernel, and how often the loops around it repeat it. */
export interface Repeated {
  readonly kernel: Kernel;
  readonly times: number;
}

/** All kernels, those inside loops too. */
export function everyKernel(kernels: readonly Kernel[], times = 1): Repeated[] {
  return kernels.flatMap((kernel) =>
    kernel.kind === "scan"
      ? [{ kernel, times }, ...everyKernel(kernel.body, times * kernel.length)]
      : [{ kernel, times }]
  );
}
