/** The kernels of backends for processors, wasm and native: those of every backend, with packed operands for products. */
import type { Dim } from "../../src/tensor/dims.ts";
import type { Kernel, ScanKernel } from "../lowering/kernels.ts";
import type { MatmulKernel } from "../lowering/kinds/product.ts";
import { cumsumKinds } from "../lowering/kinds/cumsum.ts";
import { fusedKinds } from "../lowering/kinds/fused.ts";
import { indexingKinds } from "../lowering/kinds/indexing.ts";
import {
  functionsOver,
  type KernelFunctions,
  type Kinds,
  printShape,
  rowUnits,
  work,
} from "../lowering/kinds/kind.ts";
import { printProduct, type Product, productUnits, productWork } from "../lowering/kinds/product.ts";
import { randomKinds } from "../lowering/kinds/random.ts";
import { reductionKinds } from "../lowering/kinds/reduction.ts";
import { type ScanKernel as ScanOver, scanKinds } from "../lowering/kinds/scan.ts";
import type { Buffer, View } from "../lowering/views.ts";
import type { Gathered } from "./gathered.ts";
import { sizeOf } from "../shapes.ts";

/** The right operand of a product, `[k, n]`, or a batch of them, laid out for it. */
export interface PackKernel {
  readonly kind: "pack";
  readonly right: View;
  readonly packed: Buffer;
  /** Whether it is repacked only when the inputs change; the packed operand then stays in memory. */
  readonly once?: boolean;
}

/** A product with a packed right operand. */
export interface PackedMatmulKernel extends Product {
  readonly kind: "packedMatmul";
  readonly packed: Buffer;
  /** Scratch for the sums of a part, if there are many terms. */
  readonly scratch?: Buffer;
  /** The left operand, if it is laid out a few rows at a time. */
  readonly gathered?: GatheredLeft;
}

/** A left operand that is laid out a few rows at a time, in a piece of memory for each thread. */
export interface GatheredLeft extends Gathered {
  readonly rowsAtOnce: number;
  readonly scratch: Buffer & { readonly size: number };
}

/**
 * Products `[m, k] × [k, n]` with a long k and a common right operand, which pack both operands block by
 * block.
 */
export interface LongProductKernel {
  readonly kind: "longProduct";
  /** `[k, n]`, rows contiguous. */
  readonly right: View;
  /** n. */
  readonly columns: number;
  /** `[m, k]`, columns contiguous; `ones` is a row of ones. */
  readonly lefts: readonly (LongLeft | "ones")[];
  /**
   * `[m, n]` for each left operand, with contiguous rows. If threads share the terms, one
   * `[threads, total m, n]`, with a part for each thread.
   */
  readonly outputs: readonly View[];
  /** What threads divide: the terms or the columns. */
  readonly shared: "columns" | "terms";
  /** Scratch, with a piece for each thread. */
  readonly scratch: Buffer & { readonly size: number };
}

/** The left operand of a long product: a fixed number of rows. */
export interface LongLeft extends View {
  readonly shape: readonly [number, Dim];
  /** What its columns are laid out from, some at a time. */
  readonly gathered?: GatheredLeft;
}

/** Sums of the products of two views over axes, of which the last is none; along it all lie side by side. */
export interface SumOfProductsKernel {
  readonly kind: "sumOfProducts";
  /** Of the same shape. */
  readonly factors: readonly [View, View];
  readonly axes: readonly number[];
  readonly output: View;
}

/** What is read as a left operand. */
function readAs(left: View, gathered: GatheredLeft | undefined): View {
  return gathered ? gathered.view : left;
}

/** A loop over time. */
export interface CpuScanKernel extends ScanOver<CpuKernel> {}

/** One piece of work. */
export type CpuKernel =
  | Exclude<Kernel, MatmulKernel | ScanKernel>
  | PackKernel
  | PackedMatmulKernel
  | LongProductKernel
  | SumOfProductsKernel
  | CpuScanKernel;

/** The kernel of a kind. */
export type CpuKernelOf<K extends CpuKernel["kind"]> = Extract<CpuKernel, { readonly kind: K }>;

/** The number of rows of all results of a long product. */
export function rowsOfAll(lefts: LongProductKernel["lefts"]): number {
  return lefts.reduce((rows, left) => rows + (left === "ones" ? 1 : left.shape[0]), 0);
}

/** The records of all kinds. */
const cpuKinds: Kinds<CpuKernel> = {
  ...fusedKinds,
  ...reductionKinds,
  ...cumsumKinds,
  ...indexingKinds,
  ...randomKinds,
  ...scanKinds,
  pack: {
    reads: ({ right }) => [right],
    writes: () => [],
    hidden: ({ packed }) => [packed],
    keeps: ({ packed, once }) => once ? [packed] : [],
    isRowWise: () => false,
    units: ({ right: { shape } }) => shape.length === 2 ? shape[1] : sizeOf(shape.slice(0, -2)),
    work: ({ right: { shape } }, { elements }) => work(elements(shape)),
    print: ({ right, once }) => `pack ${printShape(right)}${once ? ", once for the same inputs" : ""}`,
  },
  packedMatmul: {
    name: () => "matmul",
    reads: ({ left, gathered, addends }) => [readAs(left, gathered), ...addends.map(({ view }) => view)],
    writes: ({ output }) => [output],
    hidden: ({ packed, scratch, gathered }) => [
      packed,
      ...scratch ? [scratch] : [],
      ...gathered ? [gathered.scratch] : [],
    ],
    isRowWise: ({ left, gathered }) => left.shape.length === 2 && !gathered,
    units: productUnits,
    work: productWork,
    print: printProduct,
  },
  longProduct: {
    reads: ({ right, lefts }) => [
      right,
      ...lefts.flatMap((left) => left === "ones" ? [] : [readAs(left, left.gathered)]),
    ],
    writes: ({ outputs }) => [...outputs],
    hidden: ({ scratch, lefts }) => [
      scratch,
      ...lefts.flatMap((left) => left === "ones" || !left.gathered ? [] : [left.gathered.scratch]),
    ],
    isRowWise: () => false,
    units: ({ right: { shape: [terms] }, columns, shared }) => shared === "terms" ? terms : columns,
    work: ({ right: { shape: [terms] }, columns, lefts }, { of }) => {
      const rows = rowsOfAll(lefts);
      return work(rows * columns, rows * of(terms) * columns);
    },
    print: ({ lefts, right, shared }) => {
      const all = lefts.map((left) => left === "ones" ? "ones" : printShape(left));
      return `products ${all.join(", ")} with ${printShape(right)}, threads share ${shared}`;
    },
  },
  sumOfProducts: {
    reads: ({ factors }) => [...factors],
    writes: ({ output }) => [output],
    isRowWise: ({ axes }) => !axes.includes(0),
    units: ({ output }) => rowUnits(output.shape),
    work: ({ factors: [{ shape }], output }, { elements }) =>
      work(elements(output.shape), 2 * elements(shape)),
    print: ({ factors, output }) => `sum of products ${printShape(factors[0])} -> ${printShape(output)}`,
  },
};

/** The functions that apply to kernels of all kinds. */
export const cpuFunctions: KernelFunctions<CpuKernel> = functionsOver(cpuKinds);
