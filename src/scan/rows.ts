/** What masks and resets share: bools `[batch, time]` for a scan, and values chosen row by row in its step. */
import { select } from "../operations/elementwise.ts";
import { reshape } from "../operations/structure.ts";
import type { Dim } from "../tensor/dims.ts";
import { checkTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { flattenTree, printPath, zipLike } from "../tree/tree.ts";

/**
 * `whenTrue` in the rows where `rows` (bool `[batch]`) holds, else `whenFalse`.
 *
 * @param use What `rows` are for, in errors: `mask`, `reset`.
 */
export function chooseRows<T>(use: "mask" | "reset", rows: Tensor, whenTrue: T, whenFalse: T): T {
  return zipLike(whenTrue, whenFalse, (a: Tensor, b: Tensor, path) => {
    if (a.shape[0] !== rows.shape[0]) {
      throw new TypeError(
        `Cannot ${use} ${printSpec(a)} at ${printPath(path)}: its first axis is not the batch of ` +
          `${rows.shape[0]} that the ${
            use === "mask" ? "mask has" : "resets have"
          }; give each row a value of its own`,
      );
    }
    return a === b ? a : select(widenedRows(rows, a), a, b);
  });
}

/** Bools of rows with axes of size 1 for those that `x` has more. */
export function widenedRows(rows: Tensor, x: Spec): Tensor {
  return reshape(rows, [rows.shape[0], ...x.shape.slice(1).map(() => 1)]);
}

/** The size of the batch, if a sequence has one: scalars in time have none. */
export function batchOf(inputs: unknown): Dim | undefined {
  return flattenTree<Spec>(inputs).leaves.find(({ shape }) => shape.length > 1)?.shape[0];
}

/** Throws unless an option of a scan has this dtype and shape, of which undefined is any size. */
export function checkOption(
  name: string,
  given: Tensor,
  dtype: string,
  shape: readonly (Dim | undefined)[],
): void {
  checkTensor("a scan", given, `the ${name}`);
  const fits = given.dtype === dtype && given.shape.length === shape.length &&
    given.shape.every((dim, axis) => shape[axis] === undefined || dim === shape[axis]);
  if (fits) return;
  throw new TypeError(
    `Cannot scan with the ${name} ${printSpec(given)}: expected ${dtype}[${
      shape.map((dim) => dim ?? "batch").join(", ")
    }]`,
  );
}
