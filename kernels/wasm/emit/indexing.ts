/** Gather and its adjoint. Indices outside the table are clamped into it. */
import type { Dim } from "../../../src/tensor/dims.ts";
import { i32, type Local, v128 } from "../assembler.ts";
import type { GatherKernel, IndexingKernel, ScatterKernel } from "../../lowering/kinds/indexing.ts";
import { collapse, type View, viewOf } from "../../lowering/views.ts";
import { lastOf, loopOver, type Moving, overRows, pointerTo } from "./address.ts";
import type { KernelCode } from "./code.ts";
import { type EmittedKinds, uncut } from "./kind.ts";

/** Sets `row` to the address of the table row whose index lies at `index`. */
function locateRow(
  f: KernelCode,
  table: Local,
  index: Local,
  rows: Dim,
  stride: Dim,
  row: Local,
): void {
  const at = f.local(i32);
  f.get(index).memory("i32.load").set(at);
  f.i32(0).get(at).get(at).i32(0).op("i32.lt_s").op("select").set(at);
  f.size(lastOf(rows)).get(at).get(at).size(lastOf(rows)).op("i32.gt_s").op("select").set(at);
  f.get(table).get(at).bytes(stride).op("i32.mul").op("i32.add").set(row);
}

/** Copies `rest` elements from one pointer to another, or adds them to what is there. */
function moveRow(
  f: KernelCode,
  shape: readonly Dim[],
  from: Moving,
  to: Moving,
  add: "f32x4.add" | "i32x4.add" | undefined,
): void {
  const { shape: dims, strides: [source, target] } = collapse(shape, [from.strides, to.strides], 0);
  const inner = dims.length - 1;
  const contiguous = inner >= 0 && source[inner] === 1 && target[inner] === 1;
  const one = () => {
    f.get(to.local).get(from.local).memory("v128.load32_splat");
    if (add) f.get(to.local).memory("v128.load32_zero").op(add);
    f.laneMemory("v128.store32_lane", 0);
  };
  if (!contiguous) {
    loopOver(f, dims, [{ local: from.local, strides: source }, { local: to.local, strides: target }], one);
    return;
  }
  const at = f.local(i32);
  const outer = [
    { local: from.local, strides: source.slice(0, inner) },
    { local: to.local, strides: target.slice(0, inner) },
  ];
  loopOver(f, dims.slice(0, inner), outer, () => {
    const element = (lanes: 1 | 4) => {
      const result = f.local(v128);
      f.get(from.local).get(at).op("i32.add").memory(lanes === 4 ? "v128.load" : "v128.load32_zero");
      if (add) {
        f.get(to.local).get(at).op("i32.add").memory(lanes === 4 ? "v128.load" : "v128.load32_zero").op(add);
      }
      f.set(result).get(to.local).get(at).op("i32.add").get(result);
      if (lanes === 4) f.memory("v128.store");
      else f.laneMemory("v128.store32_lane", 0);
    };
    f.i32(0).set(at);
    f.countBytes(at, dims[inner], 4, () => element(4));
    f.countBytes(at, dims[inner], 1, () => element(1));
  });
}

/**
 * Writes the function of a gather; rows run over the first axis of the output, whether it comes from indices
 * or table.
 */
function emitGather(f: KernelCode, kernel: GatherKernel): void {
  const { operand, indices, output } = kernel;
  const rank = indices.shape.length;
  const table = pointerTo(f, operand), index = pointerTo(f, indices), to = pointerTo(f, output);
  const row = f.local(i32), target = f.local(i32);
  const locate = () => locateRow(f, table, index, operand.shape[0], operand.strides[0], row);
  /** Copies what the table has at an index; its first `outer` axes have been indexed already. */
  const move = (from: Local, outer: number) => {
    f.get(to).set(target);
    moveRow(f, operand.shape.slice(1 + outer), { local: from, strides: operand.strides.slice(1 + outer) }, {
      local: target,
      strides: output.strides.slice(rank + outer),
    }, undefined);
  };
  if (rank === 0 && output.shape.length > 0) {
    locate();
    const source = f.local(i32);
    overRows(f, output.shape.slice(0, 1), [
      { local: row, strides: operand.strides.slice(1, 2) },
      { local: to, strides: output.strides.slice(0, 1) },
    ], () => {
      f.get(row).set(source);
      move(source, 1);
    });
    return;
  }
  overRows(f, indices.shape, [
    { local: index, strides: indices.strides },
    { local: to, strides: output.strides.slice(0, rank) },
  ], () => {
    locate();
    move(row, 0);
  });
}

