/** Sums and maxima over axes, and the index of the largest. */
import { f32, type FunctionBuilder, i32, type Local, type ModuleBuilder, v128 } from "../assembler.ts";
import type { ArgmaxKernel, ReduceKernel } from "../../lowering/kernels.ts";
import { collapse, sizeOf, type View } from "../../lowering/views.ts";
import { BEGIN, ELEMENT, END, kernelParams, loopOver, type Memory, pushBase } from "./address.ts";

/** Columns that are summed side by side, so that a cache line that was fetched is used whole. */
const WIDE = 16;

type Moving = { readonly local: Local; readonly strides: readonly number[] };

function pointerTo(f: FunctionBuilder, view: View, memory: Memory): Local {
  const local = f.local(i32);
  pushBase(f, view, view.offset, memory);
  f.set(local);
  return local;
}

/** Writes the function of a reduction; rows are those of the output's first axis. */
export function emitReduce(
  module: ModuleBuilder,
  kernel: ReduceKernel,
  depth: number,
  memory: Memory,
  name: string,
): FunctionBuilder {
  const f = module.addFunction(name, kernelParams(depth));
  const { input, axes, output } = kernel;
  const isFloat = input.dtype === "float32";
  const combine = kernel.name === "sum"
    ? (isFloat ? "f32x4.add" : "i32x4.add")
    : (isFloat ? "f32x4.max" : "i32x4.max_s");
  const start = () => kernel.name === "sum" ? f.i32x4(0) : isFloat ? f.f32x4(-Infinity) : f.i32x4(-(2 ** 31));
  const isReduced = (axis: number) => axes.includes(axis);
  const keptShape = input.shape.filter((_, axis) => !isReduced(axis));
  const keptStrides = input.strides.filter((_, axis) => !isReduced(axis));
  const reduced = collapse(
    axes.map((axis) => input.shape[axis]),
    [axes.map((axis) => input.strides[axis])],
    0,
  );
  const from = pointerTo(f, input, memory), to = pointerTo(f, output, memory);
  const last = keptShape.length - 1;

  if (
    last >= 0 && keptStrides[last] === 1 && output.strides[last] === 1 && !(reduced.strides[0].at(-1) === 1)
  ) {
    // Column by column: vectors along the innermost kept axis.
    const columns = (first: Local | number, end: Local | number) => {
      const at = f.local(i32), stop = f.local(i32);
      const push = (value: Local | number, isLocal: boolean) => isLocal ? f.get(value) : f.i32(value);
      push(first, last === 0).set(at);
      const chunk = (lanes: number) => {
        push(end, last === 0).i32((lanes - 1) * ELEMENT).op("i32.sub").set(stop);
        f.count(at, { local: stop }, lanes * ELEMENT, () => {
          const sums = Array.from({ length: Math.ceil(lanes / 4) }, () => f.local(v128));
          for (const sum of sums) start().set(sum);
          const source = f.local(i32);
          f.get(from).get(at).op("i32.add").set(source);
          loopOver(f, reduced.shape, [{ local: source, strides: reduced.strides[0] }], () => {
            sums.forEach((sum, index) => {
              f.get(sum).get(source).memory(lanes === 1 ? "v128.load32_zero" : "v128.load", index * 16).op(
                combine,
              ).set(sum);
            });
          });
          sums.forEach((sum, index) => {
            f.get(to).get(at).op("i32.add").get(sum);
            if (lanes === 1) f.laneMemory("v128.store32_lane", 0);
            else f.memory("v128.store", index * 16);
          });
        });
      };
      for (const lanes of [WIDE, 4, 1]) chunk(lanes);
    };
    if (last === 0) {
      const first = f.local(i32), end = f.local(i32);
      f.get(BEGIN).i32(ELEMENT).op("i32.mul").set(first);
      f.get(END).i32(ELEMENT).op("i32.mul").set(end);
      columns(first, end);
    } else {
      overRows(f, keptShape.slice(0, last), [
        { local: from, strides: keptStrides.slice(0, last) },
        { local: to, strides: output.strides.slice(0, last) },
      ], () => columns(0, keptShape[last] * ELEMENT));
    }
    return f;
  }
  // Element by element of the output: vectors along the innermost reduced axis where it is contiguous.
  const one = () => {
    const sum = f.local(v128);
    start().set(sum);
    const inner = reduced.shape.length - 1;
    const source = f.local(i32);
    f.get(from).set(source);
    const contiguous = inner >= 0 && reduced.strides[0][inner] === 1 && reduced.shape[inner] >= 4;
    const tail = f.local(v128);
    start().set(tail);
    if (contiguous) {
      const extent = reduced.shape[inner];
      const at = f.local(i32);
      loopOver(f, reduced.shape.slice(0, inner), [{
        local: source,
        strides: reduced.strides[0].slice(0, inner),
      }], () => {
        f.i32(0).set(at);
        f.count(
          at,
          Math.floor(extent / 4) * 16,
          16,
          () => f.get(sum).get(source).get(at).op("i32.add").memory("v128.load").op(combine).set(sum),
        );
        f.count(
          at,
          extent * ELEMENT,
          ELEMENT,
          () =>
            f.get(tail).get(source).get(at).op("i32.add").memory("v128.load32_splat").op(combine).set(tail),
        );
      });
    } else {
      loopOver(
        f,
        reduced.shape,
        [{ local: source, strides: reduced.strides[0] }],
        () => f.get(tail).get(source).memory("v128.load32_splat").op(combine).set(tail),
      );
    }
    // The four partial results of `sum` and the one of `tail`.
    f.get(to);
    f.get(sum).get(sum).get(sum).shuffle([8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7]).op(combine)
      .tee(sum);
    f.get(sum).get(sum).shuffle([4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11]).op(combine);
    f.get(tail).op(combine).laneMemory("v128.store32_lane", 0);
  };
  overRows(
    f,
    keptShape,
    [{ local: from, strides: keptStrides }, { local: to, strides: output.strides }],
    one,
  );
  return f;
}

