/** Normalization over batches, layers, instances and groups. */
import {
  abs,
  add,
  div,
  equal,
  mul,
  pow,
  select,
  sqrt,
  square,
  sub,
} from "../../../../src/operations/elementwise.ts";
import { mean as meanOf } from "../../../../src/operations/reduction.ts";
import {
  broadcastTo,
  expandDims,
  pad,
  reshape,
  sliceAxis,
  sum,
} from "../../../../src/operations/structure.ts";
import { type Dim, divideDims, multiplyDims, printShape, sizeOfShape } from "../../../../src/tensor/dims.ts";
import { printSpec, type Tensor } from "../../../../src/tensor/tensor.ts";
import { attribute, axisOf, flag, type Node } from "../node.ts";
import { type Call, given, type Inputs, type Operators } from "../operator.ts";
import { floatsOf, type OnnxValue, valueOf } from "../values.ts";

/**
 * While training, the batch's mean and population variance are used, and the moving ones in the model's state
 * move toward them by the node's momentum; otherwise the moving ones are used.
 */
function batchNormalized(node: Node, inputs: Inputs, call: Call): OnnxValue[] {
  const [x, scale, bias, mean, variance] = [0, 1, 2, 3, 4].map((index) => floatsOf(given(inputs, index)));
  if (flag(node, "training_mode", false)) {
    throw new TypeError("its training_mode is 1, expected a graph for inference");
  }
  if (!flag(node, "spatial", true)) throw new TypeError("its spatial is 0, which is not supported");
  const epsilon = attribute(node, "epsilon", "float") ?? 1e-5;
  const momentum = attribute(node, "momentum", "float") ?? 0.9;
  if (x.shape.length < 2) throw new TypeError(`it normalizes ${printSpec(x)}, expected 2 or more axes`);
  for (const part of [scale, bias, mean, variance]) {
    if (part.shape.length === 1 && part.shape[0] === x.shape[1]) continue;
    throw new TypeError(
      `it normalizes ${printShape(x.shape)} with ${printSpec(part)}, expected [${x.shape[1]}]`,
    );
  }
  const wide = (part: Tensor) => reshape(part, x.shape.map((dim, axis) => axis === 1 ? dim : 1));
  const [, , , meanName, varianceName] = node.inputs;
  const trains = call.training && call.isState(meanName) && call.isState(varianceName);
  const axes = x.shape.map((_, axis) => axis).filter((axis) => axis !== 1);
  const now = trains ? meanOf(x, { axes, keepDims: true }) : wide(mean);
  const spread = trains ? meanOf(square(sub(x, now)), { axes, keepDims: true }) : wide(variance);
  if (trains) {
    const moved = (before: Tensor, after: Tensor) =>
      add(mul(before, momentum), mul(reshape(after, before.shape), 1 - momentum));
    call.setState(meanName, moved(mean, now));
    call.setState(varianceName, moved(variance, spread));
  }
  const normal = div(sub(x, now), sqrt(add(spread, epsilon)));
  return [valueOf(add(mul(normal, wide(scale)), wide(bias)))];
}

function layerNormalized(node: Node, inputs: Inputs): OnnxValue[] {
  const x = floatsOf(given(inputs, 0));
  const rank = x.shape.length;
  const first = axisOf(attribute(node, "axis", "int") ?? -1, rank);
  const epsilon = attribute(node, "epsilon", "float") ?? 1e-5;
  const type = attribute(node, "stash_type", "int") ?? 1;
  if (type !== 1) throw new RangeError(`its stash_type is ${type}, expected 1 (float)`);
  const axes = Array.from({ length: rank - first }, (_, index) => first + index);
  const mean = meanOf(x, { axes, keepDims: true });
  const centered = sub(x, mean);
  const deviation = sqrt(add(meanOf(square(centered), { axes, keepDims: true }), epsilon));
  const scaled = mul(div(centered, deviation), floatsOf(given(inputs, 1)));
  const output = inputs[2] ? add(scaled, floatsOf(inputs[2])) : scaled;
  return [valueOf(output), valueOf(mean), valueOf(div(1, deviation))];
}

/**
 * Each sample's channels in groups, normalized over the channels of a group and over space; scale and bias are of a
 * channel, or of a group as before version 21.
 */
function groupNormalized(node: Node, inputs: Inputs, groups: (channels: Dim) => Dim): OnnxValue[] {
  const [x, scale, bias] = [0, 1, 2].map((index) => floatsOf(given(inputs, index)));
  if (x.shape.length < 2) throw new TypeError(`it normalizes ${printSpec(x)}, expected 2 or more axes`);
  const [batch, channels, ...space] = x.shape;
  const count = groups(channels);
  const each = divideDims(channels, count);
  if (each === undefined || (typeof each === "number" && !Number.isInteger(each))) {
    throw new RangeError(`it makes ${count} groups of ${channels} channels`);
  }
  const epsilon = attribute(node, "epsilon", "float") ?? 1e-5;
  const grouped = reshape(x, [batch, count, multiplyDims(each, sizeOfShape(space))]);
  const centered = sub(grouped, meanOf(grouped, { axes: 2, keepDims: true }));
  const spread = meanOf(square(centered), { axes: 2, keepDims: true });
  const normal = reshape(div(centered, sqrt(add(spread, epsilon))), x.shape);
  const wide = (part: Tensor): Tensor => {
    const isOfGroup = part.shape.length === 1 && part.shape[0] === count && count !== channels;
    const own = isOfGroup ? reshape(broadcastTo(expandDims(part, 1), [count, each]), [channels]) : part;
    if (own.shape.length !== 1 || own.shape[0] !== channels) {
      throw new TypeError(`it normalizes ${printSpec(x)} with ${printSpec(part)}, expected [${channels}]`);
    }
    return reshape(own, [channels, ...space.map(() => 1)]);
  };
  return [valueOf(add(mul(normal, wide(scale)), wide(bias)))];
}

