/** How a kind of kernel is emitted: the code of its function, and how threads share its work. */
import type { FunctionBuilder } from "../assembler.ts";
import type { KernelCode } from "./code.ts";
import type { Cut } from "../../cpu/target.ts";
import type { Work } from "../../lowering/kinds/kind.ts";
import type { AnyKernel } from "../../lowering/kinds/kind.ts";
import type { Features } from "../features.ts";
import type { MatmulFunctions } from "../matmul/mod.ts";

/** The function of a kernel inside a loop, already emitted. */
export interface Inside {
  /** Pushes how many units of work it has. */
  readonly pushUnits: (f: KernelCode) => void;
  readonly called: FunctionBuilder;
  /** Writes a report into the loop that the kernel has run, if profiling is on. */
  readonly mark: (f: FunctionBuilder) => void;
}

/** What the emission of a function may use. */
export interface Emission {
  readonly features: Features;
  readonly matmul: MatmulFunctions;
  readonly threads: number;
  /** The global variable that holds the number of the current share. */
  readonly share: number;
  /** How many loops enclose the kernel. */
  readonly depth: number;
  /** For a loop, the kernels inside. */
  readonly inside: readonly Inside[];
}

/** How a kind is emitted. */
export interface EmittedKind<Kernel> {
  /**
   * Writes the body of the kernel's function; its parameters are the units to work on and the indices of
   * loops.
   */
  readonly emit: (f: KernelCode, kernel: Kernel, emission: Emission) => void;
  /** Whether the code reads the number of its share; default: it does not. */
  readonly dependsOnShare?: (kernel: Kernel) => boolean;
  /** How threads share it, if that is worth it from `shareFrom` elements on. */
  readonly cut: (kernel: Kernel, work: Work, shareFrom: number) => Cut;
}

/** How kinds are emitted: the type checker reports a missing one. */
export type EmittedKinds<Kernel extends AnyKernel> = {
  readonly [K in Kernel["kind"]]: EmittedKind<Extract<Kernel, { readonly kind: K }>>;
};

/** The cut of a kernel that is never shared. */
export const uncut = (): Cut => ({ grain: 1, singleThreaded: true });
