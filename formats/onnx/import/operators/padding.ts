/** ONNX's Pad: constants, reflections, edges and repetitions around a tensor; negative amounts cut. */
import { cast, not, or, select } from "../../../../src/operations/elementwise.ts";
import {
  broadcastTo,
  concat,
  pad,
  reshape,
  reverse,
  sliceAxis,
} from "../../../../src/operations/structure.ts";
import { addDims, type Dim } from "../../../../src/tensor/dims.ts";
import { type Tensor, tensor } from "../../../../src/tensor/tensor.ts";
import { attribute, axisOf, type Node } from "../node.ts";
import { given, type Inputs, type Operators } from "../operator.ts";
import { knownNumbers, type OnnxValue, tensorOf, valueOf } from "../values.ts";
import { reasonable } from "./shape.ts";

/** The most pieces that a side is put together from; more are a mistake, or an attack. */
const MOST_PIECES = 1000;

/** How a side is filled from the tensor itself: by `count` elements next to an end of an axis. */
type Filling = (x: Tensor, axis: number, count: number, side: Side) => Tensor;

type Side = "low" | "high";

/** The first or the last elements along an axis. */
function ended(x: Tensor, axis: number, count: number, side: Side, skipped = 0): Tensor {
  const start = side === "low" ? skipped : addDims(x.shape[axis], -count - skipped);
  return sliceAxis(x, axis, start, count);
}

const fillings: { readonly [mode: string]: Filling } = {
  edge: (x, axis, count, side) =>
    broadcastTo(ended(x, axis, 1, side), x.shape.map((dim, i) => i === axis ? count : dim)),
  /** A mirror in the last element, which is not repeated; what was added is mirrored again. */
  reflect: (x, axis, count, side) => {
    const mirrored = (from: Tensor, most: number) => reverse(ended(from, axis, most, side, 1), axis);
    const size = x.shape[axis];
    if (typeof size !== "number") return mirrored(x, count); // shorter ones are refused at the call
    if (size === 1) return fillings.edge(x, axis, count, side);
    return inPieces(x, axis, count, side, (whole, left) => mirrored(whole, Math.min(left, size - 1)));
  },
  /** The tensor again and again. */
  wrap: (x, axis, count, side) => {
    const opposite = side === "low" ? "high" : "low";
    const size = x.shape[axis];
    const most = typeof size === "number" ? size : count;
    return inPieces(x, axis, count, side, (_, left) => ended(x, axis, Math.min(left, most), opposite));
  },
};

/** What is added at a side, put together from pieces, of which each is made from all that is there. */
function inPieces(
  x: Tensor,
  axis: number,
  count: number,
  side: Side,
  next: (whole: Tensor, left: number) => Tensor,
): Tensor {
  let whole = x, added: Tensor | undefined;
  for (let left = count, pieces = 0; left > 0; pieces++) {
    if (pieces === MOST_PIECES) {
      throw new RangeError(`it adds ${count} elements to an axis of ${x.shape[axis]}`);
    }
    const piece = next(whole, left);
    const join = (other: Tensor) => concat(side === "low" ? [piece, other] : [other, piece], { axis });
    whole = join(whole);
    added = added ? join(added) : piece;
    left -= Number(piece.shape[axis]); // a number, as `next` was asked for one
  }
  return added ?? sliceAxis(x, axis, 0, 0);
}

/** With elements of the tensor itself at both ends of an axis. */
function filled(x: Tensor, axis: number, low: number, high: number, fill: Filling): Tensor {
  if (x.shape[axis] === 0 && low + high > 0) {
    throw new RangeError(`it fills axis ${axis} from its elements, but has none there`);
  }
  const before = low > 0 ? [fill(x, axis, low, "low")] : [];
  const after = high > 0 ? [fill(x, axis, high, "high")] : [];
  return before.length + after.length === 0 ? x : concat([...before, x, ...after], { axis });
}

/** With a constant around it: any value, as it is chosen and not computed with. */
function surrounded(x: Tensor, low: readonly number[], high: readonly number[], value: Tensor): Tensor {
  const amounts = { low, high };
  if (low.every((amount) => amount === 0) && high.every((amount) => amount === 0)) return x;
  if (value.kind === "host" && Object.is(Number(value.data[0]), 0)) return pad(x, amounts);
  const isInside = pad(broadcastTo(tensor(true), x.shape), amounts);
  return x.dtype === "bool"
    ? orOutside(pad(x, amounts), isInside, value)
    : select(isInside, pad(x, amounts), value);
}

function orOutside(x: Tensor, isInside: Tensor, value: Tensor): Tensor {
  const outside = value.kind === "host" && value.data[0]
    ? not(isInside)
    : select(isInside, tensor(false), value);
  return or(x, outside);
}

/** A tensor without as many elements at both ends of an axis. */
function cut(x: Tensor, axis: number, low: number, high: number): Tensor {
  if (low === 0 && high === 0) return x;
  const size: Dim = addDims(x.shape[axis], -low - high);
  reasonable([size]);
  return sliceAxis(x, axis, low, size);
}

/** The outputs of a Pad node. */
function padded(node: Node, inputs: Inputs): OnnxValue {
  const mode = attribute(node, "mode", "string") ?? "constant";
  let x = tensorOf(given(inputs, 0));
  const rank = x.shape.length;
  const amounts = inputs[1] ? knownNumbers(inputs[1], "pads") : attribute(node, "pads", "ints") ?? [];
  const axes = inputs[3]
    ? knownNumbers(inputs[3], "axes").map((axis) => axisOf(axis, rank))
    : x.shape.map((_, axis) => axis);
  if (amounts.length !== 2 * axes.length) {
    throw new RangeError(`its pads are ${amounts.length} numbers, expected ${2 * axes.length}`);
  }
  const low = x.shape.map(() => 0);
  const high = x.shape.map(() => 0);
  axes.forEach((axis, index) => {
    low[axis] = amounts[index];
    high[axis] = amounts[index + axes.length];
  });
  for (let axis = 0; axis < rank; axis++) {
    x = cut(x, axis, Math.max(0, -low[axis]), Math.max(0, -high[axis]));
  }
  const [before, after] = [low, high].map((list) => list.map((amount) => Math.max(amount, 0)));
  reasonable(x.shape.map((dim, axis) => addDims(dim, before[axis] + after[axis])));
  if (mode === "constant") {
    const value = inputs[2] ? tensorOf(inputs[2]) : tensor(attribute(node, "value", "float") ?? 0);
    return valueOf(surrounded(x, before, after, reshape(cast(value, x.dtype), [])));
  }
  const filling = Object.hasOwn(fillings, mode) ? fillings[mode] : undefined;
  if (!filling) {
    throw new RangeError(
      `its mode is ${JSON.stringify(mode)}, expected constant, ${Object.keys(fillings).join(", ")}`,
    );
  }
  for (let axis = 0; axis < rank; axis++) x = filled(x, axis, before[axis], after[axis], filling);
  return valueOf(x);
}

/** Pad. */
export const padding: Operators = {
  Pad: {
    attributes: ["mode", "pads", "value"],
    inputs: [1, 4],
    compute: (node, inputs) => [padded(node, inputs)],
  },
};
