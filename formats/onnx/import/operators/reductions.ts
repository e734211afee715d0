/** Operators that reduce axes, running sums, and softmax. */
import { cumsum } from "../../../../src/operations/cumsum.ts";
import {
  abs,
  add,
  cast,
  equal,
  exp,
  greater,
  log,
  mul,
  neg,
  not,
  sqrt,
  square,
  stopGradient,
  sub,
} from "../../../../src/operations/elementwise.ts";
import { argmax, logSoftmax, max, mean, min, softmax } from "../../../../src/operations/reduction.ts";
import { full } from "../../../../src/operations/creation.ts";
import { iota } from "../../../../src/operations/indexing.ts";
import { foldFlat } from "../../../../src/operations/scan.ts";
import {
  at,
  concat,
  expandDims,
  reshape,
  reverse,
  sliceAxis,
  sum,
  transpose,
} from "../../../../src/operations/structure.ts";
import { type ReduceOptions } from "../../../../src/operations/axes.ts";
import { type Dim, multiplyDims, type Shape, sizeOfShape } from "../../../../src/tensor/dims.ts";
import { fixedSize, type Tensor } from "../../../../src/tensor/tensor.ts";
import { attribute, axesOf, axisOf, flag, type Node } from "../node.ts";
import { given, type Inputs, type Operator, type Operators } from "../operator.ts";
import {
  floatsOf,
  knownNumbers,
  type OnnxValue,
  scalarSize,
  shapeOf,
  sizesOf,
  tensorOf,
  valueOf,
} from "../values.ts";

/** The axes that a node reduces: an attribute in old versions, an input in new ones. */
function reducedAxes(node: Node, inputs: Inputs, rank: number): number[] {
  const input = inputs[1];
  const listed = input ? knownNumbers(input, "axes") : attribute(node, "axes", "ints") ?? [];
  if (listed.length > 0) return axesOf(listed, rank);
  return flag(node, "noop_with_empty_axes", false) ? [] : Array.from({ length: rank }, (_, axis) => axis);
}

/** A reduction whose bools are those of another one. */
function withBools(
  reduce: (x: Tensor, options: ReduceOptions) => Tensor,
  ofBools: (x: Tensor, options: ReduceOptions) => Tensor,
): (x: Tensor, options: ReduceOptions) => Tensor {
  return (x, options) => (x.dtype === "bool" ? ofBools : reduce)(x, options);
}

function anyOf(x: Tensor, options: ReduceOptions): Tensor {
  return greater(sum(cast(x, "int32"), options), 0);
}

/** The product over axes whose sizes are known: of halves, again and again. */
function product(x: Tensor, { axes, keepDims }: ReduceOptions): Tensor {
  const gone = axes as readonly number[]; // reducedAxes gave a list
  const reduced = [...gone].reverse().reduce((x, axis) => at(halved(x, axis), 0, { axis }), x);
  return keepDims ? reshape(reduced, x.shape.map((dim, axis) => gone.includes(axis) ? 1 : dim)) : reduced;
}

/** All elements along an axis as one product. */
function halved(x: Tensor, axis: number): Tensor {
  const size = fixedSize(x, axis);
  if (size === 1) return x;
  if (size === 0) return full(x.shape.map((dim, other) => other === axis ? 1 : dim), 1, { dtype: x.dtype });
  const half = Math.floor(size / 2);
  const products = mul(sliceAxis(x, axis, 0, half), sliceAxis(x, axis, half, half));
  return halved(
    size % 2 === 0 ? products : concat([products, sliceAxis(x, axis, size - 1, 1)], { axis }),
    axis,
  );
}

function logSumExp(x: Tensor, options: ReduceOptions): Tensor {
  const largest = stopGradient(max(x, { ...options, keepDims: true }));
  const total = log(sum(exp(sub(x, largest)), options));
  return add(total, reshape(largest, total.shape));
}

/** A reduction; `known` computes known integers. */
function reduction(
  reduce: (x: Tensor, options: ReduceOptions) => Tensor,
  known?: (sizes: readonly Dim[]) => Dim | undefined,
): Operator {
  return {
    attributes: ["axes", "keepdims", "noop_with_empty_axes"],
    inputs: [1, 2],
    compute: (node, inputs) => {
      const x = given(inputs, 0);
      const axes = reducedAxes(node, inputs, shapeOf(x).length);
      const keepDims = flag(node, "keepdims", true);
      if (x.kind === "sizes" && known && axes.length === 1) {
        const size = known(x.sizes);
        if (size !== undefined) return [keepDims ? sizesOf([size]) : scalarSize(size)];
      }
      const tensor = tensorOf(x);
      return [valueOf(axes.length === 0 ? tensor : reduce(tensor, { axes, keepDims }))];
    },
  };
}

/**
 * Softmax and related operators: over one axis, and before version 13 over all axes from one onward,
 * flattened.
 */
