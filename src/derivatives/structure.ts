/** The derivatives of operations that move elements: each is another of them. */
import { applyOne } from "../operations/apply.ts";
import {
  pad,
  reshape,
  reverse,
  sliceAxis,
  sliceOperation,
  span,
  transpose,
} from "../operations/structure.ts";
import { addDims, type Dim, subtractDims } from "../tensor/dims.ts";
import { sumOfCotangent } from "./sums.ts";
import type { Derivatives } from "./rule.ts";

export const structure: Derivatives<
  "broadcast" | "reshape" | "transpose" | "reverse" | "slice" | "pad" | "concat"
> = {
  broadcast: ({ inputs: [x], cotangents: [c], attributes: { shape, axes } }) => {
    if (!c) return [undefined];
    const repeated = shape.map((_, axis) => axis).filter((axis) => {
      const from = axes.indexOf(axis);
      return from < 0 || (x.shape[from] === 1 && shape[axis] !== 1);
    });
    return [reshape(sumOfCotangent(c, repeated), x.shape)];
  },
  reshape: ({ inputs: [x], cotangents: [c] }) => [c && reshape(c, x.shape)],
  transpose: ({ cotangents: [c], attributes: { permutation } }) => [
    c && transpose(c, { permutation: permutation.map((_, axis) => permutation.indexOf(axis)) }),
  ],
  reverse: ({ cotangents: [c], attributes: { axes } }) => [c && reverse(c, axes)],
  slice: ({ inputs: [x], cotangents: [c], attributes: { start, size, stride } }) => [
    c && pad(c, {
      low: start,
      high: x.shape.map((dim, axis) =>
        subtractDims(dim, addDims(start[axis], span(size[axis], stride[axis])))
      ),
      interior: stride.map((step) => step - 1),
    }),
  ],
  pad: ({ inputs: [x], cotangents: [c], attributes: { low, interior } }) => [
    c && applyOne(sliceOperation, [c], { start: low, size: x.shape, stride: interior.map((n) => n + 1) }),
  ],
  concat: ({ inputs, wanted, cotangents: [c], attributes: { axis } }) => {
    let start: Dim = 0;
    return inputs.map((input, index) => {
      const from = start;
      start = addDims(start, input.shape[axis]);
      return c && wanted[index] ? sliceAxis(c, axis, from, input.shape[axis]) : undefined;
    });
  },
};
