/**
 * Fused elementwise kernels: one pass over the index space, four elements at a time, with every intermediate
 * result in a register. The elements that do not fill a vector go through the same operations one at a time.
 * With `wide`, two vectors side by side are computed first, so that the engine can make one of them.
 */
import { type Dim, divideDims, multiplyDims } from "../../../src/tensor/dims.ts";
import { i32, type Local, v128 } from "../assembler.ts";
import type { Features } from "../features.ts";
import type { FusedKernel, Operand } from "../../lowering/kinds/fused.ts";
import type { Value } from "../../../src/program/types.ts";
import { collapse, type OpenNumber, type View } from "../../lowering/views.ts";
import { BEGIN, END, loopOver, makePointers, type Pointer, toRow } from "./address.ts";
import { ELEMENT, type KernelCode } from "./code.ts";
import { constant, withConstants } from "../math.ts";
import type { Emission, EmittedKinds } from "./kind.ts";
import { emitOperation } from "./operation.ts";
import { sizeOf } from "../../shapes.ts";

/** Bytes of a vector. */
const VECTOR = 4 * ELEMENT;

/** How an element or vector of a view is reached in the innermost loop. */
interface Access {
  readonly pointer: Pointer;
  readonly bytes: number;
  /** Elements between neighbors along the innermost axis. */
  readonly stride: Dim;
}

/** Writes the function of a fused kernel; the caller passes rows `[begin, end)` of the first axis. */
function emitFused(f: KernelCode, kernel: FusedKernel, { features }: Emission): void {
  withConstants(f, () => emitLoops(f, kernel, features));
}

/** How this kind is emitted. */
export const fusedEmission: EmittedKinds<FusedKernel> = {
  fused: {
    emit: emitFused,
    cut: ({ shape }, { items }, shareFrom) => ({
      grain: shape.length === 1 ? 16 : 1,
      singleThreaded: items < shareFrom,
    }),
  },
};

function emitLoops(f: KernelCode, kernel: FusedKernel, features: Features): void {
  const shape = kernel.shape.length === 0 ? [1] : kernel.shape;
  if (sizeOf(shape) === 0) return;
  const withAxis = (view: View): View =>
    kernel.shape.length === 0 ? { ...view, shape: [1], strides: [0] } : view;
  const original = new Map<View, View>();
  const normal = (view: View): View => {
    const known = original.get(view) ?? withAxis(view);
    original.set(view, known);
    return known;
  };
  const views = kernel.operations.flatMap(({ operands, stores }) => [
    ...operands.flatMap((x) => x.kind === "view" ? [normal(x.view)] : []),
    ...stores.map(normal),
  ]);
  // Merges all axes into one if every view is contiguous across rows too; else the rows stay an axis.
  const flat = collapse(shape, views.map(({ strides }) => strides), 0);
  // The elements of a row; undefined if those of all rows cannot be divided before the sizes are known.
  const rowElements = flat.shape.length === 1 ? divideDims(flat.shape[0], shape[0]) : undefined;
  const isFlat = rowElements !== undefined;
  const { shape: dims, strides } = isFlat ? flat : collapse(shape, views.map(({ strides }) => strides), 1);
  const stridesOf = new Map(views.map((view, index) => [view, strides[index]]));

  const pointers = makePointers(f, views);
  const pointerStrides = pointers.all.map((pointer) => ({
    local: pointer.local,
    strides: stridesOf.get(pointer.view) ?? [],
  }));
  const inner = dims.length - 1;
  const accessOf = (view: View): Access => {
    const found = pointers.find(normal(view));
    return { ...found, stride: (stridesOf.get(normal(view)) ?? [])[inner] };
  };
  if (rowElements !== undefined) {
    const [from, to] = [BEGIN, END].map((row) => f.hold(() => f.get(row).bytes(rowElements).op("i32.mul")));
    emitInner(f, kernel, accessOf, features, { from, to });
    return;
  }
  for (const { local, strides } of pointerStrides) toRow(f, local, strides[0]);
  const row = f.local(i32);
  f.get(BEGIN).set(row);
  f.count(row, { local: END }, 1, () => {
    const between = pointerStrides.map(({ local, strides }) => ({ local, strides: strides.slice(1, inner) }));
    loopOver(
      f,
      dims.slice(1, inner),
      between,
      () => emitInner(f, kernel, accessOf, features, dims[inner]),
    );
    for (const { local, strides } of pointerStrides) f.move(local, strides[0]);
  });
}

