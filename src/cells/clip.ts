/** The option `clip`: bounds on the inputs of a cell's activations (ONNX's attribute of that name). */
import { checkRange } from "../options/checks.ts";
import { clip } from "../operations/elementwise.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** The option of cells that can bound the inputs of their activations. */
export interface ClipOptions {
  /** The inputs of the gate and candidate activations are limited to `-clip…clip`; default null: no limit. */
  readonly clip?: number | null;
}

/** Limits a value before its activation; the identity if there is no bound. */
export function limiter(type: string, bound: number | null): (z: Tensor) => Tensor {
  if (bound === null) return (z) => z;
  checkRange(type, "clip", bound, { above: 0 });
  return (z) => clip(z, { min: -bound, max: bound });
}
