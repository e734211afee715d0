/**
 * Fused elementwise kernels: one pass over the index space, a vector at a time, with every intermediate result in a
 * register. The last vector of a row touches only the lanes that are left.
 */
import { type Dim, divideDims } from "../../../src/tensor/dims.ts";
import type { DType } from "../../../src/tensor/tensor.ts";
import type { Value } from "../../../src/program/types.ts";
import type { FusedKernel, Operand } from "../../lowering/kinds/fused.ts";
import { collapse, type View } from "../../lowering/views.ts";
import { sizeOf } from "../../shapes.ts";
import { elementType, type KernelSource, plus, times } from "./code.ts";
import type { EmittedKinds } from "./kind.ts";
import { float, integer } from "./math.ts";
import { mathNameOf, registerType, sayOperation } from "./operation.ts";

/** How this kind is written. */
export const fusedEmission: EmittedKinds<FusedKernel> = {
  fused: {
    emit: emitFused,
    cut: ({ shape }, { items }, shareFrom) => ({
      grain: shape.length === 1 ? 16 : 1,
      singleThreaded: items < shareFrom,
    }),
  },
};

/** A view's place in a row: the pointer to it, and the elements between neighbors. */
interface Row {
  readonly pointer: string;
  readonly stride: Dim;
}

function emitFused(f: KernelSource, kernel: FusedKernel): void {
  const shape = kernel.shape.length === 0 ? [1] : kernel.shape;
  if (sizeOf(shape) === 0) return;
  const original = new Map<View, View>();
  const normal = (view: View): View => {
    const known = original.get(view) ??
      (kernel.shape.length === 0 ? { ...view, shape: [1], strides: [0] } : view);
    original.set(view, known);
    return known;
  };
  const views = kernel.operations.flatMap(({ operands, stores }) => [
    ...operands.flatMap((x) => x.kind === "view" ? [normal(x.view)] : []),
    ...stores.map(normal),
  ]);
  // Merges all axes into one if every view is contiguous across rows too; else the rows stay an axis.
  const flat = collapse(shape, views.map(({ strides }) => strides), 0);
  const rowElements = flat.shape.length === 1 ? divideDims(flat.shape[0], shape[0]) : undefined;
  const { shape: dims, strides } = rowElements !== undefined
    ? flat
    : collapse(shape, views.map(({ strides }) => strides), 1);
  const stridesOf = new Map(views.map((view, index) => [view, strides[index]]));
  const inner = dims.length - 1;
  const rowsAt = (indices: readonly string[]) => {
    const rows = new Map<string, Row>(), found = new Map<View, Row>();
    const find = (view: View): Row => {
      const place = normal(view), all = stridesOf.get(place) ?? [];
      const pointer = f.pointer(place), distance = f.distance(indices, all.slice(0, indices.length));
      const key = `${pointer} + ${distance} by ${all[inner]}`;
      const known = rows.get(key);
      if (known) return known;
      let row = pointer;
      if (distance !== "0") {
        row = f.name(`${pointer}_row`);
        const type = f.pointerType(view.buffer, elementType(view.dtype));
        f.line(`${type} *const ${row} = ${pointer} + ${distance};`);
      }
      const made = { pointer: row, stride: all[inner] };
      rows.set(key, made);
      return made;
    };
    return (view: View): Row => {
      const row = found.get(view) ?? find(view);
      found.set(view, row);
      return row;
    };
  };
  if (rowElements !== undefined) {
    const of = (row: string) => times(row, f.size(rowElements));
    emitInner(f, kernel, rowsAt([]), of("begin"), of("end"));
    return;
  }
  f.loop("i", "end", (row) => {
    f.loops("i", dims.slice(1, inner), (others) => {
      emitInner(f, kernel, rowsAt([row, ...others]), "0", inner === 0 ? "1" : f.size(dims[inner]));
    });
  }, { from: "begin" });
}