function overAxis(compute: (x: Tensor, options: { readonly axis: number }) => Tensor): Operator {
  return {
    attributes: ["axis"],
    inputs: [1, 1],
    compute: (node, inputs) => {
      const x = floatsOf(given(inputs, 0));
      const rank = x.shape.length;
      const old = node.opset < 13;
      const axis = axisOf(attribute(node, "axis", "int") ?? (old ? 1 : -1), rank);
      if (!old || axis === rank - 1) return [valueOf(compute(x, { axis }))];
      const flat: Shape = [sizeOfShape(x.shape.slice(0, axis)), sizeOfShape(x.shape.slice(axis))];
      return [valueOf(reshape(compute(reshape(x, flat), { axis: 1 }), x.shape))];
    },
  };
}

/** 1 at the largest element along an axis, the first of equal ones, else 0. */
function hardmax(x: Tensor, { axis }: { readonly axis: number }): Tensor {
  const places = iota(x.shape.map((dim, other) => other === axis ? dim : 1), { axis });
  return cast(equal(places, expandDims(argmax(x, { axis }), axis)), x.dtype);
}

function argument(sign: (x: Tensor) => Tensor): Operator {
  return {
    attributes: ["axis", "keepdims", "select_last_index"],
    inputs: [1, 1],
    compute: (node, inputs) => {
      const x = sign(tensorOf(given(inputs, 0)));
      const axis = axisOf(attribute(node, "axis", "int") ?? 0, x.shape.length);
      const last = flag(node, "select_last_index", false);
      const found = last
        ? sub(fixedSize(x, axis) - 1, argmax(reverse(x, axis), { axis }))
        : argmax(x, { axis });
      const keep = flag(node, "keepdims", true);
      return [valueOf(keep ? reshape(found, x.shape.map((dim, other) => other === axis ? 1 : dim)) : found)];
    },
  };
}

/** A running sum, along an axis that is an input. */
function runningSum(node: Node, inputs: Inputs): OnnxValue {
  const x = tensorOf(given(inputs, 0));
  const [axis] = knownNumbers(given(inputs, 1), "axis");
  return valueOf(cumsum(x, {
    axis: axisOf(axis, x.shape.length),
    exclusive: flag(node, "exclusive", false),
    reverse: flag(node, "reverse", false),
  }));
}

/** A running product, along an axis that is an input. */
function runningProduct(node: Node, inputs: Inputs): OnnxValue {
  const x = tensorOf(given(inputs, 0));
  const axis = axisOf(knownNumbers(given(inputs, 1), "axis")[0], x.shape.length);
  const exclusive = flag(node, "exclusive", false);
  const others = x.shape.map((_, other) => other).filter((other) => other !== axis);
  const lanes = others.map((other) => x.shape[other]);
  const rows = reshape(transpose(x, { permutation: [...others, axis] }), [sizeOfShape(lanes), x.shape[axis]]);
  const { outputs: [products] } = foldFlat(
    [full([sizeOfShape(lanes)], 1, { dtype: x.dtype })],
    [rows],
    ([before], [factor]) => {
      const after = mul(before, factor);
      return { carries: [after], outputs: [exclusive ? before : after], result: undefined };
    },
    { length: x.shape[axis], reverse: flag(node, "reverse", false), recompute: false },
  );
  const permutation = x.shape.map((_, other) => other === axis ? others.length : others.indexOf(other));
  return valueOf(transpose(reshape(products, [...lanes, x.shape[axis]]), { permutation }));
}

/** The operators of this file. */
export const reductionOperators: Operators = {
  ReduceSum: reduction(sum),
  ReduceMean: reduction(mean),
  ReduceMax: reduction(withBools(max, anyOf)),
  ReduceMin: reduction(withBools(min, (x, options) => not(anyOf(not(x), options)))),
  ReduceProd: reduction(product, (sizes) => sizes.reduce<Dim>(multiplyDims, 1)),
  ReduceSumSquare: reduction((x, options) => sum(square(x), options)),
  ReduceL1: reduction((x, options) => sum(abs(x), options)),
  ReduceL2: reduction((x, options) => sqrt(sum(square(x), options))),
  ReduceLogSum: reduction((x, options) => log(sum(x, options))),
  ReduceLogSumExp: reduction(logSumExp),
  Softmax: overAxis(softmax),
  LogSoftmax: overAxis(logSoftmax),
  Hardmax: overAxis(hardmax),
  ArgMax: argument((x) => x),
  ArgMin: argument(neg),
  CumProd: {
    attributes: ["exclusive", "reverse"],
    inputs: [2, 2],
    compute: (node, inputs) => [runningProduct(node, inputs)],
  },
  CumSum: {
    attributes: ["exclusive", "reverse"],
    inputs: [2, 2],
    compute: (node, inputs) => [runningSum(node, inputs)],
  },
};
