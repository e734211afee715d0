/**
 * Fused elementwise kernels: one pass over the index space, four elements at a time, with every intermediate
 * result in a register. The elements that do not fill a vector go through the same operations one at a time.
 */
import { type FunctionBuilder, i32, type Local, v128 } from "../assembler.ts";
import type { Features } from "../features.ts";
import type { FusedKernel, Operand } from "../../lowering/kinds/fused.ts";
import type { Value } from "../../../src/program/types.ts";
import { collapse, type View } from "../../lowering/views.ts";
import { type Addresses, BEGIN, ELEMENT, END, loopOver, makePointers, type Pointer } from "./address.ts";
import { constant, withConstants } from "../math.ts";
import type { Emission, EmittedKinds } from "./kind.ts";
import { emitOperation } from "./operation.ts";
import { sizeOf } from "../../shapes.ts";

/** How an element or vector of a view is reached in the innermost loop. */
interface Access {
  readonly pointer: Pointer;
  readonly bytes: number;
  /** Elements between neighbors along the innermost axis. */
  readonly stride: number;
}

/** Writes the function of a fused kernel; the caller passes rows `[begin, end)` of the first axis. */
function emitFused(f: FunctionBuilder, kernel: FusedKernel, { features, addresses }: Emission): void {
  withConstants(f, () => emitLoops(f, kernel, features, addresses));
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

function emitLoops(f: FunctionBuilder, kernel: FusedKernel, features: Features, addresses: Addresses): void {
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
  const isFlat = flat.shape.length === 1;
  const { shape: dims, strides } = isFlat ? flat : collapse(shape, views.map(({ strides }) => strides), 1);
  const stridesOf = new Map(views.map((view, index) => [view, strides[index]]));

  const pointers = makePointers(f, views, addresses);
  const pointerStrides = pointers.all.map((pointer) => ({
    local: pointer.local,
    strides: stridesOf.get(pointer.view) ?? [],
  }));
  const inner = dims.length - 1;
  const accessOf = (view: View): Access => {
    const found = pointers.find(normal(view));
    return { ...found, stride: (stridesOf.get(normal(view)) ?? [])[inner] };
  };
  const rowElements = isFlat ? dims[0] / shape[0] : 1;
  if (isFlat) {
    const from = f.local(i32), to = f.local(i32);
    f.get(BEGIN).i32(rowElements * ELEMENT).op("i32.mul").set(from);
    f.get(END).i32(rowElements * ELEMENT).op("i32.mul").set(to);
    emitInner(f, kernel, accessOf, features, from, to, undefined);
    return;
  }
  for (const { local, strides } of pointerStrides) {
    if (strides[0] !== 0) {
      f.get(local).get(BEGIN).i32(strides[0] * ELEMENT).op("i32.mul").op("i32.add").set(local);
    }
  }
  const row = f.local(i32);
  f.get(BEGIN).set(row);
  f.count(row, { local: END }, 1, () => {
    const between = pointerStrides.map(({ local, strides }) => ({ local, strides: strides.slice(1, inner) }));
    loopOver(
      f,
      dims.slice(1, inner),
      between,
      () => emitInner(f, kernel, accessOf, features, undefined, undefined, dims[inner]),
    );
    for (const { local, strides } of pointerStrides) {
      if (strides[0] !== 0) f.get(local).i32(strides[0] * ELEMENT).op("i32.add").set(local);
    }
  });
}

/** The innermost axis: from byte `from` to `to` (locals), or all `extent` elements. */
function emitInner(
  f: FunctionBuilder,
  kernel: FusedKernel,
  accessOf: (view: View) => Access,
  features: Features,
  from: Local | undefined,
  to: Local | undefined,
  extent: number | undefined,
): void {
  // What is constant along the axis is loaded once before it.
  const repeated = new Map<string, Local>();
  const keyOf = ({ pointer, bytes }: Access) => `${pointer.local} ${bytes}`;
  for (const { operands } of kernel.operations) {
    for (const operand of operands) {
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
  const body = (lanes: 1 | 4) => {
    const registers = new Map<Value, Local>();
    const loaded = new Map<string, Local>();
    const push = (operand: Operand): void => {
      switch (operand.kind) {
        case "constant":
          if (operand.dtype === "float32") constant(f, operand.value);
          else f.i32x4(operand.dtype === "bool" ? (operand.value ? -1 : 0) : operand.value);
          return;
        case "register":
          f.get(registers.get(operand.value) ?? fail());
          return;
        case "view": {
          const access = accessOf(operand.view);
          const known = repeated.get(keyOf(access)) !== undefined && access.stride === 0
            ? repeated.get(keyOf(access))
            : loaded.get(`${keyOf(access)} ${access.stride}`);
          if (known !== undefined) {
            f.get(known);
            return;
          }
          const local = f.local(v128);
          load(f, access, at, lanes);
          if (operand.view.dtype === "bool") f.i32x4(0).op("i32x4.ne");
          f.tee(local);
          loaded.set(`${keyOf(access)} ${access.stride}`, local);
        }
      }
    };
    // Everything is read before anything is written: a carry may be written in place.
    const written = new Set(kernel.operations.flatMap(({ stores }) => stores.map(({ buffer }) => buffer)));
    for (const { operands } of kernel.operations) {
      for (const operand of operands) {
        if (operand.kind !== "view" || !written.has(operand.view.buffer)) continue;
        push(operand);
        f.op("drop");
      }
    }
    for (const operation of kernel.operations) {
      operation.operands.forEach(push);
      emitOperation(f, operation, features);
      const result = f.local(v128);
      f.set(result);
      registers.set(operation.output, result);
      for (const view of operation.stores) {
        store(f, accessOf(view), at, lanes, result, operation.output.dtype === "bool");
      }
    }
  };
  const vectorBytes = 4 * ELEMENT;
  if (extent !== undefined) {
    const vectors = Math.floor(extent / 4) * vectorBytes;
    if (vectors > 0) {
      f.i32(0).set(at);
      if (vectors === vectorBytes) body(4);
      else f.count(at, vectors, vectorBytes, () => body(4));
    }
    if (extent % 4 > 0) {
      f.i32(vectors).set(at);
      if (extent % 4 === 1) body(1);
      else f.count(at, extent * ELEMENT, ELEMENT, () => body(1));
    }
  } else if (from !== undefined && to !== undefined) {
    const last = f.local(i32);
    f.get(from).tee(at).get(to).get(from).op("i32.sub").i32(-vectorBytes).op("i32.and").op("i32.add").set(
      last,
    );
    f.count(at, { local: last }, vectorBytes, () => body(4));
    f.count(at, { local: to }, ELEMENT, () => body(1));
  }
}

function fail(): never {
  throw new Error("A fused kernel reads a result that it has not computed");
}

/** Loads one or four elements at byte offset `at` of the innermost axis. */
function load(f: FunctionBuilder, { pointer, bytes, stride }: Access, at: Local, lanes: 1 | 4): void {
  if (stride === 1) {
    f.get(pointer.local).get(at).op("i32.add");
    f.memory(lanes === 4 ? "v128.load" : "v128.load32_zero", bytes);
    return;
  }
  const address = strided(f, pointer, stride, at, lanes);
  const step = Math.abs(stride) * ELEMENT;
  const offset = (lane: number) => bytes + (stride < 0 ? (lanes - 1 - lane) * step : lane * step);
  f.get(address).memory("v128.load32_zero", offset(0));
  if (lanes === 1) return;
  const vector = f.local(v128);
  f.set(vector);
  for (const lane of [1, 2, 3]) {
    f.get(address).get(vector).laneMemory("v128.load32_lane", lane, offset(lane)).set(vector);
  }
  f.get(vector);
}

/** The lowest address of the elements, in a new local. */
function strided(f: FunctionBuilder, pointer: Pointer, stride: number, at: Local, lanes: 1 | 4): Local {
  const address = f.local(i32);
  f.get(pointer.local).get(at).i32(stride).op("i32.mul").op("i32.add");
  if (stride < 0 && lanes === 4) f.i32(3 * stride * ELEMENT).op("i32.add");
  f.set(address);
  return address;
}

function store(
  f: FunctionBuilder,
  { pointer, bytes, stride }: Access,
  at: Local,
  lanes: 1 | 4,
  result: Local,
  isBool: boolean,
): void {
  const push = () => {
    f.get(result);
    if (isBool) f.i32x4(1).op("v128.and");
  };
  if (stride === 1) {
    f.get(pointer.local).get(at).op("i32.add");
    push();
    if (lanes === 4) f.memory("v128.store", bytes);
    else f.laneMemory("v128.store32_lane", 0, bytes);
    return;
  }
  const address = strided(f, pointer, stride, at, lanes);
  const step = Math.abs(stride) * ELEMENT;
  for (let lane = 0; lane < lanes; lane++) {
    f.get(address);
    push();
    f.laneMemory("v128.store32_lane", lane, bytes + (stride < 0 ? (lanes - 1 - lane) * step : lane * step));
  }
}
