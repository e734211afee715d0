/**
 * Normalization by statistics of the data, which are computed once, before training. Unlike batch
 * normalization it does the same in training and in inference.
 */
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import { describeValue, wrongKind } from "../describe.ts";
import { resolveAxes } from "../operations/axes.ts";
import { add, div, maximum, mul, sqrt, sub } from "../operations/elementwise.ts";
import { reshape } from "../operations/structure.ts";
import { printShape, sameShape } from "../tensor/dims.ts";
import {
  host,
  type HostTensor,
  hostTensor,
  isTensor,
  type Tensor,
  tensor,
  toNested,
} from "../tensor/tensor.ts";
import type { NestedNumbers } from "../tensor/nested.ts";
import { checkLayer, featureSize, floatInput, namedTensors } from "./checks.ts";
import { defineLayer, layerName, layerOptionNames, type LayerOptions } from "./define.ts";
import type { Layer } from "./layer.ts";

/** Options of {@linkcode normalization}, named as in Keras. */
export interface NormalizationOptions extends LayerOptions {
  /**
   * The axis or axes that have statistics of their own, such as the features; they are taken over all others.
   * Default -1, the last; `[]`: one mean and one variance for all values.
   */
  readonly axis?: number | readonly number[];
  /** The mean, of the sizes of `axis`, or one number for all; default 0. {@linkcode adapt} finds it. */
  readonly mean?: NestedNumbers;
  /** The variance, in the same form; default 1. */
  readonly variance?: NestedNumbers;
  /** Whether to do the opposite, for outputs: multiply by the deviation and add the mean; default false. */
  readonly invert?: boolean;
}

/** State of {@linkcode normalization}, not trained: both have the sizes of `axis`. */
interface Statistics {
  readonly mean: Tensor;
  readonly variance: Tensor;
}

/** Keras's `backend.epsilon()`: the smallest deviation that is divided by. */
const EPSILON = 1e-7;

/**
 * Normalizes inputs by the statistics of the data: `(x - mean) / max(√variance, 1e-7)`.
 *
 * {@linkcode adapt} makes the layer with the statistics of some data. They are saved with its options, and are
 * its state, `{ mean, variance }`, which training does not change. Input and output have the same shape; the
 * mask is passed on. There are no params.
 *
 * @throws RangeError for an unknown option or an axis out of range, or the batch's; TypeError if the statistics
 *   have another shape than the sizes of `axis`.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { init, key, normalization, predict, tensor, toNested } from "@cellfold/cellfold";
 * const layer = normalization({ mean: [1, 2], variance: 4 });
 * const x = tensor([[3, 2]]);
 * assertEquals(toNested(await predict(layer, init(layer, key(0), x), x)), [[1, 0]]);
 * ```
 */
export function normalization(options: NormalizationOptions = {}): Layer<Tensor> {
  checkOptions("normalization", options, ["axis", "mean", "variance", "invert", ...layerOptionNames]);
  const { axis = -1, mean = 0, variance = 1, invert = false, name, trainable } = options;
  const layer = layerName({ type: "normalization", name });
  checkAxis(layer, axis);
  const initial = {
    mean: tensor(mean, { dtype: "float32" }),
    variance: tensor(variance, { dtype: "float32" }),
  };
  const negative = initial.variance.data.findIndex((value) => !(value >= 0));
  if (negative >= 0) {
    throw new RangeError(
      `Cannot make ${layer}: its variance is ${
        initial.variance.data[negative]
      } at ${negative}, expected 0 or more`,
    );
  }
  return defineLayer({
    type: "normalization",
    name,
    trainable,
    activityRegularizer: options.activityRegularizer,
    options: { axis, mean: toNested(initial.mean), variance: toNested(initial.variance), invert },
    named: (name) => normalization({ ...options, name }),
    initParams: () => ({}),
    initState: (_, input) => {
      const x = floatInput(layer, input, 1);
      const sizes = keptAxes(layer, axis, x.shape.length).map((at) => featureSize(layer, x.shape[at], at));
      return {
        mean: statistic(layer, "mean", initial.mean, sizes),
        variance: statistic(layer, "variance", initial.variance, sizes),
      };
    },
    apply: ({ state }, input, { mask }) => {
      const x = floatInput<Tensor>(layer, input, 1);
      const { mean, variance } = namedTensors<Statistics>(layer, "state", state, ["mean", "variance"]);
      const kept = keptAxes(layer, axis, x.shape.length);
      const sizes = kept.map((at) => x.shape[at]);
      if (!sameShape(mean.shape, sizes)) {
        throw new TypeError(
          `Cannot use ${layer} with an input of shape ${printShape(x.shape)}: its mean has shape ` +
            `${printShape(mean.shape)}, expected ${printShape(sizes)}`,
        );
      }
      const wide = (y: Tensor) => reshape(y, x.shape.map((dim, at) => kept.includes(at) ? dim : 1));
      const [center, deviation] = [wide(mean), maximum(sqrt(wide(variance)), EPSILON)];
      const output = invert ? add(mul(x, deviation), center) : div(sub(x, center), deviation);
      return { output, state, mask };
    },
  });
}

