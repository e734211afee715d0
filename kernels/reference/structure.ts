/**
 * Operations that create or move elements without arithmetic on them. All movement is one strided walk,
 * prepared once: a broadcast reads with stride 0, a reversal with a negative one, a pad writes with gaps.
 */
import { requireRange, requireWindows, requireZeros } from "../../src/program/ranges.ts";
import { evaluateDim, evaluateShape } from "../../src/tensor/dims.ts";
import { copyAlong, type KernelBuilder, type Kernels, walk } from "./kernel.ts";
import { rowMajor } from "../shapes.ts";

type Structure =
  | "constant"
  | "iota"
  | "size"
  | "broadcast"
  | "reshape"
  | "transpose"
  | "reverse"
  | "slice"
  | "windows"
  | "pad"
  | "concat";

const constant: KernelBuilder<"constant"> = ({ attributes: { value } }) => (_, [out]) => out.set(value.data);

const iota: KernelBuilder<"iota"> = ({ attributes: { axis }, outputs: [{ shape }] }) => {
  const stride = rowMajor(shape)[axis];
  return (_, [out]) => {
    for (let i = 0; i < out.length; i++) out[i] = Math.floor(i / stride) % shape[axis];
  };
};

const size: KernelBuilder<"size"> = ({ attributes: { dim }, bindings }) => {
  const value = evaluateDim(dim, bindings);
  return (_, [out]) => {
    out[0] = value;
  };
};

const reshape: KernelBuilder<"reshape"> = () => ([x], [out]) => out.set(x);

const broadcast: KernelBuilder<"broadcast"> = ({ attributes, inputs: [input], outputs: [output] }) => {
  const strides = output.shape.map(() => 0);
  rowMajor(input.shape).forEach((stride, axis) => {
    if (input.shape[axis] !== 1) strides[attributes.axes[axis]] = stride;
  });
  const path = walk(output.shape, { offset: 0, strides }, { offset: 0, strides: rowMajor(output.shape) });
  return ([x], [out]) => copyAlong(path, x, out);
};

const transpose: KernelBuilder<"transpose"> = ({ attributes, inputs: [input], outputs: [output] }) => {
  const inputStrides = rowMajor(input.shape);
  const strides = attributes.permutation.map((axis) => inputStrides[axis]);
  const path = walk(output.shape, { offset: 0, strides }, { offset: 0, strides: rowMajor(output.shape) });
  return ([x], [out]) => copyAlong(path, x, out);
};

const reverse: KernelBuilder<"reverse"> = ({ attributes, outputs: [{ shape }] }) => {
  const strides = rowMajor(shape);
  const flipped = [...strides];
  let offset = 0;
  for (const axis of attributes.axes) {
    flipped[axis] = -strides[axis];
    offset += (shape[axis] - 1) * strides[axis];
  }
  const path = walk(shape, { offset, strides: flipped }, { offset: 0, strides });
  return ([x], [out]) => copyAlong(path, x, out);
};

const slice: KernelBuilder<"slice"> = ({ attributes, inputs: [input], outputs: [output], bindings }) => {
  const inputStrides = rowMajor(input.shape);
  const start = attributes.start.map((dim) => evaluateDim(dim, bindings));
  requireRange({ inputs: [input], attributes }, bindings);
  const path = walk(
    output.shape,
    {
      offset: inputStrides.reduce((offset, stride, axis) => offset + start[axis] * stride, 0),
      strides: inputStrides.map((stride, axis) => stride * attributes.stride[axis]),
    },
    { offset: 0, strides: rowMajor(output.shape) },
  );
  return ([x], [out]) => copyAlong(path, x, out);
};

const windows: KernelBuilder<"windows"> = ({ attributes, inputs: [input], outputs: [output], bindings }) => {
  requireWindows({ inputs: [input], attributes }, bindings);
  const { axis, stride, dilation } = attributes;
  const strides = rowMajor(input.shape);
  const path = walk(
    output.shape,
    { offset: 0, strides: strides.toSpliced(axis, 1, strides[axis] * stride, strides[axis] * dilation) },
    { offset: 0, strides: rowMajor(output.shape) },
  );
  return ([x], [out]) => copyAlong(path, x, out);
};

const pad: KernelBuilder<"pad"> = ({ attributes, inputs: [input], outputs: [output], bindings }) => {
  requireZeros(attributes, bindings);
  const low = evaluateShape(attributes.low, bindings);
  const outputStrides = rowMajor(output.shape);
  const path = walk(input.shape, { offset: 0, strides: rowMajor(input.shape) }, {
    offset: outputStrides.reduce((offset, stride, axis) => offset + low[axis] * stride, 0),
    strides: outputStrides.map((stride, axis) => stride * (attributes.interior[axis] + 1)),
  });
  return ([x], [out]) => {
    out.fill(0);
    copyAlong(path, x, out);
  };
};

const concat: KernelBuilder<"concat"> = ({ attributes: { axis }, inputs, outputs: [output] }) => {
  const strides = rowMajor(output.shape);
  let offset = 0;
  const paths = inputs.map(({ shape }) => {
    const path = walk(shape, { offset: 0, strides: rowMajor(shape) }, { offset, strides });
    offset += shape[axis] * strides[axis];
    return path;
  });
  return (parts, [out]) => {
    for (let i = 0; i < paths.length; i++) copyAlong(paths[i], parts[i], out);
  };
};

/** Builders of the kernels that create or move elements. */
export const structure: Kernels<Structure> = {
  constant,
  iota,
  size,
  broadcast,
  reshape,
  transpose,
  reverse,
  slice,
  windows,
  pad,
  concat,
};
