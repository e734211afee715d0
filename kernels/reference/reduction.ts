/** Sums, running sums and largest elements over axes. Float sums are accumulated in float64, whatever the dtype. */
import { requireElements } from "../../src/program/empty.ts";
import type { Values } from "../../src/tensor/tensor.ts";
import { type ConcreteSpec, type KernelBuilder, type Kernels, type StridedWalk, walk } from "./kernel.ts";
import { rowMajor, sizeOf } from "../shapes.ts";

/** The walk over all elements of `input` in which the target is the element into which each is reduced. */
function reduce(input: ConcreteSpec, axes: readonly number[], output: ConcreteSpec): StridedWalk {
  const kept = rowMajor(output.shape);
  let next = 0;
  const strides = input.shape.map((_, axis) => axes.includes(axis) ? 0 : kept[next++]);
  return walk(input.shape, { offset: 0, strides: rowMajor(input.shape) }, { offset: 0, strides });
}

function addAlong(path: StridedWalk, source: Values, sums: Float64Array): void {
  const { length, sourceStride, targetStride, sourceStarts, targetStarts } = path;
  for (let run = 0; run < sourceStarts.length; run++) {
    const from = sourceStarts[run];
    const to = targetStarts[run];
    if (targetStride === 0) {
      let sum = sums[to];
      for (let i = 0; i < length; i++) sum += source[from + i * sourceStride];
      sums[to] = sum;
    } else {
      for (let i = 0; i < length; i++) sums[to + i * targetStride] += source[from + i * sourceStride];
    }
  }
}

function addIntsAlong(path: StridedWalk, source: Values, sums: Values): void {
  const { length, sourceStride, targetStride, sourceStarts, targetStarts } = path;
  for (let run = 0; run < sourceStarts.length; run++) {
    for (let i = 0; i < length; i++) {
      const to = targetStarts[run] + i * targetStride;
      sums[to] = (sums[to] + source[sourceStarts[run] + i * sourceStride]) | 0;
    }
  }
}

const sum: KernelBuilder<"sum"> = ({ attributes, inputs: [input], outputs: [output] }) => {
  const path = reduce(input, attributes.axes, output);
  if (output.dtype === "int32") {
    return ([x], [out]) => {
      out.fill(0);
      addIntsAlong(path, x, out);
    };
  }
  const sums = new Float64Array(sizeOf(output.shape));
  return ([x], [out]) => {
    sums.fill(0);
    addAlong(path, x, sums);
    out.set(sums);
  };
};

const max: KernelBuilder<"max"> = ({ attributes, inputs: [input], outputs: [output] }) => {
  const path = reduce(input, attributes.axes, output);
  const least = output.dtype === "int32" ? -2147483648 : output.dtype === "bool" ? 0 : -Infinity;
  const { length, sourceStride, targetStride, sourceStarts, targetStarts } = path;
  return ([x], [out]) => {
    out.fill(least);
    for (let run = 0; run < sourceStarts.length; run++) {
      for (let i = 0; i < length; i++) {
        const to = targetStarts[run] + i * targetStride;
        out[to] = Math.max(out[to], x[sourceStarts[run] + i * sourceStride]);
      }
    }
  };
};

/** The first NaN counts as the largest. */
const argmax: KernelBuilder<"argmax"> = ({ attributes: { axis }, inputs: [{ shape }] }) => {
  requireElements(shape, axis);
  const size = shape[axis];
  const stride = sizeOf(shape.slice(axis + 1));
  return ([x], [out]) => {
    for (let i = 0; i < out.length; i++) {
      const inner = i % stride;
      const start = (i - inner) * size + inner;
      let largest = 0;
      for (let j = 1; j < size; j++) {
        const [value, best] = [x[start + j * stride], x[start + largest * stride]];
        if (value > best || (Number.isNaN(value) && !Number.isNaN(best))) largest = j;
      }
      out[i] = largest;
    }
  };
};

const cumsum: KernelBuilder<"cumsum"> = ({ attributes, inputs: [{ shape, dtype }] }) => {
  const { axis, exclusive, reverse } = attributes;
  const size = shape[axis];
  const stride = sizeOf(shape.slice(axis + 1));
  const lines = sizeOf(shape.toSpliced(axis, 1));
  const add = dtype === "int32"
    ? (sum: number, term: number) => (sum + term) | 0
    : (sum: number, term: number) => sum + term;
  const round = dtype === "float32" ? Math.fround : (sum: number) => sum;
  return ([x], [out]) => {
    for (let line = 0; line < lines; line++) {
      const inner = line % stride;
      const start = (line - inner) * size + inner;
      let sum = 0;
      for (let i = 0; i < size; i++) {
        const at = start + (reverse ? size - 1 - i : i) * stride;
        const before = sum;
        sum = add(sum, x[at]);
        // What is infinite in the output is so for the sums after it, too.
        if (!Number.isFinite(round(sum))) sum = round(sum);
        out[at] = exclusive ? before : sum;
      }
    }
  };
};

/** Builders of the kernels that reduce axes, or sum along one. */
export const reduction: Kernels<"sum" | "max" | "argmax" | "cumsum"> = {
  sum,
  max,
  argmax,
  cumsum,
};
