/**
 * Sums of products, a vector of columns at a time. Blocks of a few terms are summed in float and the blocks in double.
 */
import type { Dim } from "../../../src/tensor/dims.ts";
import type { SumOfProductsKernel } from "../../cpu/kernels.ts";
import { placesTogether } from "../../cpu/sums_of_products.ts";
import { reducedAxes } from "../../cpu/reduced_axes.ts";
import { type KernelSource, plus } from "./code.ts";
import type { EmittedKinds } from "./kind.ts";

/** The terms of a block: rounding loses less than 16 · 2⁻²⁴ of their sum. */
const BLOCK = 16;

/** Writes the function of a sum of products; rows are those of the output's first axis. */
function emitSumOfProducts(f: KernelSource, { factors, axes, output }: SumOfProductsKernel): void {
  const { kept, reduced } = reducedAxes(factors, axes);
  const last = kept.shape.length - 1, together = placesTogether(kept);
  const from = factors.map((factor) => f.pointer(factor)), to = f.pointer(output);
  const between = kept.shape.slice(1, together === undefined ? last : last - 1);
  const places = Array.from(
    { length: together ?? 1 },
    (_, place) => together === undefined ? [] : [`${place}`],
  );
  const index = f.indexType;
  /** Vectors of columns outermost, as their lines stay in the first cache for all that is between. */
  const columns = (row: readonly string[], first: string, stop: string, dims: readonly Dim[]) => {
    const j = f.name("j"), n = f.name("n");
    f.block(`for (${index} ${j} = ${first}; ${j} < ${stop}; ${j} += LANES)`, () => {
      f.line(`const lanes ${n} = v_lanes(${stop} - ${j});`);
      f.loops("i", dims, (others) => {
        const results = places.map((place) => ({
          indices: [...row, ...others, ...place],
          all: f.name("sum"),
          block: f.name("block"),
        }));
        for (const { all } of results) f.line(`struct sums ${all} = NO_SUMS;`);
        f.loops("k", reduced.shape.slice(0, -1), (outer) => {
          const begin = f.name("first"), end = f.name("end"), k = f.name("k");
          const extent = f.size(reduced.shape.at(-1) ?? 1);
          f.block(`for (${index} ${begin} = 0; ${begin} < ${extent}; ${begin} += ${BLOCK})`, () => {
            f.line(
              `const ${index} ${end} = ${begin} + ${BLOCK} < ${extent} ? ${begin} + ${BLOCK} : ${extent};`,
            );
            for (const { block } of results) f.line(`vf ${block} = v_number(0);`);
            f.block(`for (${index} ${k} = ${begin}; ${k} < ${end}; ${k}++)`, () => {
              for (const { indices, block } of results) {
                const [x, y] = from.map((pointer, factor) => {
                  const at = f.distance(indices, kept.strides[factor]);
                  return `v_load(${
                    plus(pointer, at, f.distance([...outer, k], reduced.strides[factor]), j)
                  }, ${n})`;
                });
                f.line(`${block} = v_fma(${x}, ${y}, ${block});`);
              }
            });
            for (const { all, block } of results) f.line(`${all} = v_add_wide(${all}, ${block});`);
          });
        });
        for (const { indices, all } of results) {
          f.line(`v_store(${plus(to, f.distance(indices, output.strides), j)}, v_rounded(${all}), ${n});`);
        }
      });
    });
  };
  if (last === 0) return columns([], "begin", "end", []);
  f.loop("i", "end", (row) => columns([row], "0", f.size(kept.shape[last]), between), { from: "begin" });
}

/** How this kind is written. */
export const sumOfProductsEmission: EmittedKinds<SumOfProductsKernel> = {
  sumOfProducts: {
    emit: emitSumOfProducts,
    cut: ({ output: { shape: { length } } }, { cost }, shareFrom) => ({
      grain: length === 1 ? 16 : 1,
      singleThreaded: cost < shareFrom,
    }),
  },
};
