/** What the writing of a kind of kernel is: the body of its function, and how often that goes round loops. */
import type { MatmulKernel } from "../../lowering/kinds/product.ts";
import type { ReduceKernel } from "../../lowering/kinds/reduction.ts";
import type { AnyKernel } from "../../lowering/kinds/kind.ts";
import type { Memory, RowMemory } from "./address.ts";
import type { Rounds } from "./rounds.ts";
import type { FunctionWriter } from "./writer.ts";
import { sizeOf } from "../../shapes.ts";

/** Rows and columns of a product that an invocation computes. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
}

/** The teams of a workgroup, one for each element of a reduction's result. */
export interface Teams {
  /** Invocations of each; 1 where there are no teams. */
  readonly size: number;
  /** The most of them that have an element. */
  readonly count: number;
  /** Whether subgroups combine their parts. */
  readonly subgroups: boolean;
}

/** Who calls a kernel's function together, and what is decided for them. */
export interface Callers {
  /** How many invocations. */
  readonly invocations: number;
  /** The most rows of the kernel that they are given. */
  readonly rows: number;
  readonly tileOf: (kernel: MatmulKernel) => Tile;
  readonly teamsOf: (kernel: ReduceKernel) => Teams;
}

/** What the function of a kernel is written for. */
export interface Site {
  /** How many loops over time are around it. */
  readonly depth: number;
  readonly memory: Memory;
  readonly callers: Callers;
  /** What divides the number of rows that it is called for; absent where it is called for all. */
  readonly multiple?: number;
  /** What is kept in the workgroup's memory. */
  readonly local: RowMemory;
  /** Steps of a scan that are done at once; all where absent. */
  readonly steps?: number;
  /** The functions of the kernels inside, of a scan. */
  readonly called: readonly string[];
}

/** How a kind is written. */
export interface WrittenKind<Kernel> {
  /**
   * Writes the body of the function `(begin, end, lane, lanes, t0, …)`, which does the kernel's units of work `[begin,
   * end)` with `lanes` invocations, of which the calling one is `lane`.
   */
  readonly write: (f: FunctionWriter, kernel: Kernel, site: Site) => void;
  /** How often one of the callers goes round the loops of that; of a scan in one step, with the rounds of its kernels. */
  readonly rounds: (kernel: Kernel, callers: Callers, inside: readonly Rounds[]) => Rounds;
}

/** How kinds are written: the compiler names one that is missing. */
export type WrittenKinds<Kernel extends AnyKernel> = {
  readonly [K in Kernel["kind"]]: WrittenKind<Extract<Kernel, { readonly kind: K }>>;
};

/** How many elements so many of the rows of a shape have. */
export function elementsInRows([first = 1, ...rest]: readonly number[], rows: number): number {
  return Math.min(first, rows) * sizeOf(rest);
}
