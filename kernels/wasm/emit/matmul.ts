/**
 * Matrix products: calls of the module's product functions with the addresses, strides and sizes of views.
 */
import { type Dim, multiplyDims } from "../../../src/tensor/dims.ts";
import { i32, type Local } from "../assembler.ts";
import type { GatheredLeft, LongProductKernel, PackedMatmulKernel, PackKernel } from "../../cpu/kernels.ts";
import {
  type LongLeft,
  minimum,
  packedBytes,
  panelColumns,
  PART_TERMS,
  writeLongProduct,
} from "../matmul/mod.ts";
import type { View } from "../../lowering/views.ts";
import { BEGIN, END, type Moving, pointerTo, toRow } from "./address.ts";
import { ELEMENT, type KernelCode } from "./code.ts";
import type { Emission, EmittedKinds } from "./kind.ts";
import { writeRows } from "./lay_out.ts";

/** Rows of a product that are computed together: shares are multiples of it. */
const ROWS_OF_TILE = 6;

/**
 * Columns `[begin, end)` (multiples of a panel) of one right operand, or matrices `[begin, end)` of a batch.
 */
function emitPack(f: KernelCode, { right, packed }: PackKernel, { matmul }: Emission): void {
  const rank = right.shape.length;
  const [k, n] = right.shape.slice(-2);
  const [strideK, strideN] = right.strides.slice(-2);
  const source = pointerTo(f, right), target = f.hold(() => f.address(packed));
  if (rank === 2) {
    f.get(source).get(BEGIN).bytes(strideN).op("i32.mul").op("i32.add");
    f.get(target).get(BEGIN).bytes(k).op("i32.mul").op("i32.add");
    f.size(k).get(END).get(BEGIN).op("i32.sub").bytes(strideK).bytes(strideN).call(matmul.pack);
    return;
  }
  overMatrices(f, right.shape.slice(0, -2), [
    { local: source, strides: right.strides.slice(0, -2) },
  ], (index) => {
    f.get(source).get(target).get(index);
    pushPackedBytes(f, k, n);
    f.op("i32.mul").op("i32.add");
    f.size(k).size(n).bytes(strideK).bytes(strideN).call(matmul.pack);
  });
}

/** Pushes the bytes of a packed operand. */
function pushPackedBytes(f: KernelCode, k: Dim, n: Dim): void {
  if (typeof k === "number" && typeof n === "number") f.i32(packedBytes(k, n));
  else f.size(n).i32(panelColumns - 1).op("i32.add").i32(-panelColumns).op("i32.and").bytes(k).op("i32.mul");
}

/**
 * Runs `write` for matrices `[begin, end)` of a batch, numbered in row-major order, with the pointers moved
 * to each.
 */
function overMatrices(
  f: KernelCode,
  shape: readonly Dim[],
  pointers: readonly Moving[],
  write: (index: Local) => void,
): void {
  const index = f.local(i32), rest = f.local(i32);
  const bases = pointers.map(({ local, strides }) => ({ local, strides, base: f.local(i32) }));
  for (const { local, base } of bases) f.get(local).set(base);
  f.get(BEGIN).set(index);
  f.count(index, { local: END }, 1, () => {
    for (const { local, base } of bases) f.get(base).set(local);
    f.get(index).set(rest);
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      for (const { local, strides } of bases) {
        f.get(local).get(rest).size(shape[axis]).op("i32.rem_s").bytes(strides[axis]).op("i32.mul").op(
          "i32.add",
        ).set(local);
      }
      f.get(rest).size(shape[axis]).op("i32.div_s").set(rest);
    }
    write(index);
  });
}