/** The innermost axis: from byte `from` to `to` (locals), or as many elements. */
function emitInner(
  f: KernelCode,
  kernel: FusedKernel,
  accessOf: (view: View) => Access,
  features: Features,
  along: { readonly from: Local; readonly to: Local } | Dim,
): void {
  // What is constant along the axis is loaded once before it.
  const repeated = new Map<string, Local>();
  const open = new Map<OpenNumber, Local>();
  const keyOf = ({ pointer, bytes }: Access) => `${pointer.local} ${bytes}`;
  for (const { operands } of kernel.operations) {
    for (const operand of operands) {
      if (operand.kind === "constant" && typeof operand.value !== "number" && !open.has(operand.value)) {
        const local = f.local(v128);
        f.openNumber(operand.value, operand.dtype).set(local);
        open.set(operand.value, local);
      }
      if (operand.kind !== "view") continue;
      const access = accessOf(operand.view);
      if (access.stride !== 0 || repeated.has(keyOf(access))) continue;
      const local = f.local(v128);
      f.get(access.pointer.local).memory("v128.load32_splat", access.bytes);
      if (operand.view.dtype === "bool") f.i32x4(0).op("i32x4.ne");
      f.set(local);
      repeated.set(keyOf(access), local);
    }
  }
  const at = f.local(i32);
  // As many vectors side by side; each operation is written for all of them before the next.
  const body = (lanes: 1 | 4, vectors: 1 | 2 = 1) => {
    const all = vectors === 1 ? [0] : [0, 1];
    const registers = all.map(() => new Map<Value, Local>());
    const loaded = all.map(() => new Map<string, Local>());
    // One address for both vectors: only then does an engine see that they are neighbors.
    const addresses = new Map<Local, Local>();
    const addressOf = (pointer: Local): Local => {
      const known = addresses.get(pointer) ?? f.hold(() => f.get(pointer).get(at).op("i32.add"));
      addresses.set(pointer, known);
      return known;
    };
    const push = (operand: Operand, vector: number): void => {
      switch (operand.kind) {
        case "constant":
          if (typeof operand.value !== "number") f.get(open.get(operand.value) ?? fail());
          else if (operand.dtype === "float32") constant(f, operand.value);
          else f.i32x4(operand.dtype === "bool" ? (operand.value ? -1 : 0) : operand.value);
          return;
        case "register":
          f.get(registers[vector].get(operand.value) ?? fail());
          return;
        case "view": {
          const access = accessOf(operand.view);
          const known = repeated.get(keyOf(access)) !== undefined && access.stride === 0
            ? repeated.get(keyOf(access))
            : loaded[vector].get(`${keyOf(access)} ${access.stride}`);
          if (known !== undefined) {
            f.get(known);
            return;
          }
          const local = f.local(v128);
          if (access.stride === 1) {
            f.get(addressOf(access.pointer.local));
            f.memory(lanes === 4 ? "v128.load" : "v128.load32_zero", access.bytes + vector * VECTOR);
          } else loadStrided(f, access, at, lanes, vector);
          if (operand.view.dtype === "bool") f.i32x4(0).op("i32x4.ne");
          f.tee(local);
          loaded[vector].set(`${keyOf(access)} ${access.stride}`, local);
        }
      }
    };
    // Everything is read before anything is written: a carry may be written in place.
    const written = new Set(kernel.operations.flatMap(({ stores }) => stores.map(({ buffer }) => buffer)));
    for (const { operands } of kernel.operations) {
      for (const operand of operands) {
        if (operand.kind !== "view" || !written.has(operand.view.buffer)) continue;
        for (const vector of all) {
          push(operand, vector);
          f.op("drop");
        }
      }
    }
    for (const operation of kernel.operations) {
      const results = all.map((vector) => {
        for (const operand of operation.operands) push(operand, vector);
        emitOperation(f, operation, features);
        const result = f.local(v128);
        f.set(result);
        registers[vector].set(operation.output, result);
        return result;
      });
      for (const view of operation.stores) {
        // The higher address first, as an engine looks for it that computes pairs of vectors as one.
        for (const vector of all.toReversed()) {
          const access = accessOf(view);
          const value = () => {
            f.get(results[vector]);
            if (operation.output.dtype === "bool") f.i32x4(1).op("v128.and");
          };
          if (access.stride === 1) {
            f.get(addressOf(access.pointer.local));
            value();
            if (lanes === 4) f.memory("v128.store", access.bytes + vector * VECTOR);
            else f.laneMemory("v128.store32_lane", 0, access.bytes);
          } else storeStrided(f, access, at, lanes, vector, value);
        }
      }
    }
  };
  const steps: readonly (readonly [elements: number, body: () => void])[] = [
    ...(features.wide ? [[8, () => body(4, 2)]] as const : []),
    [4, () => body(4)],
    [1, () => body(1)],
  ];
  if (typeof along === "number") {
    let done = 0;
    for (const [elements, once] of steps) {
      const end = Math.floor(along / elements) * elements;
      if (end === done) continue;
      f.i32(done * ELEMENT).set(at);
      if (end === done + elements) once();
      else f.count(at, end * ELEMENT, elements * ELEMENT, once);
      done = end;
    }
  } else if ("to" in along) {
    const { from, to } = along;
    f.get(from).set(at);
    for (const [elements, once] of steps) {
      const last = elements === 1
        ? to
        : f.hold(() =>
          f.get(from).get(to).get(from).op("i32.sub").i32(-elements * ELEMENT).op("i32.and").op("i32.add")
        );
      f.count(at, { local: last }, elements * ELEMENT, once);
    }
  } else {
    f.i32(0).set(at);
    for (const [elements, once] of steps) f.countBytes(at, along, elements, once);
  }
}