function checkAxis(layer: string, axis: unknown): void {
  if ([axis].flat().every(Number.isInteger)) return;
  throw new RangeError(
    `Cannot make ${layer}: axis is ${quoted(axis)}, expected a whole number or a list of them`,
  );
}

/** The axes with statistics of their own, sorted. */
function keptAxes(layer: string, axis: number | readonly number[], rank: number): number[] {
  const kept = resolveAxes(axis, rank, "normalize");
  if (!kept.includes(0)) return kept;
  throw new RangeError(
    `Cannot use ${layer} with ${rank} axes: axis ${
      quoted(axis)
    } has the first one in it, the batch; expected others`,
  );
}

function statistic(layer: string, name: string, given: HostTensor, sizes: readonly number[]): HostTensor {
  if (sameShape(given.shape, sizes)) return given;
  if (given.shape.length === 0) {
    const count = sizes.reduce((size, dim) => size * dim, 1);
    return hostTensor(new Float32Array(count).fill(given.data[0]), sizes);
  }
  throw new TypeError(
    `Cannot use ${layer}: its ${name} has shape ${printShape(given.shape)}, the input has ${
      printShape(sizes)
    } along ` +
      `its axes`,
  );
}

/**
 * The layer {@linkcode normalization} with the mean and the variance of data, computed in float64. Make it
 * before the model that it is part of:
 * `sequential([await adapt(normalization(), x), lstm({ units: 8 })])`.
 *
 * @param layer What `normalization(...)` gives; it is not changed.
 * @param data Values `[batch, ...]` on the host, of any dtype, or an iterable or async iterable of such tensors,
 *   whose batches and lengths may differ. Every value counts, also that of padding: leave it out.
 * @throws TypeError for another layer, or data whose features differ in their sizes; RangeError for no values,
 *   and for NaN and infinities, which would be the statistics of everything.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { adapt, init, key, normalization, predict, tensor, toNested } from "@cellfold/cellfold";
 * const x = tensor([[1, 10], [3, 30]]);
 * const layer = await adapt(normalization(), x);
 * assertEquals(toNested(await predict(layer, init(layer, key(0), x), x)), [[-1, -1], [1, 1]]);
 * ```
 */
