/** How a reduction runs over its input: along which axes, and whether column by column or element by element. */
import type { Dim } from "../../src/tensor/dims.ts";
import type { ReduceKernel } from "../lowering/kinds/reduction.ts";
import { collapse } from "../lowering/views.ts";

/** Axes, and how the input lies along them. */
export interface Axes {
  readonly shape: readonly Dim[];
  readonly strides: readonly Dim[];
}

/** The axes of a reduction. */
export interface ReducedAxes {
  readonly kept: Axes;
  /** As few as possible. */
  readonly reduced: Axes;
  /** Whether columns lie side by side in input and output, and are further apart along what is reduced. */
  readonly isByColumns: boolean;
}

/** The axes of a reduction. */
export function reducedAxes({ input, axes, output }: ReduceKernel): ReducedAxes {
  const isKept = (_: Dim, axis: number) => !axes.includes(axis);
  const kept: Axes = { shape: input.shape.filter(isKept), strides: input.strides.filter(isKept) };
  const { shape, strides: [strides] } = collapse(
    axes.map((axis) => input.shape[axis]),
    [axes.map((axis) => input.strides[axis])],
    0,
  );
  const last = kept.shape.length - 1;
  const isByColumns = last >= 0 && kept.strides[last] === 1 && output.strides[last] === 1 &&
    strides.at(-1) !== 1;
  return { kept, reduced: { shape, strides }, isByColumns };
}
