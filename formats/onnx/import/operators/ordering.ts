/** Operators that choose each element by an index of its own: GatherElements, ReverseSequence, TopK. */
import { add, less, mul, select, sub } from "../../../../src/operations/elementwise.ts";
import { gather, iota } from "../../../../src/operations/indexing.ts";
import { sizeAsTensor } from "../../../../src/operations/reduction.ts";
import { sort, topK } from "../../../../src/operations/sorting.ts";
import { expandDims, reshape, sliceAxis, transpose } from "../../../../src/operations/structure.ts";
import { type Dim, fixedDim, multiplyDims, sizeOfShape } from "../../../../src/tensor/dims.ts";
import { printSpec } from "../../../../src/tensor/tensor.ts";
import { attribute, axisOf, flag, type Node } from "../node.ts";
import { given, type Inputs, type Operators } from "../operator.ts";
import { indicesOf, knownNumbers, type OnnxValue, tensorOf, valueOf } from "../values.ts";
import { placesAlong } from "./scattering.ts";

const sizeTensor = (size: Dim) => sizeAsTensor(size, "int32");

/** The elements along an axis at indices of their own; the other axes of both are equally long, or longer in the data. */
function gatheredElements(node: Node, inputs: Inputs): OnnxValue {
  const x = tensorOf(given(inputs, 0)), indices = indicesOf(given(inputs, 1));
  const rank = x.shape.length;
  if (rank === 0 || indices.shape.length !== rank) {
    throw new TypeError(
      `its indices are ${printSpec(indices)} for ${printSpec(x)}, expected as many axes, from 1`,
    );
  }
  const axis = axisOf(attribute(node, "axis", "int") ?? 0, rank);
  return valueOf(gather(reshape(x, [sizeOfShape(x.shape)]), placesAlong(x, indices, axis)));
}

/** Each sequence backwards, as far as it is long. */
function reversedSequences(node: Node, inputs: Inputs): OnnxValue {
  const x = tensorOf(given(inputs, 0)), lengths = indicesOf(given(inputs, 1));
  const rank = x.shape.length;
  const batchAxis = attribute(node, "batch_axis", "int") ?? 1,
    timeAxis = attribute(node, "time_axis", "int") ?? 0;
  if (![batchAxis, timeAxis].includes(0) || ![batchAxis, timeAxis].includes(1) || rank < 2) {
    throw new RangeError(
      `its batch_axis is ${batchAxis} and its time_axis ${timeAxis}, expected 0 and 1 of 2 axes or more`,
    );
  }
  const batchFirst = batchAxis === 0;
  const swap = x.shape.map((_, axis) => axis < 2 ? 1 - axis : axis);
  const rows = batchFirst ? x : transpose(x, { permutation: swap });
  const [batch, time, ...rest] = rows.shape;
  const step = iota([1, time]), length = expandDims(lengths, 1);
  const source = select(less(step, length), sub(sub(length, 1), step), step);
  const flat = add(mul(iota([batch, 1], { axis: 0 }), sizeTensor(time)), source);
  const reversed = gather(reshape(rows, [multiplyDims(batch, time), ...rest]), flat);
  return valueOf(batchFirst ? reversed : transpose(reversed, { permutation: swap }));
}

/** The largest or smallest elements along an axis, and their places, in order. */
function largest(node: Node, inputs: Inputs): OnnxValue[] {
  const x = tensorOf(given(inputs, 0));
  const axis = axisOf(attribute(node, "axis", "int") ?? -1, x.shape.length);
  const [k] = inputs[1] ? knownNumbers(inputs[1], "k") : [attribute(node, "k", "int") ?? 1];
  const size = fixedDim(x.shape[axis], "An axis to find the largest along");
  if (!(k >= 0 && k <= size)) throw new RangeError(`its k is ${k}, expected 0 to ${size}`);
  const isLargest = flag(node, "largest", true);
  flag(node, "sorted", true); // they are in order, whether that is asked for or not
  const { values, indices } = isLargest && k > 0
    ? topK(x, { k, axis })
    : sort(x, { axis, descending: isLargest });
  return [values, indices].map((sorted) => valueOf(sliceAxis(sorted, axis, 0, k)));
}

/** The operators of this file. */
export const orderingOperators: Operators = {
  GatherElements: {
    attributes: ["axis"],
    inputs: [2, 2],
    compute: (node, inputs) => [gatheredElements(node, inputs)],
  },
  ReverseSequence: {
    attributes: ["batch_axis", "time_axis"],
    inputs: [2, 2],
    compute: (node, inputs) => [reversedSequences(node, inputs)],
  },
  TopK: { attributes: ["axis", "largest", "sorted", "k"], inputs: [1, 2], outputs: 2, compute: largest },
};
