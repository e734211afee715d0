/** Sums and maxima over axes, and the index of the largest. */
import { isAtMost, multiplyDims } from "../../../src/tensor/dims.ts";
import { f32, i32, type Local } from "../assembler.ts";
import type { ArgmaxKernel, ReduceKernel, ReductionKernel } from "../../lowering/kinds/reduction.ts";
import { isByColumns, type ReducedAxes, reducedAxes } from "../../cpu/reduced_axes.ts";
import { accumulate, type Accumulator } from "./accumulate.ts";
import { BEGIN, END, loopOver, overRows, pointerTo } from "./address.ts";
import { ELEMENT, type KernelCode } from "./code.ts";
import type { EmittedKinds } from "./kind.ts";
import { sizeOf } from "../../shapes.ts";

/** Columns that are summed side by side, so that a fetched cache line is used whole. */
const WIDE = 16;

/** Rows that are read together when summing columns. */
const ROWS = 8;

/** Vectors that are read side by side if the innermost reduced axis is contiguous, and their elements. */
const ABREAST = 4, STRIDE = 16;

/** Writes the function of a reduction; rows are those of the output's first axis. */
function emitReduce(f: KernelCode, kernel: ReduceKernel): void {
  const { input, axes } = kernel, reduction = reducedAxes([input], axes);
  const write = isByColumns(reduction, kernel) ? reduceColumns : reduceElements;
  write(f, kernel, reduction, pointerTo(f, input), pointerTo(f, kernel.output));
}