/** Loops over rows `[begin, end)` of the first axis and all of the others; without axes runs once. */
export function overRows(
  f: FunctionBuilder,
  dims: readonly number[],
  moving: readonly Moving[],
  write: () => void,
): void {
  if (dims.length === 0) return write();
  const row = f.local(i32);
  for (const { local, strides } of moving) {
    f.get(local).get(BEGIN).i32(strides[0] * ELEMENT).op("i32.mul").op("i32.add").set(local);
  }
  f.get(BEGIN).set(row);
  f.count(row, { local: END }, 1, () => {
    loopOver(
      f,
      dims.slice(1),
      moving.map(({ local, strides }) => ({ local, strides: strides.slice(1) })),
      write,
    );
    for (const { local, strides } of moving) {
      if (strides[0] !== 0) f.get(local).i32(strides[0] * ELEMENT).op("i32.add").set(local);
    }
  });
}

/** Writes the function of an argmax; NaN counts as largest, the first of equals wins. */
export function emitArgmax(
  module: ModuleBuilder,
  kernel: ArgmaxKernel,
  depth: number,
  memory: Memory,
  name: string,
): FunctionBuilder {
  const f = module.addFunction(name, kernelParams(depth));
  const { input, axis, output } = kernel;
  const isFloat = input.dtype === "float32";
  if (sizeOf(input.shape) === 0) return f;
  const kept = <T>(list: readonly T[]) => list.filter((_, other) => other !== axis);
  const from = pointerTo(f, input, memory), to = pointerTo(f, output, memory);
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
      f.get(source).i32(input.strides[axis] * ELEMENT).op("i32.add").set(source);
    });
    f.get(to).get(bestIndex).memory("i32.store");
  });
  return f;
}
