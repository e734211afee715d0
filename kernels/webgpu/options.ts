/** The options of the device webgpu. */
import type { DeviceShape } from "./device_shape.ts";

/** How a device computes. */
export interface WebGpuOptions {
  /**
   * How a scan runs: `rows` as one dispatch in which each workgroup owns rows of the batch, `steps` as
   * dispatches for every step over the whole device. `auto`, the default, picks whichever it estimates to be
   * faster.
   */
  readonly schedule?: "rows" | "steps" | "auto";
  /**
   * How values of every step (residuals, stacked outputs) are stored: `f32`, the default, or `f16`, which
   * halves their memory and has 11 bits of precision, from 6e-8 to 65,504: smaller gradients of single steps
   * become 0, so scale the loss of a large batch or a long sequence. Sums, states and parameters are f32
   * either way.
   */
  readonly precision?: "f32" | "f16";
}

/** A shape other than the adapter suggests, for tests of code paths that only other adapters take. */
export interface ShapeChoice {
  readonly shape?: Partial<DeviceShape>;
}
