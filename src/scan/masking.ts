/**
 * Masks as a transform of cells: a masked step keeps its state, so a mask is just a `select` in the step.
 * What the step reads, input and state, is selected too: a derivative multiplied by 0 must be 0 even if the
 * masked value is NaN, or if one more step from an unused state would give one.
 */
import { and, cast, less, select } from "../operations/elementwise.ts";
import { iota } from "../operations/indexing.ts";
import { isFloat } from "../operations/infer.ts";
import { max } from "../operations/reduction.ts";
import { expandDims } from "../operations/structure.ts";
import { zerosLike } from "../operations/creation.ts";
import { stepSpec } from "../program/types.ts";
import type { Cell } from "./cell.ts";
import { batchOf, checkOption, chooseRows, widenedRows } from "./rows.ts";
import type { Dim } from "../tensor/dims.ts";
import type { Spec, Tensor } from "../tensor/tensor.ts";
import { outputSpecs } from "../program/functions.ts";
import { mapLike } from "../tree/tree.ts";

/**
 * The value read where a step does not count. Any number at which no function has an infinite derivative
 * would do: not 0, because of roots, logarithms, quotients and norms, and not 1, because of arcsines.
 */
export const HARMLESS = 0.5;

/**
 * The cell that, where the step's mask is false, keeps its state and repeats its previous output, or outputs
 * zeros. At such a step it gets {@linkcode HARMLESS} as input and state.
 */
export function maskedCell<State, Input, Output>(cell: Cell<State, Input, Output>): Cell<
  { readonly state: State; readonly previous: Output | undefined },
  { readonly input: Input; readonly mask: Tensor },
  Output
> {
  return ({ state, previous }, { input, mask }) => {
    const counted = mapLike(input, (x: Tensor) => isFloat(x) ? countedOnly(x, mask) : x);
    const originals = new Map<Tensor, Tensor>();
    const countedState = mapLike(state, (x: Tensor) => {
      if (!isFloat(x) || x.shape[0] !== mask.shape[0]) return x; // without rows it cannot change
      const read = countedOnly(x, mask);
      originals.set(read, x);
      return read;
    });
    const [output, moved] = cell(countedState, counted);
    const next = mapLike(moved, (x: Tensor) => originals.get(x) ?? x); // unchanged values need no select
    const shown = chooseRows("mask", mask, output, previous ?? mapLike(output, (x: Tensor) => zerosLike(x)));
    return [shown, { state: chooseRows("mask", mask, next, state), previous: previous && shown }];
  };
}

/**
 * What a step reads: a placeholder in the rows that do not count; for a number shared by all rows, only if
 * none counts.
 */
function countedOnly(x: Tensor, mask: Tensor): Tensor {
  if (x.shape.length === 0) return select(cast(max(cast(mask, "int32")), "bool"), x, HARMLESS);
  return select(widenedRows(mask, x), x, HARMLESS);
}

/** Zeros like the output of one step. */
export function zerosOfOutput<State, Input, Output>(
  cell: Cell<State, Input, Output>,
  state: State,
  inputs: Input,
): Output {
  const [output] = outputSpecs(cell, state, mapLike(inputs, (x: Spec) => stepSpec(x)));
  return mapLike(output, (x: Spec): Spec => zerosLike(x));
}

/** The mask that `mask` and `lengths` give together, bool `[batch, time]`; undefined if every step counts. */
export function maskOf(
  { mask, lengths }: { readonly mask?: Tensor; readonly lengths?: Tensor },
  inputs: unknown,
  length: Dim,
): Tensor | undefined {
  if (mask === undefined && lengths === undefined) return undefined;
  const batch = batchOf(inputs);
  if (mask !== undefined) checkOption("mask", mask, "bool", [batch, length]);
  if (lengths === undefined) return mask;
  checkOption("lengths", lengths, "int32", [batch]);
  const wrong = lengths.kind === "host" && typeof length === "number"
    ? lengths.data.find((steps) => steps < 0 || steps > length)
    : undefined;
  if (wrong !== undefined) {
    throw new RangeError(`Cannot scan with the lengths: one is ${wrong}, expected 0 to ${length} steps`);
  }
  const counted = less(iota([1, length]), expandDims(lengths, 1));
  return mask ? and(mask, counted) : counted;
}
