/** Checkpointing: a scan over segments whose derivative recomputes each segment. */
import { checkCount } from "../describe.ts";
import { concat, reshape, sliceAxis, transpose } from "../operations/structure.ts";
import type { FoldOptions } from "../operations/scan.ts";
import { timeAxis } from "../program/types.ts";
import type { Cell } from "./cell.ts";
import { fold } from "./fold.ts";
import { type Dim, fixedDim } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { mapLike, zipLike } from "../tree/tree.ts";

/**
 * With `checkpointEvery`: a scan over segments whose derivative recomputes each segment, then the remaining
 * steps.
 */
export function foldSegments<State, Input, Output>(
  cell: Cell<State, Input, Output>,
  initialState: State,
  inputs: Input,
  { checkpointEvery: size, ...options }: Omit<FoldOptions, "recompute"> & {
    readonly checkpointEvery?: number;
  },
): [Output, State] {
  if (size === undefined) return fold(cell, initialState, inputs, { ...options, recompute: false });
  checkCount("scan", size, "checkpointEvery");
  const length = fixedDim(options.length, "checkpointEvery");
  const count = Math.floor(length / size);
  const whole = count * size;
  const part = (from: number, steps: number) => mapLike(inputs, (x: Tensor) => sliceTime(x, from, steps));
  const segments = (state: State): [Output, State] => {
    const cut = mapLike(part(0, whole), (x: Tensor) => segmented(x, count, size));
    const [outputs, final] = fold(
      (carry: State, segment: Input) =>
        fold(cell, carry, segment, { ...options, length: size, recompute: false }),
      state,
      cut,
      { ...options, length: count, recompute: true },
    );
    return [mapLike(outputs, (x: Tensor) => joined(x, whole)), final];
  };
  const rest = (state: State): [Output, State] =>
    fold(cell, state, part(whole, length - whole), { ...options, length: length - whole, recompute: false });
  if (whole === length) return segments(initialState);
  const [first, second] = options.reverse ? [rest, segments] : [segments, rest];
  const [firstOutputs, between] = first(initialState);
  const [secondOutputs, final] = second(between);
  const [early, late] = options.reverse ? [secondOutputs, firstOutputs] : [firstOutputs, secondOutputs];
  const outputs = zipLike(
    early,
    late,
    (a: Tensor, b: Tensor) => concat([a, b], { axis: timeAxis(a.shape.length) }),
  );
  return [outputs, final];
}

function sliceTime(x: Tensor, from: Dim, steps: Dim): Tensor {
  return sliceAxis(x, timeAxis(x.shape.length), from, steps);
}

/**
 * `[batch, count·size, ...]` as a sequence of `count` segments `[batch, size, ...]` (of scalars: `[size]`).
 */
function segmented(x: Tensor, count: number, size: number): Tensor {
  if (x.shape.length === 1) return transpose(reshape(x, [count, size]));
  return reshape(x, [x.shape[0], count, size, ...x.shape.slice(2)]);
}

/** The inverse of `segmented`. */
function joined(x: Tensor, length: number): Tensor {
  const scalars = x.shape.length === 2;
  return scalars ? reshape(transpose(x), [length]) : reshape(x, [x.shape[0], length, ...x.shape.slice(3)]);
}
