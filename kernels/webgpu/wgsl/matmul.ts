/**
 * Matrix products: an invocation computes a tile of a few rows and columns, so that each operand it reads
 * serves several sums. The columns of a tile are spaced by the number of tiles side by side, so that
 * neighboring invocations read neighboring columns.
 */
import type { MatmulKernel } from "../../lowering/kinds/product.ts";
import type { View } from "../../lowering/views.ts";
import { elementAt, load, loadElement, type Locations, store, times, unravel } from "./address.ts";
import type { Site, Tile, WrittenKinds } from "./kind.ts";
import { loop, loops } from "./trip_count.ts";
import type { FunctionWriter } from "./writer.ts";
import { addDims } from "../../../src/tensor/dims.ts";
import { sizeOf } from "../../shapes.ts";
import { groupsOf } from "./table.ts";

/** Up to this many terms are added one after another, more in blocks. */
const WHOLE_TERMS = 256;

/** Terms that are added one after another if a product is summed in blocks. */
export const BLOCK_TERMS = 64;

/** The terms of a part of a long product, whose parts are summed apart. */
export const PART_TERMS = 4096;

/**
 * The terms of the parts in which a product of so many terms is summed, and of the blocks in these, from the
 * largest.
 */
export function partsOf(terms: number): readonly number[] {
  if (terms > PART_TERMS) return [PART_TERMS, BLOCK_TERMS];
  return terms > WHOLE_TERMS ? [BLOCK_TERMS] : [];
}

/** The iterations of the nested loops over the terms of a product, from the outermost. */
function termLoops(all: number, parts: readonly number[]): number[] {
  let terms = all;
  const counts = parts.map((size) => {
    const count = groupsOf(terms, size);
    terms = Math.min(terms, size);
    return count;
  });
  return [...counts, terms];
}

type Addend = MatmulKernel["addends"][number];

/** How many tiles make up a matrix. */
export function itemsOf(rows: number, columns: number, tile: Tile): number {
  return groupsOf(rows, tile.rows) * groupsOf(columns, tile.columns);
}

/**
 * Reads the elements of a view along `axis`, starting at `indices`; the place of the first is computed once.
 */
function termsOf(
  f: FunctionWriter,
  view: View,
  axis: number,
  indices: readonly string[],
  memory: Locations,
): (term: string) => string {
  const { array, index } = elementAt(view, indices, memory);
  const first = f.let(index);
  return (term) =>
    loadElement(view.dtype, {
      array,
      index: [first, ...times(term, view.strides[axis], memory.table)].join(" + "),
    });
}

/**
 * Units of work are rows, or matrices of a batch. If `multiple` divides the number of rows of each call, and
 * the tile divides `multiple`, rows need no bounds check.
 */
