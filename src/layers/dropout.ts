/** The layer that drops inputs while training. */
import { checkRange } from "../options/checks.ts";
import { checkOptions } from "../option_names.ts";
import { cast, mul } from "../operations/elementwise.ts";
import { dropoutMask } from "../operations/random.ts";
import { printShape } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { floatInput } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";

/** Options of {@linkcode dropout}. */
export interface DropoutOptions extends LayerOptions {
  /** The probability that an element becomes 0, from 0 to below 1. */
  readonly rate: number;
  /**
   * The shape of the random mask, which broadcasts to the input's; null is the input's size. Default all
   * null.
   */
  readonly noiseShape?: readonly (number | null)[];
}

/**
 * While training, elements become 0 with probability `rate` and the others are divided by `1 - rate`
 * (Srivastava et al., 2014); otherwise the input is returned unchanged. Input and output have the same shape;
 * the mask is passed on.
 *
 * @throws RangeError for an unknown option, or a rate outside `[0, 1)`.
 * @throws TypeError when it is used for training without a key.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dropout, key, ones } from "@cellfold/cellfold";
 * const layer = dropout({ rate: 0.5 });
 * const { output } = layer.apply({ params: [], state: [] }, ones([4, 3]), { training: true, key: key(1) });
 * assertEquals(output.shape.length, 2); // twos and zeros
 * ```
 */
export function dropout(options: DropoutOptions): Layer<Tensor> {
  checkOptions("dropout", options, ["rate", "noiseShape", ...layerOptionNames]);
  const { rate, name, trainable } = options;
  const noiseShape = options.noiseShape && [...options.noiseShape]; // the caller may change the original
  const layer = layerName({ type: "dropout", name });
  checkRange(layer, "rate", rate, { low: 0, below: 1 });
  return defineLayer({
    type: "dropout",
    name,
    trainable,
    options: { rate, ...(noiseShape ? { noiseShape } : {}) },
    named: (name) => dropout({ ...options, name }),
    initParams: () => [],
    apply: ({ state }, input, { training, key, mask }) => {
      const x = floatInput<Tensor>(layer, input, 1);
      if (!training || rate === 0) return { output: x, state, mask };
      if (key === undefined) {
        throw new TypeError(
          `Cannot train ${layer} without a random key: give one in the context, { key: key(0) }`,
        );
      }
      if (noiseShape && noiseShape.length !== x.shape.length) {
        throw new TypeError(
          `Cannot use ${layer} with an input of shape ${printShape(x.shape)}: ` +
            `its noiseShape [${noiseShape.map(String).join(", ")}] has ${noiseShape.length} axes`,
        );
      }
      const drawn = noiseShape?.map((dim, axis) => dim ?? x.shape[axis]) ?? x.shape;
      return { output: mul(x, cast(dropoutMask(key, drawn, { rate }), x.dtype)), state, mask };
    },
  });
}
