/**
 * Weights as constant arrays of C: in float32, or in fewer bits where products and tables of rows read them, with a
 * scale for each channel if they are integers.
 */
import { halfBits, LARGEST_HALF } from "../../../src/tensor/halves.ts";
import type { HostTensor } from "../../../src/tensor/tensor.ts";
import { float } from "../emit/math.ts";

/** How weights are stored that products and tables of rows read; all others are float32. */
export type WeightFormat = "float32" | "float16" | "int8";

/** The type of elements in memory. */
export const ELEMENTS = {
  float32: { type: "float", bytes: 4 },
  float16: { type: "uint16_t", bytes: 2 },
  int8: { type: "int8_t", bytes: 1 },
} as const satisfies Readonly<Record<WeightFormat, { readonly type: string; readonly bytes: number }>>;

/** Which axis of a matrix has a scale for each index. */
export type ScaledAxis = "rows" | "columns";

/** The definition of an array, and what it takes. */
export interface ConstantArray {
  readonly text: string;
  readonly bytes: number;
}

/** The constant arrays of a file, each defined once. */
export class Arrays {
  /** Names by tensor, and by the form in which it is stored. */
  readonly #names = new Map<HostTensor, Map<string, string>>();
  readonly #defined: ConstantArray[] = [];
  #count = 0;

  /** The name of a tensor in a form; the first call defines its arrays. */
  nameOf(tensor: HostTensor, form: string, define: (name: string) => readonly ConstantArray[]): string {
    const forms = this.#names.get(tensor) ?? new Map<string, string>();
    this.#names.set(tensor, forms);
    let name = forms.get(form);
    if (name === undefined) {
      forms.set(form, name = `weight_${this.#count++}`);
      this.#defined.push(...define(name));
    }
    return name;
  }

  /** All of them. */
  get definitions(): readonly ConstantArray[] {
    return this.#defined;
  }
}

/** The definition of a constant tensor. */
export function constantArray(name: string, { data, dtype }: HostTensor): ConstantArray {
  const isFloat = dtype === "float32";
  const values = [...data].map((value) => isFloat ? float(value) : integerOf(value));
  return arrayOf(name, isFloat ? "float" : "int32_t", values, 4);
}

/** The smallest integer has no literal in C. */
function integerOf(value: number): string {
  return value === -(2 ** 31) ? "-2147483647 - 1" : `${value}`;
}

/** Throws for a weight that has no likeness in a format. */
function refuse(format: WeightFormat, value: number, expected: string): never {
  throw new RangeError(
    `Cannot store weights in ${format}: one is ${value}, expected ${expected}; give weights: "float32"`,
  );
}

/**
 * The definition of a matrix in 16 bits.
 *
 * @throws RangeError for a number that would become infinite.
 */
export function halfArray(name: string, { data }: HostTensor): ConstantArray {
  for (const value of data) {
    if (Math.abs(value) > LARGEST_HALF && Number.isFinite(value)) {
      refuse("float16", value, `numbers up to ${LARGEST_HALF}`);
    }
  }
  return arrayOf(name, "uint16_t", [...data].map((value) => `${halfBits(value)}`), 2);
}

/**
 * The definitions of a matrix in 8 bits, and of its scales: the largest of each channel is 127.
 *
 * @throws RangeError for NaN and infinities, next to which there is no scale for the others.
 */
export function byteArrays(
  name: string,
  { data, shape }: HostTensor,
  axis: ScaledAxis,
): { readonly values: ConstantArray; readonly scales: ConstantArray } {
  const columns = shape[shape.length - 1], rows = data.length / Math.max(1, columns);
  const channelOf = (index: number) => axis === "columns" ? index % columns : Math.floor(index / columns);
  const largest = new Float64Array(axis === "columns" ? columns : rows);
  data.forEach((value, index) => {
    if (!Number.isFinite(value)) refuse("int8", value, "finite numbers");
    largest[channelOf(index)] = Math.max(largest[channelOf(index)], Math.abs(value));
  });
  const scales = Float32Array.from(largest, (value) => value / 127);
  const values = Array.from(data, (value, index) => {
    const scale = scales[channelOf(index)];
    return `${scale === 0 ? 0 : Math.max(-127, Math.min(127, Math.round(value / scale)))}`;
  });
  return {
    values: arrayOf(name, "int8_t", values, 1),
    scales: arrayOf(`${name}_scale`, "float", Array.from(scales, float), 4),
  };
}

/** Values in lines of some width. */
function arrayOf(name: string, type: string, values: readonly string[], bytes: number): ConstantArray {
  const lines: string[] = [];
  let line = "";
  for (const value of values) {
    if (line.length + value.length > 116) {
      lines.push(line);
      line = "";
    }
    line += `${line === "" ? "  " : " "}${value},`;
  }
  const count = Math.max(1, values.length); // C has no empty arrays
  const body = values.length === 0 ? "  0," : [...lines, line].join("\n");
  return { text: `static const ${type} ${name}[${count}] = {\n${body}\n};\n`, bytes: count * bytes };
}
