/** Operators of sequences of tensors whose number and sizes are known. */
import { concat, reshape, sliceAxis, stack } from "../../../../src/operations/structure.ts";
import { type Dim, fixedDim } from "../../../../src/tensor/dims.ts";
import { attribute, axisOf, flag, type Node } from "../node.ts";
import { type Call, given, type Inputs, type Operator, type Operators } from "../operator.ts";
import {
  knownNumbers,
  knownSizes,
  type OnnxValue,
  scalarSize,
  shapeOf,
  tensorOf,
  valueOf,
} from "../values.ts";

/** A place in a sequence, counted from the front or the back; `most` is the last. */
function placeIn(value: OnnxValue, length: number, most: number): number {
  const [place] = knownNumbers(value, "position");
  const resolved = place < 0 ? place + length : place;
  if (Number.isInteger(resolved) && resolved >= 0 && resolved <= most) return resolved;
  throw new RangeError(`its position is ${place}, but the sequence has ${length} tensors`);
}

/** The parts of a tensor along an axis: of given sizes, of one size, or single ones without the axis. */
function splitted(node: Node, inputs: Inputs): OnnxValue[] {
  const x = tensorOf(given(inputs, 0));
  const axis = axisOf(attribute(node, "axis", "int") ?? 0, x.shape.length);
  const size = fixedDim(x.shape[axis], "The axis that is split");
  const listed = inputs[1] && knownSizes(inputs[1], "sizes");
  const isList = inputs[1] !== undefined && shapeOf(inputs[1]).length > 0;
  const each = listed && !isList ? fixedDim(listed[0], "A split") : 1;
  if (!(each >= 1)) throw new RangeError(`it splits into parts of ${each}, expected 1 or more`);
  const sizes: readonly Dim[] = isList && listed
    ? listed
    : Array.from({ length: Math.ceil(size / each) }, (_, index) => Math.min(each, size - index * each));
  const total = sizes.reduce<number>((sum, part) => sum + fixedDim(part, "A split"), 0);
  if (total !== size) throw new RangeError(`it splits ${size} into [${sizes.join(", ")}]`);
  const drops = !inputs[1] && !flag(node, "keepdims", true);
  let start = 0;
  return sizes.map((part) => {
    const piece = sliceAxis(x, axis, start, part);
    start += Number(part);
    return valueOf(drops ? reshape(piece, x.shape.toSpliced(axis, 1)) : piece);
  });
}

function joined(node: Node, values: readonly OnnxValue[]): OnnxValue {
  const axis = attribute(node, "axis", "int");
  if (axis === undefined) throw new TypeError("it has no attribute axis");
  if (values.length === 0) throw new RangeError("its sequence is empty");
  const tensors = values.map(tensorOf);
  const rank = tensors[0].shape.length;
  return valueOf(
    flag(node, "new_axis", false)
      ? stack(tensors, { axis: axisOf(axis, rank + 1) })
      : concat(tensors, { axis: axisOf(axis, rank) }),
  );
}

/** An operator that makes a sequence. */
function making(
  attributes: readonly string[],
  inputs: Operator["inputs"],
  make: (node: Node, inputs: Inputs, call: Call) => readonly OnnxValue[],
): Operator {
  return {
    attributes,
    inputs,
    takesSequences: true,
    compute: (node, given, call) => {
      call.setSequence(node.outputs[0], make(node, given, call));
      return [];
    },
  };
}

/** An operator that reads a sequence, its first input. */
function readingOf(
  attributes: readonly string[],
  inputs: Operator["inputs"],
  read: (node: Node, values: readonly OnnxValue[], inputs: Inputs) => OnnxValue,
): Operator {
  return {
    attributes,
    inputs,
    takesSequences: true,
    compute: (node, given, call) => [read(node, call.sequenceOf(node.inputs[0]), given)],
  };
}

/** The operators of this file. */
export const sequenceOperators: Operators = {
  SplitToSequence: making(["axis", "keepdims"], [1, 2], splitted),
  SequenceEmpty: making(["dtype"], [0, 0], () => []),
  SequenceConstruct: making([], [1, Infinity], (_, inputs) => inputs.map((_, index) => given(inputs, index))),
  SequenceInsert: making([], [2, 3], (node, inputs, call) => {
    const values = call.sequenceOf(node.inputs[0]);
    const place = inputs[2] ? placeIn(inputs[2], values.length, values.length) : values.length;
    return values.toSpliced(place, 0, given(inputs, 1));
  }),
  SequenceErase: making([], [1, 2], (node, inputs, call) => {
    const values = call.sequenceOf(node.inputs[0]);
    const place = inputs[1] ? placeIn(inputs[1], values.length, values.length - 1) : values.length - 1;
    return values.toSpliced(place, 1);
  }),
  SequenceAt: readingOf(
    [],
    [2, 2],
    (_, values, inputs) => values[placeIn(given(inputs, 1), values.length, values.length - 1)],
  ),
  SequenceLength: readingOf([], [1, 1], (_, values) => scalarSize(values.length)),
  ConcatFromSequence: readingOf(["axis", "new_axis"], [1, 1], (node, values) => joined(node, values)),
};
