/**
 * Operations that move or sum elements, without arithmetic on single ones: broadcast, reshape, transpose,
 * reverse, slice, pad, concat, sum. They live together because the derivative of each is another of them
 * (`src/derivatives/structure.ts`).
 */
import { checkCount, checkList } from "../describe.ts";
import {
  addDims,
  checkShape,
  type Dim,
  divideDims,
  multiplyDims,
  printShape,
  sameShape,
  type Shape,
  sizeOfShape,
  subtractDims,
} from "../tensor/dims.ts";
import { checkTensor, printSpec, type Spec, type Tensor } from "../tensor/tensor.ts";
import { checkOptions } from "../option_names.ts";
import type { Operation } from "../program/types.ts";
import { applyOne } from "./apply.ts";
import { reduceOptionNames, type ReduceOptions, resolveAxes, resolveAxis } from "./axes.ts";
import { printSpecs, requireNumber, requireSameDType } from "./infer.ts";

/** Throws a TypeError unless these are tensors in an array. */
function checkTensors(what: string, tensors: unknown): void {
  checkList(`compute ${what}`, tensors, "the first argument", "an array of tensors");
  tensors.forEach((each, index) => checkTensor(what, each, `tensor ${index}`));
}

export const broadcastOperation: Operation<"broadcast"> = {
  name: "broadcast",
  isCheap: true,
  infer: ([x], { shape, axes }) => {
    if (
      axes.length !== x.shape.length ||
      axes.some((axis, i) => axis >= shape.length || (i > 0 && axis <= axes[i - 1]))
    ) {
      throw new RangeError(`Cannot broadcast ${printSpec(x)} to ${printShape(shape)} along axes [${axes}]`);
    }
    axes.forEach((axis, i) => {
      if (x.shape[i] !== 1 && x.shape[i] !== shape[axis]) {
        throw new TypeError(
          `Cannot broadcast ${printSpec(x)} to ${printShape(shape)}: ` +
            `${x.shape[i]} does not fit ${shape[axis]} at axis ${axis}`,
        );
      }
    });
    return [{ shape, dtype: x.dtype }];
  },
  movedAxis: ({ axis, inputs: [x], attributes: { shape, axes } }) =>
    shape[axes[axis]] === x.shape[axis] ? axes[axis] : undefined,
};

export const reshapeOperation: Operation<"reshape"> = {
  name: "reshape",
  isCheap: true,
  infer: ([x], { shape }) => {
    if (sizeOfShape(x.shape) !== sizeOfShape(shape)) {
      throw new TypeError(
        `Cannot reshape ${printSpec(x)} to ${printShape(shape)}: ` +
          `it has ${sizeOfShape(x.shape)} elements, the new shape ${sizeOfShape(shape)}`,
      );
    }
    return [{ shape, dtype: x.dtype }];
  },
};

export const transposeOperation: Operation<"transpose"> = {
  name: "transpose",
  infer: ([x], { permutation }) => {
    if ([...permutation].sort((a, b) => a - b).join() !== x.shape.map((_, axis) => axis).join()) {
      throw new RangeError(`Cannot transpose ${printSpec(x)} by [${permutation}]: expected every axis once`);
    }
    return [{ shape: permutation.map((axis) => x.shape[axis]), dtype: x.dtype }];
  },
  movedAxis: ({ axis, attributes: { permutation } }) => permutation.indexOf(axis),
};

export const reverseOperation: Operation<"reverse"> = {
  name: "reverse",
  infer: ([x]) => [x],
  movedAxis: ({ axis }) => axis,
};

/** The elements that `size` steps of `stride` span. */
export function span(size: Dim, stride: number): Dim {
  if (size === 0) return 0;
  return addDims(multiplyDims(subtractDims(size, 1), stride), 1);
}

