/**
 * Packing the right operand of the matrix product into panels of 8 columns, `[ceil(n / 8)][k][8]` floats: a tile then
 * reads it from front to back whatever its strides were.
 */
import { type FunctionBuilder, i32, type Local, type ModuleBuilder, v128 } from "../assembler.ts";
import { panelColumns, panelRowBytes } from "./tile.ts";

/** Rows that are packed together: their part of a panel fills whole cache lines. */
const GROUP = 4;

/**
 * Adds `pack(source, destination, k, n, strideK, strideN)`: element (p, j) is read at
 * `source + p * strideK + j * strideN`, columns beyond `n` of the last panel become zero.
 */
export function addPack(module: ModuleBuilder): FunctionBuilder {
  const elements = addElements(module);
  const rows = addRows(module);
  const columns = addColumns(module);
  const pack = module.addFunction("matmul pack", Array(6).fill(i32));
  const [source, destination, k, n, strideK, strideN] = pack.params.keys();
  const [panelBytes, wide, long] = [0, 0, 0].map(() => pack.local(i32));

  // The fast functions pack whole groups of rows of whole panels, and `elements` what is left.
  pack.get(k).i32(5).op("i32.shl").set(panelBytes);
  pack.get(strideN).i32(4).op("i32.eq").get(strideK).i32(4).op("i32.eq").op("i32.or").if(() => {
    pack.get(n).i32(-panelColumns).op("i32.and").set(wide);
    pack.get(k).i32(-GROUP).op("i32.and").set(long);
    const fast = (callee: FunctionBuilder, stride: Local) =>
      pack.get(source).get(destination).get(long).get(wide).get(stride).get(panelBytes).call(callee);
    pack.get(strideN).i32(4).op("i32.eq").if(() => fast(rows, strideK), () => fast(columns, strideN));
    // The last rows of the whole panels.
    pack.get(source).get(long).get(strideK).op("i32.mul").op("i32.add");
    pack.get(destination).get(long).i32(5).op("i32.shl").op("i32.add");
    pack.get(k).get(long).op("i32.sub").get(wide).get(strideK).get(strideN).get(panelBytes).call(elements);
  });
  // The last panel, or all.
  pack.get(source).get(wide).get(strideN).op("i32.mul").op("i32.add");
  pack.get(destination).get(wide).get(k).op("i32.mul").i32(2).op("i32.shl").op("i32.add");
  pack.get(k).get(n).get(wide).op("i32.sub").get(strideK).get(strideN).get(panelBytes).call(elements);
  return pack;
}

/** Adds `elements(source, destination, k, n, strideK, strideN, panelBytes)`: any shape and strides, one by one. */
function addElements(module: ModuleBuilder): FunctionBuilder {
  const elements = module.addFunction("matmul pack elements", Array(7).fill(i32));
  const [source, destination, k, n, strideK, strideN, panelBytes] = elements.params.keys();
  const [row, column, from, to] = [0, 0, 0, 0].map(() => elements.local(i32));
  const width = elements.local(i32);
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
 * Adds `rows(source, destination, k, n, strideK, panelBytes)` for a row-major operand, k a multiple of 4 and n of 8.
 * Four rows are read side by side through all panels: a panel at a time would read at a stride that often hits few
 * sets of the cache.
 */
function addRows(module: ModuleBuilder): FunctionBuilder {
  const rows = module.addFunction("matmul pack rows", Array(6).fill(i32));
  const [source, destination, k, n, strideK, panelBytes] = rows.params.keys();
  const [row, column, to] = [0, 0, 0].map(() => rows.local(i32));
  const from = Array.from({ length: GROUP }, () => rows.local(i32));
  rows.count(row, { local: k }, GROUP, () => {
    for (const [index, pointer] of from.entries()) {
      if (index === 0) rows.get(source).set(pointer);
      else rows.get(from[index - 1]).get(strideK).op("i32.add").set(pointer);
    }
    rows.get(destination).set(to).i32(0).set(column);
    rows.count(column, { local: n }, panelColumns, () => {
      for (const [index, pointer] of from.entries()) {
        for (const half of [0, 16]) {
          rows.get(to).get(pointer).memory("v128.load", half);
          rows.memory("v128.store", index * panelRowBytes + half);
        }
        rows.get(pointer).i32(panelRowBytes).op("i32.add").set(pointer);
      }
      rows.get(to).get(panelBytes).op("i32.add").set(to);
    });
    rows.get(source).get(strideK).i32(2).op("i32.shl").op("i32.add").set(source);
    rows.get(destination).i32(GROUP * panelRowBytes).op("i32.add").set(destination);
  });
  return rows;
}

/**
 * Adds `columns(source, destination, k, n, strideN, panelBytes)` for an operand whose columns are contiguous (it is
 * stored transposed), k a multiple of 4 and n of 8: blocks of 4 by 4 are turned over in registers.
 */
function addColumns(module: ModuleBuilder): FunctionBuilder {
  const columns = module.addFunction("matmul pack columns", Array(6).fill(i32));
  const [source, destination, k, n, strideN, panelBytes] = columns.params.keys();
  const [row, column, half, from, to] = [0, 0, 0, 0, 0].map(() => columns.local(i32));
  const vectors = [0, 0, 0, 0].map(() => columns.local(v128));
  const pairs = [0, 0, 0, 0].map(() => columns.local(v128));
  const shuffle = (left: Local, right: Local, lanes: readonly number[]) =>
    columns.get(left).get(right).shuffle(
      lanes.flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * lane + byte)),
    );
  const lowLanes = [0, 4, 1, 5],
    highLanes = [2, 6, 3, 7],
    firstHalves = [0, 1, 4, 5],
    lastHalves = [2, 3, 6, 7];

  columns.count(column, { local: n }, panelColumns, () => {
    columns.i32(0).set(half);
    columns.count(half, panelRowBytes, 16, () => {
      columns.get(destination).get(half).op("i32.add").set(to).i32(0).set(row);
      columns.count(row, { local: k }, GROUP, () => {
        columns.get(source).get(row).i32(2).op("i32.shl").op("i32.add").set(from);
        for (const [index, vector] of vectors.entries()) {
          columns.get(from).memory("v128.load").set(vector);
          if (index < 3) columns.get(from).get(strideN).op("i32.add").set(from);
        }
        shuffle(vectors[0], vectors[1], lowLanes).set(pairs[0]);
        shuffle(vectors[2], vectors[3], lowLanes).set(pairs[1]);
        shuffle(vectors[0], vectors[1], highLanes).set(pairs[2]);
        shuffle(vectors[2], vectors[3], highLanes).set(pairs[3]);
        for (let index = 0; index < GROUP; index++) {
          const pair = index < 2 ? 0 : 2;
          columns.get(to);
          shuffle(pairs[pair], pairs[pair + 1], index % 2 === 0 ? firstHalves : lastHalves);
          columns.memory("v128.store", index * panelRowBytes);
        }
        columns.get(to).i32(GROUP * panelRowBytes).op("i32.add").set(to);
      });
      columns.get(source).get(strideN).i32(2).op("i32.shl").op("i32.add").set(source);
    });
    columns.get(destination).get(panelBytes).op("i32.add").set(destination);
  });
  return columns;
}
