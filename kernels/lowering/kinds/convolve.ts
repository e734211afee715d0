/**
 * Convolutions, as products whose left operand are the windows of the input. These are laid out as a matrix by a copy;
 * processors make it a few rows at a time (`kernels/cpu/gathered.ts`).
 */
import { multiplyDims, type Shape } from "../../../src/tensor/dims.ts";
import { reshapeView, transposeView, type View, viewOf, windowsView } from "../views.ts";
import { copy, type FusedKernel } from "./fused.ts";
import type { MatmulKernel } from "./product.ts";
import { arena, type Rules } from "./rule.ts";
import { sizeOf } from "../../shapes.ts";

/** The same elements in another shape: a view, or else a copy, which is added to `kernels`. */
function reshaped(view: View, shape: Shape, kernels: (FusedKernel | MatmulKernel)[]): View {
  const same = reshapeView(view, shape);
  if (same) return same;
  const to = viewOf(arena("reshaped", sizeOf(view.shape)), view.shape, view.dtype);
  kernels.push(copy({ view }, to));
  return viewOf(to.buffer, shape, view.dtype);
}

/** The rule for the operation. */
export const convolveRules: Rules<"convolve", FusedKernel | MatmulKernel> = {
  convolve: {
    lower: ({ inputs: [x, kernel], attributes }, output, { viewIn }) => {
      const { sizes, window, strides, dilation, groups } = attributes;
      const axes = sizes.length, kernels: (FusedKernel | MatmulKernel)[] = [];
      const shown = sizes.reduce<View>((view, size, index) =>
        windowsView(view, {
          axis: 1 + 2 * index,
          size,
          window: window[index],
          stride: strides[index],
          dilation: dilation[index],
        }), viewIn(x));
      const places = sizes.map((_, index) => 1 + 2 * index), last = 1 + 2 * axes;
      const sorted = transposeView(shown, [0, ...places, ...places.map((axis) => axis + 1), last]);
      const inner = kernel.shape[axes] as number, outer = kernel.shape[axes + 1] as number; // of a kernel: fixed
      const terms = window.reduce((product, size) => product * size, inner);
      const rows = sizeOf(output.shape.slice(0, -1));
      const right = reshaped(viewIn(kernel), [terms, outer], kernels);
      const placed = reshapeView(output, [rows, outer]);
      // Where the places of the result are not evenly apart, it is copied there.
      const own = viewOf(arena("convolve", sizeOf(output.shape)), output.shape, output.dtype);
      const out = placed ?? viewOf(own.buffer, [rows, outer], own.dtype);
      const after = placed ? [] : [copy({ view: own }, output)];
      if (groups === 1) {
        const left = reshaped(sorted, [rows, terms], kernels);
        return [...kernels, { kind: "matmul", left, right, output: out, k: terms, addends: [] }, ...after];
      }
      const split = reshapeView(sorted, [...sorted.shape.slice(0, -1), groups, inner]);
      if (!split) throw new Error("Channels lie so that groups of them are apart");
      const rank = split.shape.length;
      const order = [rank - 2, ...split.shape.slice(0, -2).map((_, axis) => axis), rank - 1];
      const left = reshaped(transposeView(split, order), [groups, rows, terms], kernels);
      const inGroups = (view: View): View => ({
        ...view,
        shape: [groups, view.shape[0], outer / groups],
        strides: [multiplyDims(view.strides[1], outer / groups), ...view.strides],
      });
      return [
        ...kernels,
        { kind: "matmul", left, right: inGroups(right), output: inGroups(out), k: terms, addends: [] },
        ...after,
      ];
    },
  },
};
