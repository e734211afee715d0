/**
 * Sums of parts of long products: rows of a part are added to rows of the result, with the rounding errors
 * kept beside it (Kahan, "Further remarks on reducing truncation errors", 1965), so that any number of parts
 * is as accurate as one.
 */
import { type FunctionBuilder, i32, type ModuleBuilder, v128 } from "../assembler.ts";

/** Terms of a part: 64 are added one after another, and 32 such sums. */
export const PART_TERMS = 2048;

/**
 * Adds `settle(c, strideC, part, errors, stridePart, rows, columns, isFirst)`: C += part, or C = part if it
 * is the first; `errors` has the layout of the part.
 */
export function addSettle(module: ModuleBuilder): FunctionBuilder {
  const settle = module.addFunction("matmul settle", Array(8).fill(i32));
  const [c, strideC, part, errors, stridePart, rows, columns, isFirst] = settle.params.keys();
  const [row, at, end, wide] = Array.from({ length: 4 }, () => settle.local(i32));
  const [term, before, sum, lost] = Array.from({ length: 4 }, () => settle.local(v128));
  const lanes = (count: 1 | 4) => {
    const load = (base: number) =>
      settle.get(base).get(at).op("i32.add").memory(count === 4 ? "v128.load" : "v128.load32_zero");
    const store = (base: number, value: number) => {
      settle.get(base).get(at).op("i32.add").get(value);
      if (count === 4) settle.memory("v128.store");
      else settle.laneMemory("v128.store32_lane", 0);
    };
    load(part).set(term);
    settle.get(isFirst).if(() => {
      settle.get(term).set(sum).f32x4(0).set(lost);
    }, () => {
      settle.get(term);
      load(errors).op("f32x4.add").set(term);
      load(c).tee(before).get(term).op("f32x4.add").set(sum);
      settle.get(term).get(sum).get(before).op("f32x4.sub").op("f32x4.sub").set(lost);
      // An infinite or NaN sum has no rounding error.
      settle.get(lost).get(lost).get(lost).op("f32x4.eq").op("v128.and").set(lost);
    });
    store(c, sum);
    store(errors, lost);
  };
  settle.get(columns).i32(2).op("i32.shl").tee(end).i32(-16).op("i32.and").set(wide);
  settle.count(row, { local: rows }, 1, () => {
    settle.i32(0).set(at);
    settle.count(at, { local: wide }, 16, () => lanes(4));
    settle.count(at, { local: end }, 4, () => lanes(1));
    settle.get(c).get(strideC).op("i32.add").set(c);
    for (const pointer of [part, errors]) settle.get(pointer).get(stridePart).op("i32.add").set(pointer);
  });
  return settle;
}
