/** The layer that flattens all axes into one. */
import { checkOptions } from "../option_names.ts";
import { reshape } from "../operations/structure.ts";
import { type Shape, sizeOfShape } from "../tensor/dims.ts";
import { type HostTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { hostReshape, oneInput, oneMask } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { endedMask } from "./sequence.ts";

/**
 * Flattens all axes but the batch into one, row-major: `[batch, ...]` to `[batch, size]`. A mask is dropped,
 * as the steps are gone.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { flatten, zeros } from "@cellfold/cellfold";
 * const { output } = flatten().apply({ params: [], state: [] }, zeros([2, 3, 4]), { training: false });
 * assertEquals(output.shape, [2, 12]);
 * ```
 */
export function flatten(options: LayerOptions = {}): Layer<Tensor> {
  checkOptions("flatten", options, layerOptionNames);
  const { name, trainable } = options;
  const layer = layerName({ type: "flatten", name });
  const flatShape = (x: Spec): Shape => {
    if (x.shape.length > 0) return [x.shape[0], sizeOfShape(x.shape.slice(1))];
    throw new TypeError(`Cannot use ${layer} with ${printSpec(x)}: it has no batch`);
  };
  return defineLayer({
    type: "flatten",
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    options: {},
    named: (name) => flatten({ ...options, name }),
    initParams: () => [],
    apply: ({ state }, input, context) => {
      const x = oneInput<Tensor>(layer, input);
      return {
        output: reshape(x, flatShape(x)),
        state,
        mask: endedMask(oneMask(layer, context.mask), context),
      };
    },
    checkInput: (input) => {
      const x = oneInput<HostTensor>(layer, input);
      return hostReshape(x, flatShape(x));
    },
  });
}
