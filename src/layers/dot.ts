/** The layer that multiplies two tensors along an axis of each. */
import { checkOptions } from "../option_names.ts";
import { resolveAxis } from "../operations/axes.ts";
import { div, maximum, sqrt, square } from "../operations/elementwise.ts";
import { isFloat } from "../operations/infer.ts";
import { matmul } from "../operations/matmul.ts";
import { reshape, sum, transpose } from "../operations/structure.ts";
import { quoted } from "../quoted.ts";
import { type Shape, sizeOfShape } from "../tensor/dims.ts";
import { isTensor, printSpec, type Tensor } from "../tensor/tensor.ts";
import { treeLeaves } from "../tree/tree.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";

/** Options of {@linkcode dot}. */
export interface DotOptions extends LayerOptions {
  /** The axis of both inputs along which products are summed, or one for each; not the batch. */
  readonly axes: number | readonly [number, number];
  /** Whether the inputs are scaled to length 1 along these axes, which gives the cosine of their angle; default false. */
  readonly normalize?: boolean;
}

/** The smallest length that a vector is divided by, squared. */
const LEAST_SQUARE = 1e-24;

/** `[batch, rest, axis]`, and the sizes of the rest. */
function rows(x: Tensor, axis: number): { readonly matrix: Tensor; readonly rest: Shape } {
  const others = x.shape.map((_, index) => index).filter((index) => index > 0 && index !== axis);
  const rest = others.map((index) => x.shape[index]);
  const moved = transpose(x, { permutation: [0, ...others, axis] });
  return { matrix: reshape(moved, [x.shape[0], sizeOfShape(rest), x.shape[axis]]), rest };
}

function normalized(x: Tensor, axes: number): Tensor {
  return div(x, sqrt(maximum(sum(square(x), { axes, keepDims: true }), LEAST_SQUARE)));
}

/**
 * The products of two tensors summed along one axis of each: `[batch, ...]` and `[batch, ...]` to the other axes of the
 * first, then those of the second, or `[batch, 1]` if there are none. (Keras's `Dot`.) A mask is dropped.
 *
 * Input: a list of two float tensors whose sizes along the axes are the same.
 *
 * @throws RangeError for an unknown option or an axis that is no whole number; TypeError when the inputs do not fit.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { dot, tensor, toNested } from "@cellfold/cellfold";
 * const inputs = [tensor([[1, 2]]), tensor([[3, 4]])];
 * const { output } = dot({ axes: 1 }).apply({ params: [], state: [] }, inputs, { training: false });
 * assertEquals(toNested(output), [[11]]);
 * ```
 */
export function dot(options: DotOptions): Layer<Tensor> {
  checkOptions("dot", options, ["axes", "normalize", ...layerOptionNames]);
  const { normalize = false, name, trainable } = options;
  const layer = layerName({ type: "dot", name });
  const pair: readonly unknown[] = Array.isArray(options.axes)
    ? [...options.axes]
    : [options.axes, options.axes];
  if (pair.length !== 2 || !pair.every((axis): axis is number => Number.isInteger(axis) && axis !== 0)) {
    throw new RangeError(
      `Cannot make ${layer}: axes is ${
        quoted(options.axes)
      }, expected an axis other than 0, the batch, or two of them`,
    );
  }
  return defineLayer({
    type: "dot",
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    options: { axes: pair[0] === pair[1] ? pair[0] : pair, normalize },
    named: (name) => dot({ ...options, name }),
    initParams: () => [],
    apply: ({ state }, input) => {
      const tensors = treeLeaves<Tensor>(input);
      const refuse = (expected: string) =>
        new TypeError(
          `Cannot use ${layer} with [${
            tensors.map(printSpec).join(", ")
          }]: expected a list of two float tensors ${expected}`,
        );
      const fits = Array.isArray(input) && input.length === 2 && tensors.length === 2 &&
        tensors.every((x) => isTensor(x) && isFloat(x) && x.shape.length > 1);
      if (!fits) throw refuse("with axes besides the batch");
      const [a, b] = tensors.map((x, index) => {
        const axis = resolveAxis(pair[index], x.shape.length, "multiply");
        return rows(normalize ? normalized(x, axis) : x, axis);
      });
      if (a.matrix.shape[0] !== b.matrix.shape[0] || a.matrix.shape[2] !== b.matrix.shape[2]) {
        throw refuse(`of one batch and of the same size along the axes ${pair.join(" and ")}`);
      }
      const product = matmul(a.matrix, b.matrix, { transposeRight: true });
      const sizes = [...a.rest, ...b.rest];
      const output = reshape(product, [a.matrix.shape[0], ...(sizes.length === 0 ? [1] : sizes)]);
      return { output, state };
    },
  });
}
