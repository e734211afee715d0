/** Layers that repeat each element along the spatial axes of their input. */
import { checkOptions } from "../option_names.ts";
import { broadcastTo, reshape } from "../operations/structure.ts";
import { type PerAxis, perAxis } from "../options/per_axis.ts";
import { multiplyDims } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { plainLayer, spatialInput } from "./plain.ts";

/** Options of {@linkcode upSampling1d}. */
export interface UpSampling1dOptions extends LayerOptions {
  /** How often each step is repeated; default 2. */
  readonly size?: number;
}

/** Options of {@linkcode upSampling2d} and {@linkcode upSampling3d}. */
export interface UpSamplingOptions extends LayerOptions {
  /** How often each element is repeated, one number for all spatial axes or one for each; default 2. */
  readonly size?: PerAxis;
}

function upSampling<Options extends LayerOptions & { readonly size?: PerAxis }>(
  type: string,
  axes: number,
  options: Options,
  make: (options: Options) => Layer<Tensor>,
): Layer<Tensor> {
  checkOptions(type, options, ["size", ...layerOptionNames]);
  const times = perAxis(layerName({ type, name: options.name }), "size", options.size ?? 2, axes);
  return plainLayer({
    type,
    options: { size: axes === 1 ? times[0] : times },
    given: options,
    named: (name) => make({ ...options, name }),
    check: spatialInput(axes, { floats: false }),
    compute: (x) => times.reduce((x, count, index) => repeated(x, index + 1, count), x),
  });
}

/** Each element along an axis `count` times. */
function repeated(x: Tensor, axis: number, count: number): Tensor {
  const [before, after] = [x.shape.slice(0, axis + 1), x.shape.slice(axis + 1)];
  const apart = broadcastTo(reshape(x, [...before, 1, ...after]), [...before, count, ...after]);
  return reshape(apart, [...x.shape.slice(0, axis), multiplyDims(x.shape[axis], count), ...after]);
}

/**
 * Repeats each step: `[batch, steps, channels]` to `[batch, size·steps, channels]`. A mask is dropped.
 *
 * @throws RangeError for an unknown option or a size that is no count; TypeError for an input with other axes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { tensor, toNested, upSampling1d } from "@cellfold/cellfold";
 * const { output } = upSampling1d().apply({ params: [], state: [] }, tensor([[[5], [6]]]), { training: false });
 * assertEquals(toNested(output), [[[5], [5], [6], [6]]]);
 * ```
 */
export function upSampling1d(options: UpSampling1dOptions = {}): Layer<Tensor> {
  return upSampling("upSampling1d", 1, options, upSampling1d);
}

/**
 * Repeats rows and columns of `[batch, height, width, channels]` (Keras's interpolation `nearest`); see
 * {@linkcode upSampling1d}.
 */
export function upSampling2d(options: UpSamplingOptions = {}): Layer<Tensor> {
  return upSampling("upSampling2d", 2, options, upSampling2d);
}

/** Repeats along the spatial axes of `[batch, depth, height, width, channels]`; see {@linkcode upSampling1d}. */
export function upSampling3d(options: UpSamplingOptions = {}): Layer<Tensor> {
  return upSampling("upSampling3d", 3, options, upSampling3d);
}