function writeMatmul(
  f: FunctionWriter,
  kernel: MatmulKernel,
  { memory, group, multiple = kernel.output.shape[0], mayOverrun = false }: Site,
): void {
  const { left, right, output, k, addends } = kernel;
  const tile = group.tileOf(kernel);
  if (sizeOf(output.shape) === 0) return;
  const [m, n] = output.shape.slice(-2);
  const outer = left.shape.slice(0, -2);
  const batch = outer.map((_, axis) => `b${axis}`);
  const at = (row: string, column: string) => [...batch, row, column];
  const apart = f.table.groups(n, tile.columns);
  const isWhole = tile.columns === 1 || (typeof n === "number" && n % tile.columns === 0);
  const columnCount = f.size(n), terms = f.size(k);
  // An addend that is the same for all rows is read once per column.
  const perColumn = addends.filter(({ view }) => view.strides[0] === 0);
  const perElement = addends.filter((addend) => !perColumn.includes(addend));
  const writeIf = (conditions: readonly string[], write: () => void) =>
    conditions.length === 0 ? write() : f.block(`if (${conditions.join(" && ")})`, write);
  const covered = outer.length > 0 ? m : multiple;
  const storesAll = tile.rows === 1 || outer.length > 0 || !mayOverrun ||
    memory.locationOf(output.buffer).in === "local";
  const hasAllRows = tile.rows === 1 || (typeof covered === "number" && covered % tile.rows === 0);

  const write = (first: string, last: string, firstColumn: string) => {
    // A tile may reach beyond the last row or column: what it reads there is computed with, but not stored.
    const rows = Array.from(
      { length: tile.rows },
      (_, row) => f.let(row === 0 ? first : `${first} + ${row}`),
    );
    const columns = Array.from({ length: tile.columns }, (_, column) => {
      if (column === 0) return firstColumn;
      return f.let(column === 1 ? `${firstColumn} + ${apart}` : `${firstColumn} + ${column} * ${apart}`);
    });
    const sums = rows.map(() => columns.map(() => f.variable("0f")));
    if (k !== 0) {
      // Hoisted by hand: not every compiler moves invariants out of the loop.
      const lefts = rows.map((row) => termsOf(f, left, left.shape.length - 1, at(row, "0"), memory));
      const rights = columns.map((column) =>
        termsOf(f, right, right.shape.length - 2, at("0", column), memory)
      );
      const add = (to: readonly (readonly string[])[], term: string) => {
        const weights = rights.map((weight) => f.let(weight(term)));
        rows.forEach((_, i) => {
          const factor = f.let(lefts[i](term));
          weights.forEach((weight, j) => f.line(`${to[i][j]} = fma(${factor}, ${weight}, ${to[i][j]});`));
        });
      };
      const addAll = (
        to: readonly (readonly string[])[],
        range: { readonly from: string; readonly to: string },
        [size, ...inside]: readonly number[],
      ): void => {
        if (size === undefined) return f.loop({ ...range, step: 1 }, (term) => add(to, term));
        f.loop({ ...range, step: size }, (first) => {
          const parts = to.map((row) => row.map(() => f.variable("0f")));
          addAll(parts, { from: first, to: f.let(`min(${first} + ${size}, ${terms})`) }, inside);
          to.forEach((row, i) => row.forEach((sum, j) => f.line(`${sum} += ${parts[i][j]};`)));
        });
      };
      const parts = group.partsOf(kernel);
      if (parts.length === 0) f.count(k, (term) => add(sums, term));
      else addAll(sums, { from: "0", to: `${terms}${f.zero}` }, parts);
    }
    // In loops, as compilers take long over every read and write. Registers have no index, so the sums shift
    // by one.
    const moveOn = (names: readonly string[]) =>
      names.slice(1).forEach((next, at) => f.line(`${names[at]} = ${next};`));
    f.count(tile.columns, (j) => {
      const column = f.let(`${firstColumn} + ${j} * ${apart}`);
      const isInside = isWhole ? [] : [`${column} < ${columnCount}`];
      /** Adds an element of an addend to a variable, if the addend covers the column. */
      const add = (to: string, { first: from, view }: Addend, row: string, conditions: readonly string[]) => {
        const place = from === 0 ? column : `(${column} - ${from})`;
        const isAll = from === 0 && view.shape[1] === n;
        const within = isAll ? [] : [`${column} >= ${from} && ${column} < ${from + view.shape[1]}`];
        writeIf([...conditions, ...within], () => f.line(`${to} += ${load(view, [row, place], memory)};`));
      };
      const shared = perColumn.length > 0 ? f.variable("0f") : undefined;
      if (shared) { for (const addend of perColumn) add(shared, addend, "0", isInside); }
      const ofColumn = sums.map(([sum]) => tile.columns > 1 && tile.rows > 1 ? f.variable(sum) : sum);
      f.count(tile.rows, (i) => {
        const row = f.let(`${first} + ${i}`);
        const isRow = hasAllRows && storesAll ? [] : [`${row} <= ${last}`];
        writeIf([...isRow, ...isInside], () => {
          const sum = f.variable(shared ? `${ofColumn[0]} + ${shared}` : ofColumn[0]);
          for (const addend of perElement) add(sum, addend, row, []);
          f.line(store(output as View, at(row, column), sum, memory));
        });
        moveOn(ofColumn);
      });
      sums.forEach(moveOn);
    });
  };

  if (outer.length > 0) {
    f.line(`let rowBlocks = ${f.table.groups(m, tile.rows)};`);
    f.line(`let perMatrix = rowBlocks * ${apart};`);
    f.block("for (var item = begin * perMatrix + lane; item < end * perMatrix; item += lanes)", () => {
      f.lines("let matrix = item / perMatrix;", "let tile = item - matrix * perMatrix;");
      f.lines(`let rows = tile / ${apart};`, `let column = tile - rows * ${apart};`);
      f.lines(...unravel("matrix", outer, batch, f.table));
      write(f.let(`rows * ${tile.rows}`), f.size(addDims(m, -1)), "column");
    });
    return;
  }
  f.line(`let blocks = (end - begin + ${tile.rows - 1}) / ${tile.rows};`);
  f.block(`for (var item = lane; item < blocks * ${apart}; item += lanes)`, () => {
    f.line(`let column = item % ${apart};`);
    write(f.let(`begin + (item / ${apart}) * ${tile.rows}`), "(end - 1)", "column");
  });
}

/** How this kind is written. */
export const productWriting: WrittenKinds<MatmulKernel> = {
  matmul: {
    write: writeMatmul,
    units: ({ output: { shape } }) => shape.length === 2 ? shape[0] : sizeOf(shape.slice(0, -2)),
    tripCount: (kernel, { tileOf, partsOf, invocations, rows, sizes }) => {
      const { output: { shape }, k } = kernel;
      const [m, n] = shape.slice(-2).map(sizes.of);
      const tile = tileOf(kernel);
      return loop(
        Math.ceil(sizes.elements(shape.slice(0, -2)) * itemsOf(Math.min(m, rows), n, tile) / invocations),
        ...loops(termLoops(sizes.of(k), partsOf(kernel))),
        loop(tile.columns, loop(tile.rows)),
      );
    },
  },
};
