/**
 * Matrix products: calls of the module's product functions with the addresses, strides and sizes of views.
 */
import { type FunctionBuilder, i32, type Local } from "../assembler.ts";
import type { LongProductKernel, PackedMatmulKernel, PackKernel } from "../kernels.ts";
import { panelColumns, writeLongProduct } from "../matmul/mod.ts";
import type { View } from "../../lowering/views.ts";
import { BEGIN, ELEMENT, END, pointerTo, pushBase } from "./address.ts";
import type { Emission, EmittedKinds } from "./kind.ts";

/** Rows of a product that are computed together: shares are multiples of it. */
const ROWS_OF_TILE = 6;

/**
 * Columns `[begin, end)` (multiples of a panel) of one right operand, or matrices `[begin, end)` of a batch.
 */
function emitPack(f: FunctionBuilder, { right, packed }: PackKernel, { matmul, addresses }: Emission): void {
  const rank = right.shape.length;
  const [k, n] = right.shape.slice(-2);
  const [strideK, strideN] = right.strides.slice(-2).map((stride) => stride * ELEMENT);
  const source = f.local(i32), target = f.local(i32);
  pushBase(f, right, right.offset, addresses);
  f.set(source).i32(addresses.addressOf(packed)).set(target);
  if (rank === 2) {
    f.get(source).get(BEGIN).i32(strideN).op("i32.mul").op("i32.add");
    f.get(target).get(BEGIN).i32(k * ELEMENT).op("i32.mul").op("i32.add");
    f.i32(k).get(END).get(BEGIN).op("i32.sub").i32(strideK).i32(strideN).call(matmul.pack);
    return;
  }
  const bytes = Math.ceil(n / panelColumns) * panelColumns * k * ELEMENT;
  overMatrices(f, right.shape.slice(0, -2), [
    { local: source, strides: right.strides.slice(0, -2) },
  ], (index) => {
    f.get(source).get(target).get(index).i32(bytes).op("i32.mul").op("i32.add");
    f.i32(k).i32(n).i32(strideK).i32(strideN).call(matmul.pack);
  });
}

/**
 * Runs `write` for matrices `[begin, end)` of a batch, numbered in row-major order, with the pointers moved
 * to each.
 */
function overMatrices(
  f: FunctionBuilder,
  shape: readonly number[],
  pointers: readonly { readonly local: Local; readonly strides: readonly number[] }[],
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
        f.get(local).get(rest).i32(shape[axis]).op("i32.rem_s").i32(strides[axis] * ELEMENT).op("i32.mul").op(
          "i32.add",
        ).set(local);
      }
      f.get(rest).i32(shape[axis]).op("i32.div_s").set(rest);
    }
    write(index);
  });
}

/** Rows `[begin, end)` of a product, or matrices of a batch. */
function emitMatmul(
  f: FunctionBuilder,
  { left, packed: operand, output, k, addends, scratch }: PackedMatmulKernel,
  { matmul, addresses }: Emission,
): void {
  const rank = left.shape.length;
  const m = left.shape[rank - 2], n = output.shape[rank - 1];
  const [strideRow, strideK] = left.strides.slice(-2).map((stride) => stride * ELEMENT);
  const strideC = output.strides[rank - 2] * ELEMENT;
  if (output.strides[rank - 1] !== 1 && n > 1) {
    throw new Error("A product is written to columns that are apart");
  }
  const a = pointerTo(f, left, addresses), c = pointerTo(f, output, addresses);
  const packed = addresses.addressOf(operand);
  /** Pushes the scratch address of rows or matrices from `first` on, each with this many columns. */
  const pushScratch = (first: Local, columns: number) => {
    if (!scratch) return f.i32(0);
    return f.i32(addresses.addressOf(scratch)).get(first).i32(2 * columns * ELEMENT).op("i32.mul").op(
      "i32.add",
    );
  };
  if (rank === 2) {
    toRow(f, a, strideRow);
    toRow(f, c, strideC);
    for (const { first, columns, view } of inColumns(addends, n)) {
      let [address, stride] = [undefined as Local | undefined, 0];
      if (view) {
        stride = view.strides[0] * ELEMENT;
        address = pointerTo(f, view, addresses);
        toRow(f, address, stride);
      }
      f.get(a).i32(strideRow).i32(strideK).i32(packed + first * k * ELEMENT);
      f.get(c).i32(first * ELEMENT).op("i32.add").i32(strideC).get(END).get(BEGIN).op("i32.sub").i32(columns);
      f.i32(k);
      if (address === undefined) f.i32(0);
      else f.get(address);
      f.i32(stride);
      pushScratch(BEGIN, n).call(matmul.product);
    }
    return;
  }
  const bytes = Math.ceil(n / panelColumns) * panelColumns * k * ELEMENT;
  overMatrices(f, left.shape.slice(0, -2), [
    { local: a, strides: left.strides.slice(0, -2) },
    { local: c, strides: output.strides.slice(0, -2) },
  ], (index) => {
    f.get(a).i32(strideRow).i32(strideK).i32(packed).get(index).i32(bytes).op("i32.mul").op("i32.add");
    f.get(c).i32(strideC).i32(m).i32(n).i32(k).i32(0).i32(0);
    pushScratch(index, m * n).call(matmul.product);
  });
}

