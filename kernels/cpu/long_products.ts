/**
 * Products with long sums, such as the gradients of weights. Those with the same right operand are joined,
 * along with sums of its rows, so that it is packed once for all; this file also decides how threads share
 * them.
 */
import type { ReduceKernel } from "../lowering/kinds/reduction.ts";
import { cpuFunctions, type CpuKernel, type LongLeft, type LongProductKernel, rowsOfAll } from "./kernels.ts";
import { isLongProduct } from "./is_long.ts";
import { reshapeView, sameLoops, sliceView, type View, viewOf } from "../lowering/views.ts";
import { sizeOf } from "../shapes.ts";
import type { Target } from "./target.ts";

const { readsOf, writesOf } = cpuFunctions;

/** The most bytes of results for which every thread sums its own terms, and the fewest terms per thread. */
const PART_BYTES = 1 << 18, PART_TERMS = 64;

/**
 * The product as a long product, if it is one. One whose number of terms is open, as it is summed over the batch
 * or over time, counts as one.
 */
export function longProduct(
  left: View & Pick<LongLeft, "gathered">,
  right: View,
  output: View,
  target: Target,
): LongProductKernel | undefined {
  const [rows, terms] = left.shape, columns = right.shape[1];
  if (!isLongProduct(left, right) || typeof rows !== "number" || typeof columns !== "number") {
    return undefined;
  }
  return withLefts(right, columns, [{ ...left, shape: [rows, terms] }], [output], target);
}

function withLefts(
  right: View,
  columns: number,
  lefts: LongProductKernel["lefts"],
  outputs: readonly View[],
  target: Target,
): LongProductKernel {
  return {
    kind: "longProduct",
    right,
    columns,
    lefts,
    outputs,
    shared: "columns",
    scratch: scratchFor({ right, columns, lefts }, 1, target),
  };
}

function scratchFor(
  { right: { shape: [k] }, columns, lefts }: Pick<LongProductKernel, "right" | "columns" | "lefts">,
  threads: number,
  { longProductScratch }: Target,
): LongProductKernel["scratch"] {
  const bytes = Math.ceil(longProductScratch(rowsOfAll(lefts), columns, k) / 64) * 64;
  return { name: "blocks of both operands", size: bytes / 4 * threads, storage: { kind: "arena" } };
}

/** Joins the long products among the kernels of a block, and divides them among `threads`. */
export function joinLongProducts(
  kernels: readonly CpuKernel[],
  { threads, isShared, target }: {
    readonly threads: number;
    readonly isShared: (kernel: CpuKernel) => boolean;
    readonly target: Target;
  },
): CpuKernel[] {
  let joined = [...kernels];
  for (let at = 0; at < joined.length; at++) {
    const first = joined[at];
    if (first.kind !== "longProduct") continue;
    const others = joined.filter((other, index) =>
      index !== at && joins(first, other, index < at) && mayMove(joined, index, at)
    );
    if (others.length === 0) continue;
    const parts = others.map((other) =>
      other.kind === "longProduct"
        ? { lefts: other.lefts, outputs: other.outputs }
        : { lefts: ["ones"] as const, outputs: [asRow((other as ReduceKernel).output)] } // what else `joins` lets through
    );
    joined[at] = withLefts(
      first.right,
      first.columns,
      [...first.lefts, ...parts.flatMap(({ lefts }) => lefts)],
      [...first.outputs, ...parts.flatMap(({ outputs }) => outputs)],
      target,
    );
    joined = joined.filter((kernel) => !others.includes(kernel));
    at = joined.findIndex((kernel) => kernel.kind === "longProduct" && kernel.right === first.right);
  }
  return joined.flatMap((kernel) =>
    kernel.kind === "longProduct"
      ? isShared(kernel) ? share(kernel, threads, target) : [alone(kernel, threads, target)]
      : [kernel]
  );
}

/** A vector as a matrix of one row. */
function asRow(view: View): View {
  return { ...view, shape: [1, ...view.shape], strides: [0, ...view.strides] };
}

/**
 * Whether the other kernel can join the first: a long product or a sum over rows of the same right operand.
 */
function joins({ right }: LongProductKernel, other: CpuKernel, before: boolean): boolean {
  if (other.kind === "longProduct") return !before && sameView(right, other.right);
  if (other.kind !== "reduce" || other.name !== "sum" || right.dtype !== "float32") return false;
  const { input, axes, output } = other;
  const last = input.shape.length - 1;
  if (axes.length !== last || axes.includes(last) || output.shape.length !== 1 || output.strides[0] !== 1) {
    return false;
  }
  const rows = reshapeView(input, [sizeOf(input.shape.slice(0, last)), input.shape[last]]);
  return rows !== undefined && sameView(right, rows);
}

function sameView(a: View, b: View): boolean {
  return a.buffer === b.buffer && a.offset === b.offset && `${a.shape}` === `${b.shape}` &&
    `${a.strides}` === `${b.strides}` && sameLoops(a, b);
}

/** Whether the kernel at `from` and those between it and `to` are independent of each other. */
function mayMove(kernels: readonly CpuKernel[], from: number, to: number): boolean {
  const buffers = (views: readonly View[]) => new Set(views.map(({ buffer }) => buffer));
  const reads = buffers(readsOf(kernels[from])), writes = buffers(writesOf(kernels[from]));
  const between = kernels.slice(Math.min(from, to), Math.max(from, to) + 1).filter((kernel) =>
    kernel !== kernels[from]
  );
  return between.every((kernel) =>
    readsOf(kernel).every(({ buffer }) => !writes.has(buffer)) &&
    writesOf(kernel).every(({ buffer }) => !writes.has(buffer) && !reads.has(buffer))
  );
}

/** The product with scratch for each thread. */
function alone(kernel: LongProductKernel, threads: number, target: Target): LongProductKernel {
  return { ...kernel, scratch: scratchFor(kernel, threads, target) };
}

/**
 * For small results, every thread sums its own terms, which for gradients are the rows of the batch that it
 * worked on before, and the sums are then added. For large results, each thread computes its own columns.
 */
function share(kernel: LongProductKernel, threads: number, target: Target): CpuKernel[] {
  const { right, columns: n, lefts, outputs } = kernel;
  const [k] = right.shape;
  const rows = rowsOfAll(lefts);
  const whole = alone(kernel, threads, target);
  const hasFewTerms = typeof k === "number" && k < PART_TERMS * threads;
  if (threads === 1 || rows * n * 4 > PART_BYTES || hasFewTerms) return [whole];
  const parts = viewOf(
    { name: "parts of sums", size: threads * rows * n, storage: { kind: "arena" } },
    [threads, rows, n],
    right.dtype,
  );
  let first = 0;
  const sums = outputs.map((output, index): ReduceKernel => {
    const left = lefts[index], height = left === "ones" ? 1 : left.shape[0];
    const input = sliceView(parts, [0, first, 0], [threads, height, n], [1, 1, 1]);
    first += height;
    return { kind: "reduce", name: "sum", input, axes: [0], output };
  });
  return [{ ...whole, outputs: [parts], shared: "terms" }, ...sums];
}