/** Rows `[begin, end)` of a product, or matrices of a batch. */
function emitMatmul(
  f: KernelCode,
  { left, packed: operand, output, k, addends, scratch, gathered }: PackedMatmulKernel,
  { matmul, threads, share }: Emission,
): void {
  const rank = left.shape.length;
  const m = left.shape[rank - 2], n = output.shape[rank - 1];
  const [strideRow, strideK] = left.strides.slice(-2);
  const strideC = output.strides[rank - 2];
  if (output.strides[rank - 1] !== 1 && n !== 0 && n !== 1) {
    throw new Error("A product is written to columns that are apart");
  }
  const a = gathered ? rowsFor(f, gathered, { threads, share }) : pointerTo(f, left);
  const c = pointerTo(f, output), packed = f.hold(() => f.address(operand));
  /**
   * Pushes the scratch address of rows or matrices from `first` on, each with this many columns; 0 if there are
   * few terms.
   */
  const pushScratch = (first: Local, columns: Dim) => {
    if (!scratch) return f.i32(0);
    f.address(scratch).get(first).bytes(multiplyDims(columns, 2)).op("i32.mul").op("i32.add");
    return typeof k === "number" ? f : f.i32(0).size(k).i32(PART_TERMS).op("i32.gt_u").op("select");
  };
  if (gathered) {
    const columns = inColumns(addends, n).map(({ view, ...rest }) => ({
      ...rest,
      address: view && pointerTo(f, view),
      stride: view?.strides[0] ?? 0,
    }));
    const base = pointerTo(f, gathered.view), row = f.local(i32), count = f.local(i32);
    f.get(BEGIN).set(row).count(row, { local: END }, gathered.rowsAtOnce, () => {
      minimum(f, () => f.get(END).get(row).op("i32.sub"), () => f.i32(gathered.rowsAtOnce)).set(count);
      writeRows(f, { gathered, base, to: a }, row, count);
      const toRows = (address: Local, stride: Dim) =>
        f.get(address).get(row).bytes(stride).op("i32.mul").op("i32.add");
      for (const { first, columns: some, address, stride } of columns) {
        f.get(a).bytes(k).i32(ELEMENT).get(packed).bytes(multiplyDims(k, first)).op("i32.add");
        toRows(c, strideC).i32(first * ELEMENT).op("i32.add").bytes(strideC).get(count).size(some).size(k);
        if (address === undefined) f.i32(0);
        else toRows(address, stride);
        f.bytes(stride);
        pushScratch(row, n).call(matmul.product);
      }
    });
    return;
  }
  if (rank === 2) {
    toRow(f, a, strideRow);
    toRow(f, c, strideC);
    for (const { first, columns, view } of inColumns(addends, n)) {
      const address = view && pointerTo(f, view), stride = view?.strides[0] ?? 0;
      if (address !== undefined) toRow(f, address, stride);
      f.get(a).bytes(strideRow).bytes(strideK).get(packed).bytes(multiplyDims(k, first)).op("i32.add");
      f.get(c).i32(first * ELEMENT).op("i32.add").bytes(strideC).get(END).get(BEGIN).op("i32.sub").size(
        columns,
      );
      f.size(k);
      if (address === undefined) f.i32(0);
      else f.get(address);
      f.bytes(stride);
      pushScratch(BEGIN, n).call(matmul.product);
    }
    return;
  }
  overMatrices(f, left.shape.slice(0, -2), [
    { local: a, strides: left.strides.slice(0, -2) },
    { local: c, strides: output.strides.slice(0, -2) },
  ], (index) => {
    f.get(a).bytes(strideRow).bytes(strideK).get(packed).get(index);
    pushPackedBytes(f, k, n);
    f.op("i32.mul").op("i32.add");
    f.get(c).bytes(strideC).size(m).size(n).size(k).i32(0).i32(0);
    pushScratch(index, multiplyDims(m, n)).call(matmul.product);
  });
}

/** The address of the rows that this share lays out. */
function rowsFor(
  f: KernelCode,
  { scratch }: GatheredLeft,
  { threads, share }: Pick<Emission, "threads" | "share">,
): Local {
  return f.hold(() =>
    f.address(scratch).getGlobal(share).bytes(scratch.size / threads).op("i32.mul").op("i32.add")
  );
}

