/**
 * What a kind of kernel is: a record with everything that the stages before code generation need to know of
 * it. Each family of kinds has a file with its records, and a backend that has further kinds adds their
 * records to those of `../kernels.ts`. How a kind is written as code is in the folder of each backend, in
 * tables of the same form.
 */
import { type Bindings, type Dim, evaluateDim, type Shape } from "../../../src/tensor/dims.ts";
import type { Buffer, View } from "../views.ts";

/** What all kernels have in common; a loop contains kernels. */
export interface AnyKernel {
  readonly kind: string;
  readonly body?: readonly AnyKernel[];
}

/** How much work a kernel does; for a loop, in one step. */
export interface Work {
  /** The units into which it can be divided: the rows of its first axis, or one if it must run as a whole. */
  readonly units: number;
  /** Results that can be computed independently. */
  readonly items: number;
  /** The cost, as the number of multiply-adds that take about the same time. */
  readonly cost: number;
  /** How often it runs: the steps of a loop, else 1. */
  readonly times: number;
}

/** The work of a kernel that runs once, with this many items and multiply-adds. */
export function work(items: number, cost = items): WorkOfUnits {
  return { items, cost, times: 1 };
}

/** The units of work of a kernel whose units are the rows of this shape; 1 for a scalar. */
export function rowUnits([rows = 1]: Shape): Dim {
  return rows;
}

/** The work without the number of units, which is a size and so known before a call. */
export type WorkOfUnits = Omit<Work, "units">;

/** Sizes as they are in one call. */
export interface Sizes {
  readonly of: (dim: Dim) => number;
  /** The number of elements. */
  readonly elements: (shape: Shape) => number;
  /** The first size of a shape; 1 for a scalar. */
  readonly rows: (shape: Shape) => number;
}

/** The sizes of a call whose symbols have these values. */
export function sizesAt(bindings: Bindings): Sizes {
  const of = (dim: Dim) => evaluateDim(dim, bindings);
  const elements = (shape: Shape) => shape.reduce((product: number, dim) => product * of(dim), 1);
  return { of, elements, rows: (shape) => of(rowUnits(shape)) };
}

/** A body whose rows may be computed independently. */
export interface BodyRows {
  readonly rows: Dim;
  /** Whether a kernel of the body writes to the buffer. */
  readonly isWritten: (buffer: Buffer) => boolean;
}

/** The record of a kind that computes. */
export interface Kind<Kernel> {
  /** The name of its function, without a number; default: the kind. */
  readonly name?: (kernel: Kernel) => string;
  readonly reads: (kernel: Kernel) => View[];
  readonly writes: (kernel: Kernel) => View[];
  /** Buffers that it uses outside its views, such as scratch; default: none. */
  readonly hidden?: (kernel: Kernel) => Buffer[];
  /** Buffers whose content must last from call to call; default: none. */
  readonly keeps?: (kernel: Kernel) => Buffer[];
  /**
   * Whether it computes each row of a body from that row alone, provided that its views stay in their rows.
   */
  readonly isRowWise: (kernel: Kernel, body: BodyRows) => boolean;
  /** The units into which its work can be divided. */
  readonly units: (kernel: Kernel) => Dim;
  /** The rest of its work. */
  readonly work: (kernel: Kernel, sizes: Sizes) => WorkOfUnits;
  /** A line of text. */
  readonly print: (kernel: Kernel) => string;
}

/** The record of a kind that repeats the kernels inside, from which everything else follows. */
export interface LoopKind<Kernel> {
  /** The units into which the work of a step can be divided. */
  readonly units: (kernel: Kernel) => Dim;
  /** The rest of the work of a step, given the total cost of its kernels. */
  readonly work: (kernel: Kernel, sizes: Sizes, cost: number) => WorkOfUnits;
  /** A line of text. */
  readonly print: (kernel: Kernel) => string;
}

