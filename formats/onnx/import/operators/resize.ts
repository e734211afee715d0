/** Resize, and Upsample as it was called before: each axis by weights that its sizes determine (../resizing.ts). */
import { select } from "../../../../src/operations/elementwise.ts";
import { gather } from "../../../../src/operations/indexing.ts";
import { matmul } from "../../../../src/operations/matmul.ts";
import { broadcastTo, expandDims, reshape, transpose } from "../../../../src/operations/structure.ts";
import { type Dim, fixedDim, multiplyDims, type Shape } from "../../../../src/tensor/dims.ts";
import { hostTensor, type Tensor, tensor } from "../../../../src/tensor/tensor.ts";
import { attribute, axisOf, flag, type Node } from "../node.ts";
import { given, type Inputs, type Operators } from "../operator.ts";
import {
  type AxisResize,
  type Interpolation,
  nearestPlaces,
  outsideOf,
  resizeModes,
  resizeWeights,
} from "../resizing.ts";
import {
  floatsOf,
  knownFloats,
  knownNumbers,
  type OnnxValue,
  shapeOf,
  tensorOf,
  valueOf,
} from "../values.ts";
import { reasonable } from "./shape.ts";

/** What a node says of its axes. */
interface Plan {
  readonly axes: readonly number[];
  readonly scales: readonly number[];
  /** The sizes after; undefined where they follow from the scales. */
  readonly sizes?: readonly number[];
  /** Starts, then ends. */
  readonly regions?: readonly number[];
}

function isGiven(value: OnnxValue | undefined): value is OnnxValue {
  return value !== undefined && !shapeOf(value).includes(0); // an empty list stands for none
}

/** By sizes: the scales follow, also those that keep the proportions. */
function bySizes(node: Node, axes: readonly number[], shape: Shape, sizes: readonly number[]): Plan {
  const before = axes.map((axis) => fixedDim(shape[axis], "An axis that is resized to a size"));
  const scales = sizes.map((size, index) => size / before[index]);
  const policy = attribute(node, "keep_aspect_ratio_policy", "string") ?? "stretch";
  if (policy === "stretch") return { axes, scales, sizes };
  if (policy !== "not_larger" && policy !== "not_smaller") {
    throw new RangeError(
      `its keep_aspect_ratio_policy is ${
        JSON.stringify(policy)
      }, expected stretch, not_larger or not_smaller`,
    );
  }
  const scale = policy === "not_larger" ? Math.min(...scales) : Math.max(...scales);
  return {
    axes,
    scales: scales.map(() => scale),
    sizes: before.map((size) => Math.floor(size * scale + 0.5)),
  };
}

function planOf(node: Node, inputs: Inputs, shape: Shape): Plan {
  const all = shape.map((_, axis) => axis);
  const axes = attribute(node, "axes", "ints")?.map((axis) => axisOf(axis, shape.length)) ?? all;
  const isOld = node.opset < 11; // the scales were the second input, or an attribute
  const [regionInput, scaleInput, sizeInput] = isOld ? [undefined, inputs[1], undefined] : inputs.slice(1);
  const listed = attribute(node, "scales", "floats") ??
    (isGiven(scaleInput) ? knownFloats(scaleInput, "scales") : undefined);
  const sizes = isGiven(sizeInput) ? knownNumbers(sizeInput, "sizes") : undefined;
  const plan = listed ? { axes, scales: listed } : sizes ? bySizes(node, axes, shape, sizes) : undefined;
  if (!plan || plan.scales.length !== axes.length) {
    throw new TypeError(
      `it has ${listed?.length ?? 0} scales and ${
        sizes?.length ?? 0
      } sizes, expected ${axes.length} of either`,
    );
  }
  const wrong = plan.scales.find((scale) => !(scale > 0 && scale < Infinity));
  if (wrong !== undefined) throw new RangeError(`it resizes an axis by ${wrong}, expected a number above 0`);
  const regions = isGiven(regionInput) ? knownFloats(regionInput, "roi") : undefined;
  return { ...plan, regions };
}

/** A tensor with what `change` makes of its last axis, which is this one. */
function alongAxis(x: Tensor, axis: number, change: (x: Tensor) => Tensor): Tensor {
  const last = x.shape.length - 1;
  const swap = x.shape.map((_, other) => other === axis ? last : other === last ? axis : other);
  return transpose(change(transpose(x, { permutation: swap })), { permutation: swap });
}

/** The coordinates for which a whole scale repeats each element. */
function repeats({ mode, coordinates, nearest }: Interpolation, scale: number): boolean {
  const isHalf = coordinates.includes("half_pixel") && nearest.startsWith("round");
  return mode === "nearest" && Number.isInteger(scale) &&
    (isHalf || (coordinates === "asymmetric" && nearest === "floor"));
}

