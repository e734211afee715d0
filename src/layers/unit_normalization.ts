/** The layer that scales vectors to length 1. */
import { checkOptions } from "../option_names.ts";
import { resolveAxes } from "../operations/axes.ts";
import { div, maximum, sqrt, square } from "../operations/elementwise.ts";
import { sum } from "../operations/structure.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { anyFloats, axesOption, plainLayer } from "./plain.ts";

/** Options of {@linkcode unitNormalization}. */
export interface UnitNormalizationOptions extends LayerOptions {
  /** The axis, or axes, over which the squares of the output sum to 1; default -1, the last. */
  readonly axis?: number | readonly number[];
}

/** The square of the smallest length that is divided by, that of Keras. */
const EPSILON = 1e-24;

/**
 * Divides a float tensor `[batch, ...]` by its length over an axis or several: `x / √max(sum(x²), 1e-24)`, so that zeros
 * stay zeros. Values of masked steps do not count; the mask is passed on. (Keras's `UnitNormalization`.)
 *
 * @throws RangeError for an unknown option, or an axis that the input does not have; TypeError for an input that is
 *   not of floats.
 *
 * @example
 * ```ts
 * import { assertAlmostEquals } from "@std/assert";
 * import { host, tensor, unitNormalization } from "@cellfold/cellfold";
 * const layer = unitNormalization();
 * const { output } = layer.apply({ params: [], state: [] }, tensor([[3, 4]]), { training: false });
 * assertAlmostEquals(host(output).data[0], 0.6, 1e-7);
 * ```
 */
export function unitNormalization(options: UnitNormalizationOptions = {}): Layer<Tensor> {
  checkOptions("unitNormalization", options, ["axis", ...layerOptionNames]);
  const layer = layerName({ type: "unitNormalization", name: options.name });
  const { axis, axes } = axesOption(layer, options.axis ?? -1);
  return plainLayer({
    type: "unitNormalization",
    options: { axis },
    given: options,
    named: (name) => unitNormalization({ ...options, name }),
    check: anyFloats,
    compute: (x) => {
      const over = { axes: resolveAxes(axes, x.shape.length, "normalize"), keepDims: true };
      return div(x, sqrt(maximum(sum(square(x), over), EPSILON)));
    },
    keepsSteps: true,
  });
}
