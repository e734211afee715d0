/**
 * Operators that draw random numbers: from the key of the call, so that each training step draws others; without a key, from
 * the node's seed, so that predictions can be repeated.
 */
import { cast, less } from "../../../../src/operations/elementwise.ts";
import { key, normal, uniform } from "../../../../src/operations/random.ts";
import { categorical } from "../../../../src/operations/sampling.ts";
import { broadcastTo, expandDims } from "../../../../src/operations/structure.ts";
import type { Shape } from "../../../../src/tensor/dims.ts";
import { printSpec, type Tensor } from "../../../../src/tensor/tensor.ts";
import { dtypeOf } from "../../tensors.ts";
import { attribute, type Node } from "../node.ts";
import { type Call, given, type Inputs, type Operator, type Operators } from "../operator.ts";
import { floatsOf, type OnnxValue, shapeOf, tensorOf, valueOf } from "../values.ts";
import { reasonable } from "./shape.ts";

/** The seed of a node that gives none: its name, so that two nodes draw different numbers. */
function seedOf(node: Node): number {
  const seed = attribute(node, "seed", "float");
  if (seed !== undefined && Number.isFinite(seed)) {
    return new Int32Array(Float32Array.of(seed).buffer)[0]; // it need not be whole
  }
  return Array.from(node.name).reduce(
    (hash, letter) => Math.imul(hash, 31) + (letter.codePointAt(0) ?? 0) | 0,
    7,
  );
}

function keyOf(node: Node, call: Call): Tensor {
  return call.keyFor(node) ?? key(seedOf(node));
}

type Draw = (key: Tensor, shape: Shape, node: Node) => Tensor;

const drawNormal: Draw = (key, shape, node) =>
  normal(key, shape, {
    mean: attribute(node, "mean", "float") ?? 0,
    stddev: attribute(node, "scale", "float") ?? 1,
  });

const drawUniform: Draw = (key, shape, node) => {
  const low = attribute(node, "low", "float") ?? 0, high = attribute(node, "high", "float") ?? 1;
  return uniform(key, shape, { min: low, max: high });
};

/** A draw of a shape that an attribute gives, or, with `isLike`, of that of the input. */
function random(draw: Draw, options: readonly string[], isLike: boolean): Operator {
  return {
    attributes: ["dtype", "seed", ...options, ...isLike ? [] : ["shape"]],
    inputs: isLike ? [1, 1] : [0, 0],
    compute: (node, inputs, call) => {
      const like = isLike ? given(inputs, 0) : undefined;
      const shape = like ? shapeOf(like) : attribute(node, "shape", "ints");
      if (!shape) throw new TypeError("it has no attribute shape");
      const type = attribute(node, "dtype", "int");
      const inherited = like ? tensorOf(like).dtype : "float32";
      const drawn = draw(keyOf(node, call), reasonable(shape), node);
      return [valueOf(cast(drawn, type === undefined ? inherited : dtypeOf(node.place, type)))];
    },
  };
}

/** 1 with the probability that each element gives. */
function draws(node: Node, inputs: Inputs, call: Call): OnnxValue {
  const probability = floatsOf(given(inputs, 0));
  const type = attribute(node, "dtype", "int");
  const isOne = less(cast(uniform(keyOf(node, call), probability.shape), probability.dtype), probability);
  return valueOf(cast(isOne, type === undefined ? probability.dtype : dtypeOf(node.place, type)));
}

/** Draws of classes for each row of logits. */
function samples(node: Node, inputs: Inputs, call: Call): OnnxValue {
  const logits = floatsOf(given(inputs, 0));
  const count = attribute(node, "sample_size", "int") ?? 1;
  if (logits.shape.length !== 2 || !(count >= 1)) {
    throw new TypeError(
      `it draws ${count} samples from ${printSpec(logits)}, expected 1 or more and rows of classes`,
    );
  }
  const [batch, classes] = reasonable(logits.shape);
  const rows = broadcastTo(expandDims(logits, 1), reasonable([batch, count, classes]));
  return valueOf(categorical(keyOf(node, call), rows));
}

/** The operators of this file. */
export const randomOperators: Operators = {
  RandomNormal: random(drawNormal, ["mean", "scale"], false),
  RandomNormalLike: random(drawNormal, ["mean", "scale"], true),
  RandomUniform: random(drawUniform, ["high", "low"], false),
  RandomUniformLike: random(drawUniform, ["high", "low"], true),
  Bernoulli: {
    attributes: ["dtype", "seed"],
    inputs: [1, 1],
    compute: (node, inputs, call) => [draws(node, inputs, call)],
  },
  Multinomial: {
    attributes: ["dtype", "sample_size", "seed"],
    inputs: [1, 1],
    compute: (node, inputs, call) => [samples(node, inputs, call)],
  },
};
