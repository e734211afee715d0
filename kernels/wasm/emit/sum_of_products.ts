/** Sums of products, a vector of columns at a time. */
import { isAtMost, multiplyDims } from "../../../src/tensor/dims.ts";
import { i32, v128 } from "../assembler.ts";
import type { SumOfProductsKernel } from "../../cpu/kernels.ts";
import { reducedAxes } from "../../cpu/reduced_axes.ts";
import { placesTogether } from "../../cpu/sums_of_products.ts";
import { accumulate } from "./accumulate.ts";
import { BEGIN, END, overRows, pointerTo } from "./address.ts";
import { ELEMENT, type KernelCode } from "./code.ts";
import type { EmittedKinds } from "./kind.ts";

/** Terms that are read together. */
const TERMS = 4;

/** Writes the function of a sum of products; rows are those of the output's first axis. */
function emitSumOfProducts(f: KernelCode, { factors, axes, output }: SumOfProductsKernel): void {
  const { kept, reduced } = reducedAxes(factors, axes);
  const last = kept.shape.length - 1, together = placesTogether(kept), results = together ?? 1;
  const outer = together === undefined ? last : last - 1;
  const strides = reduced.strides.map((all) => all.at(-1) ?? 0);
  // Neighbors must lie after the pointer, not before it.
  const abreast = strides.every((stride) => isAtMost(0, stride)) ? TERMS : 1;
  const from = factors.map((factor) => pointerTo(f, factor)), to = pointerTo(f, output);
  const at = f.local(i32), left = f.local(i32), stop = f.local(i32), target = f.local(i32);
  const sources = factors.map(() => f.local(i32));
  /** The elements from one place of those that are summed together to the next. */
  const apart = kept.strides.map((all) => together === undefined ? 0 : all[last - 1]);
  const shared = apart.map((stride) => stride === 0);
  /** All columns from `at` on, `left` bytes in total. */
  const columns = () => {
    for (const lanes of [4, 1]) {
      const load = lanes === 1 ? "v128.load32_zero" : "v128.load";
      f.get(at).get(left).i32(-lanes * ELEMENT).op("i32.and").op("i32.add").set(stop);
      f.get(left).i32(lanes * ELEMENT - 1).op("i32.and").set(left);
      f.count(at, { local: stop }, lanes * ELEMENT, () => {
        sources.forEach((source, factor) => f.get(from[factor]).get(at).op("i32.add").set(source));
        const sums = accumulate(f, { name: "sum", input: factors[0] }, {
          results,
          vectors: 1,
          isScalar: false,
          dims: reduced.shape,
          abreast,
        });
        const moving = sources.map((local, factor) => ({ local, strides: reduced.strides[factor] }));
        sums.over(reduced.shape, moving, (terms) => {
          const push = (factor: number, term: number, result: number) => {
            f.get(sources[factor]);
            let known = 0;
            for (
              const distance of [multiplyDims(strides[factor], term), multiplyDims(apart[factor], result)]
            ) {
              if (typeof distance === "number" && distance >= 0) known += distance * ELEMENT;
              else f.bytes(distance).op("i32.add");
            }
            f.memory(load, known);
          };
          const read = Array.from({ length: terms }, (_, term) =>
            factors.map((_, factor) => {
              if (!shared[factor] || results === 1) return undefined;
              const local = f.local(v128);
              push(factor, term, 0);
              f.set(local);
              return local;
            }));
          for (let result = 0; result < results; result++) {
            const products = read.map((locals, term) => () => {
              locals.forEach((local, factor) => {
                if (local === undefined) push(factor, term, result);
                else f.get(local);
              });
              f.op("f32x4.mul");
            });
            sums.take(result, 0, ...products);
          }
        });
        f.get(to).get(at).op("i32.add").set(target);
        for (let result = 0; result < results; result++) {
          f.get(target);
          sums.push(result);
          if (lanes === 1) f.laneMemory("v128.store32_lane", 0);
          else f.memory("v128.store");
          if (result < results - 1) f.move(target, output.strides[last - 1]);
        }
      });
    }
  };
  if (last === 0) {
    f.get(BEGIN).i32(ELEMENT).op("i32.mul").set(at);
    f.get(END).get(BEGIN).op("i32.sub").i32(ELEMENT).op("i32.mul").set(left);
    columns();
    return;
  }
  overRows(f, kept.shape.slice(0, outer), [
    ...from.map((local, factor) => ({ local, strides: kept.strides[factor].slice(0, outer) })),
    { local: to, strides: output.strides.slice(0, outer) },
  ], () => {
    f.i32(0).set(at).bytes(kept.shape[last]).set(left);
    columns();
  });
}

/** How this kind is emitted. */
export const sumOfProductsEmission: EmittedKinds<SumOfProductsKernel> = {
  sumOfProducts: {
    emit: emitSumOfProducts,
    cut: ({ output: { shape: { length } } }, { cost }, shareFrom) => ({
      grain: length === 1 ? 16 : 1,
      singleThreaded: cost < shareFrom,
    }),
  },
};
