/** The layer that penalizes what passes through it. */
import { checkOptions } from "../option_names.ts";
import { checkRange } from "../options/checks.ts";
import { type NormPenalty, resolveRegularizer } from "../options/regularizers.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { withActivityPenalty } from "./penalties.ts";
import { anyFloats } from "./plain.ts";

/** Options of {@linkcode activityRegularization}, named as in Keras. */
export interface ActivityRegularizationOptions
  extends Omit<LayerOptions, "activityRegularizer">, NormPenalty {}

/**
 * A layer that puts out its input, floats of any shape, and adds `(l1 · Σ|x| + l2 · Σx²) / batch` to the loss: Keras's
 * `ActivityRegularization`. The mask is passed on; masked steps are left out, which Keras counts.
 *
 * @throws RangeError for an unknown option, or a factor that is negative or not finite.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { activityRegularization, item, penaltyOf, tensor } from "@cellfold/cellfold";
 * const layer = activityRegularization({ l2: 0.5 });
 * const applied = layer.apply({ params: [], state: [] }, tensor([[1, 2], [0, 1]]), { training: true });
 * assertEquals(item(penaltyOf(layer, [], applied)), 1.5); // 0.5 · 6 / 2
 * ```
 */
export function activityRegularization(options: ActivityRegularizationOptions = {}): Layer<Tensor> {
  const own = layerOptionNames.filter((name) => name !== "activityRegularizer");
  checkOptions("activityRegularization", options, ["l1", "l2", ...own]);
  const { l1 = 0, l2 = 0, name, trainable } = options;
  const layer = layerName({ type: "activityRegularization", name });
  checkRange(layer, "l1", l1, { low: 0 });
  checkRange(layer, "l2", l2, { low: 0 });
  const regularizer = resolveRegularizer(layer, "penalty", { l1, l2 });
  return defineLayer({
    type: "activityRegularization",
    name,
    trainable,
    options: { l1, l2 },
    named: (name) => activityRegularization({ ...options, name }),
    initParams: () => [],
    apply: ({ state }, input, { mask }) =>
      withActivityPenalty(layer, regularizer, { output: anyFloats(layer, input), state, mask }),
  });
}