/** The records of all kinds of a union of kernels: the type checker reports a missing one. */
export type Kinds<Kernel extends AnyKernel> = {
  readonly [K in Kernel["kind"]]: KindOf<Extract<Kernel, { readonly kind: K }>>;
};
type KindOf<Kernel> = Kernel extends { readonly body: readonly unknown[] } ? LoopKind<Kernel> : Kind<Kernel>;

/** The functions that apply to kernels of any kind. */
export interface KernelFunctions<Kernel> {
  /** The views that a kernel reads. */
  readonly readsOf: (kernel: Kernel) => View[];
  /** The views that a kernel writes. */
  readonly writesOf: (kernel: Kernel) => View[];
  /** Every buffer that a kernel touches. */
  readonly buffersOf: (kernel: Kernel) => Buffer[];
  /** Buffers of a kernel whose content must last from call to call. */
  readonly keptBy: (kernel: Kernel) => Buffer[];
  /**
   * Whether a kernel computes each row of a body from that row alone, provided that its views stay in their
   * rows.
   */
  readonly isRowWise: (kernel: Kernel, body: BodyRows) => boolean;
  /** The units into which the work of a kernel can be divided. */
  readonly unitsOf: (kernel: Kernel) => Dim;
  /** The work of a kernel in a call; for a loop, of one step. */
  readonly workOf: (kernel: Kernel, sizes: Sizes) => Work;
  /** The name of a kernel's function, without a number. */
  readonly kernelName: (kernel: Kernel) => string;
  /** A kernel as lines of text; the kernels inside a loop are indented. */
  readonly printKernel: (kernel: Kernel, indent?: string) => string[];
}

/** The functions over kernels of these kinds. */
export function functionsOver<Kernel extends AnyKernel>(kinds: Kinds<Kernel>): KernelFunctions<Kernel> {
  // The record of this very kind: that of a loop exactly if the kernel contains others.
  const record = (kernel: Kernel) => kinds[kernel.kind as Kernel["kind"]] as Kind<Kernel> & LoopKind<Kernel>;
  const inside = (kernel: Kernel) => kernel.body as readonly Kernel[] | undefined; // of the same union
  const of: KernelFunctions<Kernel> = {
    readsOf: (kernel) => inside(kernel)?.flatMap(of.readsOf) ?? record(kernel).reads(kernel),
    writesOf: (kernel) => inside(kernel)?.flatMap(of.writesOf) ?? record(kernel).writes(kernel),
    buffersOf: (kernel) =>
      inside(kernel)?.flatMap(of.buffersOf) ?? [
        ...[...of.readsOf(kernel), ...of.writesOf(kernel)].map(({ buffer }) => buffer),
        ...record(kernel).hidden?.(kernel) ?? [],
      ],
    keptBy: (kernel) => inside(kernel)?.flatMap(of.keptBy) ?? record(kernel).keeps?.(kernel) ?? [],
    isRowWise: (kernel, body) =>
      inside(kernel)?.every((each) => of.isRowWise(each, body)) ?? record(kernel).isRowWise(kernel, body),
    unitsOf: (kernel) => record(kernel).units(kernel),
    workOf: (kernel, sizes) => ({
      units: sizes.of(of.unitsOf(kernel)),
      ...record(kernel).work(kernel, sizes, sum(inside(kernel) ?? [], (each) => costIn(of, each, sizes))),
    }),
    kernelName: (kernel) => record(kernel).name?.(kernel) ?? kernel.kind,
    printKernel: (kernel, indent = "") => [
      `${indent}${record(kernel).print(kernel)}`,
      ...inside(kernel)?.flatMap((each) => of.printKernel(each, `${indent}  `)) ?? [],
    ],
  };
  return of;
}

/** The cost of all steps. */
function costIn<Kernel>({ workOf }: KernelFunctions<Kernel>, kernel: Kernel, sizes: Sizes): number {
  const { cost, times } = workOf(kernel, sizes);
  return cost * times;
}

function sum<T>(list: readonly T[], value: (each: T) => number): number {
  return list.reduce((total, each) => total + value(each), 0);
}

/** A shape as text. */
export function printShape({ shape }: { readonly shape: Shape }): string {
  return `[${shape.join(", ")}]`;
}