export async function adapt(
  layer: Layer<Tensor>,
  data: Tensor | Iterable<Tensor> | AsyncIterable<Tensor>,
): Promise<Layer<Tensor>> {
  checkLayer("adapt", layer);
  if (layer.type !== "normalization") {
    throw new TypeError(`Cannot adapt ${layerName(layer)}: expected a layer that normalization(...) makes`);
  }
  const { axis, invert, activityRegularizer } = layer.options as unknown as Required<NormalizationOptions>; // as normalization saved them
  const isIterable = typeof data === "object" && data !== null &&
    (Symbol.iterator in data || Symbol.asyncIterator in data);
  if (!isTensor(data) && !isIterable) {
    throw wrongKind("adapt normalization", data, "the data", "a tensor, or an iterable of tensors");
  }
  let found: Moments | undefined;
  let batch = 0;
  for await (const values of isTensor(data) ? [data] : data) {
    found = withBatch(found, momentsOf(layerName(layer), axis, values, batch), batch);
    batch++;
  }
  if (!found || found.count === 0) {
    throw new RangeError(`Cannot adapt ${layerName(layer)}: the data holds no value`);
  }
  const { count, sizes, means, squares } = found;
  const { name, trainable } = layer;
  return normalization({
    axis,
    invert,
    name,
    trainable,
    activityRegularizer,
    mean: toNested(hostTensor(Float32Array.from(means), sizes)),
    variance: toNested(hostTensor(Float32Array.from(squares, (square) => square / count), sizes)),
  });
}

/** Statistics of values, for each place along the kept axes. */
interface Moments {
  /** How many values there are for each. */
  readonly count: number;
  /** The sizes of the kept axes. */
  readonly sizes: readonly number[];
  readonly means: Float64Array;
  /** Sums of squared distances from the mean. */
  readonly squares: Float64Array;
}

function momentsOf(layer: string, axis: number | readonly number[], values: Tensor, batch: number): Moments {
  if (!isTensor(values)) {
    throw new TypeError(
      `Cannot adapt ${layer}: batch ${batch} is ${describeValue(values)}, expected a tensor [batch, ...]`,
    );
  }
  const { data, shape } = host(values);
  const sizes = keptAxes(layer, axis, shape.length).map((at) => shape[at]);
  const places = placesOf(shape, keptAxes(layer, axis, shape.length));
  const groups = sizes.reduce((size, dim) => size * dim, 1);
  const count = groups === 0 ? 0 : data.length / groups;
  const means = new Float64Array(groups), squares = new Float64Array(groups);
  for (let at = 0; at < data.length; at++) means[places(at)] += data[at];
  for (let group = 0; group < groups; group++) means[group] /= count;
  for (let at = 0; at < data.length; at++) squares[places(at)] += (data[at] - means[places(at)]) ** 2;
  const wrong = data.length === 0 ? -1 : squares.findIndex((square) => !Number.isFinite(square));
  if (wrong < 0) return { count, sizes, means, squares };
  const at = data.findIndex((value: number) => !Number.isFinite(value));
  throw new RangeError(
    `Cannot adapt ${layer}: batch ${batch} has ${data[at]} at sample ${
      Math.floor(at / (data.length / shape[0]))
    }, expected finite numbers; leave such samples out, or replace them`,
  );
}

/** The place along the kept axes, in row-major order, of each element of a tensor of this shape. */
function placesOf(shape: readonly number[], kept: readonly number[]): (at: number) => number {
  // Kept axes that are the last ones, the usual case, repeat.
  const size = kept.reduce((product, axis) => product * shape[axis], 1);
  if (kept.every((axis, index) => axis === shape.length - kept.length + index)) return (at) => at % size;
  const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, dim) => product * dim, 1));
  return (at) =>
    kept.reduce((place, axis) => place * shape[axis] + Math.floor(at / strides[axis]) % shape[axis], 0);
}

/** Both together (Chan, Golub and LeVeque, 1979). */
function withBatch(before: Moments | undefined, next: Moments, batch: number): Moments {
  if (!before || before.count === 0) return next;
  if (next.count === 0) return before;
  if (!sameShape(before.sizes, next.sizes)) {
    throw new TypeError(
      `Cannot adapt normalization: batch ${batch} has the sizes ${
        printShape(next.sizes)
      } along its axes, those ` +
        `before it ${printShape(before.sizes)}, expected the same`,
    );
  }
  const count = before.count + next.count;
  const share = next.count / count;
  return {
    count,
    sizes: before.sizes,
    means: before.means.map((mean, group) => mean + (next.means[group] - mean) * share),
    squares: before.squares.map((square, group) =>
      square + next.squares[group] + (next.means[group] - before.means[group]) ** 2 * before.count * share
    ),
  };
}
