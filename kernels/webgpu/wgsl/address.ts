/** Addresses in WGSL: how the elements of views are reached in the device's memory, an array of words. */
import type { Buffer, View } from "../../lowering/views.ts";

/** Where buffers lie. */
export interface Memory {
  /** The word at which a buffer begins whose place is fixed. */
  readonly wordOf: (buffer: Buffer) => number;
  /** The index in `slots` of the word at which an input or output of the call begins. */
  readonly slotOf: (buffer: Buffer) => number;
}

/** `a * stride`, left out where it is zero. */
export function times(value: string, stride: number): string[] {
  if (stride === 0 || value === "0") return [];
  return [stride === 1 ? value : `${value} * ${stride}`];
}

/** The word of an element: its index along each axis is an expression. */
export function wordAt(view: View, indices: readonly string[], memory: Memory): string {
  const { place } = view.buffer;
  const looked = place.kind === "input" || place.kind === "output";
  const fixed = view.offset + (looked ? 0 : memory.wordOf(view.buffer));
  const terms = [
    ...(looked ? [`slots[${memory.slotOf(view.buffer)}]`] : []),
    ...view.loops.flatMap(({ loop, stride }) => times(`t${loop}`, stride)),
    ...view.strides.flatMap((stride, axis) => times(indices[axis], stride)),
  ];
  if (fixed !== 0 || terms.length === 0) terms.unshift(String(fixed));
  return terms.join(" + ");
}

/** Reads an element as a value of its dtype. */
export function load(view: View, indices: readonly string[], memory: Memory): string {
  const word = `memory[${wordAt(view, indices, memory)}]`;
  switch (view.dtype) {
    case "float32":
      return `bitcast<f32>(${word})`;
    case "int32":
      return `bitcast<i32>(${word})`;
    case "bool":
      return `(${word} != 0u)`;
    case "float64":
      throw new TypeError("Cannot compute with float64 on webgpu");
  }
}

/** Writes a value of the view's dtype. */
export function store(view: View, indices: readonly string[], value: string, memory: Memory): string {
  const word = `memory[${wordAt(view, indices, memory)}]`;
  return `${word} = ${view.dtype === "bool" ? `select(0u, 1u, ${value})` : `bitcast<u32>(${value})`};`;
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

/** Statements that set `names` to the index along each axis of row-major element `index` of a shape. */
export function unravel(index: string, shape: readonly number[], names: readonly string[]): string[] {
  const lines: string[] = [];
  let rest = index;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] === 1) lines.push(`let ${names[axis]} = 0;`);
    else if (axis === 0 || shape.slice(0, axis).every((dim) => dim === 1)) {
      lines.push(`let ${names[axis]} = ${rest};`);
      rest = "0";
    } else {
      lines.push(`let ${names[axis]} = ${rest} % ${shape[axis]};`);
      const next = `${names[axis]}_rest`;
      lines.push(`let ${next} = ${rest} / ${shape[axis]};`);
      rest = next;
    }
  }
  return lines;
}