export const sliceOperation: Operation<"slice"> = {
  name: "slice",
  isCheap: true,
  infer: ([x], { start, size, stride }) => {
    x.shape.forEach((dim, axis) => {
      const end = addDims(start[axis], span(size[axis], stride[axis]));
      if ([start[axis], size[axis], subtractDims(dim, end)].some((n) => typeof n === "number" && n < 0)) {
        throw new RangeError(
          `Cannot slice ${printSpec(x)}: ${size[axis]} elements from ${start[axis]} ` +
            `with stride ${stride[axis]} reach outside axis ${axis}`,
        );
      }
    });
    return [{ shape: size, dtype: x.dtype }];
  },
  movedAxis: ({ axis, inputs: [x], attributes: { size, stride } }) =>
    size[axis] === x.shape[axis] && stride[axis] === 1 ? axis : undefined,
};

export const padOperation: Operation<"pad"> = {
  name: "pad",
  infer: ([x], { low, high, interior }) => [{
    shape: x.shape.map((dim, axis) => addDims(addDims(low[axis], high[axis]), span(dim, interior[axis] + 1))),
    dtype: x.dtype,
  }],
};

export const concatOperation: Operation<"concat"> = {
  name: "concat",
  isCheap: true,
  infer: (inputs, { axis }) => {
    requireSameDType("concat", inputs);
    const [first] = inputs;
    for (const input of inputs) {
      if (
        input.shape.length !== first.shape.length ||
        input.shape.some((dim, i) => i !== axis && dim !== first.shape[i])
      ) {
        throw new TypeError(`Cannot concat ${printSpecs(inputs)} along axis ${axis}: other sizes differ`);
      }
    }
    const total = inputs.reduce<Dim>((size, input) => addDims(size, input.shape[axis]), 0);
    return [{ shape: first.shape.map((dim, i) => i === axis ? total : dim), dtype: first.dtype }];
  },
  movedAxis: ({ axis, attributes }) => axis === attributes.axis ? undefined : axis,
};

export const sumOperation: Operation<"sum"> = {
  name: "sum",
  infer: ([x], { axes }) => {
    requireNumber("sum", [x]);
    return [{ shape: x.shape.filter((_, axis) => !axes.includes(axis)), dtype: x.dtype }];
  },
};

/**
 * `x` repeated to `shape` by NumPy's rules: axes are matched from the last, a size of 1 grows, and missing
 * axes are added in front.
 */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  checkShape("compute broadcastTo", shape);
  checkTensor("broadcastTo", x);
  if (sameShape(x.shape, shape)) return x;
  const offset = shape.length - x.shape.length;
  if (offset < 0) {
    throw new TypeError(`Cannot broadcast ${printSpec(x)} to ${printShape(shape)}: it has more axes`);
  }
  return applyOne(broadcastOperation, [x], { shape, axes: x.shape.map((_, axis) => axis + offset) });
}

/** `x` in another shape of the same size, row-major; one size may be -1 and is inferred. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  checkShape("compute reshape", shape);
  checkTensor("reshape", x);
  const open = shape.indexOf(-1);
  let target = shape;
  if (open >= 0) {
    const known = sizeOfShape(shape.filter((_, axis) => axis !== open));
    const size = divideDims(sizeOfShape(x.shape), known);
    if (size === undefined || shape.indexOf(-1, open + 1) >= 0) {
      throw new TypeError(
        `Cannot reshape ${printSpec(x)} to ${printShape(shape)}: the size for -1 does not come out`,
      );
    }
    target = shape.map((dim, axis) => axis === open ? size : dim);
  }
  return sameShape(x.shape, target) ? x : applyOne(reshapeOperation, [x], { shape: target });
}

/** Axes in the order of `permutation`; default: in reverse order. */
export function transpose(x: Tensor, options: { readonly permutation?: readonly number[] } = {}): Tensor {
  checkTensor("transpose", x);
  checkOptions("transpose", options, ["permutation"]);
  const { permutation } = options;
  if (permutation !== undefined) {
    checkList("compute transpose", permutation, "permutation", "an array of axes");
  }
  const order = permutation?.map((axis) => resolveAxis(axis, x.shape.length, "transpose")) ??
    x.shape.map((_, axis) => x.shape.length - 1 - axis);
  const isInOrder = order.length === x.shape.length && order.every((axis, i) => axis === i);
  return isInOrder ? x : applyOne(transposeOperation, [x], { permutation: order });
}

