/** How a kind of kernel is written: the body of its function, and how many loop iterations that takes. */
import type { MatmulKernel } from "../../lowering/kinds/product.ts";
import type { ReduceKernel } from "../../lowering/kinds/reduction.ts";
import type { AnyKernel, Sizes } from "../../lowering/kinds/kind.ts";
import type { Dim, Shape } from "../../../src/tensor/dims.ts";
import type { Locations, RowMemory } from "./address.ts";
import type { TripCount } from "./trip_count.ts";
import type { FunctionWriter } from "./writer.ts";

/** The rows and columns of a product that one invocation computes. */
export interface Tile {
  readonly rows: number;
  readonly columns: number;
}

/** How the invocations of a workgroup reduce together. */
export interface Teams {
  /**
   * Invocations per team, each of which has an element of the result; 1 without teams. If the number of elements
   * that are reduced is open, it follows from that.
   */
  readonly size: number | ((elements: number) => number);
  /** The most teams that have an element; undefined if all have several in turn. */
  readonly count: number | undefined;
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
  /** The terms of the parts in which a product is summed, and of the blocks in these, from the largest. */
  readonly partsOf: (kernel: MatmulKernel) => readonly number[];
  readonly teamsOf: (kernel: ReduceKernel) => Teams;
}

/** The group in a call of these sizes. */
export interface CallersAt extends InvocationGroup {
  readonly sizes: Sizes;
}

/** What a kernel's function is written for. */
export interface Site {
  /** How many loops over time enclose it. */
  readonly depth: number;
  readonly memory: Locations;
  readonly group: InvocationGroup;
  /** A divisor of the number of rows that calls cover at most; absent if calls always cover all rows. */
  readonly multiple?: Dim;
  /**
   * Whether calls may cover fewer rows. There is workgroup memory for all of them nevertheless, and what is
   * computed of those that do not exist is stored nowhere else.
   */
  readonly mayOverrun?: boolean;
  /** What is kept in workgroup memory. */
  readonly local: RowMemory;
  /** Steps of a scan that run per dispatch; absent if all do. */
  readonly steps?: number;
  /** For a scan, the functions of the kernels inside, and their units of work. */
  readonly called: readonly { readonly name: string; readonly units: Dim }[];
}

/** How a kind is written. */
export interface WrittenKind<Kernel> {
  /**
   * Writes the body of the function `(begin, end, lane, lanes, t0, …)`, which computes the kernel's units of
   * work `[begin, end)` with `lanes` invocations; the calling one is number `lane`.
   */
  readonly write: (f: FunctionWriter, kernel: Kernel, site: Site) => void;
  /** The units of work. */
  readonly units: (kernel: Kernel) => Dim;
  /** The loop iterations of one caller; for a scan those of one step, including its kernels. */
  readonly tripCount: (kernel: Kernel, of: CallersAt, inside: readonly TripCount[]) => TripCount;
}

/** How kinds are written: the type checker reports a missing one. */
export type WrittenKinds<Kernel extends AnyKernel> = {
  readonly [K in Kernel["kind"]]: WrittenKind<Extract<Kernel, { readonly kind: K }>>;
};

/** How many elements the first `rows` rows of a shape have. */
export function elementsInRows(
  [first = 1, ...rest]: Shape,
  { rows, sizes }: Pick<CallersAt, "rows" | "sizes">,
): number {
  return Math.min(sizes.of(first), rows) * sizes.elements(rest);
}

/** The rows of a shape, as units of work. */
export function rowsIn([rows = 1]: Shape): Dim {
  return rows;
}
