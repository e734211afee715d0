/** The rectifiers that have options, as layers: those of Keras that are classes of their own. */
import { checkOptions } from "../option_names.ts";
import { relu } from "../operations/activations.ts";
import { expm1, greaterEqual, lessEqual, minimum, mul, select, sub } from "../operations/elementwise.ts";
import { checkRange } from "../options/checks.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { anyFloats, plainLayer } from "./plain.ts";

/** Options of {@linkcode reluLayer}. */
export interface ReluLayerOptions extends LayerOptions {
  /** The largest value of the output, from 0; default null: no limit. */
  readonly maxValue?: number | null;
  /** The slope at and below the threshold, from 0; default 0. */
  readonly negativeSlope?: number;
  /** Up to this value, from 0, the input is cut to `negativeSlope · (x - threshold)`; default 0. */
  readonly threshold?: number;
}

/** Options of {@linkcode leakyReluLayer}. */
export interface LeakyReluLayerOptions extends LayerOptions {
  /** The slope below 0, from 0; default 0.3. */
  readonly negativeSlope?: number;
}

/** Options of {@linkcode eluLayer}. */
export interface EluLayerOptions extends LayerOptions {
  /** The limit below 0 is `-alpha`; default 1. */
  readonly alpha?: number;
}

/**
 * `x` above the threshold, else `slope · (x - threshold)`. Without a slope, 0 · ∞ would be NaN. At a threshold other
 * than 0, where the value jumps, the derivative is 0.
 */
function rectified(x: Tensor, threshold: number, slope: number): Tensor {
  if (threshold === 0) return slope === 0 ? relu(x) : select(lessEqual(x, 0), mul(x, slope), x);
  const above = select(lessEqual(x, threshold), 0, x);
  return slope === 0 ? above : sub(above, mul(relu(sub(threshold, x)), slope));
}

/**
 * A rectifier with options: `x` above `threshold` and at most `maxValue`, else `negativeSlope · (x - threshold)`. The
 * mask is passed on. (Keras's `ReLU`; `activation("relu")` is the one without options.)
 *
 * @throws RangeError for an unknown option, or one that is negative.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { reluLayer, tensor, toNested } from "@cellfold/cellfold";
 * const layer = reluLayer({ maxValue: 3, negativeSlope: 0.5 });
 * const { output } = layer.apply({ params: [], state: [] }, tensor([[-2, 1, 5]]), { training: false });
 * assertEquals(toNested(output), [[-1, 1, 3]]);
 * ```
 */
export function reluLayer(options: ReluLayerOptions = {}): Layer<Tensor> {
  checkOptions("reluLayer", options, ["maxValue", "negativeSlope", "threshold", ...layerOptionNames]);
  const { maxValue = null, negativeSlope = 0, threshold = 0 } = options;
  const owner = layerName({ type: "relu", name: options.name });
  if (maxValue !== null) checkRange(owner, "maxValue", maxValue, { low: 0 });
  checkRange(owner, "negativeSlope", negativeSlope, { low: 0 });
  checkRange(owner, "threshold", threshold, { low: 0 });
  return plainLayer({
    type: "relu",
    factory: "reluLayer",
    options: { maxValue, negativeSlope, threshold },
    given: options,
    named: (name) => reluLayer({ ...options, name }),
    check: anyFloats,
    compute: (x) => {
      const output = rectified(x, threshold, negativeSlope);
      return maxValue === null ? output : minimum(maxValue, output);
    },
    keepsSteps: true,
  });
}

/**
 * `x` above 0, else `negativeSlope · x`. The mask is passed on. (Keras's `LeakyReLU`; the activation `leakyRelu` has
 * the slope 0.2.)
 *
 * @throws RangeError for an unknown option, or a negative slope.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { leakyReluLayer, tensor, toNested } from "@cellfold/cellfold";
 * const layer = leakyReluLayer({ negativeSlope: 0.5 });
 * const { output } = layer.apply({ params: [], state: [] }, tensor([[-2, 1]]), { training: false });
 * assertEquals(toNested(output), [[-1, 1]]);
 * ```
 */
export function leakyReluLayer(options: LeakyReluLayerOptions = {}): Layer<Tensor> {
  checkOptions("leakyReluLayer", options, ["negativeSlope", ...layerOptionNames]);
  const { negativeSlope = 0.3 } = options;
  const owner = layerName({ type: "leakyRelu", name: options.name });
  checkRange(owner, "negativeSlope", negativeSlope, { low: 0 });
  return plainLayer({
    type: "leakyRelu",
    factory: "leakyReluLayer",
    options: { negativeSlope },
    given: options,
    named: (name) => leakyReluLayer({ ...options, name }),
    check: anyFloats,
    compute: (x) => rectified(x, 0, negativeSlope),
    keepsSteps: true,
  });
}

/**
 * `x` from 0, else `alpha · (e^x - 1)` (Clevert et al., 2016). The mask is passed on. (Keras's `ELU`; the activation
 * `elu` has `alpha` 1.)
 *
 * @throws RangeError for an unknown option, or an `alpha` that is no number.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { eluLayer, tensor, toNested } from "@cellfold/cellfold";
 * const layer = eluLayer({ alpha: 2 });
 * const { output } = layer.apply({ params: [], state: [] }, tensor([[-100, 1]]), { training: false });
 * assertEquals(toNested(output), [[-2, 1]]);
 * ```
 */
export function eluLayer(options: EluLayerOptions = {}): Layer<Tensor> {
  checkOptions("eluLayer", options, ["alpha", ...layerOptionNames]);
  const { alpha = 1 } = options;
  checkRange(layerName({ type: "elu", name: options.name }), "alpha", alpha);
  return plainLayer({
    type: "elu",
    factory: "eluLayer",
    options: { alpha },
    given: options,
    named: (name) => eluLayer({ ...options, name }),
    check: anyFloats,
    compute: (x) => select(greaterEqual(x, 0), x, mul(expm1(minimum(x, 0)), alpha)),
    keepsSteps: true,
  });
}