/** Moves an address to row `begin`. */
function toRow(f: FunctionBuilder, address: Local, stride: number): void {
  f.get(address).get(BEGIN).i32(stride).op("i32.mul").op("i32.add").set(address);
}

/** The columns to compute, in ranges: those of the addends, or all if there are none. */
function inColumns(
  addends: PackedMatmulKernel["addends"],
  n: number,
): readonly { readonly first: number; readonly columns: number; readonly view?: View }[] {
  if (addends.length === 0) return [{ first: 0, columns: n }];
  return addends.map(({ first, view }) => ({ first, columns: view.shape[1], view }));
}

/** Columns `[begin, end)` of all products, or terms `[begin, end)` into the part of this share. */
function emitLongProduct(
  f: FunctionBuilder,
  { right, lefts, outputs, shared, scratch }: LongProductKernel,
  { matmul, addresses, threads, share, depth }: Emission,
): void {
  const [k, n] = right.shape;
  /** Moves an address forward by `bytes` for each unit of work before the first. */
  const fromBegin = (address: Local, bytes: number) =>
    f.get(address).get(BEGIN).i32(bytes).op("i32.mul").op("i32.add").set(address);
  /** Moves an address to the piece of this share. */
  const toPiece = (address: Local, bytes: number) =>
    f.get(address).getGlobal(share).i32(bytes).op("i32.mul").op("i32.add").set(address);
  const stridedBy = (view: View, axis: number, unit: number | undefined) => {
    const address = pointerTo(f, view, addresses), stride = view.strides[axis] * ELEMENT;
    if (unit !== undefined) fromBegin(address, unit);
    return { address, stride };
  };
  const isSharedByTerms = shared === "terms";
  const columns = f.local(i32), terms = f.local(i32), place = f.local(i32);
  f.get(END).get(BEGIN).op("i32.sub").set(isSharedByTerms ? terms : columns);
  f.i32(isSharedByTerms ? n : k).set(isSharedByTerms ? columns : terms);
  f.i32(addresses.addressOf(scratch)).set(place);
  if (depth === 0) toPiece(place, scratch.size / threads * ELEMENT); // in a loop one thread does it all
  const results = outputs.map((output) => {
    const rank = output.shape.length;
    const result = stridedBy(output, rank - 2, isSharedByTerms ? undefined : ELEMENT);
    if (isSharedByTerms) toPiece(result.address, output.strides[0] * ELEMENT);
    return { rows: output.shape[rank - 2], ...result };
  });
  writeLongProduct(f, matmul, {
    lefts: lefts.map((left) => {
      if (left === "ones") return { rows: 1 };
      const unit = isSharedByTerms ? left.strides[1] * ELEMENT : undefined;
      return { rows: left.shape[0], source: stridedBy(left, 1, unit) };
    }),
    results,
    right: stridedBy(right, 0, isSharedByTerms ? right.strides[0] * ELEMENT : ELEMENT),
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
    cut: ({ shared }, { cost }, shareFrom) =>
      shared === "terms"
        ? { grain: 16, singleThreaded: false }
        : { grain: panelColumns, singleThreaded: cost < shareFrom * 4 },
  },
};
