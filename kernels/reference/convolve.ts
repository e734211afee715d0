/** The convolution: the windows of all places are laid out as a matrix, and multiplied as matrices are. */
import { requireAllWindows } from "../../src/program/ranges.ts";
import { matmulOf } from "./matmul.ts";
import { copyAlong, type KernelBuilder, type Kernels, walk } from "./kernel.ts";
import { rowMajor, sizeOf } from "../shapes.ts";

const convolve: KernelBuilder<"convolve"> = (
  { attributes, inputs: [x, kernel], outputs: [output], bindings },
) => {
  requireAllWindows({ inputs: [x, kernel], attributes }, bindings);
  const { window, strides: steps, dilation, groups } = attributes;
  const axes = window.length;
  const strides = rowMajor(x.shape), outer = kernel.shape[axes + 1] / groups;
  const inner = kernel.shape[axes], terms = sizeOf(window) * inner;
  const places = output.shape.slice(0, -1), rows = sizeOf(places);
  const shape = [...places, ...window, inner];
  const windows = Array.from({ length: groups }, (_, group) =>
    walk(shape, {
      offset: group * inner,
      strides: [
        strides[0],
        ...steps.map((step, axis) => step * strides[axis + 1]),
        ...dilation.map((step, axis) => step * strides[axis + 1]),
        1,
      ],
    }, { offset: 0, strides: rowMajor(shape) }));
  const matrix = new Float64Array(rows * terms);
  const multiply = matmulOf({ m: rows, k: terms, n: outer, rowStride: groups * outer });
  return ([x, kernel], [out]) => {
    windows.forEach((path, group) => {
      copyAlong(path, x, matrix);
      multiply(matrix, kernel, group * outer, out);
    });
  };
};

/** The builder of the convolution. */
export const convolutions: Kernels<"convolve"> = { convolve };