function fail(): never {
  throw new Error("A fused kernel reads a result that it has not computed");
}

/** Loads one or four elements at byte offset `at` of the innermost axis, or so many vectors behind it. */
function loadStrided(f: KernelCode, access: Access, at: Local, lanes: 1 | 4, vector: number): void {
  const laneAt = strided(f, access, at, lanes, vector);
  f.memory("v128.load32_zero", laneAt(0));
  if (lanes === 1) return;
  const loaded = f.local(v128);
  f.set(loaded);
  for (const lane of [1, 2, 3]) {
    const offset = laneAt(lane);
    f.get(loaded).laneMemory("v128.load32_lane", lane, offset).set(loaded);
  }
  f.get(loaded);
}

/**
 * Pushes the address of the element of a lane, and returns an offset from it: the lowest address of all lanes,
 * with the lane's distance as offset if that is known, else the address itself.
 */
function strided(
  f: KernelCode,
  { pointer, bytes, stride }: Access,
  at: Local,
  lanes: 1 | 4,
  vector: number,
): (lane: number) => number {
  const isKnown = typeof stride === "number";
  const isBackwards = isKnown && stride < 0;
  const address = f.hold(() => {
    f.get(pointer.local).get(at);
    if (vector > 0) f.i32(vector * VECTOR).op("i32.add");
    f.size(stride).op("i32.mul").op("i32.add");
    if (isBackwards && lanes === 4) f.i32(3 * stride * ELEMENT).op("i32.add");
  });
  return (lane) => {
    f.get(address);
    if (isKnown) return bytes + (isBackwards ? lane - lanes + 1 : lane) * stride * ELEMENT;
    if (lane > 0) f.bytes(multiplyDims(stride, lane)).op("i32.add");
    return bytes;
  };
}

/** Stores one or four elements of a value in the same way. */
function storeStrided(
  f: KernelCode,
  access: Access,
  at: Local,
  lanes: 1 | 4,
  vector: number,
  value: () => void,
): void {
  const laneAt = strided(f, access, at, lanes, vector);
  for (let lane = 0; lane < lanes; lane++) {
    const offset = laneAt(lane);
    value();
    f.laneMemory("v128.store32_lane", lane, offset);
  }
}
