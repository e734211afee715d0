/** Matrix products: calls of the functions of the runtime with the places, strides and sizes of views. */
import { type Dim, multiplyDims } from "../../../src/tensor/dims.ts";
import { axesOf } from "../../cpu/gathered.ts";
import type { GatheredLeft, LongProductKernel, PackedMatmulKernel, PackKernel } from "../../cpu/kernels.ts";
import { roundedUp } from "../../shapes.ts";
import type { View } from "../../lowering/views.ts";
import { PANEL_COLUMNS } from "../c/product.ts";
import { type KernelSource, plus, times } from "./code.ts";
import type { Emission, EmittedKinds } from "./kind.ts";

/** Rows of a product that are computed together: shares are multiples of it. */
const ROWS_OF_TILE = 4;

/** The floats of a packed operand. */
function packedSize(k: Dim, n: Dim): Dim {
  return multiplyDims(roundedUp(n, PANEL_COLUMNS), k);
}

/** Columns `begin` to `end`, multiples of a panel, of one right operand; or matrices of a batch. */
function emitPack(f: KernelSource, { right, packed }: PackKernel): void {
  const rank = right.shape.length;
  const [k, n] = right.shape.slice(-2),
    [strideK, strideN] = right.strides.slice(-2).map((dim) => f.size(dim));
  const from = f.pointer(right), to = f.buffer(packed, "float");
  if (rank === 2) {
    f.line(
      `c->use->pack(${plus(from, times("begin", strideN))}, ${plus(to, times("begin", f.size(k)))}, ` +
        `${f.size(k)}, end - begin, ${strideK}, ${strideN});`,
    );
    return;
  }
  overMatrices(f, right.shape.slice(0, -2), (index, places) => {
    f.line(
      `c->use->pack(${plus(from, f.distance(places, right.strides))}, ` +
        `${plus(to, times(index, f.size(packedSize(k, n))))}, ${f.size(k)}, ${
          f.size(n)
        }, ${strideK}, ${strideN});`,
    );
  });
}

/** Runs `write` for matrices `begin` to `end` of a batch, numbered in row-major order. */
function overMatrices(
  f: KernelSource,
  shape: readonly Dim[],
  write: (index: string, places: readonly string[]) => void,
): void {
  f.loop("matrix", "end", (index) => {
    let rest = index;
    const places: string[] = [];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const size = f.size(shape[axis]);
      const place = f.name("i"), left = f.name("rest");
      f.line(`const int64_t ${place} = ${axis === 0 ? rest : `${rest} % (${size})`};`);
      if (axis > 0) f.line(`const int64_t ${left} = ${rest} / (${size});`);
      places.unshift(place);
      rest = left;
    }
    write(index, places);
  }, { from: "begin" });
}

/** Rows `begin` to `end` of a product, or matrices of a batch. */
function emitMatmul(
  f: KernelSource,
  { left, packed, output, k, addends, gathered }: PackedMatmulKernel,
  { threads }: Emission,
): void {
  const rank = left.shape.length;
  const m = left.shape[rank - 2], n = output.shape[rank - 1];
  const [strideRow, strideK] = left.strides.slice(-2).map((dim) => f.size(dim));
  const strideOut = f.size(output.strides[rank - 2]);
  if (output.strides[rank - 1] !== 1 && n !== 0 && n !== 1) {
    throw new Error("A product is written to columns that are apart");
  }
  const to = f.pointer(output), b = f.buffer(packed, "float");
  if (gathered) {
    const windows = writeWindows(f, gathered), space = rowsFor(f, gathered, threads);
    f.loop("row", "end", (row) => {
      const count = f.name("count");
      f.line(`const int64_t ${count} = least(${gathered.rowsAtOnce}, end - ${row});`);
      f.line(`c->use->lay_out(&${windows}, ${row}, ${count}, ${space});`);
      for (const { first, columns, view } of inColumns(addends, n)) {
        const added = view
          ? `${plus(f.pointer(view), times(row, f.size(view.strides[0])))}, ${f.size(view.strides[0])}`
          : "NULL, 0";
        f.line(
          `c->use->product(${space}, ${f.size(k)}, 1, ${plus(b, f.size(multiplyDims(k, first)))}, ` +
            `${plus(to, times(row, strideOut), `${first}`)}, ${strideOut}, ${count}, ${f.size(columns)}, ` +
            `${f.size(k)}, ${added});`,
        );
      }
    }, { from: "begin", step: `${gathered.rowsAtOnce}` });
    return;
  }
  const a = f.pointer(left);
  if (rank === 2) {
    for (const { first, columns, view } of inColumns(addends, n)) {
      const added = view
        ? `${plus(f.pointer(view), times("begin", f.size(view.strides[0])))}, ${f.size(view.strides[0])}`
        : "NULL, 0";
      f.line(
        `c->use->product(${plus(a, times("begin", strideRow))}, ${strideRow}, ${strideK}, ` +
          `${plus(b, f.size(multiplyDims(k, first)))}, ${plus(to, times("begin", strideOut), `${first}`)}, ` +
          `${strideOut}, end - begin, ${f.size(columns)}, ${f.size(k)}, ${added});`,
      );
    }
    return;
  }
  overMatrices(f, left.shape.slice(0, -2), (index, places) => {
    f.line(
      `c->use->product(${plus(a, f.distance(places, left.strides))}, ${strideRow}, ${strideK}, ` +
        `${plus(b, times(index, f.size(packedSize(k, n))))}, ${
          plus(to, f.distance(places, output.strides))
        }, ` +
        `${strideOut}, ${f.size(m)}, ${f.size(n)}, ${f.size(k)}, NULL, 0);`,
    );
  });
}

