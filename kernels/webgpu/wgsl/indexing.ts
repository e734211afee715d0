/** Rows by index, and sums of such rows. Indices outside the table are clamped into it. */
import type { GatherKernel, IndexingKernel, ScatterKernel } from "../../lowering/kinds/indexing.ts";
import { viewOf } from "../../lowering/views.ts";
import { kept, literal, load, store, unravel } from "./address.ts";
import { elementsInRows, rowsIn, type Site, type WrittenKinds } from "./kind.ts";
import { loop } from "./trip_count.ts";
import type { FunctionWriter } from "./writer.ts";
import { sizeOf } from "../../shapes.ts";
import { addDims, type Shape } from "../../../src/tensor/dims.ts";

const names = (shape: Shape, prefix: string) => shape.map((_, axis) => `${prefix}${axis}`);

/** Units of work are rows of the first axis of the output. */
function writeGather(
  f: FunctionWriter,
  { operand, indices, output }: GatherKernel,
  { memory }: Site,
): void {
  if (sizeOf(output.shape) === 0) return;
  const rank = indices.shape.length;
  const at = names(output.shape, "i");
  f.overItems(sizeOf(output.shape.slice(1)), (item) => {
    f.lines(...unravel(item, output.shape, at, f.table));
    const row = f.let(
      `clamp(${load(indices, at.slice(0, rank), memory)}, 0, ${f.size(addDims(operand.shape[0], -1))})`,
    );
    f.line(store(output, at, load(operand, [row, ...at.slice(rank)], memory), memory));
  });
}

/** An invocation sums its own columns, in the order of the indices. */
function writeScatter(
  f: FunctionWriter,
  { indices, updates, output, lost }: ScatterKernel,
  { memory }: Site,
): void {
  const rest = output.shape.slice(1);
  if (sizeOf(output.shape) === 0) return;
  const rank = indices.shape.length;
  const errors = lost && viewOf(lost, output.shape, output.dtype);
  const columns = names(rest, "i"), at = names(indices.shape, "j");
  f.block(`for (var item = lane; item < ${f.size(sizeOf(rest))}; item += lanes)`, () => {
    f.lines(...unravel("item", rest, columns, f.table));
    f.count(
      output.shape[0],
      (row) => {
        for (const view of errors ? [output, errors] : [output]) {
          f.line(store(view, [row, ...columns], literal(0, output.dtype), memory));
        }
      },
    );
    if (sizeOf(indices.shape) === 0) return;
    f.count(sizeOf(indices.shape), (index) => {
      f.lines(...unravel(index, indices.shape, at, f.table));
      const row = f.let(`clamp(${load(indices, at, memory)}, 0, ${f.size(addDims(output.shape[0], -1))})`);
      const place = [row, ...columns];
      const term = load(updates, [...at.slice(0, rank), ...columns], memory);
      if (!errors) {
        f.line(store(output, place, `${load(output, place, memory)} + ${term}`, memory));
        return;
      }
      // The compiler must not drop the parentheses (Kahan, 1965).
      const before = f.let(load(output, place, memory));
      const whole = f.let(`${term} + ${load(errors, place, memory)}`);
      const sum = f.let(kept(`${before} + ${whole}`));
      const rest = f.let(`${whole} - ${kept(`${sum} - ${before}`)}`);
      f.line(store(output, place, sum, memory));
      // An infinite or NaN sum has no rounding error to carry.
      f.line(store(errors, place, `select(0f, ${rest}, ${f.use("isFinite")}(${sum}))`, memory));
    });
  });
}

/** How these kinds are written. */
export const indexingWriting: WrittenKinds<IndexingKernel> = {
  gather: {
    write: writeGather,
    units: ({ output: { shape } }) => rowsIn(shape),
    tripCount: ({ output }, at) => loop(Math.ceil(elementsInRows(output.shape, at) / at.invocations)),
  },
  scatterAdd: {
    write: writeScatter,
    units: () => 1,
    tripCount: ({ output, indices }, { invocations, sizes }) =>
      loop(
        Math.ceil(sizes.elements(output.shape.slice(1)) / invocations),
        loop(sizes.rows(output.shape)),
        loop(sizes.elements(indices.shape)),
      ),
  },
};
