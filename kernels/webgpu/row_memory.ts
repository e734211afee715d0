/**
 * What of a scan lies in the memory of its workgroups: buffers of which every row is read and written for that row
 * alone, such as the state and the gates of a cell. A workgroup has its own rows there for all steps, and only what
 * others read before or after goes through the device's memory.
 */
import { everyKernel, type Kernel, readsOf, type ScanKernel, writesOf } from "../lowering/kernels.ts";
import type { Buffer, View } from "../lowering/views.ts";
import type { RowMemory, RowPlace } from "./wgsl/address.ts";

/** Reads and writes of a scan, with those of the loops in it. */
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
 * Places what of `scan` fits into so many bytes for `rows` rows, what products read first, then the smallest; nothing
 * whose name `elsewhere` has.
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
    const isWhole = buffer.size === stride * scan.rows;
    if (buffer.place.kind === "arena" && isWhole && !elsewhere(buffer)) strides.set(buffer, stride);
  }
  // What is somewhere else at another step is kept for later.
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
