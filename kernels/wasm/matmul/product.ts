/**
 * Products cut into blocks that stay in the caches and strips of rows, for which tile.ts has the tiles.
 */
import { type FunctionBuilder, i32, type Local, type ModuleBuilder } from "../assembler.ts";
import { mostRows, panelColumns } from "./tile.ts";

/** Bytes of the packed right operand that all rows pass over before the next ones. */
const PASS_BYTES = 1 << 17;

/** Terms of the sums in a block of the transposed product. */
export const blockTerms = 256;

/** Columns in a block of the transposed product. */
export const blockColumns = 256;

/** Writes `smaller = min(value, bound)`; both are pushed twice. */
function minimum(code: FunctionBuilder, value: () => void, bound: () => void): FunctionBuilder {
  value();
  bound();
  value();
  bound();
  return code.op("i32.lt_s").op("select");
}

/**
 * Runs `write` for strips of rows, as even as 6 rows at most allow: 64 rows are 9 strips of 6 and 2 of 5, and no
 * strip is left with a row or two, whose sums would be too few to keep the units busy.
 */
function eachStrip(code: FunctionBuilder, m: Local, write: (rows: Local) => void): void {
  const [left, strips, rows] = [0, 0, 0].map(() => code.local(i32));
  code.get(m).tee(left).i32(mostRows - 1).op("i32.add").i32(mostRows).op("i32.div_u").set(strips);
  code.block(() => {
    code.get(left).i32(0).op("i32.le_s").brIf(0);
    code.loop(() => {
      code.get(left).get(strips).op("i32.add").i32(1).op("i32.sub").get(strips).op("i32.div_u").set(rows);
      write(rows);
      code.get(strips).i32(1).op("i32.sub").set(strips);
      code.get(left).get(rows).op("i32.sub").tee(left).i32(0).op("i32.gt_s").brIf(0);
    });
  });
}

/** Adds `product(a, strideRow, strideK, packed, c, strideC, m, n, k, accumulate)`. */
export function addProduct(module: ModuleBuilder, strip: FunctionBuilder): FunctionBuilder {
  const product = module.addFunction("matmul product", Array(10).fill(i32));
  const [a, strideRow, strideK, packed, c, strideC, m, n, k, accumulate] = product.params.keys();
  const [panelBytes, passColumns, columns, left, target] = [0, 0, 0, 0, 0].map(() => product.local(i32));
  const addTo = (local: Local, push: () => void) => {
    product.get(local);
    push();
    product.op("i32.add").set(local);
  };

  product.get(k).i32(5).op("i32.shl").set(panelBytes);
  // PASS_BYTES / (panelBytes + 1) panels: the 1 makes k = 0 harmless.
  product.i32(PASS_BYTES).get(panelBytes).i32(1).op("i32.add").op("i32.div_u").i32(1).op("i32.add");
  product.i32(3).op("i32.shl").set(passColumns);
  product.block(() => {
    product.get(n).i32(0).op("i32.le_s").brIf(0);
    product.loop(() => {
      minimum(product, () => product.get(n), () => product.get(passColumns)).set(columns);
      product.get(a).set(left).get(c).set(target);
      eachStrip(product, m, (rows) => {
        product.get(left).get(strideRow).get(strideK).get(packed).get(panelBytes).get(target).get(strideC);
        product.get(columns).get(k).get(accumulate).get(rows).call(strip);
        addTo(left, () => product.get(rows).get(strideRow).op("i32.mul"));
        addTo(target, () => product.get(rows).get(strideC).op("i32.mul"));
      });
      addTo(packed, () => product.get(passColumns).get(k).op("i32.mul").i32(2).op("i32.shl"));
      addTo(c, () => product.get(passColumns).i32(2).op("i32.shl"));
      product.get(n).get(passColumns).op("i32.sub").tee(n).i32(0).op("i32.gt_s").brIf(0);
    });
  });
  return product;
}

/**
 * Adds `productTransposed(a, strideK, b, strideBK, c, strideC, m, n, k, accumulate, scratch)`: Aᵀ·B. Blocks of 256
 * terms are packed, B into panels and A into strips `[k][rows]`: read in place, both would be touched at strides of
 * whole rows.
 */