/** Each vector along an axis divided by its length; zeros stay zeros. */
function lpNormalized(node: Node, inputs: Inputs): OnnxValue {
  const x = floatsOf(given(inputs, 0));
  const axis = axisOf(attribute(node, "axis", "int") ?? -1, x.shape.length);
  const p = attribute(node, "p", "int") ?? 2;
  if (p !== 1 && p !== 2) throw new RangeError(`its p is ${p}, expected 1 or 2`);
  const total = sum(p === 1 ? abs(x) : square(x), { axes: axis, keepDims: true });
  const isZero = equal(total, 0);
  const safe = select(isZero, 1, total);
  return valueOf(div(x, p === 1 ? safe : sqrt(safe)));
}

/** Less the mean and divided by the deviation over axes. */
function standardized(node: Node, inputs: Inputs): OnnxValue {
  const x = floatsOf(given(inputs, 0));
  const axes = (attribute(node, "axes", "ints") ?? [0, 2, 3]).map((axis) => axisOf(axis, x.shape.length));
  const centered = sub(x, meanOf(x, { axes, keepDims: true }));
  const deviation = sqrt(meanOf(square(centered), { axes, keepDims: true }));
  return valueOf(div(centered, add(deviation, 1e-9)));
}

/** Divided by the root of the mean square over the last axes. */
function rmsNormalized(node: Node, inputs: Inputs): OnnxValue {
  const x = floatsOf(given(inputs, 0));
  const first = axisOf(attribute(node, "axis", "int") ?? -1, x.shape.length);
  const epsilon = attribute(node, "epsilon", "float") ?? 1e-5;
  const type = attribute(node, "stash_type", "int") ?? 1;
  if (type !== 1) throw new RangeError(`its stash_type is ${type}, expected 1 (float)`);
  const axes = Array.from({ length: x.shape.length - first }, (_, index) => first + index);
  const root = sqrt(add(meanOf(square(x), { axes, keepDims: true }), epsilon));
  return valueOf(mul(div(x, root), floatsOf(given(inputs, 1))));
}

/** The most channels that are normalized together. */
const MOST_CHANNELS = 256;

/** Each element divided by the squares of the channels around it (Krizhevsky et al., 2012). */
function channelNormalized(node: Node, inputs: Inputs): OnnxValue {
  const x = floatsOf(given(inputs, 0));
  const size = attribute(node, "size", "int");
  if (x.shape.length < 2 || size === undefined || !(size >= 1 && size <= MOST_CHANNELS)) {
    throw new RangeError(
      `it normalizes ${printSpec(x)} over ${size} channels, expected 1 to ${MOST_CHANNELS} of axis 1`,
    );
  }
  const [alpha, beta, bias] = [["alpha", 1e-4], ["beta", 0.75], ["bias", 1]].map(([name, otherwise]) =>
    attribute(node, String(name), "float") ?? Number(otherwise)
  );
  const before = Math.floor((size - 1) / 2);
  const amounts = (count: number) => x.shape.map((_, axis) => axis === 1 ? count : 0);
  const padded = pad(square(x), { low: amounts(before), high: amounts(size - 1 - before) });
  const squares = Array.from({ length: size }, (_, index) => sliceAxis(padded, 1, index, x.shape[1]))
    .reduce((sum, part) => add(sum, part));
  return valueOf(div(x, pow(add(mul(squares, alpha / size), bias), beta)));
}

/** The operators of this file. */
export const normalizationOperators: Operators = {
  BatchNormalization: {
    attributes: ["epsilon", "momentum", "training_mode", "spatial"],
    inputs: [5, 5],
    compute: batchNormalized,
  },
  LayerNormalization: {
    attributes: ["axis", "epsilon", "stash_type"],
    inputs: [2, 3],
    outputs: 3,
    compute: layerNormalized,
  },
  InstanceNormalization: {
    attributes: ["epsilon"],
    inputs: [3, 3],
    compute: (node, inputs) => groupNormalized(node, inputs, (channels) => channels),
  },
  LpNormalization: {
    attributes: ["axis", "p"],
    inputs: [1, 1],
    compute: (node, inputs) => [lpNormalized(node, inputs)],
  },
  LRN: {
    attributes: ["alpha", "beta", "bias", "size"],
    inputs: [1, 1],
    compute: (node, inputs) => [channelNormalized(node, inputs)],
  },
  MeanVarianceNormalization: {
    attributes: ["axes"],
    inputs: [1, 1],
    compute: (node, inputs) => [standardized(node, inputs)],
  },
  RMSNormalization: {
    attributes: ["axis", "epsilon", "stash_type"],
    inputs: [2, 2],
    compute: (node, inputs) => [rmsNormalized(node, inputs)],
  },
  GroupNormalization: {
    attributes: ["epsilon", "num_groups", "stash_type"],
    inputs: [3, 3],
    compute: (node, inputs) => {
      const groups = attribute(node, "num_groups", "int");
      if (groups === undefined || groups < 1) {
        throw new RangeError(`its num_groups is ${groups}, expected 1 or more`);
      }
      return groupNormalized(node, inputs, () => groups);
    },
  },
};
