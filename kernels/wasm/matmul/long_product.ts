/**
 * Products with long sums, Aᵀ·B for any number of A that share B: what the gradients of weights are. B is packed and
 * every A turned over block by block of terms, so that both are read once at strides of whole rows, and the rest of
 * the work is in caches.
 */
import { type FunctionBuilder, i32, type Local } from "../assembler.ts";
import { minimum } from "./product.ts";
import { panelColumns, pushIf } from "./tile.ts";

/** Terms of the sums in a block; 128 to 384 run alike. */
const BLOCK_TERMS = 256;

/** Columns in a block. */
const BLOCK_COLUMNS = 256;

/** A left operand A[k][rows] with contiguous columns. */
export interface LongLeft {
  /** Columns of A, which are rows of the product. */
  readonly rows: number;
  /** The address of A and the bytes between its rows; absent where A is one column of ones, for the sum of B's rows. */
  readonly source?: { readonly address: Local; readonly stride: number };
}

/** A result C[rows][n] with contiguous columns; the results take the rows of the lefts in turn. */
export interface LongResult {
  readonly rows: number;
  readonly address: Local;
  /** Bytes between rows. */
  readonly stride: number;
}

/** What {@linkcode writeLongProduct} writes. Its locals are changed. */
export interface LongProduct {
  readonly lefts: readonly LongLeft[];
  readonly results: readonly LongResult[];
  /** The address of B[k][n] and the bytes between its rows. */
  readonly right: { readonly address: Local; readonly stride: number };
  /** Columns of B; addresses are those of the first of them. */
  readonly columns: Local;
  /** How many terms; addresses are those of the first of them. Without terms C becomes zero. */
  readonly terms: Local;
  /** {@linkcode longProductScratch} bytes. */
  readonly scratch: Local;
}

/** Bytes of scratch for `rows` rows of results in all. */
export function longProductScratch(rows: number, columns: number, terms: number): number {
  const wide = Math.min(BLOCK_COLUMNS, Math.ceil(columns / panelColumns) * panelColumns);
  // A row of ones is written in vectors, of which the last may reach three elements beyond the block.
  return Math.min(terms, BLOCK_TERMS) * 4 * (rows + wide) + 16;
}

/** Writes the loops of a product; `functions` are those of {@linkcode addMatmul}'s module. */
export function writeLongProduct(
  code: FunctionBuilder,
  functions: Record<"product" | "pack" | "transpose", FunctionBuilder>,
  { lefts, results, right, columns, terms, scratch }: LongProduct,
): void {
  const [block, rowBytes, panels, width, column, place, later] = Array.from(
    { length: 7 },
    () => code.local(i32),
  );
  const first: number[] = [];
  const rows = lefts.reduce((sum, left) => (first.push(sum), sum + left.rows), 0);
  /** Pushes the address of a row of the operands turned over. */
  const turned = (row: number) => code.get(scratch).get(rowBytes).i32(row).op("i32.mul").op("i32.add");
  const atColumn = (base: Local) => code.get(base).get(column).i32(2).op("i32.shl").op("i32.add");
  const advance = ({ address, stride }: { readonly address: Local; readonly stride: number }) =>
    code.get(address).get(block).i32(stride).op("i32.mul").op("i32.add").set(address);

  code.i32(0).set(later);
  // At least once: without terms C becomes zero.
  code.loop(() => {
    minimum(code, () => code.get(terms), () => code.i32(BLOCK_TERMS)).set(block);
    code.get(block).i32(2).op("i32.shl").set(rowBytes);
    lefts.forEach(({ source }, index) => {
      if (source) return;
      turned(first[index]).set(place);
      turned(first[index] + 1).set(width);
      code.count(place, { local: width }, 16, () => code.get(place).f32x4(1).memory("v128.store"));
    });
    lefts.forEach(({ rows, source }, index) => {
      if (!source) return;
      code.get(source.address);
      turned(first[index]).i32(rows).get(block).i32(source.stride).get(rowBytes).call(functions.transpose);
      advance(source);
    });
    turned(rows).set(panels);
    code.i32(0).set(column);
    code.count(column, { local: columns }, BLOCK_COLUMNS, () => {
      minimum(code, () => code.get(columns).get(column).op("i32.sub"), () => code.i32(BLOCK_COLUMNS)).set(
        width,
      );
      atColumn(right.address).get(panels).get(block).get(width).i32(right.stride).i32(4).call(functions.pack);
      let row = 0;
      for (const { rows, address, stride } of results) {
        turned(row).get(rowBytes).i32(4).get(panels);
        atColumn(address).i32(stride).i32(rows).get(width).get(block);
        pushIf(code, later, () => atColumn(address)).get(later).i32(stride).op("i32.mul").call(
          functions.product,
        );
        row += rows;
      }
    });
    advance(right);
    code.i32(1).set(later);
    code.get(terms).get(block).op("i32.sub").tee(terms).i32(0).op("i32.gt_s").brIf(0);
  });
}
