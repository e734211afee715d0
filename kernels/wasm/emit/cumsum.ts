/** Running sums along an axis. */
import { addDims, type Dim, multiplyDims } from "../../../src/tensor/dims.ts";
import { i32, type Local, v128 } from "../assembler.ts";
import type { CumsumKernel } from "../../lowering/kinds/cumsum.ts";
import type { View } from "../../lowering/views.ts";
import { sizeOf } from "../../shapes.ts";
import { lastOf, loopOver, overRows, pointerTo } from "./address.ts";
import type { KernelCode } from "./code.ts";
import type { EmittedKinds } from "./kind.ts";

/**
 * Writes the function of a running sum; rows are those of the first axis, or it is one unit of work where that is summed
 * along. Where neighbours lie side by side, four are summed at once.
 */
function emitCumsum(f: KernelCode, kernel: CumsumKernel): void {
  const { input, axis, reverse, output } = kernel;
  if (sizeOf(output.shape) === 0) return;
  const first = ({ offset, strides }: View) =>
    reverse ? addDims(offset, multiplyDims(lastOf(output.shape[axis]), strides[axis])) : offset;
  const from = pointerTo(f, input, first(input)), to = pointerTo(f, output, first(output));
  const shape = output.shape.toSpliced(axis, 1);
  const [source, target] = [input, output].map(({ strides }) => strides.toSpliced(axis, 1));
  const inner = shape.length - 1;
  const isByColumns = inner >= (axis === 0 ? 0 : 1) && source[inner] === 1 && target[inner] === 1;
  const outer = isByColumns ? inner : shape.length;
  const at = f.local(i32);
  const over = axis === 0 ? loopOver : overRows;
  over(f, shape.slice(0, outer), [
    { local: from, strides: source.slice(0, outer) },
    { local: to, strides: target.slice(0, outer) },
  ], () => {
    f.i32(0).set(at);
    if (!isByColumns) return sumAlong(f, kernel, 1, from, to, at);
    f.countBytes(at, shape[inner], 4, () => sumAlong(f, kernel, 4, from, to, at));
    f.countBytes(at, shape[inner], 1, () => sumAlong(f, kernel, 1, from, to, at));
  });
}

/**
 * Sums so many neighbours along the axis, from `at` bytes behind the pointers on. What rounding loses of a sum is added
 * with its next term (Kahan, 1965).
 */
function sumAlong(
  f: KernelCode,
  { input, axis, exclusive, reverse, output }: CumsumKernel,
  lanes: 1 | 4,
  from: Local,
  to: Local,
  at: Local,
): void {
  const [sum, before, term, lost] = Array.from({ length: 4 }, () => f.local(v128));
  const source = f.local(i32), target = f.local(i32), index = f.local(i32);
  const step = ({ strides }: View): Dim => multiplyDims(strides[axis], reverse ? -1 : 1);
  const zero = (local: Local) => f.i32(0).op("i32x4.splat").set(local);
  const store = () => {
    f.get(target).get(sum);
    if (lanes === 4) f.memory("v128.store");
    else f.laneMemory("v128.store32_lane", 0);
  };
  f.get(from).get(at).op("i32.add").set(source);
  f.get(to).get(at).op("i32.add").set(target);
  zero(sum);
  zero(lost);
  f.i32(0).set(index);
  f.count(index, output.shape[axis], 1, () => {
    f.get(source).memory(lanes === 4 ? "v128.load" : "v128.load32_zero").set(term);
    if (exclusive) store();
    if (output.dtype === "int32") f.get(sum).get(term).op("i32x4.add").set(sum);
    else {
      f.get(term).get(lost).op("f32x4.add").set(term);
      f.get(sum).tee(before).get(term).op("f32x4.add").set(sum);
      f.get(term).get(sum).get(before).op("f32x4.sub").op("f32x4.sub").tee(lost);
      // A sum that is infinite or NaN, where lost - lost is NaN, has lost nothing.
      f.get(lost).get(lost).op("f32x4.sub").tee(term).get(term).op("f32x4.eq").op("v128.and").set(lost);
    }
    if (!exclusive) store();
    f.move(source, step(input)).move(target, step(output));
  });
}

/** How the kind is emitted. */
export const cumsumEmission: EmittedKinds<CumsumKernel> = {
  cumsum: {
    emit: emitCumsum,
    cut: ({ axis }, { cost }, shareFrom) => ({ grain: 1, singleThreaded: axis === 0 || cost < shareFrom }),
  },
};
