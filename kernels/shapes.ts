/** Shapes, and where their elements lie row by row. Sizes that are symbols of a Program stay symbols. */
import { addDims, type Dim, multiplyDims, type Shape } from "../src/tensor/dims.ts";

/** The number of elements. */
export function sizeOf(shape: readonly number[]): number;
export function sizeOf(shape: Shape): Dim;
export function sizeOf(shape: Shape): Dim {
  return shape.reduce<Dim>(multiplyDims, 1);
}

/** A size up to the next multiple of `unit`; of an open size, one that is at least that. */
export function roundedUp(size: number, unit: number): number;
export function roundedUp(size: Dim, unit: number): Dim;
export function roundedUp(size: Dim, unit: number): Dim {
  return typeof size === "number" ? Math.ceil(size / unit) * unit : addDims(size, unit - 1);
}

/** Elements between neighbors along each axis of a row-major tensor. */
export function rowMajor(shape: readonly number[]): number[];
export function rowMajor(shape: Shape): Dim[];
export function rowMajor(shape: Shape): Dim[] {
  const strides: Dim[] = new Array(shape.length);
  let stride: Dim = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride = multiplyDims(stride, shape[axis]);
  }
  return strides;
}