/**
 * Writes the function of a scatter; one thread does it all, in the order of the indices. The rounding error
 * of a sum is added with its next term (Kahan, 1965), as all indices may be of one row.
 */
function emitScatter(f: KernelCode, kernel: ScatterKernel): void {
  const { indices, updates, output, lost } = kernel;
  const rank = indices.shape.length;
  const table = pointerTo(f, output), index = pointerTo(f, indices), from = pointerTo(f, updates);
  const errors = lost && viewOf(lost, output.shape, output.dtype);
  const errorTable = errors && pointerTo(f, errors);
  clear(f, output, table);
  if (errors && errorTable !== undefined) clear(f, errors, errorTable);
  const row = f.local(i32), source = f.local(i32), error = f.local(i32);
  loopOver(f, indices.shape, [
    { local: index, strides: indices.strides },
    { local: from, strides: updates.strides.slice(0, rank) },
  ], () => {
    const [rows, ...shape] = output.shape;
    locateRow(f, table, index, rows, output.strides[0], row);
    f.get(from).set(source);
    const moved = [{ local: source, strides: updates.strides.slice(rank) }];
    const target = { local: row, strides: output.strides.slice(1) };
    if (errors && errorTable !== undefined) {
      locateRow(f, errorTable, index, rows, errors.strides[0], error);
      addRow(f, shape, moved[0], target, { local: error, strides: errors.strides.slice(1) });
    } else {
      moveRow(f, shape, moved[0], target, updates.dtype === "float32" ? "f32x4.add" : "i32x4.add");
    }
  });
}

/** Sets all elements of a view to zero. */
function clear(f: KernelCode, { shape, strides }: View, table: Local): void {
  const { shape: dims, strides: [along] } = collapse(shape, [strides], 0);
  const inner = dims.length - 1;
  if (inner < 0 || along[inner] !== 1) {
    loopOver(f, dims, [{ local: table, strides: along }], () => f.get(table).i32(0).memory("i32.store"));
    return;
  }
  loopOver(f, dims.slice(0, inner), [{ local: table, strides: along.slice(0, inner) }], () => {
    f.get(table).i32(0).bytes(dims[inner]).fill();
  });
}

/** Adds a row to another, with the rounding error of earlier additions, and stores the new error. */
function addRow(f: KernelCode, shape: readonly Dim[], from: Moving, to: Moving, lost: Moving): void {
  const all = [from, to, lost];
  const { shape: dims, strides } = collapse(shape, all.map(({ strides }) => strides), 0);
  const inner = dims.length - 1;
  const isContiguous = inner >= 0 && strides.every((each) => each[inner] === 1);
  const [term, before, sum, rest] = Array.from({ length: 4 }, () => f.local(v128));
  const at = f.local(i32);
  const lanes = (count: 1 | 4, offset = 0) => {
    const address = ({ local }: Moving) => f.get(local).get(at).op("i32.add");
    const load = (place: Moving) =>
      address(place).memory(count === 4 ? "v128.load" : "v128.load32_zero", offset);
    const store = (place: Moving, value: Local) => {
      address(place).get(value);
      if (count === 4) f.memory("v128.store", offset);
      else f.laneMemory("v128.store32_lane", 0, offset);
    };
    load(from);
    load(lost).op("f32x4.add").set(term);
    load(to).tee(before).get(term).op("f32x4.add").set(sum);
    f.get(term).get(sum).get(before).op("f32x4.sub").op("f32x4.sub").tee(rest);
    // An infinite or NaN sum, for which rest - rest is NaN, has no rounding error to carry.
    f.get(rest).get(rest).op("f32x4.sub").tee(term).get(term).op("f32x4.eq").op("v128.and").set(rest);
    store(to, sum);
    store(lost, rest);
  };
  f.i32(0).set(at);
  const outer = isContiguous ? inner : dims.length;
  const moving = all.map(({ local }, index) => ({ local, strides: strides[index].slice(0, outer) }));
  loopOver(f, dims.slice(0, outer), moving, () => {
    if (!isContiguous) return lanes(1);
    f.i32(0).set(at);
    f.countBytes(at, dims[inner], 16, () => [0, 16, 32, 48].forEach((offset) => lanes(4, offset)));
    f.countBytes(at, dims[inner], 4, () => lanes(4));
    f.countBytes(at, dims[inner], 1, () => lanes(1));
  });
}

/** How these kinds are emitted. */
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
