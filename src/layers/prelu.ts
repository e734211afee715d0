/** The rectifier with slopes that are trained. */
import { checkList } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { relu } from "../operations/activations.ts";
import { add, minimum, mul } from "../operations/elementwise.ts";
import { type InitializerLike, resolveInitializer } from "../options/initializers.ts";
import { initializerOption } from "../options/saved.ts";
import { weightOptionNames, type WeightOptions, weightRules } from "../options/weight_rules.ts";
import { quoted } from "../quoted.ts";
import { printShape } from "../tensor/dims.ts";
import { printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { featureSize, floatInput, namedTensors } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";

/** Options of {@linkcode prelu}. */
export interface PreluOptions extends LayerOptions, WeightOptions<"alpha"> {
  /** The first slopes; default `zeros`. */
  readonly alphaInitializer?: InitializerLike;
  /** Axes, counted from 1, along which all elements have the same slope, such as time; default none. */
  readonly sharedAxes?: readonly number[] | null;
}

/** Parameters of {@linkcode prelu}. */
export interface PreluParams {
  /** The shape of the input without the batch, with 1 for shared axes. */
  readonly alpha: Tensor;
}

/**
 * `x` above 0, else `alpha · x`, with a trained slope for each element of a sample (He et al., 2015); the derivative at 0
 * is 0. Input and output
 * have the same shape; the mask is passed on. Params: {@linkcode PreluParams}.
 *
 * @throws RangeError for an unknown option, or axes that the input does not have.
 * @throws TypeError if an axis that is not shared has an open size, or for params of other shapes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { init, key, prelu, spec, tensor, toNested } from "@cellfold/cellfold";
 * const layer = prelu({ sharedAxes: [1], alphaInitializer: { name: "constant", value: 0.5 } });
 * const variables = init(layer, key(0), spec([null, null, 2]));
 * const { output } = layer.apply(variables, tensor([[[-2, 1]]]), { training: false });
 * assertEquals(toNested(output), [[[-1, 1]]]);
 * ```
 */
export function prelu(options: PreluOptions = {}): Layer<Tensor> {
  checkOptions("prelu", options, [
    "alphaInitializer",
    "sharedAxes",
    ...weightOptionNames("alpha"),
    ...layerOptionNames,
  ]);
  const { alphaInitializer = "zeros", name, trainable } = options;
  const layer = layerName({ type: "prelu", name });
  const given = options.sharedAxes ?? [];
  checkList(`make ${layer}`, given, "sharedAxes", "a list of axes, counted from 1");
  const sharedAxes = [...given]; // the caller may change the original list
  if (!sharedAxes.every((axis) => Number.isInteger(axis) && axis > 0)) {
    throw new RangeError(
      `Cannot make ${layer}: sharedAxes is ${quoted(sharedAxes)}, expected axes, counted from 1`,
    );
  }
  const initialAlpha = resolveInitializer(alphaInitializer);
  const rules = weightRules(layer, options, { alpha: ["alpha"] });
  const check = <T extends Spec>(input: unknown): T => {
    const x = floatInput<T>(layer, input, 2);
    const missing = sharedAxes.find((axis) => axis >= x.shape.length);
    if (missing === undefined) return x;
    throw new RangeError(`Cannot use ${layer} with ${printSpec(x)}: it has no axis ${missing} to share`);
  };
  return defineLayer({
    type: "prelu",
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    options: {
      alphaInitializer: initializerOption(layer, "alphaInitializer", alphaInitializer),
      sharedAxes: sharedAxes.length === 0 ? null : sharedAxes,
      ...rules.saved,
    },
    ...rules.functions,
    named: (name) => prelu({ ...options, name }),
    initParams: (key, input) => {
      const { shape } = check<Spec>(input);
      const sizes = shape.map((dim, axis) =>
        axis === 0 || sharedAxes.includes(axis) ? 1 : featureSize(layer, dim, axis)
      );
      return { alpha: initialAlpha(key, sizes.slice(1)) };
    },
    apply: ({ params, state }, input, { mask }) => {
      const x = check<Tensor>(input);
      const { alpha } = namedTensors<PreluParams>(layer, "params", params, ["alpha"]);
      const fits = alpha.shape.length === x.shape.length - 1 &&
        alpha.shape.every((dim, index) =>
          sharedAxes.includes(index + 1) ? dim === 1 : dim === x.shape[index + 1]
        );
      if (!fits) {
        throw new TypeError(
          `Cannot use ${layer} with an input of shape ${printShape(x.shape)}: ` +
            `its alpha has shape ${printShape(alpha.shape)}`,
        );
      }
      return { output: add(relu(x), mul(alpha, minimum(0, x))), state, mask };
    },
  });
}
