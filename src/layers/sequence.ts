/** A sequence with its mask: whatever is done to the steps of one is done to those of the other. */
import { abs, and, cast, lessEqual, notEqual, or, select } from "../operations/elementwise.ts";
import { changeLogits } from "../operations/logits.ts";
import { reshape, reverse, sum } from "../operations/structure.ts";
import { isFloat } from "../operations/infer.ts";
import { timeAxis } from "../program/types.ts";
import { HARMLESS } from "../scan/masking.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { mapTree, type Tree } from "../tree/tree.ts";
import type { ApplyContext } from "./layer.ts";

/** Steps, and which of them count. */
export interface Sequence {
  /** A tree of `[batch, time, ...]`. */
  readonly output: Tree<Tensor>;
  /** bool `[batch, time]`, or `[batch]` if whole rows count; undefined if all do. */
  readonly mask: Tensor | undefined;
}

/** The steps in reverse order. */
export function reversedSequence({ output, mask }: Sequence): Sequence {
  return {
    output: mapTree(output, (x: Tensor) => reverse(x, timeAxis(x.shape.length))),
    mask: mask && mask.shape.length > 1 ? reverse(mask, 1) : mask,
  };
}

/** A mask with more axes reduced to `rank`: a remaining element counts if anything in it did. */
export function reducedMask(mask: Tensor, rank: number): Tensor {
  const axes = mask.shape.map((_, axis) => axis).slice(rank);
  return axes.length === 0 ? mask : notEqual(sum(cast(mask, "int32"), { axes }), 0);
}

/**
 * A step counts if it counts in all of these masks, whose leading axes are the same; undefined if there is
 * none.
 */
export function commonMask(masks: readonly (Tensor | undefined)[]): Tensor | undefined {
  const given = [...new Set(masks)].filter((mask) => mask !== undefined);
  if (given.length < 2) return given[0];
  const largest = given.reduce((a, b) => b.shape.length > a.shape.length ? b : a);
  return given.map((mask) => widenedMask(mask, largest)).reduce(and);
}

/**
 * The mask once the time axis is removed: that of the rows, if there was one or the rows are steps
 * themselves.
 */
export function endedMask(mask: Tensor | undefined, { rowsAreSteps }: ApplyContext): Tensor | undefined {
  return mask && (rowsAreSteps || mask.shape.length === 1) ? reducedMask(mask, 1) : undefined;
}

/** A mask extended with axes of size 1 to the rank of `x`. */
export function widenedMask(mask: Tensor, x: Tensor): Tensor {
  return mask.shape.length === x.shape.length
    ? mask
    : reshape(mask, [...mask.shape, ...x.shape.slice(mask.shape.length).map(() => 1)]);
}

/**
 * The largest magnitude that is left unchanged where it does not count: its square and its cube are still
 * finite.
 */
const LARGEST_MASKED = 1e12;

/**
 * `x` with {@linkcode HARMLESS} where it is masked and NaN, infinite or beyond 10¹²: a masked value must not
 * affect the derivative either, where it is multiplied by 0, and 0 · NaN is NaN. Every other value is
 * unchanged, and logits behind `x` stay known.
 *
 * @param x Float `[batch, time, ...]`; other dtypes are returned unchanged.
 * @param mask bool, of the leading axes of `x`.
 */
export function harmless(x: Tensor, mask: Tensor | undefined): Tensor {
  if (mask === undefined || !isFloat(x) || mask.shape.length > x.shape.length) return x;
  const replaced = (x: Tensor) =>
    select(or(widenedMask(mask, x), lessEqual(abs(x), LARGEST_MASKED)), x, HARMLESS);
  return changeLogits(replaced(x), x, replaced);
}
