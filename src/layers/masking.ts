/** The layer that masks steps by a value. */
import { checkOptions } from "../option_names.ts";
import { cast, notEqual, select } from "../operations/elementwise.ts";
import { max } from "../operations/reduction.ts";
import { expandDims } from "../operations/structure.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { checkRange } from "../options/checks.ts";
import { floatInput, oneMask } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { commonMask } from "./sequence.ts";

/** Options of {@linkcode masking}. */
export interface MaskingOptions extends LayerOptions {
  /** A step whose features all have this value is masked; default 0. */
  readonly maskValue?: number;
}

/**
 * Masks the steps whose features all equal `maskValue`, and sets them to 0.
 *
 * Input and output `[batch, time, ..., features]`; the mask is bool `[batch, time, ...]`. Steps that the
 * incoming mask leaves out stay masked.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { masking, tensor, toNested, type Tensor } from "@cellfold/cellfold";
 * const { mask } = masking().apply({ params: [], state: [] }, tensor([[[1, 0], [0, 0]]]), { training: false });
 * assertEquals(toNested(mask as Tensor), [[1, 0]]);
 * ```
 */
export function masking(options: MaskingOptions = {}): Layer<Tensor> {
  checkOptions("masking", options, ["maskValue", ...layerOptionNames]);
  const { maskValue = 0, name, trainable } = options;
  const layer = layerName({ type: "masking", name });
  checkRange(layer, "maskValue", maskValue);
  return defineLayer({
    type: "masking",
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    options: { maskValue },
    named: (name) => masking({ ...options, name }),
    initParams: () => [],
    apply: ({ state }, input, { mask }) => {
      const x = floatInput<Tensor>(layer, input, 3);
      const counted = cast(max(cast(notEqual(x, maskValue), "int32"), { axes: -1 }), "bool");
      return {
        output: select(expandDims(counted, -1), x, 0),
        state,
        mask: commonMask([oneMask(layer, mask), counted]),
      };
    },
  });
}
