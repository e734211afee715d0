/** Gather and its adjoint. Indices outside the table are clamped into it. */
import type { GatherKernel, IndexingKernel, ScatterKernel } from "../../lowering/kinds/indexing.ts";
import { collapse, viewOf } from "../../lowering/views.ts";
import { type KernelSource, lastOf, plus, times } from "./code.ts";
import { type EmittedKinds, uncut } from "./kind.ts";
import { overRows } from "./reduce.ts";

/** Declares the row of a table at the index that is read. */
function row(f: KernelSource, index: string, rows: string): string {
  const at = f.name("row");
  f.line(`const ${f.indexType} ${at} = clamped(${index}, ${rows});`);
  return at;
}

/** Writes the function of a gather; rows run over the first axis of the output, be it of the indices or the table. */
function emitGather(f: KernelSource, { operand, indices, output }: GatherKernel): void {
  const rank = indices.shape.length;
  const table = f.pointer(operand), index = f.pointer(indices), to = f.pointer(output);
  const last = f.size(lastOf(operand.shape[0]));
  const move = (places: readonly string[], outer: readonly string[], at: string) => {
    const done = 1 + outer.length;
    const { shape, strides: [source, target] } = collapse(
      operand.shape.slice(done),
      [operand.strides.slice(done), output.strides.slice(rank + outer.length)],
      0,
    );
    const start = plus(times(at, f.size(operand.strides[0])), f.distance(outer, operand.strides.slice(1)));
    f.loops("j", shape, (rest) => {
      f.line(
        `${to}[${plus(f.distance([...places, ...outer], output.strides), f.distance(rest, target))}] = ` +
          `${table}[${plus(start, f.distance(rest, source))}];`,
      );
    });
  };
  if (rank === 0 && output.shape.length > 0) {
    const at = row(f, `${index}[0]`, last);
    overRows(f, output.shape.slice(0, 1), (outer) => move([], outer, at));
    return;
  }
  overRows(f, indices.shape, (places) => {
    move(places, [], row(f, `${index}[${f.distance(places, indices.strides)}]`, last));
  });
}

/**
 * Writes the function of a scatter; one thread does it all, in the order of the indices. The rounding error of a sum is
 * added with its next term (Kahan, 1965), as all indices may be of one row.
 */
function emitScatter(f: KernelSource, { indices, updates, output, lost }: ScatterKernel): void {
  const table = f.pointer(output), index = f.pointer(indices), from = f.pointer(updates);
  const errors = lost && viewOf(lost, output.shape, output.dtype);
  const errorTable = errors && f.pointer(errors);
  f.loops("i", output.shape, (places) => {
    f.line(`${table}[${f.distance(places, output.strides)}] = 0;`);
    if (errors) f.line(`${errorTable}[${f.distance(places, errors.strides)}] = 0;`);
  });
  const last = f.size(lastOf(output.shape[0]));
  f.loops("i", indices.shape, (places) => {
    const at = row(f, `${index}[${f.distance(places, indices.strides)}]`, last);
    f.loops("j", output.shape.slice(1), (rest) => {
      const term = `${from}[${f.distance([...places, ...rest], updates.strides)}]`;
      const sum = `${table}[${f.distance([at, ...rest], output.strides)}]`;
      if (!errors) f.line(`${sum} += ${term};`);
      else {f.line(
          `add_exactly(&${sum}, &${errorTable}[${f.distance([at, ...rest], errors.strides)}], ${term});`,
        );}
    });
  });
}

/** How these kinds are written. */
export const indexingEmission: EmittedKinds<IndexingKernel> = {
  gather: {
    emit: emitGather,
    cut: ({ indices }, { items }, shareFrom) => ({
      grain: 1,
      singleThreaded: indices.shape.length === 0 || items < shareFrom,
    }),
  },
  scatterAdd: { emit: emitScatter, cut: uncut },
};
