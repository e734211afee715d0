/** Normalization over batches, layers, instances and groups. */
import { add, div, mul, sqrt, square, sub } from "../../../../src/operations/elementwise.ts";
import { mean as meanOf } from "../../../../src/operations/reduction.ts";
import { broadcastTo, expandDims, reshape } from "../../../../src/operations/structure.ts";
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
