/**
 * Products with long sums, Aᵀ·B for any number of A that share B, such as the gradients of weights. B is
 * packed and every A transposed block by block of terms, so that both are read once at strides of whole rows,
 * and the rest of the work is in caches.
 */
import type { Dim } from "../../../src/tensor/dims.ts";
import { type FunctionBuilder, i32, type Local } from "../assembler.ts";
import type { KernelCode } from "../emit/code.ts";
import { BLOCK_TERMS, minimum } from "./product.ts";
import { PART_TERMS } from "./settle.ts";
import { panelColumns, pushIf } from "./tile.ts";

/** Columns in a block. */
const BLOCK_COLUMNS = 256;

/** A left operand A[k][rows] with contiguous columns. */
export interface LongLeft {
  /** Columns of A, which are rows of the product. */
  readonly rows: number;
  /**
   * The address of A and the elements between its rows; absent with `laidOut` too if A is one column of ones, for the
   * sum of B's rows.
   */
  readonly source?: { readonly address: Local; readonly stride: Dim };
  /** Instead: writes rows of A, one after the other, to an address. */
  readonly laidOut?: {
    readonly address: Local;
    /** The first row; default 0. */
    readonly begin?: Local;
    readonly write: (first: Local, count: Local) => void;
  };
}

/** A result C[rows][n] with contiguous columns; the results take the rows of the left operands in order. */
export interface LongResult {
  readonly rows: number;
  readonly address: Local;
  /** Elements between rows. */
  readonly stride: Dim;
}

/** The operands of {@linkcode writeLongProduct}, which changes their locals. */
export interface LongProduct {
  readonly lefts: readonly LongLeft[];
  readonly results: readonly LongResult[];
  /** The address of B[k][n] and the elements between its rows. */
  readonly right: { readonly address: Local; readonly stride: Dim };
  /** Columns of B; addresses are those of the first one. */
  readonly columns: Local;
  /** How many terms; addresses are those of the first one. Without terms C becomes zero. */
  readonly terms: Local;
  /** The maxima of `terms` and `columns`. */
  readonly most: { readonly terms: Dim; readonly columns: number };
  /** The address of {@linkcode longProductScratch} bytes. */
  readonly scratch: Local;
}

/** Bytes of scratch for `rows` rows of results in total. */
export function longProductScratch(rows: number, columns: number, terms: Dim): number {
  const wide = Math.min(BLOCK_COLUMNS, Math.ceil(columns / panelColumns) * panelColumns);
  const most = typeof terms === "number" ? terms : Infinity;
  const parts = most > PART_TERMS ? 2 * rows * columns * 4 : 0;
  // A row of ones is written in vectors, the last of which may extend three elements beyond the block.
  return parts + Math.min(most, BLOCK_TERMS) * 4 * (rows + wide) + 16;
}

