/** How a reduction runs over its input: along which axes, and whether column by column or element by element. */
import type { Dim } from "../../src/tensor/dims.ts";
import type { ReduceKernel } from "../lowering/kinds/reduction.ts";
import { collapse, type View } from "../lowering/views.ts";

/** Axes, and how inputs lie along them. */
export interface Axes {
  readonly shape: readonly Dim[];
  /** Of each input. */
  readonly strides: readonly (readonly Dim[])[];
}

/** The axes of a reduction. */
export interface ReducedAxes {
  readonly kept: Axes;
  /** As few as possible. */
  readonly reduced: Axes;
}

/** The axes of a reduction of inputs of the same shape. */
export function reducedAxes(
  inputs: readonly Pick<View, "shape" | "strides">[],
  axes: readonly number[],
): ReducedAxes {
  const kept = <T>(list: readonly T[]) => list.filter((_, axis) => !axes.includes(axis));
  const reduced = <T>(list: readonly T[]) => axes.map((axis) => list[axis]);
  const [{ shape }] = inputs, strides = inputs.map(({ strides }) => strides);
  return {
    kept: { shape: kept(shape), strides: strides.map(kept) },
    reduced: collapse(reduced(shape), strides.map(reduced), 0),
  };
}

/** Whether columns of a reduction lie side by side in input and output, and are further apart along what is reduced. */
export function isByColumns(
  { kept, reduced }: ReducedAxes,
  { output }: Pick<ReduceKernel, "output">,
): boolean {
  const last = kept.shape.length - 1;
  return last >= 0 && kept.strides[0][last] === 1 && output.strides[last] === 1 &&
    reduced.strides[0].at(-1) !== 1;
}
