/** The option `clip`: bounds for what the activations of a cell are given (ONNX's attribute of that name). */
import { checkRange } from "../options/checks.ts";
import { clip } from "../operations/elementwise.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** The option of cells that can bound what their activations are given. */
export interface ClipOptions {
  /** The activations of gates and candidate are given values limited to `-clip…clip`; default null: any. */
  readonly clip?: number | null;
}

/** What bounds a value before its activation; it does nothing where there is no bound. */
export function limiter(type: string, bound: number | null): (z: Tensor) => Tensor {
  if (bound === null) return (z) => z;
  checkRange(type, "clip", bound, { above: 0 });
  return (z) => clip(z, { min: -bound, max: bound });
}
