/**
 * Lowering for processors: right operands of products are packed, before the loop if they are the same at every
 * step; long sums are joined and shared by `long_products.ts`.
 */
import type { Program } from "../../src/program/types.ts";
import { multiplyDims } from "../../src/tensor/dims.ts";
import type { Kernel } from "../lowering/kernels.ts";
import type { MatmulKernel } from "../lowering/kinds/product.ts";
import { type Lowered, lowerProgram } from "../lowering/lower.ts";
import { rowsOf } from "../lowering/rows.ts";
import type { Buffer } from "../lowering/views.ts";
import { cpuFunctions, type CpuKernel, type GatheredLeft, type SumOfProductsKernel } from "./kernels.ts";
import { type Gathered, type Gathering, gatherOperands, rowsAtOnce, SLACK } from "./gathered.ts";
import { joinLongProducts, longProduct } from "./long_products.ts";
import { fixedSizes, isOpen, partitionOf } from "./partition.ts";
import { reuseSequences } from "./reused.ts";
import { sumProducts } from "./sums_of_products.ts";
import type { Sharing, Target } from "./target.ts";
import { roundedUp, sizeOf } from "../shapes.ts";

/** What the kernels depend on besides the Program. */
export interface LoweringOptions extends Sharing {
  readonly threads: number;
  /**
   * Whether an input often stays the same from call to call, so that it is worth keeping packed; default:
   * none is.
   */
  readonly stays?: (input: number) => boolean;
}

/** The kernels of a Program for a processor. */
export function lowerForCpu(program: Program, options: LoweringOptions): Lowered<CpuKernel> {
  const { stays, target, threads } = options;
  const { kernels, checks } = lowerProgram(program, { columns: target.panelColumns });
  const gathering = gatherOperands(kernels, target.shortestRun);
  const products = packProducts(sumProducts(gathering.kernels), options, gathering.of);
  const packed = reuseSequences(target.rewrite?.(products, threads) ?? products).map((kernel) => {
    if (kernel.kind !== "pack") return kernel;
    const { storage } = kernel.right.buffer;
    const isFixed = typeof kernel.packed.size === "number";
    return storage.kind === "input" && isFixed && stays?.(storage.index) ? { ...kernel, once: true } : kernel;
  });
  return { kernels: packed, checks };
}

function packProducts(
  kernels: readonly (Kernel | SumOfProductsKernel)[],
  options: Omit<LoweringOptions, "stays">,
  gathered: Gathering["of"] = new Map(),
): CpuKernel[] {
  const { threads, target } = options;
  const packed = kernels.flatMap((kernel): CpuKernel[] => {
    if (kernel.kind === "matmul") {
      return packProduct(kernel, target, withScratch(gathered.get(kernel), kernel, options));
    }
    if (kernel.kind !== "scan") return [kernel];
    // Inside a loop each thread works on its own rows.
    const { before, inside } = packBeforeLoop(
      packProducts(kernel.body, { ...options, threads: 1 }),
      kernel.loop,
    );
    return [...before, { ...kernel, body: inside, rows: rowsOf(inside, cpuFunctions) }];
  });
  return joinLongProducts(packed, {
    threads,
    target,
    isShared: (kernel) => isOpen(kernel) || !partitionOf(kernel, options, fixedSizes).singleThreaded,
  });
}

/** A left operand that a product lays out itself, with memory for it. */
function withScratch(
  gathered: Gathered | undefined,
  { left }: MatmulKernel,
  { threads, target }: Pick<LoweringOptions, "threads" | "target">,
): GatheredLeft | undefined {
  if (!gathered) return undefined;
  const { terms } = gathered;
  const isLong = left.strides[1] !== 1; // its columns are laid out
  const rows = isLong ? target.longTerms : rowsAtOnce(terms);
  const size = Math.ceil((rows * terms + SLACK) / SLACK) * SLACK * threads;
  return {
    ...gathered,
    rowsAtOnce: rows,
    scratch: { name: "rows laid out", size, storage: { kind: "arena" } },
  };
}

function packProduct(
  { right, ...product }: MatmulKernel,
  target: Target,
  gathered: GatheredLeft | undefined,
): CpuKernel[] {
  const { left, output, k, addends } = product;
  const long = addends.length === 0 ? longProduct({ ...left, gathered }, right, output, target) : undefined;
  if (long) return [long];
  const matrices = sizeOf(right.shape.slice(0, -2)), columns = right.shape[right.shape.length - 1];
  const size = multiplyDims(multiplyDims(roundedUp(columns, target.panelColumns), k), matrices);
  const packed: Buffer = { name: "packed operand", size, storage: { kind: "arena" } };
  const scratch: Buffer = {
    name: "parts of a product",
    size: multiplyDims(sizeOf(output.shape), 2),
    storage: { kind: "arena" },
  };
  const isLong = typeof k !== "number" || k > target.partTerms;
  return [
    { kind: "pack", right, packed },
    { ...product, kind: "packedMatmul", packed, ...(isLong && { scratch }), gathered },
  ];
}

/** Moves the packing of operands that are the same at every step before the loop. */
function packBeforeLoop(
  body: readonly CpuKernel[],
  loop: number,
): { readonly before: CpuKernel[]; readonly inside: CpuKernel[] } {
  const written = new Set(body.flatMap(cpuFunctions.writesOf).map(({ buffer }) => buffer));
  const before: CpuKernel[] = [];
  const inside: CpuKernel[] = [];
  for (const kernel of body) {
    const same = kernel.kind === "pack" && !written.has(kernel.right.buffer) &&
      kernel.right.loops.every((entry) => entry.loop < loop);
    (same ? before : inside).push(kernel);
  }
  return { before, inside };
}