/** The elements along `axes` in reverse order. */
export function reverse(x: Tensor, axes: number | readonly number[]): Tensor {
  checkTensor("reverse", x);
  const resolved = resolveAxes(axes, x.shape.length, "reverse");
  return resolved.length === 0 ? x : applyOne(reverseOperation, [x], { axes: resolved });
}

/** What a slice takes, per axis. */
export interface SliceOptions {
  /** The first index; negative ones count from the end. */
  readonly start: readonly Dim[];
  /** The number of elements. */
  readonly size: readonly Dim[];
  /** The distance between elements; default 1. */
  readonly stride?: readonly number[];
}

/** `size` elements per axis from `start`, every `stride`-th. */
export function slice(x: Tensor, options: SliceOptions): Tensor {
  checkTensor("slice", x);
  checkOptions("slice", options, ["start", "size", "stride"]);
  const { start, size, stride } = options;
  checkShape("compute slice", start, "start");
  checkShape("compute slice", size, "size");
  if (stride !== undefined) checkShape("compute slice", stride, "stride");
  return sliced(x, start, size, stride ?? x.shape.map(() => 1));
}

function sliced(x: Tensor, start: readonly Dim[], size: readonly Dim[], stride: readonly number[]): Tensor {
  if ([start, size, stride].some((list) => list.length !== x.shape.length)) {
    throw new TypeError(
      `Cannot slice ${printSpec(x)}: start, size and stride need ${x.shape.length} entries each`,
    );
  }
  const from = start.map((dim, axis) =>
    typeof dim === "number" && dim < 0 ? addDims(dim, x.shape[axis]) : dim
  );
  if (from.every((dim) => dim === 0) && sameShape(size, x.shape) && stride.every((step) => step === 1)) {
    return x;
  }
  return applyOne(sliceOperation, [x], { start: from, size, stride });
}

/**
 * `size` elements from `start` along one axis, all along the others; a negative start counts from the end.
 */
export function sliceAxis(x: Tensor, axis: number, start: Dim, size: Dim): Tensor {
  checkTensor("sliceAxis", x);
  const at = resolveAxis(axis, x.shape.length, "slice");
  return slice(x, {
    start: x.shape.map((_, i) => i === at ? start : 0),
    size: x.shape.map((dim, i) => i === at ? size : dim),
  });
}

/**
 * The element at `index` along an axis (default: the first), which is removed; a negative index counts from
 * the end.
 */
export function at(x: Tensor, index: Dim, options: { readonly axis?: number } = {}): Tensor {
  checkTensor("at", x);
  checkOptions("at", options, ["axis"]);
  const along = resolveAxis(options.axis ?? 0, x.shape.length, "index");
  return reshape(sliceAxis(x, along, index, 1), x.shape.filter((_, i) => i !== along));
}

function padWith(
  x: Tensor,
  attributes: { low: readonly Dim[]; high: readonly Dim[]; interior: readonly number[] },
): Tensor {
  const { low, high, interior } = attributes;
  if ([...low, ...high, ...interior].every((n) => n === 0)) return x;
  return applyOne(padOperation, [x], attributes);
}

/** How many zeros pad a tensor, per axis. */
export interface PaddingOptions {
  /** Before the first element. */
  readonly low: readonly Dim[];
  /** After the last element. */
  readonly high: readonly Dim[];
  /** Between neighbors; default: none. */
  readonly interior?: readonly number[];
}

/** Pads `x` with zeros, around it and between its elements. */
export function pad(x: Tensor, options: PaddingOptions): Tensor {
  checkTensor("pad", x);
  checkOptions("pad", options, ["low", "high", "interior"]);
  const { low, high, interior } = options;
  checkShape("compute pad", low, "low");
  checkShape("compute pad", high, "high");
  if (interior !== undefined) checkShape("compute pad", interior, "interior");
  return padded(x, low, high, interior ?? x.shape.map(() => 0));
}

