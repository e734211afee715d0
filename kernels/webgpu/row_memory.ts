/**
 * What a scan keeps in the memory of its workgroups: buffers whose rows are each read and written for that
 * row alone, such as the state and the gates of a cell. A workgroup keeps its own rows there for all steps;
 * only what other kernels write before or read after goes through the device's memory.
 */
import { everyKernel, type Kernel, readsOf, type ScanKernel, writesOf } from "../lowering/kernels.ts";
import { multiplyDims } from "../../src/tensor/dims.ts";
import type { Buffer, View } from "../lowering/views.ts";
import type { RowMemory, RowPlace } from "./wgsl/address.ts";

/** Reads and writes of a scan, including those of nested loops. */
function viewsOf(scan: ScanKernel): View[] {
  return [...readsOf(scan), ...writesOf(scan)];
}

/** The left operands of products: each element is read once for every column. */
function leftOperands(body: readonly Kernel[]): ReadonlySet<Buffer> {
  return new Set(
    everyKernel(body).flatMap(({ kernel }) => kernel.kind === "matmul" ? [kernel.left.buffer] : []),
  );
}

/**
 * Places as many buffers of `scan` as fit into `bytes` bytes for `rows` rows: the left operands of products
 * first, then the smallest. Leaves out buffers for which `elsewhere` is true.
 */
export function planRowMemory(
  scan: ScanKernel,
  { rows, bytes, elsewhere }: {
    readonly rows: number;
    readonly bytes: number;
    readonly elsewhere: (buffer: Buffer) => boolean;
  },
): RowMemory {
  const views = viewsOf(scan);
  const strides = new Map<Buffer, number>();
  for (const { buffer, strides: [stride] } of writesOf(scan)) {
    if (typeof stride !== "number") continue;
    const isWhole = buffer.size === multiplyDims(stride, scan.rows);
    if (buffer.storage.kind === "arena" && isWhole && !elsewhere(buffer)) strides.set(buffer, stride);
  }
  // A value with a separate place for each step outlives the step.
  for (const { buffer, loops, strides: [stride] } of views) {
    if (loops.length > 0 || stride !== strides.get(buffer)) strides.delete(buffer);
  }
  const lefts = leftOperands(scan.body);
  const rank = (buffer: Buffer) => (lefts.has(buffer) ? 0 : 1);
  const places = new Map<Buffer, RowPlace>();
  let words = 0;
  const order = [...strides].sort(([a, m], [b, n]) => rank(a) - rank(b) || m - n);
  for (const [buffer, stride] of order) {
    if (4 * (words + rows * stride) > bytes) continue;
    places.set(buffer, { at: words, stride });
    words += rows * stride;
  }
  return { words, places };
}
