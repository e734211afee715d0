/**
 * Matrix products in wasm: generic functions, shared by all products of a module, that emitted code calls
 * with addresses, strides in bytes and sizes. benches/matmul.ts prints the speed of each shape.
 *
 * A product may be split among threads by rows, or by columns in multiples of 8, by moving the pointers:
 * every element adds its terms in the same order, so the result is the same to the bit.
 */
import type { FunctionBuilder, ModuleBuilder } from "../assembler.ts";
import { addPack, addTranspose } from "./pack.ts";
import { addProduct } from "./product.ts";
import { addSettle } from "./settle.ts";
import { addStrip, panelColumns, type TileFeatures } from "./tile.ts";

export { BLOCK_TERMS, minimum } from "./product.ts";
export { PART_TERMS } from "./settle.ts";
export { panelColumns } from "./tile.ts";
export { type LongLeft, type LongProduct, longProductScratch, writeLongProduct } from "./long_product.ts";

/** The functions that {@linkcode addMatmul} adds. All parameters are i32; addresses need no alignment. */
export interface MatmulFunctions {
  /**
   * `pack(source, destination, k, n, strideK, strideN)`: packs B[k][n], whose element (p, j) is at
   * `source + p * strideK + j * strideN`, into {@linkcode packedBytes} bytes for `product`. Fast if either
   * stride is 4.
   */
  readonly pack: FunctionBuilder;
  /**
   * `product(a, strideRow, strideK, packed, c, strideC, m, n, k, addend, strideAddend, scratch)`: C[m][n] =
   * A[m][k]·B + D. Element (i, p) of A is at `a + i * strideRow + p * strideK`; fastest if `strideK` is 4.
   * Row i of C is at `c + i * strideC`, that of D at `addend + i * strideAddend`, with contiguous columns; D
   * may be C itself. There is no D if `addend` and `strideAddend` are 0. More than {@linkcode PART_TERMS}
   * terms need `2 * m * n` floats at `scratch`; else it is 0.
   */
  readonly product: FunctionBuilder;
  /**
   * `transpose(source, destination, rows, columns, strideSource, strideDestination)`:
   * destination[rows][columns] from source[columns][rows], both with contiguous columns.
   */
  readonly transpose: FunctionBuilder;
  /**
   * `settle(c, strideC, part, errors, stridePart, rows, columns, isFirst)`: adds a part of a long product.
   */
  readonly settle: FunctionBuilder;
}

/** Adds the functions of the matrix product to a module. */
export function addMatmul(module: ModuleBuilder, features: TileFeatures): MatmulFunctions {
  const transpose = addTranspose(module);
  const pack = addPack(module, transpose);
  const settle = addSettle(module);
  const product = addProduct(module, addStrip(module, features), settle, features);
  return { pack, product, transpose, settle };
}

/** Bytes of B[k][n] packed. */
export function packedBytes(k: number, n: number): number {
  return Math.ceil(n / panelColumns) * panelColumns * k * 4;
}
