/**
 * Packing the operands of the matrix product: the right one into panels of 8 columns, `[ceil(n / 8)][k][8]`
 * floats, which a tile reads from front to back regardless of the original strides; and transposing a matrix.
 */
import { type FunctionBuilder, i32, type Local, type ModuleBuilder, v128 } from "../assembler.ts";
import { panelColumns, panelRowBytes } from "./tile.ts";

/** Rows that are packed together: their part of a panel fills whole cache lines. */
const GROUP = 4;

/** Lanes of a vector of f32. */
const LANES = 4;

/**
 * Adds `pack(source, destination, k, n, strideK, strideN)`: element (p, j) is read at
 * `source + p * strideK + j * strideN`; columns beyond `n` of the last panel become zero.
 */
export function addPack(module: ModuleBuilder, transpose: FunctionBuilder): FunctionBuilder {
  const elements = addElements(module);
  const rows = addRows(module);
  const pack = module.addFunction("matmul pack", Array(6).fill(i32));
  const [source, destination, k, n, strideK, strideN] = pack.params.keys();
  const [panelBytes, wide] = [0, 0].map(() => pack.local(i32));

  // Whole panels the fast way if there is one, and the rest element by element.
  pack.get(k).i32(5).op("i32.shl").set(panelBytes);
  pack.get(strideN).i32(4).op("i32.eq").if(() => {
    pack.get(n).i32(-panelColumns).op("i32.and").set(wide);
    pack.get(source).get(destination).get(k).get(wide).get(strideK).get(panelBytes).call(rows);
  }, () => {
    pack.get(strideK).i32(4).op("i32.eq").if(() => {
      pack.count(wide, { local: n }, panelColumns, () => {
        pack.get(wide).i32(panelColumns).op("i32.add").get(n).op("i32.gt_s").brIf(1);
        pack.get(source).get(wide).get(strideN).op("i32.mul").op("i32.add");
        pack.get(destination).get(wide).get(k).op("i32.mul").i32(2).op("i32.shl").op("i32.add");
        pack.get(k).i32(panelColumns).get(strideN).i32(panelRowBytes).call(transpose);
      });
    });
  });
  pack.get(source).get(wide).get(strideN).op("i32.mul").op("i32.add");
  pack.get(destination).get(wide).get(k).op("i32.mul").i32(2).op("i32.shl").op("i32.add");
  pack.get(k).get(n).get(wide).op("i32.sub").get(strideK).get(strideN).get(panelBytes).call(elements);
  return pack;
}

/**
 * Adds `elements(source, destination, k, n, strideK, strideN, panelBytes)`: any shape and strides, element by
 * element.
 */
function addElements(module: ModuleBuilder): FunctionBuilder {
  const elements = module.addFunction("matmul pack elements", Array(7).fill(i32));
  const [source, destination, k, n, strideK, strideN, panelBytes] = elements.params.keys();
  const [row, column, from, to, width] = [0, 0, 0, 0, 0].map(() => elements.local(i32));
  elements.block(() => {
    elements.get(n).i32(0).op("i32.le_s").brIf(0);
    elements.loop(() => {
      elements.get(n).i32(panelColumns).get(n).i32(panelColumns).op("i32.lt_s").op("select").set(width);
      elements.i32(0).set(row).get(destination).set(to);
      elements.count(row, { local: k }, 1, () => {
        elements.get(to).f32x4(0).memory("v128.store").get(to).f32x4(0).memory("v128.store", 16);
        elements.get(source).get(row).get(strideK).op("i32.mul").op("i32.add").set(from);
        elements.i32(0).set(column);
        elements.count(column, { local: width }, 1, () => {
          elements.get(to).get(column).i32(2).op("i32.shl").op("i32.add");
          elements.get(from).memory("f32.load").memory("f32.store");
          elements.get(from).get(strideN).op("i32.add").set(from);
        });
        elements.get(to).i32(panelRowBytes).op("i32.add").set(to);
      });
      elements.get(source).get(strideN).i32(3).op("i32.shl").op("i32.add").set(source);
      elements.get(destination).get(panelBytes).op("i32.add").set(destination);
      elements.get(n).i32(panelColumns).op("i32.sub").tee(n).i32(0).op("i32.gt_s").brIf(0);
    });
  });
  return elements;
}

/**
 * Adds `rows(source, destination, k, n, strideK, panelBytes)` for a row-major operand, with n a multiple of
 * 8. Four rows are read side by side through all panels: reading one panel at a time would use a stride that
 * often hits few sets of the cache.
 */
