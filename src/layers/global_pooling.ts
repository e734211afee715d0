/** Layers that take the maximum or the mean of all elements along the spatial axes of their input. */
import { checkOptions } from "../option_names.ts";
import { cast, div, maximum, select } from "../operations/elementwise.ts";
import { max, mean } from "../operations/reduction.ts";
import { broadcastTo, sum } from "../operations/structure.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { plainLayer, spatialInput } from "./plain.ts";
import { widenedMask } from "./sequence.ts";

/** Options of {@linkcode globalMaxPooling1d}, {@linkcode globalAveragePooling1d} and their siblings. */
export interface GlobalPoolingOptions extends LayerOptions {
  /** Whether the spatial axes stay, with size 1; default false. */
  readonly keepdims?: boolean;
  /**
   * Whether masked steps count like all others, as in Keras for all but `GlobalAveragePooling1D`; default false: they are
   * left out, and where no step counts the result is 0.
   */
  readonly countsMasked?: boolean;
}

interface Reduction {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

/** The result over everything, and over the elements for which the mask is true. */
interface Pool {
  all(x: Tensor, reduction: Reduction): Tensor;
  counted(x: Tensor, mask: Tensor, reduction: Reduction): Tensor;
}

const maximumPool: Pool = {
  all: max,
  counted: (x, mask, reduction) => {
    const largest = max(select(mask, x, -Infinity), reduction);
    const any = max(cast(mask, "int32"), reduction);
    return select(cast(any, "bool"), largest, 0);
  },
};

const meanPool: Pool = {
  all: mean,
  counted: (x, mask, reduction) => {
    const count = sum(cast(broadcastTo(mask, x.shape), x.dtype), reduction);
    return div(sum(select(mask, x, 0), reduction), maximum(count, 1));
  },
};

function globalPooling(
  type: string,
  axes: number,
  pool: Pool,
  options: GlobalPoolingOptions,
  make: (options: GlobalPoolingOptions) => Layer<Tensor>,
): Layer<Tensor> {
  checkOptions(type, options, ["keepdims", "countsMasked", ...layerOptionNames]);
  const { keepdims = false, countsMasked = false } = options;
  const reduction: Reduction = {
    axes: Array.from({ length: axes }, (_, index) => index + 1),
    keepDims: keepdims,
  };
  return plainLayer({
    type,
    options: { keepdims, countsMasked },
    given: options,
    named: (name) => make({ ...options, name }),
    check: spatialInput(axes, { floats: true }),
    compute: (x, _, mask) =>
      countsMasked || mask === undefined || mask.shape.length < 2
        ? pool.all(x, reduction)
        : pool.counted(x, widenedMask(mask, x), reduction),
  });
}

/**
 * The largest value of each channel: `[batch, steps, channels]` to `[batch, channels]`. Masked steps are left out, and
 * the mask is dropped.
 *
 * @throws RangeError for an unknown option; TypeError for an input with other axes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { globalMaxPooling1d, tensor, toNested } from "@cellfold/cellfold";
 * const mask = tensor([[true, true, false]]);
 * const { output } = globalMaxPooling1d().apply({ params: [], state: [] }, tensor([[[1], [4], [9]]]), {
 *   training: false,
 *   mask,
 * });
 * assertEquals(toNested(output), [[4]]);
 * ```
 */
export function globalMaxPooling1d(options: GlobalPoolingOptions = {}): Layer<Tensor> {
  return globalPooling("globalMaxPooling1d", 1, maximumPool, options, globalMaxPooling1d);
}

/** The largest value of each channel of `[batch, height, width, channels]`; see {@linkcode globalMaxPooling1d}. */
export function globalMaxPooling2d(options: GlobalPoolingOptions = {}): Layer<Tensor> {
  return globalPooling("globalMaxPooling2d", 2, maximumPool, options, globalMaxPooling2d);
}

/**
 * The largest value of each channel of `[batch, depth, height, width, channels]`; see {@linkcode globalMaxPooling1d}.
 */
export function globalMaxPooling3d(options: GlobalPoolingOptions = {}): Layer<Tensor> {
  return globalPooling("globalMaxPooling3d", 3, maximumPool, options, globalMaxPooling3d);
}

/** The mean of each channel over the steps that count; otherwise like {@linkcode globalMaxPooling1d}. */
export function globalAveragePooling1d(options: GlobalPoolingOptions = {}): Layer<Tensor> {
  return globalPooling("globalAveragePooling1d", 1, meanPool, options, globalAveragePooling1d);
}

/** The mean of each channel of `[batch, height, width, channels]`; see {@linkcode globalAveragePooling1d}. */
export function globalAveragePooling2d(options: GlobalPoolingOptions = {}): Layer<Tensor> {
  return globalPooling("globalAveragePooling2d", 2, meanPool, options, globalAveragePooling2d);
}

/** The mean of each channel of `[batch, depth, height, width, channels]`; see {@linkcode globalAveragePooling1d}. */
export function globalAveragePooling3d(options: GlobalPoolingOptions = {}): Layer<Tensor> {
  return globalPooling("globalAveragePooling3d", 3, meanPool, options, globalAveragePooling3d);
}
