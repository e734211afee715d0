/**
 * Addresses in WGSL: how the elements of views are reached. Most lie in the device's memory, an array of
 * words; values of every step may lie in an array of half floats, and what a scan keeps from step to step may
 * lie in workgroup memory.
 */
import type { Dim, Shape } from "../../../src/tensor/dims.ts";
import type { Buffer, View } from "../../lowering/views.ts";
import type { Table } from "./table.ts";

/** Where a buffer lies. */
export type Location =
  /** In the device's memory, or as f16 in `halves`, from the element on that the table has. */
  | { readonly in: "memory" | "halves" }
  /** At this word of `rowMemory`: the rows of the workgroup from row `begin` on, each `stride` words long. */
  | { readonly in: "local"; readonly at: number; readonly stride: number };

/** Where buffers lie. */
export interface Locations {
  readonly locationOf: (buffer: Buffer) => Location;
  /** The words for what may differ from call to call. */
  readonly table: Table;
}

/** The place of a buffer's rows in workgroup memory. */
export interface RowPlace {
  /** The word at which the first row of the workgroup begins. */
  readonly at: number;
  /** Words between rows. */
  readonly stride: number;
}

/** What a scan keeps in workgroup memory. */
export interface RowMemory {
  readonly words: number;
  readonly places: ReadonlyMap<Buffer, RowPlace>;
}

/** `a * stride`, omitted if it is zero. */
export function times(value: string, stride: Dim, table: Table): string[] {
  if (stride === 0 || value === "0") return [];
  return [stride === 1 ? value : `${value} * ${table.size(stride)}`];
}

/** An element: its array, and its index there as an expression. */
export interface ElementAt {
  readonly array: "memory" | "halves" | "rowMemory";
  readonly index: string;
}

/** The place of an element, given an index expression for each axis. */
export function elementAt(
  view: View,
  indices: readonly string[],
  { locationOf, table }: Locations,
): ElementAt {
  const { buffer, offset, loops, strides } = view;
  const location = locationOf(buffer);
  const isLocal = location.in === "local";
  const at = isLocal ? [`(${indices[0]} - begin)`, ...indices.slice(1)] : indices;
  const fixed = (typeof offset === "number" ? offset : 0) + (isLocal ? location.at : 0);
  const open = typeof offset === "number" ? 0 : offset;
  // What several addresses have in common comes first, so that compilers find it.
  const terms = [
    ...strides.flatMap((stride, axis) => times(at[axis], stride, table)),
    ...loops.flatMap(({ loop, stride }) => times(`t${loop}`, stride, table)),
    ...(isLocal ? times("1", open, table) : [table.at(buffer, open)]),
  ];
  if (fixed !== 0 || terms.length === 0) terms.push(String(fixed));
  return { array: isLocal ? "rowMemory" : location.in, index: terms.join(" + ") };
}

/** Reads an element as a value of its dtype. */
export function load(view: View, indices: readonly string[], memory: Locations): string {
  return loadElement(view.dtype, elementAt(view, indices, memory));
}

/** Reads the value at a place as a value of the dtype. */
export function loadElement(dtype: View["dtype"], { array, index }: ElementAt): string {
  const element = `${array}[${index}]`;
  if (array === "halves") return `f32(${element})`;
  switch (dtype) {
    case "float32":
      return `bitcast<f32>(${element})`;
    case "int32":
      return `bitcast<i32>(${element})`;
    case "bool":
      return `(${element} != 0u)`;
    case "float64":
      throw new TypeError("Cannot compute with float64 on webgpu");
  }
}

/** Writes a value of the view's dtype. */
export function store(view: View, indices: readonly string[], value: string, memory: Locations): string {
  const { array, index } = elementAt(view, indices, memory);
  const element = `${array}[${index}]`;
  if (array === "halves") return `${element} = f16(${value});`;
  return `${element} = ${view.dtype === "bool" ? `select(0u, 1u, ${value})` : `bitcast<u32>(${value})`};`;
}

/** The type of a dtype's values. */
export function typeOf(dtype: View["dtype"]): string {
  return dtype === "float32" ? "f32" : dtype === "int32" ? "i32" : "bool";
}

/** A literal of a dtype. */
export function literal(value: number, dtype: View["dtype"]): string {
  if (dtype === "bool") return value ? "true" : "false";
  if (dtype === "int32") {
    return value === -2147483648 ? "(-2147483647 - 1)" : value < 0 ? `(${value})` : `${value}`;
  }
  const rounded = Math.fround(value);
  if (!Number.isFinite(rounded) || Object.is(rounded, -0)) {
    const [bits] = new Uint32Array(Float32Array.of(rounded).buffer);
    return `bitcast<f32>(special(0x${bits.toString(16)}u))`;
  }
  return rounded < 0 ? `(${rounded}f)` : `${rounded}f`;
}

/**
 * A literal whose value is hidden from the compiler, as every constant of a Program must be: otherwise the
 * compiler may simplify as if there were no NaN or infinity (x · 0 is not 0 for all x), or reject an
 * overflow.
 */
export function hiddenLiteral(value: number, dtype: View["dtype"]): string {
  if (dtype === "bool") return literal(value, dtype);
  const [bits] = new Uint32Array((dtype === "int32" ? Int32Array : Float32Array).of(value).buffer);
  return `bitcast<${typeOf(dtype)}>(special(0x${bits.toString(16)}u))`;
}

/**
 * A sum or difference of floats that no compiler rewrites as real numbers allow: to it, what is added to the bits is not
 * known.
 */
export function kept(value: string): string {
  return `bitcast<f32>(bitcast<i32>(${value}) + zero)`;
}

/** Statements that set `names` to the index along each axis of row-major element `index` of a shape. */
export function unravel(index: string, shape: Shape, names: readonly string[], table: Table): string[] {
  const lines: string[] = [];
  let rest = index;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const name = names[axis], size = table.size(shape[axis]);
    if (shape[axis] === 1) lines.push(`let ${name} = 0;`);
    else if (axis === 0 || shape.slice(0, axis).every((dim) => dim === 1)) {
      lines.push(`let ${name} = ${rest};`);
      rest = "0";
    } else {
      const next = `${name}_rest`;
      lines.push(`let ${next} = ${rest} / ${size};`);
      // A division by an open size is slow.
      const isOpen = typeof shape[axis] !== "number";
      lines.push(`let ${name} = ${isOpen ? `${rest} - ${next} * ${size}` : `${rest} % ${size}`};`);
      rest = next;
    }
  }
  return lines;
}