/** The columns to compute, in ranges: those of the addends, or all if there are none. */
function inColumns(
  addends: PackedMatmulKernel["addends"],
  n: Dim,
): readonly { readonly first: number; readonly columns: Dim; readonly view?: View }[] {
  if (addends.length === 0) return [{ first: 0, columns: n }];
  return addends.map(({ first, view }) => ({ first, columns: view.shape[1], view }));
}

/** Columns `[begin, end)` of all products, or terms `[begin, end)` into the part of this share. */
function emitLongProduct(
  f: KernelCode,
  { right, lefts, outputs, columns: n, shared, scratch }: LongProductKernel,
  { matmul, threads, share, depth }: Emission,
): void {
  const [k] = right.shape;
  /** Moves an address forward by `bytes` for each unit of work before the first. */
  /** Moves an address to the piece of this share, pieces being this many elements long. */
  const toPiece = (address: Local, elements: Dim) =>
    f.get(address).getGlobal(share).bytes(elements).op("i32.mul").op("i32.add").set(address);
  /** The address of a view, of the first unit of work if units are this many elements apart. */
  const stridedBy = (view: View, axis: number, unit: Dim) => {
    const address = pointerTo(f, view);
    toRow(f, address, unit);
    return { address, stride: view.strides[axis] };
  };
  const isSharedByTerms = shared === "terms";
  const units = f.hold(() => f.get(END).get(BEGIN).op("i32.sub"));
  const all = f.hold(() => f.size(isSharedByTerms ? n : k));
  const [columns, terms] = isSharedByTerms ? [all, units] : [units, all];
  const place = f.hold(() => f.address(scratch));
  if (depth === 0) toPiece(place, scratch.size / threads); // in a loop one thread does it all
  const results = outputs.map((output) => {
    const rank = output.shape.length;
    const result = stridedBy(output, rank - 2, isSharedByTerms ? 0 : 1);
    if (isSharedByTerms) toPiece(result.address, output.strides[0]);
    return { rows: output.shape[rank - 2] as number, ...result }; // as long products have
  });
  writeLongProduct(f, matmul, {
    lefts: lefts.map((left): LongLeft => {
      if (left === "ones") return { rows: 1 };
      const { gathered } = left;
      if (gathered) {
        const to = rowsFor(f, gathered, { threads, share }), base = pointerTo(f, gathered.view);
        const begin = isSharedByTerms ? BEGIN : undefined;
        return {
          rows: left.shape[0],
          laidOut: {
            address: to,
            begin,
            write: (first, count) => writeRows(f, { gathered, base, to }, first, count),
          },
        };
      }
      return { rows: left.shape[0], source: stridedBy(left, 1, isSharedByTerms ? left.strides[1] : 0) };
    }),
    results,
    right: stridedBy(right, 0, isSharedByTerms ? right.strides[0] : 1),
    columns,
    terms,
    most: { terms: k, columns: n },
    scratch: place,
  });
}

/** How these kinds are emitted. A product counts a term as a quarter of an element. */
export const productEmission: EmittedKinds<PackKernel | PackedMatmulKernel | LongProductKernel> = {
  pack: {
    emit: emitPack,
    cut: ({ right: { shape } }, { items }, shareFrom) =>
      shape.length > 2
        ? { grain: 1, singleThreaded: false }
        : { grain: panelColumns, singleThreaded: items < shareFrom },
  },
  packedMatmul: {
    emit: emitMatmul,
    cut: ({ output: { shape } }, { cost }, shareFrom) => ({
      grain: shape.length > 2 ? 1 : ROWS_OF_TILE,
      singleThreaded: cost < shareFrom * 4,
    }),
  },
  longProduct: {
    emit: emitLongProduct,
    dependsOnShare: ({ shared }) => shared === "terms",
    cut: ({ shared }, { cost }, shareFrom) =>
      shared === "terms"
        ? { grain: 16, singleThreaded: false }
        : { grain: panelColumns, singleThreaded: cost < shareFrom * 4 },
  },
};
