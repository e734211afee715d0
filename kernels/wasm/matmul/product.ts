/**
 * Products cut into blocks that stay in the caches, and strips of rows, for which tile.ts has the tiles.
 */
import { type FunctionBuilder, i32, type Local, type ModuleBuilder } from "../assembler.ts";
import { mostRows, pushIf, type TileFeatures } from "./tile.ts";

/** Bytes of the packed right operand that all rows pass over before the next ones; 64 to 256 KiB run alike. */
const PASS_BYTES = 1 << 17;

/** Writes `smaller = min(value, bound)`; both are pushed twice. */
export function minimum(code: FunctionBuilder, value: () => void, bound: () => void): FunctionBuilder {
  value();
  bound();
  value();
  bound();
  return code.op("i32.lt_s").op("select");
}

/**
 * Runs `write` for strips of rows, as even as `most` rows allow: with 6, 64 rows are 9 strips of 6 and 2 of 5, and no
 * strip of a row or two is left over.
 */
function eachStrip(code: FunctionBuilder, m: Local, most: number, write: (rows: Local) => void): void {
  const [left, strips, rows] = [0, 0, 0].map(() => code.local(i32));
  code.get(m).tee(left).i32(most - 1).op("i32.add").i32(most).op("i32.div_u").set(strips);
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

/** Adds `product(a, strideRow, strideK, packed, c, strideC, m, n, k, addend, strideAddend)`. */
export function addProduct(
  module: ModuleBuilder,
  strip: FunctionBuilder,
  features: TileFeatures,
): FunctionBuilder {
  const product = module.addFunction("matmul product", Array(11).fill(i32));
  const [a, strideRow, strideK, packed, c, strideC, m, n, k, addend, strideAddend] = product.params.keys();
  const [panelBytes, passColumns, columns, left, target, added] = Array.from(
    { length: 6 },
    () => product.local(i32),
  );
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
      product.get(a).set(left).get(c).set(target).get(addend).set(added);
      eachStrip(product, m, mostRows(features), (rows) => {
        product.get(left).get(strideRow).get(strideK).get(packed).get(panelBytes).get(target).get(strideC);
        product.get(columns).get(k).get(added).get(strideAddend).get(rows).call(strip);
        addTo(left, () => product.get(rows).get(strideRow).op("i32.mul"));
        addTo(target, () => product.get(rows).get(strideC).op("i32.mul"));
        addTo(added, () => product.get(rows).get(strideAddend).op("i32.mul"));
      });
      addTo(packed, () => product.get(passColumns).get(k).op("i32.mul").i32(2).op("i32.shl"));
      addTo(c, () => product.get(passColumns).i32(2).op("i32.shl"));
      addTo(addend, () => pushIf(product, addend, () => product.get(passColumns).i32(2).op("i32.shl")));
      product.get(n).get(passColumns).op("i32.sub").tee(n).i32(0).op("i32.gt_s").brIf(0);
    });
  });
  return product;
}
