/** How a kind of kernel is written in C, and how threads share its work. */
import type { Cut } from "../../cpu/target.ts";
import type { AnyKernel, Work } from "../../lowering/kinds/kind.ts";
import type { KernelSource } from "./code.ts";

/** The function of a kernel inside a loop. */
export interface Inside {
  readonly name: string;
  /** What follows its call; default: nothing. */
  readonly mark?: string;
  /** How many units of work it has. */
  readonly units: (f: KernelSource) => string;
}

/** What the writing of a function may use. */
export interface Emission {
  readonly threads: number;
  /** How many loops enclose the kernel. */
  readonly depth: number;
  /** For a loop, the kernels inside. */
  readonly inside: readonly Inside[];
}

/** How a kind is written. */
export interface EmittedKind<Kernel> {
  /** Writes the body of a function that works on units `begin` to `end`, within loops at `t0`, `t1`, …. */
  readonly emit: (f: KernelSource, kernel: Kernel, emission: Emission) => void;
  /** Whether the code reads the number of its share; default: it does not. */
  readonly dependsOnShare?: (kernel: Kernel) => boolean;
  /** How threads share it, if that is worth it from `shareFrom` elements on. */
  readonly cut: (kernel: Kernel, work: Work, shareFrom: number) => Cut;
}

/** How kinds are written: the type checker reports a missing one. */
export type EmittedKinds<Kernel extends AnyKernel> = {
  readonly [K in Kernel["kind"]]: EmittedKind<Extract<Kernel, { readonly kind: K }>>;
};

/** The cut of a kernel that is never shared. */
export const uncut = (): Cut => ({ grain: 1, singleThreaded: true });
