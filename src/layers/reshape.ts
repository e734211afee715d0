/** The layer that gives its input another shape. */
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import { reshape as reshapeTensor } from "../operations/structure.ts";
import { divideDims, printShape, type Shape, sizeOfShape } from "../tensor/dims.ts";
import { type HostTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { hostReshape, oneInput, oneMask } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";
import { endedMask } from "./sequence.ts";

/** Options of {@linkcode reshapeLayer}. */
export interface ReshapeLayerOptions extends LayerOptions {
  /** The new shape without the batch; one size may be -1 and is inferred. */
  readonly targetShape: readonly number[];
}

/**
 * Another shape with the same number of elements per sample, row-major: `[batch, ...]` to
 * `[batch, ...targetShape]`. A mask gets the shape of the leading axes that hold the same number of steps,
 * such as `[batch, sentences·words]` from `[batch, sentences, words]`; if there are none the steps are gone,
 * and the mask too. (Keras's `Reshape`; `reshape` is the operation on a tensor.)
 *
 * @throws TypeError when the input has another number of elements, naming both shapes.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { reshapeLayer, zeros } from "@cellfold/cellfold";
 * const layer = reshapeLayer({ targetShape: [3, -1] });
 * const { output } = layer.apply({ params: [], state: [] }, zeros([2, 12]), { training: false });
 * assertEquals(output.shape, [2, 3, 4]);
 * ```
 */
export function reshapeLayer(options: ReshapeLayerOptions): Layer<Tensor> {
  checkOptions("reshape", options, ["targetShape", ...layerOptionNames]);
  const { name, trainable } = options;
  const layer = layerName({ type: "reshape", name });
  if (!Array.isArray(options.targetShape)) {
    throw new TypeError(
      `Cannot make ${layer}: targetShape is ${quoted(options.targetShape)}, expected a list of sizes`,
    );
  }
  const targetShape: readonly number[] = [...options.targetShape]; // the caller may change the original list
  const open = targetShape.filter((dim) => dim === -1).length;
  if (open > 1 || targetShape.some((dim) => !Number.isInteger(dim) || dim < -1)) {
    throw new RangeError(
      `Cannot make ${layer}: targetShape is ${
        printShape(targetShape)
      }, expected sizes, of which one may be -1`,
    );
  }
  const shapeOf = (x: Spec): Shape => {
    if (x.shape.length === 0) {
      throw new TypeError(`Cannot use ${layer} with ${printSpec(x)}: it has no batch`);
    }
    const size = sizeOfShape(x.shape.slice(1));
    const known = sizeOfShape(targetShape.filter((dim) => dim !== -1));
    const rest = divideDims(size, known);
    if (rest === undefined || (open === 0 && size !== known)) {
      throw new TypeError(
        `Cannot use ${layer} with an input of shape ${printShape(x.shape)}: its targetShape ${
          printShape(targetShape)
        } has another number of elements`,
      );
    }
    return [x.shape[0], ...targetShape.map((dim) => dim === -1 ? rest : dim)];
  };
  return defineLayer({
    type: "reshape",
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    options: { targetShape },
    named: (name) => reshapeLayer({ ...options, name }),
    factory: "reshapeLayer",
    initParams: () => [],
    apply: ({ state }, input, context) => {
      const x = oneInput<Tensor>(layer, input);
      const mask = oneMask(layer, context.mask);
      const output = reshapeTensor(x, shapeOf(x));
      return { output, state, mask: reshapedMask(mask, output) ?? endedMask(mask, context) };
    },
    checkInput: (input) => {
      const x = oneInput<HostTensor>(layer, input);
      return hostReshape(x, shapeOf(x));
    },
  });
}

/**
 * The mask of a reshaped input: both shapes are row-major, so the same number of leading elements are the
 * same steps.
 */
function reshapedMask(mask: Tensor | undefined, { shape }: Spec): Tensor | undefined {
  if (mask === undefined) return undefined;
  const steps = sizeOfShape(mask.shape);
  // Its own axes first, if features remain behind them; never the batch alone.
  const own = mask.shape.length < shape.length ? [mask.shape.length] : [];
  const ranks = [...own, ...shape.map((_, axis) => axis + 1).slice(1)];
  const rank = ranks.find((rank) => sizeOfShape(shape.slice(0, rank)) === steps);
  return rank === undefined ? undefined : reshapeTensor(mask, shape.slice(0, rank));
}
