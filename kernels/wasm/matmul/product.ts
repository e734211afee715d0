/**
 * Products in blocks that stay in the caches, and in strips of rows, whose tiles are in tile.ts. Terms are
 * divided into blocks too, so that the error of a sum does not grow with its length.
 */
import { type FunctionBuilder, i32, type Local, type ModuleBuilder } from "../assembler.ts";
import { PART_TERMS } from "./settle.ts";
import { mostRows, panelRowBytes, pushIf, type TileFeatures } from "./tile.ts";

/**
 * Bytes of the packed right operand that all rows pass over before the next ones; 64 to 256 KiB are equally
 * fast.
 */
const PASS_BYTES = 1 << 17;

/**
 * Up to this many terms are added one after another, and up to twice as many in two halves; beyond that,
 * {@linkcode BLOCK_TERMS} at a time. docs/performance.md says what shorter blocks would cost.
 */
const WHOLE_TERMS = 256;

/** Terms of a block: rounding loses less than 1e-6 of 64 equal terms, about 4e-7, and half as much of 32. */
export const BLOCK_TERMS = 64;

/** Writes `smaller = min(value, bound)`; both are pushed twice. */
export function minimum(code: FunctionBuilder, value: () => void, bound: () => void): FunctionBuilder {
  value();
  bound();
  value();
  bound();
  return code.op("i32.lt_s").op("select");
}

/**
 * Runs `write` for strips of rows, as even as `most` rows allow: with 6, 64 rows are 9 strips of 6 and 2 of
 * 5, so that no strip of one or two rows is left over.
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

/** Adds `product(a, strideRow, strideK, packed, c, strideC, m, n, k, addend, strideAddend, scratch)`. */
export function addProduct(
  module: ModuleBuilder,
  strip: FunctionBuilder,
  settle: FunctionBuilder,
  features: TileFeatures,
): FunctionBuilder {
  const product = module.addFunction("matmul product", Array(12).fill(i32));
  const [a, strideRow, strideK, packed, c, strideC, m, n, k, addend, strideAddend, scratch] = product.params
    .keys();
  const [panelBytes, passColumns, columns, left, target, added, first, terms, sums, strideSums, strideAdded] =
    Array.from({ length: 11 }, () => product.local(i32));
  const [scratchBytes, most, step, done, base, strideBase] = Array.from(
    { length: 6 },
    () => product.local(i32),
  );
  const addTo = (local: Local, push: () => void) => {
    product.get(local);
    push();
    product.op("i32.add").set(local);
  };
  const columnBytes = () => product.get(passColumns).i32(2).op("i32.shl");

  /** The block of terms from `first` on, for all rows: adds its sums to what lies at `added`. */
  const block = () => {
    product.get(a).get(first).get(strideK).op("i32.mul").op("i32.add").set(left).get(sums).set(target);
    eachStrip(product, m, mostRows(features), (rows) => {
      product.get(added).set(base).get(strideAdded).set(strideBase).i32(0).set(done);
      // A strip at a time, so that what the first half gave is still in the nearest cache.
      product.loop(() => {
        product.get(left).get(done).get(strideK).op("i32.mul").op("i32.add").get(strideRow).get(strideK);
        product.get(packed).get(first).get(done).op("i32.add").i32(Math.log2(panelRowBytes)).op("i32.shl");
        product.op("i32.add").get(panelBytes).get(target).get(strideSums).get(columns);
        minimum(product, () => product.get(terms).get(done).op("i32.sub"), () => product.get(step));
        product.get(base).get(strideBase).get(rows).call(strip);
        product.get(target).set(base).get(strideSums).set(strideBase);
        product.get(done).get(step).op("i32.add").tee(done).get(terms).op("i32.lt_u").brIf(0);
      });
      addTo(left, () => product.get(rows).get(strideRow).op("i32.mul"));
      addTo(target, () => product.get(rows).get(strideSums).op("i32.mul"));
      addTo(added, () => product.get(rows).get(strideAdded).op("i32.mul"));
    });
  };

  /**
   * All blocks. With `scratch`, several form a part, whose sums stay there until they are added to the
   * result.
   */
  const blocks = () => {
    product.get(scratch).get(c).get(scratch).op("select").set(sums);
    product.get(addend).set(added).get(strideAddend).set(strideAdded).i32(0).set(first);
    product.loop(() => {
      minimum(product, () => product.get(k).get(first).op("i32.sub"), () => product.get(most)).set(
        terms,
      );
      block();
      addTo(first, () => product.get(terms));
      product.get(sums).set(added).get(strideSums).set(strideAdded);
      product.get(scratch).if(() => {
        product.get(first).i32(PART_TERMS - 1).op("i32.and").op("i32.eqz");
        product.get(first).get(k).op("i32.eq").op("i32.or").if(() => {
          product.get(c).get(strideC).get(scratch).get(scratch).get(scratchBytes).op("i32.add").get(
            strideSums,
          );
          product.get(m).get(columns).get(first).i32(PART_TERMS).op("i32.le_u").call(settle);
          product.i32(0).set(added).i32(0).set(strideAdded);
        });
      });
      product.get(first).get(k).op("i32.lt_u").brIf(0);
    });
  };

  product.get(k).i32(Math.log2(panelRowBytes)).op("i32.shl").set(panelBytes);
  product.get(k).i32(BLOCK_TERMS).get(k).i32(2 * WHOLE_TERMS).op("i32.le_u").op("select").tee(most).set(step);
  product.get(most).i32(WHOLE_TERMS).op("i32.gt_u").if(() => {
    // Half of the terms, in multiples of 8 as tiles like them.
    product.get(k).i32(15).op("i32.add").i32(4).op("i32.shr_u").i32(3).op("i32.shl").set(step);
  });
  product.get(n).i32(2).op("i32.shl").tee(strideSums).get(m).op("i32.mul").set(scratchBytes);
  product.get(strideSums).get(strideC).get(scratch).op("select").set(strideSums);
  // PASS_BYTES / (panelBytes + 1) panels: the 1 makes k = 0 harmless.
  product.i32(PASS_BYTES).get(panelBytes).i32(1).op("i32.add").op("i32.div_u").i32(1).op("i32.add");
  product.i32(3).op("i32.shl").set(passColumns);
  product.block(() => {
    product.get(n).i32(0).op("i32.le_s").brIf(0);
    product.loop(() => {
      minimum(product, () => product.get(n), () => product.get(passColumns)).set(columns);
      blocks();
      addTo(packed, () => product.get(passColumns).get(k).op("i32.mul").i32(2).op("i32.shl"));
      addTo(c, columnBytes);
      addTo(addend, () => pushIf(product, addend, columnBytes));
      addTo(scratch, () => pushIf(product, scratch, columnBytes));
      product.get(n).get(passColumns).op("i32.sub").tee(n).i32(0).op("i32.gt_s").brIf(0);
    });
  });
  return product;
}
