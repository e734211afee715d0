/** Matrix products: an invocation computes a column of a few rows, so that it reads each weight once for all of them. */
import type { MatmulKernel } from "../../lowering/kernels.ts";
import { sizeOf, type View } from "../../lowering/views.ts";
import { load, type Memory, store, unravel } from "./address.ts";
import type { FunctionWriter } from "./writer.ts";

/** Rows that an invocation computes at once. */
export const ROWS = 4;

/** Writes the body of the function of a product; units of work are rows, or matrices of a batch. */
export function writeMatmul(f: FunctionWriter, kernel: MatmulKernel, memory: Memory): void {
  const { left, right, output, k, addends } = kernel;
  if (!("view" in right)) throw new Error("A right operand was packed for another backend");
  if (sizeOf(output.shape) === 0) return;
  const rank = left.shape.length;
  const [m, n] = output.shape.slice(-2);
  const isBatch = rank > 2;
  const outer = left.shape.slice(0, -2);
  const batch = outer.map((_, axis) => `b${axis}`);
  const at = (row: string, column: string) => [...batch, row, column];

  const tile = (first: string, last: string, column: string) => {
    const rows = Array.from(
      { length: ROWS },
      (_, row) => f.let(row === 0 ? first : `min(${first} + ${row}, ${last})`),
    );
    const sums = rows.map(() => f.variable("0f"));
    if (k > 0) {
      f.count(k, (term) => {
        const weight = f.let(load(right.view, at(term, column), memory));
        sums.forEach((sum, row) =>
          f.line(`${sum} = fma(${load(left, at(rows[row], term), memory)}, ${weight}, ${sum});`)
        );
      });
    }
    for (const { first: from, view } of addends) {
      const inside = from === 0 && view.shape[1] === n
        ? undefined
        : `${column} >= ${from} && ${column} < ${from + view.shape[1]}`;
      const add = () =>
        sums.forEach((sum, row) =>
          f.line(
            `${sum} += ${load(view, [rows[row], from === 0 ? column : `(${column} - ${from})`], memory)};`,
          )
        );
      if (inside) f.block(`if (${inside})`, add);
      else add();
    }
    sums.forEach((sum, row) => {
      const write = store(output as View, at(rows[row], column), sum, memory);
      f.line(row === 0 ? write : `if (${first} + ${row} <= ${last}) { ${write} }`);
    });
  };

  if (isBatch) {
    const blocks = Math.ceil(m / ROWS);
    f.overItems(blocks * n, (item) => {
      f.lines(...unravel(item, [...outer, blocks, n], [...batch, "rows", "column"]));
      tile(f.let(`rows * ${ROWS}`), String(m - 1), "column");
    });
    return;
  }
  f.line(`let blocks = (end - begin + ${ROWS - 1}) / ${ROWS};`);
  f.block(`for (var item = lane; item < blocks * ${n}; item += lanes)`, () => {
    f.line(`let column = item % ${n};`);
    tile(f.let(`begin + (item / ${n}) * ${ROWS}`), "(end - 1)", "column");
  });
}
