/** Nested lists of numbers: their shape, and their numbers in order. */
import { printShape } from "./dims.ts";

/** Nested numbers or booleans, as in `[[1, 2], [3, 4]]`. */
export type NestedNumbers = number | boolean | readonly NestedNumbers[];

/**
 * How deep lists of numbers may be nested: deeper than any tensor has axes. A list that contains itself has
 * no end.
 */
const MOST_AXES = 64;

/**
 * The lengths of nested lists, from the first list at each depth; `what` cannot be done with lists that have
 * no end.
 */
export function nestedShape(what: string, values: unknown): number[] {
  const shape: number[] = [];
  let level = values;
  while (Array.isArray(level)) {
    if (shape.length === MOST_AXES) {
      throw new RangeError(
        `Cannot ${what}: its lists are nested more than ${MOST_AXES} deep; one of them may hold itself`,
      );
    }
    shape.push(level.length);
    level = level[0];
  }
  return shape;
}

/** The numbers of nested lists, which must have equal lengths at each depth. */
export function flattenNested(values: NestedNumbers): (number | boolean)[] {
  const shape = nestedShape("make a tensor", values);
  checkRectangular(values, shape, 0);
  return Array.isArray(values)
    ? values.flat(shape.length) as (number | boolean)[]
    : [values as number | boolean];
}

function checkRectangular(values: NestedNumbers, shape: readonly number[], depth: number): void {
  if (!Array.isArray(values)) {
    if (depth === shape.length) return;
  } else if (values.length === shape[depth]) {
    for (const inner of values) checkRectangular(inner, shape, depth + 1);
    return;
  }
  throw new RangeError(
    `Cannot make a tensor from ragged nesting: expected the shape ${printShape(shape)} throughout; ` +
      `padSequences makes ragged sequences equally long`,
  );
}
