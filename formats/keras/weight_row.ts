/** One weight of a layer or cell, as Keras stores it. */
import type { JsonOptions } from "../../src/options/json.ts";
import type { HostTensor } from "../../src/tensor/tensor.ts";
import type { Dim, Shape } from "../../src/tensor/dims.ts";

/** A weight of a layer or cell. */
export interface WeightRow {
  /** Its key in our params or state. */
  readonly name: string;
  /** Whether it is trained. */
  readonly part: "params" | "state";
  /** Only Keras has it, and this value is written for it; what a file has is not read. */
  readonly unread?: HostTensor;
  /** Its shape for a layer input of this shape; for a cell, the input of one step. */
  shape(input: Shape): Shape;
}

/** An option that was saved as a count. */
export function count(options: JsonOptions, name: string): number {
  return Number(options[name]);
}

/** The last size of a shape: the features. */
export const last = (shape: Shape): Dim => shape[shape.length - 1];

/** A weight that is trained. */
export function param(name: string, shape: (input: Shape) => Shape): WeightRow {
  return { name, part: "params", shape };
}
