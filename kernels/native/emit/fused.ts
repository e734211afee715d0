/**
 * Fused elementwise kernels: one pass over the index space, a vector at a time, with every intermediate result in a
 * register. The last vector of a row touches only the lanes that are left.
 */
import { type Dim, divideDims } from "../../../src/tensor/dims.ts";
import type { DType } from "../../../src/tensor/tensor.ts";
import type { Value } from "../../../src/program/types.ts";
import { type FusedKernel, type Operand, operandsOf } from "../../lowering/kinds/fused.ts";
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
  /** The same place some rows later, if the processor does not see by itself that it is needed soon. */
  readonly ahead?: string;
}

/**
 * How many rows ahead memory is asked for. The rows of a step of a sequence are apart by all of its steps, so that each
 * begins on a page of its own, where processors do not expect the next access.
 */
const ROWS_AHEAD = 2;

function emitFused(f: KernelSource, kernel: FusedKernel): void {
  const shape = kernel.shape.length === 0 ? [1] : kernel.shape;
  if (sizeOf(shape) === 0 && !kernel.totals) return; // rows without columns have totals all the same
  const original = new Map<View, View>();
  const normal = (view: View): View => {
    const known = original.get(view) ??
      (kernel.shape.length === 0 ? { ...view, shape: [1], strides: [0] } : view);
    original.set(view, known);
    return known;
  };
  const views = [...readsAt(kernel), ...kernel.operations.flatMap(({ stores }) => stores)].map(normal);
  // Merges all axes into one if every view is contiguous across rows too; else the rows stay an axis.
  const flat = collapse(shape, views.map(({ strides }) => strides), 0);
  const mayBeFlat = flat.shape.length === 1 && !kernel.totals && !kernel.columnTotals;
  const rowElements = mayBeFlat ? divideDims(flat.shape[0], shape[0]) : undefined;
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
      let row = pointer, ahead: string | undefined;
      const type = f.pointerType(view.buffer, elementType(view.dtype));
      if (distance !== "0") {
        row = f.name(`${pointer}_row`);
        f.line(`${type} *const ${row} = ${pointer} + ${distance};`);
      }
      if (f.asksAhead && indices.length === 1 && view.loops.length > 0 && all[inner] === 1) {
        ahead = f.name(`${pointer}_ahead`);
        const later = f.distance([`least(${indices[0]} + ${ROWS_AHEAD}, end - 1)`], all.slice(0, 1));
        f.line(`const ${type} *const ${ahead} = ${pointer} + ${later};`);
      }
      const made = { pointer: row, stride: all[inner], ahead };
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
    const to = of("end");
    emitInner(f, kernel, rowsAt([]), {
      from: of("begin"),
      to,
      extent: to,
      isWhole: isWhole(rowElements),
      totals: [],
    });
    return;
  }
  const rows = (from: string, to: string) =>
    f.loop("i", to, (row) => {
      f.loops("i", dims.slice(1, inner), (others) => {
        emitRow(f, kernel, rowsAt([row, ...others]), { row, size: inner === 0 ? 1 : dims[inner] });
      });
    }, { from });
  const { columnTotals = [] } = kernel;
  if (columnTotals.length === 0) return void rows("begin", "end");
  const first = f.name("first");
  f.block(`for (${f.indexType} ${first} = begin; ${first} < end; ${first} += ${BLOCK})`, () => {
    rows(first, `least(${first} + ${BLOCK}, end)`);
    const at = f.name("j"), n = f.name("n"), columns = f.size(dims[inner]);
    f.block(`for (${f.indexType} ${at} = 0; ${at} < ${columns}; ${at} += LANES)`, () => {
      f.line(`const lanes ${n} = v_lanes(${isWhole(dims[inner]) ? "LANES" : `${columns} - ${at}`});`);
      for (const { total, lost, part } of columnTotals) {
        const [sum, error, more] = [total, lost, part].map((view) => plus(f.pointer(view), at));
        f.line(`v_add_exactly(${sum}, ${error}, v_load(${more}, ${n}), ${n});`);
        f.line(`v_store(${more}, v_number(0), ${n});`);
      }
    });
  });
}

/** The views that are read at each index. */
function readsAt(kernel: FusedKernel): View[] {
  return operandsOf(kernel).flatMap((x) => x.kind === "view" ? [x.view] : []);
}

/** Vectors of a row, or rows, that are summed without care for what rounding loses: at most 8 · 2⁻²⁴ of their sum. */
const BLOCK = 8;