/** The innermost axis. */
function emitInner(
  f: KernelSource,
  kernel: FusedKernel,
  rowOf: (view: View) => Row,
  from: string,
  to: string,
): void {
  const { operations } = kernel;
  const reads = new Map<string, string>();
  const keyOf = (view: View) => {
    const { pointer, stride } = rowOf(view);
    return `${pointer} by ${stride} as ${view.dtype}`;
  };
  const readViews = operations.flatMap(({ operands }) =>
    operands.flatMap((x) => x.kind === "view" ? [x.view] : [])
  );
  // Finds the row of every view before the loop.
  const hasRows = [...readViews, ...operations.flatMap(({ stores }) => stores)].map(rowOf).some((
    { stride },
  ) => stride === 1);
  for (const view of readViews) {
    const { pointer, stride } = rowOf(view), key = keyOf(view);
    if (stride !== 0 || reads.has(key)) continue;
    const name = f.name("x");
    f.line(`const ${registerType(view.dtype)} ${name} = ${repeated(`*${pointer}`, view.dtype)};`);
    reads.set(key, name);
  }
  const at = f.name("j"), left = f.name("left"), n = f.name("n");
  f.block(`for (${f.indexType} ${at} = ${from}; ${at} < ${to}; ${at} += LANES)`, () => {
    f.line(`const ${f.indexType} ${left} = ${to} - ${at};`);
    if (hasRows) f.line(`const lanes ${n} = v_lanes(${left});`);
    // Everything is read before anything is written: a carry may be written in place.
    for (const view of readViews) {
      const key = keyOf(view);
      if (reads.has(key)) continue;
      const name = f.name("x");
      f.line(
        `const ${registerType(view.dtype)} ${name} = ${load(f, rowOf(view), view.dtype, { at, left, n })};`,
      );
      reads.set(key, name);
    }
    const registers = new Map<Value, string>();
    const say = (operand: Operand): string => {
      switch (operand.kind) {
        case "constant":
          return constant(f, operand);
        case "register":
          return registers.get(operand.value) ?? fail();
        case "view":
          return reads.get(keyOf(operand.view)) ?? fail();
      }
    };
    for (const operation of operations) {
      const { output: { dtype } } = operation;
      const name = f.name(operation.name);
      const math = mathNameOf(operation);
      if (math) f.functions.add(math);
      f.line(
        `const ${registerType(dtype)} ${name} = ${sayOperation(operation, operation.operands.map(say))};`,
      );
      registers.set(operation.output, name);
      for (const view of operation.stores) f.line(`${store(f, rowOf(view), dtype, { at, left, n }, name)};`);
    }
  });
}

function fail(): never {
  throw new Error("A fused kernel reads a result that it has not computed");
}

/** An element in all lanes. */
function repeated(element: string, dtype: DType): string {
  if (dtype === "float32") return `v_number(${element})`;
  return dtype === "bool" ? `v_constant_mask(${element} != 0)` : `v_integer(${element})`;
}

function constant(f: KernelSource, { value, dtype }: Operand & { readonly kind: "constant" }): string {
  if (typeof value !== "number") {
    const bits = f.openNumber(value, dtype);
    return dtype === "float32" ? `v_number(float_of(${bits}))` : repeated(bits, dtype);
  }
  if (dtype === "float32") return `v_number(${float(Math.fround(value))})`;
  return dtype === "bool" ? `v_constant_mask(${value ? 1 : 0})` : `v_integer(${integer(value)})`;
}

/** Where a vector lies on the innermost axis. */
interface Lanes {
  readonly at: string;
  readonly left: string;
  readonly n: string;
}

const SUFFIX = { vf: "", vi: "_int", mask: "_mask" } as const;

function load(f: KernelSource, { pointer, stride }: Row, dtype: DType, { at, left, n }: Lanes): string {
  const suffix = SUFFIX[registerType(dtype)];
  if (stride === 1) return `v_load${suffix}(${plus(pointer, at)}, ${n})`;
  const step = f.size(stride);
  return `v_load${suffix}_apart(${pointer} + ${times(at, step)}, ${step}, ${left})`;
}

function store(
  f: KernelSource,
  { pointer, stride }: Row,
  dtype: DType,
  { at, left, n }: Lanes,
  value: string,
): string {
  const suffix = SUFFIX[registerType(dtype)];
  if (stride === 1) return `v_store${suffix}(${plus(pointer, at)}, ${value}, ${n})`;
  const step = f.size(stride);
  return `v_store${suffix}_apart(${pointer} + ${times(at, step)}, ${step}, ${value}, ${left})`;
}
