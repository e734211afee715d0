/** Operators that select elements: Slice, Gather, OneHot. */
import { add, cast, equal, less, select } from "../../../../src/operations/elementwise.ts";
import { gather, iota } from "../../../../src/operations/indexing.ts";
import { sizeAsTensor } from "../../../../src/operations/reduction.ts";
import { at, expandDims, reverse, slice, transpose } from "../../../../src/operations/structure.ts";
import { type Dim, fixedDim, printShape, subtractDims } from "../../../../src/tensor/dims.ts";
import type { Tensor } from "../../../../src/tensor/tensor.ts";
import { attribute, axisOf, type Node } from "../node.ts";
import { given, type Inputs, type Operators } from "../operator.ts";
import {
  fromEnd,
  indicesOf,
  knownFloats,
  knownSizes,
  type OnnxValue,
  scalarSize,
  shapeOf,
  sizesOf,
  tensorOf,
  valueOf,
} from "../values.ts";

/** A part of an axis: `size` elements from `start`, every `stride`-th, then reversed or not. */
interface AxisPart {
  readonly start: Dim;
  readonly size: Dim;
  readonly stride: number;
  readonly backwards: boolean;
}

/** A bound beyond this means the end (or the start) of the axis. */
const FAR = 2 ** 31 - 1;

/** The part that Slice takes of an axis whose size is a number. */
function partOfFixed(size: number, start: number, end: number, step: number): AxisPart {
  const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);
  const absolute = (value: number) => value < 0 ? value + size : value;
  if (step > 0) {
    const from = clamp(absolute(start), 0, size);
    const to = clamp(absolute(end), 0, size);
    const count = Math.max(0, Math.ceil((to - from) / step));
    return { start: count === 0 ? 0 : from, size: count, stride: step, backwards: false };
  }
  const from = clamp(absolute(start), -1, size - 1);
  const to = clamp(absolute(end), -1, size - 1);
  const count = Math.max(0, Math.ceil((to - from) / step));
  const first = count === 0 ? 0 : from + (count - 1) * step;
  return { start: first, size: count, stride: -step, backwards: true };
}

/** The same if the size is known only at run time: parts that reach the end, or are certain to lie inside. */
function partOfOpen(size: Dim, start: Dim, end: Dim, step: number): AxisPart {
  const isEnd = (bound: Dim) => bound === size || (typeof bound === "number" && bound >= FAR);
  const isFirst = (bound: Dim) => typeof bound === "number" && bound <= -FAR;
  if (step === -1 && (start === -1 || isEnd(start)) && isFirst(end)) {
    return { start: 0, size, stride: 1, backwards: true };
  }
  const from = isFirst(start) ? 0 : fromEnd(start, size);
  const to = isEnd(end) ? size : fromEnd(end, size);
  const one = start === 0 && end === 1;
  const certain = one || (typeof end === "number" && end < 0) || typeof end !== "number" || isEnd(end);
  if (step === 1 && certain) {
    return { start: from, size: subtractDims(to, from), stride: 1, backwards: false };
  }
  throw new RangeError(
    `it takes ${start}:${end}:${step} of an axis of size ${size}, which is known only at run time`,
  );
}