/** The innermost axis, with the totals of its row. */
function emitRow(
  f: KernelSource,
  kernel: FusedKernel,
  rowOf: (view: View) => Row,
  { row, size }: { readonly row: string; readonly size: Dim },
): void {
  const { totals = [] } = kernel;
  const axis = { extent: f.size(size), isWhole: isWhole(size) };
  if (totals.length === 0) {
    return emitInner(f, kernel, rowOf, { ...axis, from: "0", to: axis.extent, totals: [] });
  }
  const all = totals.map(({ name, operand, output }) => {
    const total = f.name(name), block = f.name("block");
    const isSum = name === "sum", least = "v_number(-__builtin_inff())";
    f.line(isSum ? `struct sums ${total} = NO_SUMS;` : `vf ${total} = ${least};`);
    return {
      operand,
      begin: () => isSum && f.line(`vf ${block} = v_number(0);`),
      take: (x: string, n: string) =>
        f.line(
          isSum
            ? `${block} = ${block} + v_first(${x}, ${n}, v_number(0));`
            : `${total} = v_maximum(${total}, v_first(${x}, ${n}, ${least}));`,
        ),
      end: () => isSum && f.line(`${total} = v_add_wide(${total}, ${block});`),
      store: () => {
        const to = `${f.pointer(output)}[${f.distance([row], output.strides)}]`;
        f.line(`${to} = ${isSum ? `(float)v_total(${total})` : `v_largest(${total})`};`);
      },
    };
  });
  const from = f.name("from"), to = f.name("to");
  f.block(`for (${f.indexType} ${from} = 0; ${from} < ${axis.extent}; ${from} += ${BLOCK} * LANES)`, () => {
    f.line(`const ${f.indexType} ${to} = least(${from} + ${BLOCK} * LANES, ${axis.extent});`);
    for (const { begin } of all) begin();
    emitInner(f, kernel, rowOf, { ...axis, from, to, totals: all });
    for (const { end } of all) end();
  });
  for (const { store } of all) store();
}

/** The most lanes of a vector. */
const MOST_LANES = 16;

function isWhole(size: Dim): boolean {
  return typeof size === "number" && size % MOST_LANES === 0;
}

/** A part of the innermost axis, and what totals take of it. */
interface Part {
  readonly from: string;
  readonly to: string;
  /** Where the axis ends. */
  readonly extent: string;
  /** Whether vectors of every width divide it. */
  readonly isWhole: boolean;
  readonly totals: readonly { readonly operand: Operand; readonly take: (x: string, n: string) => void }[];
}

/** The innermost axis. */
function emitInner(
  f: KernelSource,
  kernel: FusedKernel,
  rowOf: (view: View) => Row,
  { from, to, extent, isWhole, totals }: Part,
): void {
  const { operations } = kernel;
  const reads = new Map<string, string>();
  const keyOf = (view: View) => {
    const { pointer, stride } = rowOf(view);
    return `${pointer} by ${stride} as ${view.dtype}`;
  };
  const readViews = readsAt(kernel);
  // Finds the row of every view before the loop.
  const rows = [...readViews, ...operations.flatMap(({ stores }) => stores)].map(rowOf);
  const hasRows = rows.some(({ stride }) => stride === 1);
  for (const view of readViews) {
    const { pointer, stride } = rowOf(view), key = keyOf(view);
    if (stride !== 0 || reads.has(key)) continue;
    const name = f.name("x");
    f.line(`const ${registerType(view.dtype)} ${name} = ${repeated(`*${pointer}`, view.dtype)};`);
    reads.set(key, name);
  }
  const at = f.name("j"), left = f.name("left"), n = f.name("n");
  f.block(`for (${f.indexType} ${at} = ${from}; ${at} < ${to}; ${at} += LANES)`, () => {
    f.line(`const ${f.indexType} ${left} = ${isWhole ? "LANES" : `${extent} - ${at}`};`);
    if (hasRows || totals.length > 0 || kernel.columnTotals) f.line(`const lanes ${n} = v_lanes(${left});`);
    for (const ahead of new Set(rows.flatMap(({ ahead }) => ahead ?? []))) {
      f.line(`__builtin_prefetch(${plus(ahead, at)});`);
    }
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
    for (const { operand, take } of totals) take(say(operand), n);
    for (const { operand, part } of kernel.columnTotals ?? []) {
      const to = plus(f.pointer(part), at);
      f.line(`v_store(${to}, v_load(${to}, ${n}) + ${say(operand)}, ${n});`);
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