/** Each element along an axis several times. */
function repeated(x: Tensor, axis: number, times: number): Tensor {
  const size: Dim = multiplyDims(x.shape[axis], times);
  const spread = x.shape.flatMap((dim, other) => other === axis ? [dim, times] : [dim]);
  return reshape(
    broadcastTo(expandDims(x, axis + 1), spread),
    x.shape.map((dim, other) => other === axis ? size : dim),
  );
}

/** The most weights of an axis, before times after: 8,192 by 8,192. */
const MOST_WEIGHTS = 2 ** 26;

/** An axis resized. Elements from outside of it are `fill`. */
function resizedAxis(x: Tensor, axis: number, resize: AxisResize, how: Interpolation, fill: number): Tensor {
  const isOutside = outsideOf(resize, how);
  const { input, output } = resize;
  const whole = alongAxis(x, axis, (x) => {
    if (how.mode !== "nearest") {
      const weights = resizeWeights(resize, how);
      return matmul(
        x,
        hostTensor(x.dtype === "float64" ? weights : Float32Array.from(weights), [input, output]),
      );
    }
    const places = tensor(nearestPlaces(resize, how), { dtype: "int32" });
    const last = x.shape.length - 1;
    const front = [last, ...x.shape.map((_, other) => other).slice(0, last)];
    const back = [...front.slice(1).map((other) => other + 1), 0];
    return transpose(gather(transpose(x, { permutation: front }), places), { permutation: back });
  });
  if (!isOutside.includes(true)) return whole;
  const outside = tensor(isOutside, { shape: whole.shape.map((_, other) => other === axis ? output : 1) });
  return select(outside, fill, whole);
}

function resized(node: Node, inputs: Inputs): OnnxValue {
  const mode = attribute(node, "mode", "string") ?? "nearest";
  if (!resizeModes.includes(mode) && mode !== "bilinear") { // as Upsample calls it
    throw new RangeError(`its mode is ${JSON.stringify(mode)}, expected ${resizeModes.join(", ")}`);
  }
  const isOld = node.opset < 11 || node.operator === "Upsample";
  const how: Interpolation = {
    mode: mode === "bilinear" ? "linear" : mode,
    coordinates: attribute(node, "coordinate_transformation_mode", "string") ??
      (isOld ? "asymmetric" : "half_pixel"),
    nearest: attribute(node, "nearest_mode", "string") ?? (isOld ? "floor" : "round_prefer_floor"),
    cubic: attribute(node, "cubic_coeff_a", "float") ?? -0.75,
    excludesOutside: flag(node, "exclude_outside", false),
    antialias: flag(node, "antialias", false),
  };
  const x = how.mode === "nearest" ? tensorOf(given(inputs, 0)) : floatsOf(given(inputs, 0));
  const { axes, scales, sizes, regions } = planOf(node, inputs, x.shape);
  const isRegion = how.coordinates === "tf_crop_and_resize";
  if (isRegion && regions?.length !== 2 * axes.length) {
    throw new TypeError(`its roi has ${regions?.length ?? 0} numbers, expected ${2 * axes.length}`);
  }
  const fill = attribute(node, "extrapolation_value", "float") ?? 0;
  return valueOf(axes.reduce((x, axis, index) => {
    const scale = scales[index];
    if (scale === 1 && !isRegion && (sizes?.[index] ?? x.shape[axis]) === x.shape[axis]) return x;
    if (typeof x.shape[axis] !== "number" && repeats(how, scale)) return repeated(x, axis, scale);
    const input = fixedDim(x.shape[axis], "An axis that is resized");
    const output = sizes?.[index] ?? Math.floor(input * scale);
    reasonable(x.shape.map((dim, other) => other === axis ? output : dim));
    if (input * output > MOST_WEIGHTS) {
      throw new RangeError(
        `it resizes an axis from ${input} to ${output}, which takes more than ${MOST_WEIGHTS} weights`,
      );
    }
    const region = isRegion && regions
      ? [regions[index], regions[index + axes.length]] as const
      : [0, 1] as const;
    return resizedAxis(x, axis, { input, output, scale, region }, how, fill);
  }, x));
}

const attributes = [
  "antialias",
  "axes",
  "coordinate_transformation_mode",
  "cubic_coeff_a",
  "exclude_outside",
  "extrapolation_value",
  "keep_aspect_ratio_policy",
  "mode",
  "nearest_mode",
  "scales",
];

/** The operators of this file. */
export const resizeOperators: Operators = {
  Resize: { attributes, inputs: [1, 4], compute: (node, inputs) => [resized(node, inputs)] },
  Upsample: {
    attributes: ["mode", "scales"],
    inputs: [1, 2],
    compute: (node, inputs) => [resized(node, inputs)],
  },
};
