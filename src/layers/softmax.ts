/** The softmax as a layer, over any axes and only what its mask counts. */
import { checkOptions } from "../option_names.ts";
import { resolveAxes } from "../operations/axes.ts";
import { div, exp, select, stopGradient, sub } from "../operations/elementwise.ts";
import { LARGEST, max, softmax } from "../operations/reduction.ts";
import { sum } from "../operations/structure.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { anyFloats, axesOption, plainLayer } from "./plain.ts";
import { widenedMask } from "./sequence.ts";

/** Options of {@linkcode softmaxLayer}. */
export interface SoftmaxLayerOptions extends LayerOptions {
  /** The axis, or axes, over which the output sums to 1; default -1, the last. */
  readonly axis?: number | readonly number[];
}

/** The softmax over several axes at once. */
export function softmaxOver(x: Tensor, axes: readonly number[]): Tensor {
  if (axes.length === 1) return softmax(x, { axis: axes[0] });
  const reduction = { axes, keepDims: true };
  const powers = exp(sub(x, stopGradient(max(x, reduction))));
  return div(powers, sum(powers, reduction));
}

/** The softmax of the elements for which the mask, which broadcasts to `x`, is true; the others are 0. */
export function maskedSoftmax(x: Tensor, mask: Tensor | undefined, axes: readonly number[]): Tensor {
  if (mask === undefined) return softmaxOver(x, axes);
  return select(mask, softmaxOver(select(mask, x, -LARGEST / 2), axes), 0);
}

/**
 * `exp(x) / sum(exp(x))` over an axis or several. Elements whose step is masked are left out and are 0; the mask is
 * passed on. (Keras's `Softmax`; `activation("softmax")` is that over the last axis, for which a mask makes no
 * difference.)
 *
 * @throws RangeError for an unknown option, or an axis that the input does not have.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { softmaxLayer, tensor, toNested } from "@cellfold/cellfold";
 * const mask = tensor([[true, true, false]]);
 * const context = { training: false, mask };
 * const { output } = softmaxLayer().apply({ params: [], state: [] }, tensor([[1, 1, 7]]), context);
 * assertEquals(toNested(output), [[0.5, 0.5, 0]]);
 * ```
 */
export function softmaxLayer(options: SoftmaxLayerOptions = {}): Layer<Tensor> {
  checkOptions("softmaxLayer", options, ["axis", ...layerOptionNames]);
  const { axis, axes: list } = axesOption(
    layerName({ type: "softmax", name: options.name }),
    options.axis ?? -1,
  );
  return plainLayer({
    type: "softmax",
    factory: "softmaxLayer",
    options: { axis },
    given: options,
    named: (name) => softmaxLayer({ ...options, name }),
    check: anyFloats,
    compute: (x, _, mask) => {
      const axes = resolveAxes(list, x.shape.length, "softmax");
      return maskedSoftmax(x, mask && widenedMask(mask, x), axes);
    },
    keepsSteps: true,
  });
}