function addRows(module: ModuleBuilder): FunctionBuilder {
  const rows = module.addFunction("matmul pack rows", Array(6).fill(i32));
  const [source, destination, k, n, strideK, panelBytes] = rows.params.keys();
  const [row, column, first, to] = [0, 0, 0, 0].map(() => rows.local(i32));
  const from = Array.from({ length: GROUP }, () => rows.local(i32));
  const copy = (count: number) => {
    rows.get(source).get(first).get(strideK).op("i32.mul").op("i32.add").set(from[0]);
    for (let index = 1; index < count; index++) {
      rows.get(from[index - 1]).get(strideK).op("i32.add").set(from[index]);
    }
    rows.get(destination).get(first).i32(5).op("i32.shl").op("i32.add").set(to).i32(0).set(column);
    rows.count(column, { local: n }, panelColumns, () => {
      for (const [index, pointer] of from.slice(0, count).entries()) {
        for (const half of [0, 16]) {
          rows.get(to).get(pointer).memory("v128.load", half);
          rows.memory("v128.store", index * panelRowBytes + half);
        }
        rows.get(pointer).i32(panelRowBytes).op("i32.add").set(pointer);
      }
      rows.get(to).get(panelBytes).op("i32.add").set(to);
    });
  };
  rows.get(k).i32(GROUP).op("i32.ge_s").if(() => {
    rows.count(row, { local: k }, GROUP, () => {
      overlapping(rows, row, k).set(first);
      copy(GROUP);
    });
  }, () => {
    rows.count(first, { local: k }, 1, () => copy(1));
  });
  return rows;
}

/**
 * Pushes min(position, end - 4): the last block of four overlaps the one before unless four divides `end`.
 */
function overlapping(code: FunctionBuilder, position: Local, end: Local): FunctionBuilder {
  const last = () => code.get(end).i32(4).op("i32.sub");
  code.get(position);
  last();
  code.get(position);
  last();
  return code.op("i32.lt_s").op("select");
}

/**
 * Adds `transpose(source, destination, rows, columns, strideSource, strideDestination)`:
 * destination[rows][columns] from source[columns][rows], both with contiguous rows at the given strides.
 * Blocks of 4 by 4 are transposed in registers.
 */
export function addTranspose(module: ModuleBuilder): FunctionBuilder {
  const code = module.addFunction("matmul transpose", Array(6).fill(i32));
  const [source, destination, rows, columns, strideSource, strideDestination] = code.params.keys();
  const [row, column, firstRow, firstColumn, from, to] = [0, 0, 0, 0, 0, 0].map(() => code.local(i32));
  const vectors = [0, 0, 0, 0].map(() => code.local(v128));
  const pairs = [0, 0, 0, 0].map(() => code.local(v128));

  /** Sets the addresses of element (firstRow, firstColumn) of the destination and of its source. */
  const address = () => {
    code.get(source).get(firstColumn).get(strideSource).op("i32.mul").op("i32.add");
    code.get(firstRow).i32(2).op("i32.shl").op("i32.add").set(from);
    code.get(destination).get(firstRow).get(strideDestination).op("i32.mul").op("i32.add");
    code.get(firstColumn).i32(2).op("i32.shl").op("i32.add").set(to);
  };
  const shuffle = (left: Local, right: Local, lanes: readonly number[]) =>
    code.get(left).get(right).shuffle(lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte)));

  const block = () => {
    address();
    for (const vector of vectors) {
      code.get(from).memory("v128.load").set(vector);
      code.get(from).get(strideSource).op("i32.add").set(from);
    }
    const [low, high, first, last] = [[0, 4, 1, 5], [2, 6, 3, 7], [0, 1, 4, 5], [2, 3, 6, 7]];
    for (const [index, lanes] of [low, low, high, high].entries()) {
      const pair = 2 * (index % 2);
      shuffle(vectors[pair], vectors[pair + 1], lanes).set(pairs[index]);
    }
    for (const [index, lanes] of [first, last, first, last].entries()) {
      const pair = 2 * (index >> 1);
      code.get(to);
      shuffle(pairs[pair], pairs[pair + 1], lanes).memory("v128.store");
      code.get(to).get(strideDestination).op("i32.add").set(to);
    }
  };

  code.get(rows).i32(LANES).op("i32.ge_s").get(columns).i32(LANES).op("i32.ge_s").op("i32.and").if(() => {
    code.count(column, { local: columns }, LANES, () => {
      overlapping(code, column, columns).set(firstColumn).i32(0).set(row);
      code.count(row, { local: rows }, LANES, () => {
        overlapping(code, row, rows).set(firstRow);
        block();
      });
    });
  }, () => {
    code.count(firstColumn, { local: columns }, 1, () => {
      code.i32(0).set(firstRow);
      code.count(firstRow, { local: rows }, 1, () => {
        address();
        code.get(to).get(from).memory("f32.load").memory("f32.store");
      });
    });
  });
  return code;
}