function padded(x: Tensor, low: readonly Dim[], high: readonly Dim[], interior: readonly number[]): Tensor {
  if ([low, high, interior].some((list) => list.length !== x.shape.length)) {
    throw new TypeError(
      `Cannot pad ${printSpec(x)}: low, high and interior need ${x.shape.length} entries each`,
    );
  }
  if ([...low, ...high, ...interior].some((n) => typeof n === "number" && n < 0)) {
    throw new RangeError(`Cannot pad ${printSpec(x)}: amounts are from 0; use slice to cut`);
  }
  return padWith(x, { low, high, interior });
}

/** Tensors joined along an axis (default: the last). */
export function concat(tensors: readonly Tensor[], options: { readonly axis?: number } = {}): Tensor {
  checkTensors("concat", tensors);
  checkOptions("concat", options, ["axis"]);
  if (tensors.length === 0) throw new RangeError("Cannot concat: no tensors are given");
  const axis = resolveAxis(options.axis ?? -1, tensors[0].shape.length, "concat");
  return tensors.length === 1 ? tensors[0] : applyOne(concatOperation, tensors, { axis });
}

/** Tensors of one shape joined along a new axis (default: the first). */
export function stack(tensors: readonly Tensor[], options: { readonly axis?: number } = {}): Tensor {
  checkTensors("stack", tensors);
  checkOptions("stack", options, ["axis"]);
  if (tensors.length === 0) throw new RangeError("Cannot stack: no tensors are given");
  const axis = resolveAxis(options.axis ?? 0, tensors[0].shape.length + 1, "stack");
  return concat(tensors.map((x) => expandDims(x, axis)), { axis });
}

/** `parts` pieces of equal size along an axis (default: the last). */
export function split(x: Tensor, parts: number, options: { readonly axis?: number } = {}): Tensor[] {
  checkTensor("split", x);
  checkCount("split", parts, "the number of parts");
  checkOptions("split", options, ["axis"]);
  const axis = resolveAxis(options.axis ?? -1, x.shape.length, "split");
  const size = divideDims(x.shape[axis], parts);
  if (size === undefined) {
    throw new RangeError(
      `Cannot split ${printSpec(x)} into ${parts} along axis ${axis}: ${x.shape[axis]} is no multiple`,
    );
  }
  return Array.from({ length: parts }, (_, part) => sliceAxis(x, axis, multiplyDims(size, part), size));
}

/** A new axis of size 1 before `axis`. */
export function expandDims(x: Tensor, axis: number): Tensor {
  checkTensor("expandDims", x);
  const at = resolveAxis(axis, x.shape.length + 1, "add an axis");
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** Without the given axes, which must have size 1; default: without all axes of size 1. */
export function squeeze(x: Tensor, options: { readonly axes?: number | readonly number[] } = {}): Tensor {
  checkTensor("squeeze", x);
  checkOptions("squeeze", options, ["axes"]);
  const single = x.shape.flatMap((dim, axis) => dim === 1 ? [axis] : []);
  const gone = resolveAxes(options.axes ?? single, x.shape.length, "squeeze");
  for (const axis of gone) {
    if (x.shape[axis] !== 1) {
      throw new TypeError(`Cannot squeeze axis ${axis} of ${printSpec(x)}: its size is not 1`);
    }
  }
  return reshape(x, x.shape.filter((_, axis) => !gone.includes(axis)));
}

/** Restores reduced axes with size 1 if `keepDims` is set. */
export function keepReduced(
  reduced: Tensor,
  x: Spec,
  axes: readonly number[],
  keepDims: boolean | undefined,
): Tensor {
  return keepDims ? reshape(reduced, x.shape.map((dim, axis) => axes.includes(axis) ? 1 : dim)) : reduced;
}

/** The sum over `axes` (default all). */
export function sum(x: Tensor, options: ReduceOptions = {}): Tensor {
  checkTensor("sum", x);
  checkOptions("sum", options, reduceOptionNames);
  const axes = resolveAxes(options.axes, x.shape.length, "sum");
  const reduced = axes.length === 0 ? x : applyOne(sumOperation, [x], { axes });
  return keepReduced(reduced, x, axes, options.keepDims);
}