/** Writes the loops of a product; `functions` are those of {@linkcode addMatmul}'s module. */
export function writeLongProduct(
  code: KernelCode,
  functions: Record<"product" | "pack" | "transpose" | "settle", FunctionBuilder>,
  { lefts, results, right, columns, terms, most, scratch }: LongProduct,
): void {
  const [block, rowBytes, panels, width, column, place, later, blocks, done, sums] = Array.from(
    { length: 10 },
    () => code.local(i32),
  );
  const first: number[] = [];
  const rows = lefts.reduce((sum, left) => (first.push(sum), sum + left.rows), 0);
  /** Pushes the address of a row of the transposed operands. */
  const turned = (row: number) => code.get(blocks).get(rowBytes).i32(row).op("i32.mul").op("i32.add");
  const atColumn = (base: Local) => code.get(base).get(column).i32(2).op("i32.shl").op("i32.add");
  const advance = ({ address, stride }: { readonly address: Local; readonly stride: Dim }) =>
    code.get(address).get(block).bytes(stride).op("i32.mul").op("i32.add").set(address);

  // With many terms the scratch holds the sums of a part, row by row as in the results, then their rounding
  // errors; few are summed in the results.
  const mayHaveParts = typeof most.terms !== "number" || most.terms > PART_TERMS;
  const [hasParts, sumStride] = [code.local(i32), code.local(i32)];
  code.get(terms).i32(PART_TERMS).op("i32.gt_u").set(hasParts);
  const sumBytes = rows * most.columns * 4;
  const sumsOf = (row: number) => code.get(scratch).i32(row * most.columns * 4).op("i32.add");
  code.get(scratch).i32(mayHaveParts ? 2 * sumBytes : 0).op("i32.add").set(blocks);
  code.i32(0).set(later).i32(0).set(done);

  const settleParts = () => {
    code.get(done).get(block).op("i32.add").tee(done).i32(PART_TERMS - 1).op("i32.and").op("i32.eqz");
    code.get(terms).get(block).op("i32.eq").op("i32.or").if(() => {
      let row = 0;
      for (const { rows, address, stride } of results) {
        code.get(address).bytes(stride);
        sumsOf(row);
        sumsOf(row).i32(sumBytes).op("i32.add").bytes(most.columns).i32(rows).get(columns);
        code.get(done).i32(PART_TERMS).op("i32.le_u").call(functions.settle);
        row += rows;
      }
      code.i32(0).set(later);
    });
  };
  /** The next row of each left operand that is laid out. */
  const positions = lefts.map(({ laidOut }) => {
    const position = code.local(i32);
    if (laidOut?.begin === undefined) code.i32(0).set(position);
    else code.get(laidOut.begin).set(position);
    return position;
  });
  // At least once: without terms C becomes zero.
  code.loop(() => {
    minimum(code, () => code.get(terms), () => code.i32(BLOCK_TERMS)).set(block);
    code.get(block).i32(2).op("i32.shl").set(rowBytes);
    lefts.forEach(({ source, laidOut }, index) => {
      if (source || laidOut) return;
      turned(first[index]).set(place);
      turned(first[index] + 1).set(width);
      code.count(place, { local: width }, 16, () => code.get(place).f32x4(1).memory("v128.store"));
    });
    lefts.forEach(({ rows, source }, index) => {
      if (!source) return;
      code.get(source.address);
      turned(first[index]).i32(rows).get(block).bytes(source.stride).get(rowBytes).call(functions.transpose);
      advance(source);
    });
    lefts.forEach(({ rows, laidOut }, index) => {
      if (!laidOut) return;
      laidOut.write(positions[index], block);
      code.get(laidOut.address);
      turned(first[index]).i32(rows).get(block).bytes(rows).get(rowBytes).call(functions.transpose);
      code.get(positions[index]).get(block).op("i32.add").set(positions[index]);
    });
    turned(rows).set(panels);
    code.i32(0).set(column);
    code.count(column, { local: columns }, BLOCK_COLUMNS, () => {
      minimum(code, () => code.get(columns).get(column).op("i32.sub"), () => code.i32(BLOCK_COLUMNS)).set(
        width,
      );
      atColumn(right.address).get(panels).get(block).get(width).bytes(right.stride).i32(4).call(
        functions.pack,
      );
      let row = 0;
      for (const { rows, address, stride } of results) {
        code.get(address).set(sums).bytes(stride).set(sumStride);
        if (mayHaveParts) {
          code.get(hasParts).if(() => {
            sumsOf(row).set(sums);
            code.bytes(most.columns).set(sumStride);
          });
        }
        turned(row).get(rowBytes).i32(4).get(panels);
        atColumn(sums).get(sumStride).i32(rows).get(width).get(block);
        pushIf(code, later, () => atColumn(sums));
        code.get(later).get(sumStride).op("i32.mul").i32(0).call(functions.product);
        row += rows;
      }
    });
    advance(right);
    code.i32(1).set(later);
    if (mayHaveParts) code.get(hasParts).if(settleParts);
    code.get(terms).get(block).op("i32.sub").tee(terms).i32(0).op("i32.gt_s").brIf(0);
  });
}
