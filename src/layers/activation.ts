/** An activation as a layer. */
import { checkOptions } from "../option_names.ts";
import { type ActivationLike, resolveActivation } from "../operations/activations.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { floatInput } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { activationOption } from "../options/saved.ts";

/**
 * Applies an activation, given by name or as a function of a tensor. The mask is passed on. With a softmax or
 * sigmoid given by name, losses can use its logits.
 *
 * @throws RangeError for an unknown name, with the nearest known one.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { activation, tensor, toNested } from "@cellfold/cellfold";
 * const { output } = activation("relu").apply({ params: [], state: [] }, tensor([[-1, 2]]), { training: false });
 * assertEquals(toNested(output), [[0, 2]]);
 * ```
 */
export function activation(given: ActivationLike, options: LayerOptions = {}): Layer<Tensor> {
  checkOptions("activation", options, layerOptionNames);
  const { name, trainable } = options;
  const layer = layerName({ type: "activation", name });
  const activate = resolveActivation(given);
  return defineLayer({
    type: "activation",
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    options: { activation: activationOption(layer, "activation", given) },
    named: (name) => activation(given, { ...options, name }),
    initParams: () => [],
    apply: ({ state }, input, { mask }) => ({
      output: activate(floatInput<Tensor>(layer, input, 1)),
      state,
      mask,
    }),
  });
}