function sliced(node: Node, inputs: Inputs): OnnxValue {
  const x = given(inputs, 0);
  const shape = shapeOf(x);
  const listed = (index: number, name: string): readonly Dim[] | undefined =>
    inputs[index] ? knownSizes(given(inputs, index), name) : attribute(node, name, "ints");
  const [starts, ends] = [listed(1, "starts"), listed(2, "ends")];
  if (!starts || !ends) throw new TypeError("it has no starts and ends");
  const axes = (listed(3, "axes") ?? starts.map((_, axis) => axis)).map((axis) =>
    axisOf(fixedDim(axis, "An axis"), shape.length)
  );
  const steps = (listed(4, "steps") ?? starts.map(() => 1)).map((step) => fixedDim(step, "A step"));
  if ([ends, axes, steps].some(({ length }) => length !== starts.length) || steps.includes(0)) {
    throw new RangeError(
      `its starts, ends, axes and steps are [${starts}], [${ends}], [${axes}] and [${steps}]: they do not fit`,
    );
  }
  const parts = shape.map((size, axis): AxisPart => {
    const index = axes.indexOf(axis);
    if (index < 0) return { start: 0, size, stride: 1, backwards: false };
    const [start, end, step] = [starts[index], ends[index], steps[index]];
    const fixed = typeof size === "number" && typeof start === "number" && typeof end === "number";
    return fixed ? partOfFixed(size, start, end, step) : partOfOpen(size, start, end, step);
  });
  if (x.kind === "sizes") {
    const [{ start, size, stride, backwards }] = parts;
    const picked = Array.from(
      { length: Number(size) },
      (_, index) => x.sizes[Number(start) + index * stride],
    );
    return sizesOf(backwards ? picked.reverse() : picked);
  }
  const part = slice(tensorOf(x), {
    start: parts.map(({ start }) => start),
    size: parts.map(({ size }) => size),
    stride: parts.map(({ stride }) => stride),
  });
  return valueOf(reverse(part, parts.flatMap(({ backwards }, axis) => backwards ? [axis] : [])));
}

/** Indices that count from the end if they are negative. */
export function wrapped(indices: Tensor, size: Dim): Tensor {
  return select(less(indices, 0), add(indices, sizeAsTensor(size, "int32")), indices);
}

function gathered(node: Node, inputs: Inputs): OnnxValue {
  const [x, indices] = [given(inputs, 0), given(inputs, 1)];
  const shape = shapeOf(x);
  const axis = axisOf(attribute(node, "axis", "int") ?? 0, shape.length);
  const size = shape[axis];
  const check = (index: Dim): Dim => {
    const absolute = fromEnd(index, size);
    const inside = typeof absolute !== "number" ||
      (absolute >= 0 && (typeof size !== "number" || absolute < size));
    if (inside) return absolute;
    throw new RangeError(
      `its index is ${index}, but axis ${axis} of ${printShape(shape)} has ${size} elements`,
    );
  };
  if (indices.kind === "sizes") {
    const checked = indices.sizes.map(check);
    if (x.kind === "sizes") {
      const picked = checked.map((index) => x.sizes[fixedDim(index, "An index")]);
      return indices.scalar ? scalarSize(picked[0]) : sizesOf(picked);
    }
    if (indices.scalar) return valueOf(at(tensorOf(x), checked[0], { axis }));
  }
  const operand = tensorOf(x);
  const rows = wrapped(indicesOf(indices), size);
  const others = operand.shape.map((_, other) => other).filter((other) => other !== axis);
  const picked = gather(transpose(operand, { permutation: [axis, ...others] }), rows);
  const count = rows.shape.length;
  const before = Array.from({ length: axis }, (_, index) => count + index);
  const middle = Array.from({ length: count }, (_, index) => index);
  const after = others.slice(axis).map((_, index) => count + axis + index);
  return valueOf(transpose(picked, { permutation: [...before, ...middle, ...after] }));
}

/** OneHot with a constant depth. */
function oneHot(node: Node, inputs: Inputs): OnnxValue {
  const indices = cast(tensorOf(given(inputs, 0)), "int32"); // they may be floats, as the depth
  const classCount = given(inputs, 1);
  const [depth] = classCount.kind === "sizes" ? classCount.sizes : knownFloats(classCount, "depth");
  const values = tensorOf(given(inputs, 2));
  const rank = indices.shape.length + 1;
  const axis = axisOf(attribute(node, "axis", "int") ?? -1, rank);
  const classes = iota(Array.from({ length: rank }, (_, other) => other === axis ? depth : 1), { axis });
  const hot = equal(expandDims(wrapped(indices, depth), axis), classes);
  return valueOf(select(hot, at(values, 1), at(values, 0)));
}

/** The operators of this file. */
export const indexingOperators: Operators = {
  Slice: {
    attributes: ["starts", "ends", "axes"],
    inputs: [1, 5],
    compute: (node, inputs) => [sliced(node, inputs)],
  },
  Gather: { attributes: ["axis"], inputs: [2, 2], compute: (node, inputs) => [gathered(node, inputs)] },
  OneHot: { attributes: ["axis"], inputs: [3, 3], compute: (node, inputs) => [oneHot(node, inputs)] },
};
