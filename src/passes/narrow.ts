/**
 * Narrow: a slice of a concatenation is taken from the part that contains it, and one step of two axes merged
 * by a reshape (the segments of a checkpointed scan) from the first axis and then the second. The scan that
 * makes a sequence then sees what is read of it, and keeps only that. Of a convolution of which only a slice is read, as
 * of the gradient of what was padded, only the places in it are computed.
 */
import { replayEquation, traceFlat } from "../program/trace.ts";
import { type EquationOf, isEquation, type Program, type Value } from "../program/types.ts";
import { applyOne } from "../operations/apply.ts";
import { reshape, slice } from "../operations/structure.ts";
import { addDims, type Dim, multiplyDims } from "../tensor/dims.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { makersOf, readersOf } from "./rewrite.ts";

/** Slices the smallest possible values, in the Program and in the bodies of its scans. */
export function narrow(program: Program): Program {
  const makers = makersOf(program), readers = readersOf(program);
  return traceFlat(program.inputs, (inputs) => {
    const tensors = new Map<Value, Tensor>(program.inputs.map((value, index) => [value, inputs[index]]));
    const get = (value: Value): Tensor => {
      const tensor = tensors.get(value);
      if (!tensor) throw new Error("A Program reads a value that nothing computes");
      return tensor;
    };
    const sliceOf = (value: Value, start: readonly Dim[], size: readonly Dim[]): Tensor => {
      const maker = makers.get(value);
      if (isEquation(maker, "concat")) {
        const { axis } = maker.attributes;
        let from = 0;
        for (const part of maker.inputs) {
          const [begin, length, extent] = [start[axis], size[axis], part.shape[axis]];
          if (typeof begin !== "number" || typeof length !== "number" || typeof extent !== "number") break;
          if (begin >= from && begin + length <= from + extent) {
            return sliceOf(part, start.map((dim, i) => i === axis ? begin - from : dim), size);
          }
          from += extent;
        }
      }
      if (isEquation(maker, "reshape")) {
        const [input] = maker.inputs;
        const axis = mergedAxis(input, value);
        const begin = axis === undefined ? undefined : start[axis];
        const inner = axis === undefined ? undefined : input.shape[axis + 1];
        if (
          axis !== undefined && typeof begin === "number" && typeof inner === "number" && size[axis] === 1
        ) {
          const put = (list: readonly Dim[], ...entries: readonly Dim[]) => [
            ...list.slice(0, axis),
            ...entries,
            ...list.slice(axis + 1),
          ];
          const outer = sliceOf(input, put(start, Math.floor(begin / inner), 0), put(size, 1, inner));
          const flat = reshape(outer, put(size, inner));
          return slice(flat, { start: flat.shape.map((_, i) => i === axis ? begin % inner : 0), size });
        }
      }
      if (isEquation(maker, "convolve") && readers.get(value)?.length === 1) {
        const places = convolvedPlaces(maker, start, size);
        if (places) {
          const [x, kernel] = maker.inputs, sizes = size.slice(1, -1);
          return applyOne(maker.operation, [slice(get(x), places), get(kernel)], {
            ...maker.attributes,
            sizes,
          });
        }
      }
      return slice(get(value), { start, size });
    };
    for (const equation of program.equations) {
      if (isEquation(equation, "scan")) {
        const { attributes } = equation;
        const inside = { ...equation, attributes: { ...attributes, body: narrow(attributes.body) } };
        replayEquation(inside, inside.inputs.map(get)).forEach((x, index) =>
          tensors.set(inside.outputs[index], x)
        );
        continue;
      }
      const [output] = equation.outputs;
      const plain = isEquation(equation, "slice") && equation.attributes.stride.every((step) => step === 1);
      tensors.set(
        output,
        plain
          ? sliceOf(equation.inputs[0], equation.attributes.start, equation.attributes.size)
          : replayEquation(equation, equation.inputs.map(get))[0],
      );
    }
    return { outputs: program.outputs.map(get), result: undefined };
  }).program;
}

/** What a convolution reads for a slice of its places; undefined for a slice of the batch or of the channels. */
function convolvedPlaces(
  { attributes: { window, strides, dilation }, inputs: [x], outputs: [output] }: EquationOf<"convolve">,
  start: readonly Dim[],
  size: readonly Dim[],
): { readonly start: readonly Dim[]; readonly size: readonly Dim[] } | undefined {
  const last = output.shape.length - 1;
  if ([0, last].some((axis) => start[axis] !== 0 || size[axis] !== output.shape[axis])) return undefined;
  const along = (edge: Dim, each: (index: number) => Dim) => [edge, ...window.map((_, index) => each(index))];
  return {
    start: [...along(0, (index) => multiplyDims(start[index + 1], strides[index])), 0],
    size: [
      ...along(x.shape[0], (index) =>
        addDims(
          multiplyDims(addDims(size[index + 1], -1), strides[index]),
          (window[index] - 1) * dilation[index] + 1,
        )),
      x.shape[last],
    ],
  };
}

/** The axis of `output` that merges two neighboring axes of `input`, all others being the same. */
function mergedAxis(input: Value, output: Value): number | undefined {
  if (input.shape.length !== output.shape.length + 1) return undefined;
  const axis = output.shape.findIndex((dim, index) => dim !== input.shape[index]);
  if (axis < 0 || multiplyDims(input.shape[axis], input.shape[axis + 1]) !== output.shape[axis]) {
    return undefined;
  }
  return output.shape.slice(axis + 1).every((dim, index) => dim === input.shape[axis + 2 + index])
    ? axis
    : undefined;
}
