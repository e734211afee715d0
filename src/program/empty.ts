/**
 * Operations that have no result on an empty axis: refused while tracing if sizes are known, else at run
 * time.
 */
import type { Dim, Shape } from "../tensor/dims.ts";

/** Throws if an axis along which an argmax is taken has no elements. */
export function requireElements(shape: Shape, axis: number): void {
  if (shape[axis] !== 0) return;
  throw new RangeError(
    `Cannot take the argmax of [${
      shape.map(String).join(", ")
    }] along axis ${axis}: it is empty, expected at least one element`,
  );
}

/** Throws if a tensor without rows is indexed, by `indices` of this shape, unless there are none. */
export function requireRows(name: string, rows: Dim, indices: Shape): void {
  if (rows !== 0 || !indices.every((dim) => typeof dim === "number" && dim > 0)) return;
  const count = indices.reduce<number>((size, dim) => size * Number(dim), 1);
  throw new RangeError(
    `Cannot ${name} with ${count} ${
      count === 1 ? "index" : "indices"
    } and a tensor of no rows: expected at least one row`,
  );
}