export function addProductTransposed(
  module: ModuleBuilder,
  strip: FunctionBuilder,
  pack: FunctionBuilder,
): FunctionBuilder {
  const packStrip = addPackStrip(module);
  const product = module.addFunction("matmul product transposed", Array(11).fill(i32));
  const [a, strideK, b, strideBK, c, strideC, m, n, k, accumulate, scratch] = product.params.keys();
  const [terms, panels, columns, column, source, target, packed] = [0, 0, 0, 0, 0, 0, 0].map(() =>
    product.local(i32)
  );
  const addTo = (local: Local, push: () => void) => {
    product.get(local);
    push();
    product.op("i32.add").set(local);
  };
  const stripBytes = (rows: Local) => product.get(rows).get(terms).op("i32.mul").i32(2).op("i32.shl");

  // At least once: without terms C becomes zero.
  product.loop(() => {
    minimum(product, () => product.get(k), () => product.i32(blockTerms)).set(terms);
    product.get(a).set(source).get(scratch).set(packed);
    eachStrip(product, m, (rows) => {
      product.get(source).get(strideK).get(packed).get(terms).get(rows).call(packStrip);
      addTo(source, () => product.get(rows).i32(2).op("i32.shl"));
      addTo(packed, () => stripBytes(rows));
    });
    product.get(packed).set(panels).i32(0).set(column);
    product.count(column, { local: n }, blockColumns, () => {
      minimum(product, () => product.get(n).get(column).op("i32.sub"), () => product.i32(blockColumns));
      product.set(columns);
      product.get(b).get(column).i32(2).op("i32.shl").op("i32.add").get(panels).get(terms).get(columns);
      product.get(strideBK).i32(4).call(pack);
      product.get(scratch).set(packed).get(c).get(column).i32(2).op("i32.shl").op("i32.add").set(target);
      eachStrip(product, m, (rows) => {
        product.get(packed).i32(4).get(rows).i32(2).op("i32.shl").get(panels);
        product.get(terms).i32(5).op("i32.shl").get(target).get(strideC).get(columns).get(terms);
        product.get(accumulate).get(rows).call(strip);
        addTo(packed, () => stripBytes(rows));
        addTo(target, () => product.get(rows).get(strideC).op("i32.mul"));
      });
    });
    addTo(a, () => product.get(terms).get(strideK).op("i32.mul"));
    addTo(b, () => product.get(terms).get(strideBK).op("i32.mul"));
    product.i32(1).set(accumulate);
    product.get(k).get(terms).op("i32.sub").tee(k).i32(0).op("i32.gt_s").brIf(0);
  });
  return product;
}

/** Adds `packStrip(source, strideK, destination, k, rows)`: `[k][rows]` floats; two vectors overlap from 4 rows on. */
function addPackStrip(module: ModuleBuilder): FunctionBuilder {
  const pack = module.addFunction("matmul pack strip", Array(5).fill(i32));
  const [source, strideK, destination, k, rows] = pack.params.keys();
  const [term, row, rowBytes, last] = [0, 0, 0, 0].map(() => pack.local(i32));
  const eachTerm = (write: () => void) =>
    pack.count(term, { local: k }, 1, () => {
      write();
      pack.get(source).get(strideK).op("i32.add").set(source);
      pack.get(destination).get(rowBytes).op("i32.add").set(destination);
    });
  const place = (base: Local, offset: Local) => pack.get(base).get(offset).op("i32.add");

  pack.get(rows).i32(2).op("i32.shl").tee(rowBytes).i32(16).op("i32.sub").set(last);
  pack.get(rows).i32(4).op("i32.ge_s").if(() => {
    eachTerm(() => {
      pack.get(destination).get(source).memory("v128.load").memory("v128.store");
      place(destination, last);
      place(source, last).memory("v128.load").memory("v128.store");
    });
  }, () => {
    eachTerm(() => {
      pack.i32(0).set(row);
      pack.count(row, { local: rowBytes }, 4, () => {
        place(destination, row);
        place(source, row).memory("f32.load").memory("f32.store");
      });
    });
  });
  return pack;
}

/** Bytes of `scratch` for the transposed product. */
export function transposedScratchBytes(m: number, n: number, k: number): number {
  const columns = Math.min(blockColumns, Math.ceil(n / panelColumns) * panelColumns);
  return 4 * Math.min(k, blockTerms) * (m + columns);
}