/** Column by column: vectors along the innermost kept axis. */
function reduceColumns(
  f: KernelCode,
  kernel: ReduceKernel,
  { kept, reduced: { shape, strides: [strides] } }: ReducedAxes,
  from: Local,
  to: Local,
): void {
  const last = kept.shape.length - 1;
  const stride = strides.at(-1) ?? 0;
  // Neighbors must lie after the pointer, not before it.
  const abreast = isAtMost(0, stride) ? ROWS : 1;
  const at = f.local(i32), left = f.local(i32), stop = f.local(i32), source = f.local(i32);
  /** All columns from `at` on, `left` bytes in total. */
  const columns = () => {
    for (const lanes of [WIDE, 4, 1]) {
      f.get(at).get(left).i32(-lanes * ELEMENT).op("i32.and").op("i32.add").set(stop);
      f.get(left).i32(lanes * ELEMENT - 1).op("i32.and").set(left);
      f.count(at, { local: stop }, lanes * ELEMENT, () => {
        f.get(from).get(at).op("i32.add").set(source);
        const results = Math.ceil(lanes / 4);
        const sums = accumulate(f, kernel, {
          results,
          vectors: 1,
          isScalar: false,
          dims: shape,
          abreast,
        });
        const load = lanes === 1 ? "v128.load32_zero" : "v128.load";
        sums.over(shape, [{ local: source, strides }], (places) => {
          for (let result = 0; result < results; result++) {
            const terms = Array.from({ length: places }, (_, place) => () => {
              f.get(source);
              const isKnown = typeof stride === "number";
              if (!isKnown && place > 0) f.bytes(multiplyDims(stride, place)).op("i32.add");
              f.memory(load, result * 16 + (isKnown ? place * stride * ELEMENT : 0));
            });
            sums.take(result, 0, ...terms);
          }
        });
        for (let result = 0; result < results; result++) {
          f.get(to).get(at).op("i32.add");
          sums.push(result);
          if (lanes === 1) f.laneMemory("v128.store32_lane", 0);
          else f.memory("v128.store", result * 16);
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
  overRows(f, kept.shape.slice(0, last), [
    { local: from, strides: kept.strides[0].slice(0, last) },
    { local: to, strides: kernel.output.strides.slice(0, last) },
  ], () => {
    f.i32(0).set(at).bytes(kept.shape[last]).set(left);
    columns();
  });
}

/** One output element at a time: vectors along the innermost reduced axis if it is contiguous. */
function reduceElements(
  f: KernelCode,
  kernel: ReduceKernel,
  { kept, reduced: { shape, strides: [strides] } }: ReducedAxes,
  from: Local,
  to: Local,
): void {
  const inner = shape.length - 1;
  const source = f.local(i32);
  const extent = shape[inner] ?? 0;
  const isContiguous = inner >= 0 && strides[inner] === 1 && (typeof extent !== "number" || extent >= 4);
  const single = kernel.name === "sum" ? "v128.load32_zero" : "v128.load32_splat";
  overRows(f, kept.shape, [
    { local: from, strides: kept.strides[0] },
    { local: to, strides: kernel.output.strides },
  ], () => {
    f.get(from).set(source);
    const moving = [{ local: source, strides }];
    const load = (offset: number, lanes: 1 | 4) => () =>
      f.get(source).memory(lanes === 4 ? "v128.load" : single, offset * ELEMENT);
    let sum: Accumulator;
    if (!isContiguous) {
      sum = accumulate(f, kernel, { results: 1, vectors: 1, isScalar: true, dims: shape });
      sum.over(shape, moving, () => sum.take(0, 0, load(0, 1)));
    } else {
      const outer = shape.slice(0, inner);
      if (typeof extent !== "number") {
        sum = accumulate(f, kernel, {
          results: 1,
          vectors: ABREAST,
          isScalar: true,
          dims: [extent],
          times: sizeOf(outer),
        });
        const groups = { local: f.hold(() => f.size(extent).i32(Math.log2(STRIDE)).op("i32.shr_u")) };
        const rest = { local: f.hold(() => f.size(extent).i32(STRIDE - 1).op("i32.and")) };
        const stridesOf = (stride: number) => [{ local: source, strides: [stride] }];
        loopOver(f, outer, moving, () => {
          sum.over([groups], stridesOf(STRIDE), () => {
            for (let vector = 0; vector < ABREAST; vector++) sum.take(0, vector, load(4 * vector, 4));
          });
          const restAt = f.hold(() => f.get(source).get(groups.local).i32(6).op("i32.shl").op("i32.add"));
          sum.over([rest], [{ local: restAt, strides: [1] }], () => {
            sum.take(0, 0, () => f.get(restAt).memory(single));
          });
        });
        f.get(to);
        sum.push(0);
        f.laneMemory("v128.store32_lane", 0);
        return;
      }
      const wholes = Math.floor(extent / STRIDE), rest = extent % STRIDE;
      const full = Math.floor(rest / 4);
      const vectors = wholes > 0 ? ABREAST : full + rest % 4;
      const takeRest = () => {
        for (let at = 0; at < full; at++) sum.take(0, at, load(wholes * STRIDE + 4 * at, 4));
        for (let at = full * 4; at < rest; at++) {
          sum.take(0, (at - 3 * full) % vectors, load(wholes * STRIDE + at, 1));
        }
      };
      sum = accumulate(f, kernel, {
        results: 1,
        vectors,
        isScalar: true,
        // In the remainder, a vector gets at most two terms.
        dims: wholes > 0 ? [wholes + (rest > 0 ? 2 : 0)] : outer,
        times: wholes > 0 ? sizeOf(outer) : 1,
      });
      if (wholes === 0) sum.over(outer, moving, takeRest);
      else {
        loopOver(f, outer, moving, () => {
          sum.over([wholes], [{ local: source, strides: [STRIDE] }], () => {
            for (let vector = 0; vector < vectors; vector++) sum.take(0, vector, load(4 * vector, 4));
          });
          if (rest > 0) sum.over([], [], takeRest);
        });
      }
    }
    f.get(to);
    sum.push(0);
    f.laneMemory("v128.store32_lane", 0);
  });
}

/** Writes the function of an argmax; NaN counts as the largest, and of equal elements the first wins. */
function emitArgmax(f: KernelCode, kernel: ArgmaxKernel): void {
  const { input, axis, output } = kernel;
  const isFloat = input.dtype === "float32";
  if (sizeOf(input.shape) === 0) return;
  const kept = <T>(list: readonly T[]) => list.filter((_, other) => other !== axis);
  const from = pointerTo(f, input), to = pointerTo(f, output);
  const best = f.local(isFloat ? f32 : i32), x = f.local(isFloat ? f32 : i32);
  const bestIndex = f.local(i32), index = f.local(i32), source = f.local(i32);
  const load = () => f.get(source).memory(isFloat ? "f32.load" : "i32.load");
  overRows(f, kept(input.shape), [
    { local: from, strides: kept(input.strides) },
    { local: to, strides: output.strides },
  ], () => {
    f.get(from).set(source);
    load().set(best);
    f.i32(0).set(bestIndex).i32(0).set(index);
    f.count(index, input.shape[axis], 1, () => {
      load().set(x);
      f.get(x).get(best).op(isFloat ? "f32.gt" : "i32.gt_s");
      if (isFloat) {
        f.get(x).get(x).op("f32.ne").get(best).get(best).op("f32.eq").op("i32.and").op("i32.or");
      }
      f.if(() => f.get(x).set(best).get(index).set(bestIndex));
      f.move(source, input.strides[axis]);
    });
    f.get(to).get(bestIndex).memory("i32.store");
  });
}

/** How these kinds are emitted. */
export const reductionEmission: EmittedKinds<ReductionKernel> = {
  reduce: {
    emit: emitReduce,
    cut: ({ output: { shape: { length } } }, { cost }, shareFrom) => ({
      grain: length === 1 ? 16 : 1,
      singleThreaded: length === 0 || cost < shareFrom,
    }),
  },
  argmax: {
    emit: emitArgmax,
    cut: ({ output }, { cost }, shareFrom) => ({
      grain: 1,
      singleThreaded: output.shape.length === 0 || cost < shareFrom,
    }),
  },
};
