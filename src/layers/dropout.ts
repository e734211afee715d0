/** The layers that disturb their input while training: dropout of elements or channels, and noise. */
import { checkRange } from "../options/checks.ts";
import { checkOptions } from "../option_names.ts";
import { add, cast, mul } from "../operations/elementwise.ts";
import { dropoutMask, normal } from "../operations/random.ts";
import { printShape, type Shape } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { floatInput } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { anyFloats, plainLayer, spatialInput } from "./plain.ts";

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
    activityRegularizer: options.activityRegularizer,
    options: { rate, ...(noiseShape ? { noiseShape } : {}) },
    named: (name) => dropout({ ...options, name }),
    initParams: () => [],
    apply: ({ state }, input, { training, key, mask }) => {
      const x = floatInput<Tensor>(layer, input, 1);
      if (noiseShape && noiseShape.length !== x.shape.length) {
        throw new TypeError(
          `Cannot use ${layer} with an input of shape ${printShape(x.shape)}: ` +
            `its noiseShape [${noiseShape.map(String).join(", ")}] has ${noiseShape.length} axes`,
        );
      }
      const drawn = noiseShape?.map((dim, axis) => dim ?? x.shape[axis]) ?? x.shape;
      return { output: training ? dropped(layer, x, { rate, drawn, key }) : x, state, mask };
    },
  });
}

/** The key of a layer that draws while training. */
function drawingKey(layer: string, key: Tensor | undefined): Tensor {
  if (key !== undefined) return key;
  throw new TypeError(
    `Cannot train ${layer} without a random key: give one in the context, { key: key(0) }`,
  );
}

/** `x` with elements, or all of a slice for which one factor of the shape `drawn` is drawn, set to 0. */
function dropped(
  layer: string,
  x: Tensor,
  { rate, drawn, key }: { readonly rate: number; readonly drawn: Shape; readonly key: Tensor | undefined },
): Tensor {
  if (rate === 0) return x;
  return mul(x, cast(dropoutMask(drawingKey(layer, key), drawn, { rate }), x.dtype));
}

/** Options of {@linkcode spatialDropout1d} and its siblings. */
export interface SpatialDropoutOptions extends LayerOptions {
  /** The probability that a channel becomes 0, from 0 to below 1. */
  readonly rate: number;
}

function spatialDropout(
  type: string,
  axes: number,
  options: SpatialDropoutOptions,
  make: (options: SpatialDropoutOptions) => Layer<Tensor>,
): Layer<Tensor> {
  checkOptions(type, options, ["rate", ...layerOptionNames]);
  const { rate, name } = options;
  const layer = layerName({ type, name });
  checkRange(layer, "rate", rate, { low: 0, below: 1 });
  return plainLayer({
    type,
    options: { rate },
    given: options,
    named: (name) => make({ ...options, name }),
    check: spatialInput(axes, { floats: true }),
    compute: (x, { training, key }) => {
      const drawn = x.shape.map((dim, axis) => axis === 0 || axis > axes ? dim : 1);
      return training ? dropped(layer, x, { rate, drawn, key }) : x;
    },
    keepsSteps: true,
  });
}

/**
 * Dropout of whole channels: while training, a channel of `[batch, steps, channels]` is 0 at every step with probability
 * `rate` (Tompson et al., 2015). The mask is passed on.
 *
 * @throws RangeError for an unknown option, or a rate outside `[0, 1)`.
 * @throws TypeError when it is used for training without a key, or for an input with other axes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { at, key, ones, spatialDropout1d } from "@cellfold/cellfold";
 * const layer = spatialDropout1d({ rate: 0.5 });
 * const { output } = layer.apply({ params: [], state: [] }, ones([1, 2, 9]), { training: true, key: key(1) });
 * assertEquals(at(output, 0, { axis: 1 }), at(output, 1, { axis: 1 })); // the same channels at both steps
 * ```
 */
export function spatialDropout1d(options: SpatialDropoutOptions): Layer<Tensor> {
  return spatialDropout("spatialDropout1d", 1, options, spatialDropout1d);
}

/** Dropout of whole channels of `[batch, height, width, channels]`; see {@linkcode spatialDropout1d}. */
export function spatialDropout2d(options: SpatialDropoutOptions): Layer<Tensor> {
  return spatialDropout("spatialDropout2d", 2, options, spatialDropout2d);
}

/** Dropout of whole channels of `[batch, depth, height, width, channels]`; see {@linkcode spatialDropout1d}. */
export function spatialDropout3d(options: SpatialDropoutOptions): Layer<Tensor> {
  return spatialDropout("spatialDropout3d", 3, options, spatialDropout3d);
}

/** Options of {@linkcode gaussianNoise}. */
export interface GaussianNoiseOptions extends LayerOptions {
  /** The standard deviation of the noise, from 0. */
  readonly stddev: number;
}

/**
 * While training, adds normal noise of mean 0; otherwise the input is returned unchanged. The mask is passed on.
 *
 * @throws RangeError for an unknown option, or a negative standard deviation.
 * @throws TypeError when it is used for training without a key.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { gaussianNoise, host, key, zeros } from "@cellfold/cellfold";
 * const layer = gaussianNoise({ stddev: 0.1 });
 * const { output } = layer.apply({ params: [], state: [] }, zeros([4, 3]), { training: true, key: key(1) });
 * assert(host(output).data.some((value) => value !== 0));
 * ```
 */
export function gaussianNoise(options: GaussianNoiseOptions): Layer<Tensor> {
  checkOptions("gaussianNoise", options, ["stddev", ...layerOptionNames]);
  const { stddev, name } = options;
  const layer = layerName({ type: "gaussianNoise", name });
  checkRange(layer, "stddev", stddev, { low: 0 });
  return plainLayer({
    type: "gaussianNoise",
    options: { stddev },
    given: options,
    named: (name) => gaussianNoise({ ...options, name }),
    check: anyFloats,
    compute: (x, { training, key }) => {
      if (!training || stddev === 0) return x;
      return add(x, cast(normal(drawingKey(layer, key), x.shape, { stddev }), x.dtype));
    },
    keepsSteps: true,
  });
}