/** Declares from where rows are laid out; returns the name. */
function writeWindows(f: KernelSource, gathered: GatheredLeft): string {
  const { rows, terms } = axesOf(gathered);
  const name = f.name("windows");
  const four = (axes: readonly { readonly size: Dim; readonly stride: Dim }[], which: "size" | "stride") =>
    [
      ...Array.from({ length: 4 - axes.length }, () => which === "size" ? 1 : 0),
      ...axes.map((axis) => axis[which]),
    ]
      .map((dim) => f.size(dim)).join(", ");
  f.line(
    `const struct windows ${name} = {${f.pointer(gathered.view)}, {${four(rows, "size")}}, {${
      four(rows, "stride")
    }}, {${four(terms, "size")}}, {${four(terms, "stride")}}, ${gathered.terms}};`,
  );
  return name;
}

/** Where this share lays rows out. */
function rowsFor(f: KernelSource, { scratch }: GatheredLeft, threads: number): string {
  return plus(f.buffer(scratch, "float"), times("c->share", `${scratch.size / threads}`));
}

/** The columns to compute, in ranges: those of the addends, or all if there are none. */
function inColumns(
  addends: PackedMatmulKernel["addends"],
  n: Dim,
): readonly { readonly first: number; readonly columns: Dim; readonly view?: View }[] {
  if (addends.length === 0) return [{ first: 0, columns: n }];
  return addends.map(({ first, view }) => ({ first, columns: view.shape[1], view }));
}

/** Columns `begin` to `end` of all products, or terms `begin` to `end` into the part of this share. */
function emitLongProduct(
  f: KernelSource,
  { right, lefts, outputs, columns, shared, scratch }: LongProductKernel,
  { threads, depth }: Emission,
): void {
  const isSharedByTerms = shared === "terms";
  const space = depth === 0
    ? `${f.buffer(scratch, "float")} + c->share * ${scratch.size / threads}`
    : f.buffer(scratch, "float"); // in a loop one thread does it all
  const [terms, wide] = isSharedByTerms
    ? ["end - begin", `${columns}`]
    : [f.size(right.shape[0]), "end - begin"];
  const b = plus(f.pointer(right), times("begin", isSharedByTerms ? f.size(right.strides[0]) : "1"));
  const strideRight = f.size(right.strides[0]);
  // The results take the rows of the left operands in order.
  const results = outputs.flatMap((output) => {
    const rank = output.shape.length, rows = output.shape[rank - 2] as number; // as long products have
    const part = isSharedByTerms ? times("c->share", f.size(output.strides[0])) : "begin";
    return Array.from({ length: rows }, (_, row) => ({ output, row, rank, part }));
  });
  let first = 0;
  const windows = lefts.map((left) =>
    left !== "ones" && left.gathered
      ? {
        name: writeWindows(f, left.gathered),
        begin: isSharedByTerms ? "begin" : "0",
        rows: rowsFor(f, left.gathered, threads),
      }
      : undefined
  );
  f.line(`const struct left lefts[] = {`);
  for (const [index, left] of lefts.entries()) {
    const laidOut = windows[index];
    const rows = left === "ones" ? 1 : left.shape[0];
    const { output, row, rank, part } = results[first];
    const stride = f.size(output.strides[rank - 2]);
    const to = plus(f.pointer(output), part, times(`${row}`, stride));
    const from = left === "ones"
      ? "&one, 0"
      : laidOut
      ? `NULL, ${rows}`
      : `${plus(f.pointer(left), isSharedByTerms ? times("begin", f.size(left.strides[1])) : "0")}, ${
        f.size(left.strides[1])
      }`;
    const more = laidOut ? `&${laidOut.name}, ${laidOut.begin}, ${laidOut.rows}` : "NULL, 0, NULL";
    f.line(`  {${from}, ${rows}, ${to}, ${stride}, ${more}},`);
    first += rows;
  }
  f.line(`};`);
  f.line(`c->use->long_product(lefts, ${lefts.length}, ${b}, ${strideRight}, ${terms}, ${wide}, ${space});`);
}

/** How these kinds are written. A product counts a term as a quarter of an element. */
export const productEmission: EmittedKinds<PackKernel | PackedMatmulKernel | LongProductKernel> = {
  pack: {
    emit: emitPack,
    cut: ({ right: { shape } }, { items }, shareFrom) =>
      shape.length > 2
        ? { grain: 1, singleThreaded: false }
        : { grain: PANEL_COLUMNS, singleThreaded: items < shareFrom },
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
        : { grain: PANEL_COLUMNS, singleThreaded: cost < shareFrom * 4 },
  },
};
