/** Layers that take the maximum or the mean of windows over the spatial axes of their input. */
import { unknownName } from "../known_names.ts";
import { checkOptions } from "../option_names.ts";
import { averagePool, maxPool } from "../operations/pooling.ts";
import { type PerAxis, perAxis } from "../options/per_axis.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { plainLayer, spatialInput } from "./plain.ts";

/** Options of {@linkcode maxPooling1d}, {@linkcode averagePooling1d} and their siblings. */
export interface PoolingLayerOptions extends LayerOptions {
  /** The window, one size for all spatial axes or one for each; default 2. */
  readonly poolSize?: PerAxis;
  /** How far the window moves; default: its size. */
  readonly strides?: PerAxis | null;
  /**
   * `valid` (default): the window stays inside. `same`: it is also placed where it reaches beyond the input, which does
   * not count.
   */
  readonly padding?: "valid" | "same";
}

function pooling(
  type: string,
  axes: number,
  pool: typeof maxPool,
  options: PoolingLayerOptions,
  make: (options: PoolingLayerOptions) => Layer<Tensor>,
): Layer<Tensor> {
  checkOptions(type, options, ["poolSize", "strides", "padding", ...layerOptionNames]);
  const owner = layerName({ type, name: options.name });
  const { padding = "valid" } = options;
  const poolSize = perAxis(owner, "poolSize", options.poolSize ?? 2, axes);
  const strides = perAxis(owner, "strides", options.strides ?? poolSize, axes);
  if (padding !== "valid" && padding !== "same") throw unknownName("padding", padding, ["valid", "same"]);
  return plainLayer({
    type,
    options: { poolSize, strides, padding },
    given: options,
    named: (name) => make({ ...options, name }),
    check: spatialInput(axes, { floats: true }),
    compute: (x) => pool(x, poolSize, { strides, padding }),
  });
}

/**
 * The maximum of each window of steps, channel by channel: `[batch, steps, channels]` to
 * `[batch, ⌊(steps - poolSize) / strides⌋ + 1, channels]`, or `⌈steps / strides⌉` steps with the padding `same`. A mask
 * has no effect and is dropped, as in Keras.
 *
 * @throws RangeError for an unknown option, a value out of range, or a window larger than the input; TypeError for an
 *   input with other axes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { maxPooling1d, tensor, toNested } from "@cellfold/cellfold";
 * const x = tensor([[[1], [4], [2], [3]]]);
 * const { output } = maxPooling1d().apply({ params: [], state: [] }, x, { training: false });
 * assertEquals(toNested(output), [[[4], [3]]]);
 * ```
 */
export function maxPooling1d(options: PoolingLayerOptions = {}): Layer<Tensor> {
  return pooling("maxPooling1d", 1, maxPool, options, maxPooling1d);
}

/** The maximum of windows of `[batch, height, width, channels]`; see {@linkcode maxPooling1d}. */
export function maxPooling2d(options: PoolingLayerOptions = {}): Layer<Tensor> {
  return pooling("maxPooling2d", 2, maxPool, options, maxPooling2d);
}

/** The maximum of windows of `[batch, depth, height, width, channels]`; see {@linkcode maxPooling1d}. */
export function maxPooling3d(options: PoolingLayerOptions = {}): Layer<Tensor> {
  return pooling("maxPooling3d", 3, maxPool, options, maxPooling3d);
}

/** The mean of each window of steps, of what lies inside of the input; otherwise like {@linkcode maxPooling1d}. */
export function averagePooling1d(options: PoolingLayerOptions = {}): Layer<Tensor> {
  return pooling("averagePooling1d", 1, averagePool, options, averagePooling1d);
}

/** The mean of windows of `[batch, height, width, channels]`; see {@linkcode averagePooling1d}. */
export function averagePooling2d(options: PoolingLayerOptions = {}): Layer<Tensor> {
  return pooling("averagePooling2d", 2, averagePool, options, averagePooling2d);
}

/** The mean of windows of `[batch, depth, height, width, channels]`; see {@linkcode averagePooling1d}. */
export function averagePooling3d(options: PoolingLayerOptions = {}): Layer<Tensor> {
  return pooling("averagePooling3d", 3, averagePool, options, averagePooling3d);
}
