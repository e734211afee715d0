/**
 * What a lowered Program consists of: kernels over views, in order. They are plain data, created by
 * `lower.ts` and written as code by the backends. Each kind and its properties are in `kinds/`.
 */
import { type Dim, multiplyDims } from "../../src/tensor/dims.ts";
import { type CumsumKernel, cumsumKinds } from "./kinds/cumsum.ts";
import { type FusedKernel, fusedKinds } from "./kinds/fused.ts";
import { type IndexingKernel, indexingKinds } from "./kinds/indexing.ts";
import { functionsOver, type KernelFunctions, type Kinds } from "./kinds/kind.ts";
import { type MatmulKernel, productKinds } from "./kinds/product.ts";
import { type RandomKernel, randomKinds } from "./kinds/random.ts";
import { type ReductionKernel, reductionKinds } from "./kinds/reduction.ts";
import { type ScanKernel as ScanOver, scanKinds } from "./kinds/scan.ts";

/** A loop over time. */
export interface ScanKernel extends ScanOver<Kernel> {}

/** One piece of work. */
export type Kernel =
  | FusedKernel
  | ReductionKernel
  | CumsumKernel
  | MatmulKernel
  | IndexingKernel
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

/** The functions that apply to kernels of all kinds. */
export const kernelFunctions: KernelFunctions<Kernel> = functionsOver(kinds);

export const { readsOf, writesOf, buffersOf, workOf, kernelName, printKernel } = kernelFunctions;

/** A kernel, and how often the enclosing loops repeat it. */
export interface Repeated {
  readonly kernel: Kernel;
  readonly times: Dim;
}

/** All kernels, including those inside loops. */
export function everyKernel(kernels: readonly Kernel[], times: Dim = 1): Repeated[] {
  return kernels.flatMap((kernel) =>
    kernel.kind === "scan"
      ? [{ kernel, times }, ...everyKernel(kernel.body, multiplyDims(times, kernel.length))]
      : [{ kernel, times }]
  );
}
