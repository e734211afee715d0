/** How a kind of kernel is written: the body of its function, and how many loop iterations that takes. */
import type { MatmulKernel } from "../../lowering/kinds/product.ts";
import type { ReduceKernel } from "../../lowering/kinds/reduction.ts";
import type { AnyKernel } from "../../lowering/kinds/kind.ts";
import type { Locations, RowMemory } from "./address.ts";
import type { TripCount } from "./trip_count.ts";
import type { FunctionWriter } from "./writer.ts";
import { sizeOf } from "../../shapes.ts";

/** The rows and columns of a product that one invocation computes. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
}

/** The teams of a workgroup, one for each element of a reduction's result. */
export interface Teams {
  /** Invocations per team; 1 without teams. */
  readonly size: number;
  /** The most teams that have an element. */
  readonly count: number;
  /** Whether subgroups combine their parts. */
  readonly subgroups: boolean;
}

/** The invocations that run a kernel's function together, and what is decided for them. */
export interface InvocationGroup {
  /** How many invocations there are. */
  readonly invocations: number;
  /** The most rows of the kernel that they get. */
  readonly rows: number;
  readonly tileOf: (kernel: MatmulKernel) => Tile;
  readonly teamsOf: (kernel: ReduceKernel) => Teams;
}

/** What a kernel's function is written for. */
export interface Site {
  /** How many loops over time enclose it. */
  readonly depth: number;
  readonly locations: Locations;
  readonly group: InvocationGroup;
  /** A divisor of the number of rows of each call; absent if calls always cover all rows. */
  readonly multiple?: number;
  /** What is kept in workgroup memory. */
  readonly local: RowMemory;
  /** Steps of a scan that run per dispatch; absent if all do. */
  readonly steps?: number;
  /** For a scan, the functions of the kernels inside. */
  readonly called: readonly string[];
}

/** How a kind is written. */
export interface WrittenKind<Kernel> {
  /**
   * Writes the body of the function `(begin, end, lane, lanes, t0, …)`, which computes the kernel's units of
   * work `[begin, end)` with `lanes` invocations; the calling one is number `lane`.
   */
  readonly write: (f: FunctionWriter, kernel: Kernel, site: Site) => void;
  /** The loop iterations of one caller; for a scan those of one step, including its kernels. */
  readonly tripCount: (kernel: Kernel, group: InvocationGroup, inside: readonly TripCount[]) => TripCount;
}

/** How kinds are written: the type checker reports a missing one. */
export type WrittenKinds<Kernel extends AnyKernel> = {
  readonly [K in Kernel["kind"]]: WrittenKind<Extract<Kernel, { readonly kind: K }>>;
};

/** How many elements the first `rows` rows of a shape have. */
export function elementsInRows([first = 1, ...rest]: readonly number[], rows: number): number {
  return Math.min(first, rows) * sizeOf(rest);
}
