/** What the kernels of a Program depend on in the code of a backend: how products lie in memory, and what is shared. */
import type { Dim } from "../../src/tensor/dims.ts";
import type { Work } from "../lowering/kinds/kind.ts";
import type { CpuKernel } from "./kernels.ts";

/**
 * How a kernel's units of work are divided: in pieces of a multiple of `grain`; one thread does it all if
 * `singleThreaded`.
 */
export interface Cut {
  readonly grain: number;
  readonly singleThreaded: boolean;
}

/** The code of a backend, as far as lowering needs to know it. */
export interface Target {
  /** Columns of a panel of a packed operand, to whose multiples it is rounded up. */
  readonly panelColumns: number;
  /** The most terms of a product whose sums need no scratch. */
  readonly partTerms: number;
  /** The terms of a long product of which a left operand is laid out at a time. */
  readonly longTerms: number;
  /** Elements side by side from which it lays out left operands itself: shorter runs it copies faster all at once. */
  readonly shortestRun: number;
  /** What becomes of the kernels of a Program, if its code can do more than the plain kinds ask for. */
  readonly rewrite?: (kernels: readonly CpuKernel[], threads: number) => CpuKernel[];
  /** Bytes of scratch for a long product with `rows` rows of results in total. */
  readonly longProductScratch: (rows: number, columns: number, terms: Dim) => number;
  /** How threads share a kernel, if that is worth it from `shareFrom` elements on. */
  readonly cut: (kernel: CpuKernel, work: Work, shareFrom: number) => Cut;
}

/** A target, and from how many elements on threads share a kernel. */
export interface Sharing {
  readonly target: Target;
  readonly shareFrom: number;
}
