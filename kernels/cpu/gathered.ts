/**
 * Left operands of products that are laid out a few rows at a time. A convolution multiplies the windows of its input,
 * which overlap and so are a copy, several times as large as the input. If products alone read that copy, it is not
 * made: each product lays out as many of its rows as stay in a cache, and multiplies them.
 */
import { type Dim, multiplyDims } from "../../src/tensor/dims.ts";
import { type Kernel, kernelFunctions } from "../lowering/kernels.ts";
import type { FusedKernel } from "../lowering/kinds/fused.ts";
import type { MatmulKernel } from "../lowering/kinds/product.ts";
import { type Buffer, collapse, type View, viewOf } from "../lowering/views.ts";
import { isLongProduct } from "./is_long.ts";
import { sizeOf } from "../shapes.ts";

const { readsOf, writesOf } = kernelFunctions;

/** A matrix as the view that it is a copy of. */
export interface Gathered {
  /** All elements, as `[...rows, ...terms]`. */
  readonly view: View;
  /** How many axes are rows of the matrix. */
  readonly rowAxes: number;
  /** Elements of a row. */
  readonly terms: number;
}

/** Kernels without copies that products lay out themselves, and these products. */
export interface Gathering {
  readonly kernels: readonly Kernel[];
  readonly of: ReadonlyMap<Kernel, Gathered>;
}

/** The rows and terms of a gathered matrix, with axes merged where the view runs on. */
export function axesOf({ view: { shape, strides }, rowAxes }: Gathered): {
  readonly rows: readonly { readonly size: Dim; readonly stride: Dim }[];
  readonly terms: readonly { readonly size: number; readonly stride: Dim }[];
} {
  const merged = (from: number, to?: number) => {
    const { shape: dims, strides: [steps] } = collapse(shape.slice(from, to), [strides.slice(from, to)], 0);
    return dims.map((size, axis) => ({ size, stride: steps[axis] })).filter(({ size }) => size !== 1);
  };
  const terms = merged(rowAxes).map(({ size, stride }) => ({ size: size as number, stride })); // as `gatheredBy` saw
  return { rows: merged(0, rowAxes), terms };
}

/** The rows that are laid out at a time, so that they stay in a cache: a multiple of the rows of a tile. */
export function rowsAtOnce(terms: number): number {
  const rows = Math.floor(BLOCK_ELEMENTS / Math.max(terms, 1));
  return Math.min(Math.max(Math.floor(rows / TILE) * TILE, TILE), MOST_ROWS);
}

/** 64 KB, and a common multiple of the rows of tiles. */
const BLOCK_ELEMENTS = 1 << 14, TILE = 12, MOST_ROWS = 96;

/** The most axes of rows, and of terms. */
const MOST_AXES = 4;

/** Elements that may be written after the last row: a vector. */
export const SLACK = 16;

/** Finds the copies that products may lay out themselves, with at least `shortestRun` elements side by side. */
export function gatherOperands(
  kernels: readonly Kernel[],
  shortestRun: number,
): Gathering {
  const of = new Map<Kernel, Gathered>();
  const gone = new Set<Kernel>();
  kernels.forEach((kernel, index) => {
    const found = kernel.kind === "fused" ? copied(kernel) : undefined;
    if (!found) return;
    const readers = kernels.filter((other) => readsOf(other).some(({ buffer }) => buffer === found.buffer));
    const last = kernels.findLastIndex((other) => readers.includes(other));
    const between = kernels.slice(index, last + 1);
    const stays = between.every((other) =>
      writesOf(other).every(({ buffer }) => buffer !== found.from.buffer)
    );
    const isOnlyWrite = kernels.every((other) =>
      other === kernel || writesOf(other).every(({ buffer }) => buffer !== found.buffer)
    );
    const gathered = readers.map((reader) =>
      reader.kind === "matmul" ? gatheredBy(reader, found, shortestRun) : undefined
    );
    if (!stays || !isOnlyWrite || readers.length === 0 || gathered.includes(undefined)) return;
    readers.forEach((reader, at) => of.set(reader, gathered[at] as Gathered)); // none is undefined
    gone.add(kernel);
  });
  return { kernels: kernels.filter((kernel) => !gone.has(kernel)), of };
}

/** What a kernel copies, if that overlaps and fills a buffer of its own in rows. */
function copied(
  { shape, operations }: FusedKernel,
): { readonly from: View; readonly buffer: Buffer } | undefined {
  const [{ name, operands: [operand], stores: [to, ...more] }, ...others] = operations;
  if (name !== "copy" || others.length > 0 || more.length > 0 || operand.kind !== "view") return undefined;
  const { view: from } = operand, { buffer } = to ?? {};
  if (!buffer || buffer.storage.kind !== "arena" || from.dtype !== "float32" || from.loops.length > 0) {
    return undefined;
  }
  const whole = viewOf(buffer, shape, from.dtype);
  const fills = buffer.size === sizeOf(shape) && to.offset === 0 && `${to.strides}` === `${whole.strides}`;
  // Others are read once, and copying them is as good.
  const repeats = buffer.size !== from.buffer.size;
  return fills && repeats ? { from: { ...from, shape }, buffer } : undefined;
}

/** How a product reads the copy: as its left operand, in whole rows, of which each is a row or a column of it. */
function gatheredBy(
  { left, right, addends }: MatmulKernel,
  { from, buffer }: { readonly from: View; readonly buffer: Buffer },
  shortestRun: number,
): Gathered | undefined {
  const others = [right, ...addends.map(({ view }) => view)];
  if (left.shape.length !== 2 || others.some((view) => view.buffer === buffer)) return undefined;
  // In rows, or the other way round for the sum over all of them.
  const [terms, isTurned] = left.strides[1] === 1 ? [left.shape[1], false] : [left.shape[0], true];
  const rows = left.shape[isTurned ? 1 : 0];
  if (typeof terms !== "number" || left.offset !== 0) return undefined;
  if (isTurned && (addends.length > 0 || !isLongProduct(left, right))) return undefined;
  if (left.strides[isTurned ? 0 : 1] !== 1 || left.strides[isTurned ? 1 : 0] !== terms) return undefined;
  for (
    let axes = 1, count: Dim = from.shape[0];
    axes < from.shape.length;
    count = multiplyDims(count, from.shape[axes++])
  ) {
    if (count !== rows) continue;
    if (from.shape.slice(axes).some((size) => typeof size !== "number")) return undefined;
    const gathered = { view: from, rowAxes: axes, terms };
    const merged = axesOf(gathered);
    const run = merged.terms.at(-1);
    const isLong = run !== undefined && run.stride === 1 && run.size >= shortestRun;
    return isLong && merged.rows.length <= MOST_AXES && merged.terms.length <= MOST_AXES
      ? gathered
      : undefined;
  }
  return undefined;
}
