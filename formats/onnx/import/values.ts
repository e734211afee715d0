/**
 * The values on the edges of an imported graph: tensors whose axes are moved only when they are read, so that
 * the transpositions around ONNX's recurrent operators cancel; and integers known while tracing, such as
 * sizes of axes, so that a graph can compute shapes.
 */
import { addDims, type Dim, fixedDim, printShape, type Shape } from "../../../src/tensor/dims.ts";
import { type DType, host, type HostTensor, hostTensor, type Tensor } from "../../../src/tensor/tensor.ts";
import { outsideTraces } from "../../../src/program/trace.ts";
import { cast } from "../../../src/operations/elementwise.ts";
import { sizeAsTensor } from "../../../src/operations/reduction.ts";
import { concat, reshape, transpose } from "../../../src/operations/structure.ts";
import { type Constant, hostTensorOf } from "../tensors.ts";

/** Integers with more elements than this are not sizes: they become a tensor. */
const MOST_SIZES = 1024;

/** A tensor, viewed with its axes in another order. */
export interface TensorValue {
  readonly kind: "tensor";
  readonly base: Tensor;
  /**
   * Only where `base` has whole numbers as floats, so that derivatives pass through quantized values: the same as int32.
   * Operators that know of quantization read `base` (`wholeFloatsOf`), all others the int32.
   */
  readonly integers?: () => Tensor;
  /** Axis i is this axis of `base`; undefined for one of size 1 that `base` does not have. */
  readonly axes: readonly (number | undefined)[];
}

/** Integers known while tracing, each a number or a symbolic size; one axis, or a scalar. */
export interface SizesValue {
  readonly kind: "sizes";
  readonly sizes: readonly Dim[];
  readonly scalar: boolean;
}

/** The value of an edge. */
export type OnnxValue = TensorValue | SizesValue;

/** A tensor without reordering. */
export function valueOf(base: Tensor): TensorValue {
  return { kind: "tensor", base, axes: base.shape.map((_, axis) => axis) };
}

/** Whole numbers that are kept as floats. Where float32 does not hold them exactly, `integers` gives them. */
export function wholeValue(base: Tensor, integers = () => cast(base, "int32")): TensorValue {
  return { ...valueOf(base), integers };
}

/** Integers along one axis. */
export function sizesOf(sizes: readonly Dim[]): SizesValue {
  if (sizes.length > MOST_SIZES) {
    throw new RangeError(`it computes ${sizes.length} sizes, expected at most ${MOST_SIZES}`);
  }
  return { kind: "sizes", sizes, scalar: false };
}

/** A single integer. */
export function scalarSize(size: Dim): SizesValue {
  return { kind: "sizes", sizes: [size], scalar: true };
}

/** The value of a constant: sizes if it is a few integers. */
export function constantValue(place: string, constant: Constant): OnnxValue {
  const { shape, type, data } = constant;
  const whole = data instanceof BigInt64Array || data instanceof Int32Array;
  if (whole && shape.length <= 1 && data.length <= MOST_SIZES && type !== "bool") {
    const sizes = Array.from(data, Number);
    return shape.length === 0 ? scalarSize(sizes[0]) : sizesOf(sizes);
  }
  return valueOf(hostTensorOf(place, constant));
}

/** A value with integers as sizes, if they are known and few, along one axis or none. */
export function asSizes(value: OnnxValue): OnnxValue {
  if (value.kind === "sizes") return value;
  const { base: { kind, dtype }, axes } = value;
  if (kind !== "host" || dtype !== "int32" || axes.length > 1) return value;
  const { data } = value.base as HostTensor; // as its kind says
  if (data.length > MOST_SIZES) return value;
  return axes.length === 0 ? scalarSize(data[0]) : sizesOf(Array.from(data));
}

/** Whether every element is known while tracing, as a number. */
export function isKnown(value: OnnxValue): boolean {
  return value.kind === "sizes"
    ? value.sizes.every((size) => typeof size === "number")
    : value.base.kind === "host";
}

/** The only element of a value, if it has one that is known while tracing. */
export function onlyElement(value: OnnxValue): number | undefined {
  const elements = value.kind === "sizes" ? value.sizes : value.base.kind === "host" ? value.base.data : [];
  const [element] = elements;
  return elements.length === 1 && typeof element === "number" ? element : undefined;
}

/** A value as a tensor on the host, if all of it is known while tracing. */
export function knownTensor(value: OnnxValue): HostTensor | undefined {
  return isKnown(value) ? outsideTraces(() => host(tensorOf(value))) : undefined;
}

/** The shape of a value. */
export function shapeOf(value: OnnxValue): Shape {
  if (value.kind === "sizes") return value.scalar ? [] : [value.sizes.length];
  return value.axes.map((axis) => axis === undefined ? 1 : value.base.shape[axis]);
}

/** The dtype of a value. */
export function dtypeOfValue(value: OnnxValue): DType {
  return value.kind === "sizes" || value.integers ? "int32" : value.base.dtype;
}

/** A value as a tensor. */
export function tensorOf(value: OnnxValue): Tensor {
  if (value.kind === "sizes") return sizesTensor(value);
  return ordered(value, value.integers?.() ?? value.base);
}

function ordered(value: TensorValue, base: Tensor): Tensor {
  const order = value.axes.filter((axis): axis is number => axis !== undefined);
  return reshape(transpose(base, { permutation: order }), shapeOf(value));
}

/** Whole numbers as float32, through which derivatives pass where they were made by a quantization. */
export function wholeFloatsOf(value: OnnxValue): Tensor {
  if (value.kind === "tensor" && value.integers) return ordered(value, value.base);
  return cast(indicesOf(value), "float32");
}

/** A value changed the same way whether its whole numbers are floats or int32. */
export function changed(value: OnnxValue, change: (x: Tensor) => Tensor): OnnxValue {
  if (value.kind === "sizes" || !value.integers) return valueOf(change(tensorOf(value)));
  return wholeValue(change(wholeFloatsOf(value)), () => change(tensorOf(value)));
}

function sizesTensor({ sizes, scalar }: SizesValue): Tensor {
  if (sizes.every((size) => typeof size === "number")) {
    const values = Int32Array.from(sizes, (size) => {
      if (size === (size | 0)) return size;
      throw new RangeError(`it computes with ${size}, which is no int32`);
    });
    return hostTensor(values, scalar ? [] : [values.length]);
  }
  const scalars = sizes.map((size) => sizeAsTensor(size, "int32"));
  return scalar ? scalars[0] : concat(scalars.map((size) => reshape(size, [1])), { axis: 0 });
}

/** A value as a float tensor; integers and bools are refused. */
export function floatsOf(value: OnnxValue): Tensor {
  const tensor = tensorOf(value);
  if (tensor.dtype === "float32" || tensor.dtype === "float64") return tensor;
  throw new TypeError(`it takes floats, current value is ${tensor.dtype}${printShape(tensor.shape)}`);
}

/** A value as int32. */
export function indicesOf(value: OnnxValue): Tensor {
  const tensor = tensorOf(value);
  if (tensor.dtype === "int32") return tensor;
  throw new TypeError(`it takes whole numbers, current value is ${tensor.dtype}${printShape(tensor.shape)}`);
}

/** The integers of a value that determines a shape: they must be known while tracing. */
export function knownSizes(value: OnnxValue, what: string): readonly Dim[] {
  if (value.kind === "sizes") return value.sizes;
  const { base } = value;
  if (base.kind === "host" && base.dtype === "int32" && base.data.length <= MOST_SIZES) {
    return Array.from(base.data);
  }
  throw new TypeError(
    `its ${what} depend on values that are known only at run time (${base.dtype}${
      printShape(shapeOf(value))
    }); ` +
      `expected constants, or what is computed from the sizes of tensors`,
  );
}

/** The floats of a value that determines a shape or weights: they must be known while tracing. */
export function knownFloats(value: OnnxValue, what: string): readonly number[] {
  if (value.kind === "sizes") return knownNumbers(value, what);
  if (value.base.kind === "host" && value.base.data.length <= MOST_SIZES) return Array.from(value.base.data);
  throw new TypeError(
    `its ${what} are known only at run time (${value.base.dtype}${
      printShape(shapeOf(value))
    }), expected constants`,
  );
}

/** The same as numbers. */
export function knownNumbers(value: OnnxValue, what: string): number[] {
  return knownSizes(value, what).map((size) => fixedDim(size, `What its ${what} say`));
}

/** The axes of a value in another order: output axis i is axis `order[i]`. */
export function permuted(value: OnnxValue, order: readonly number[]): OnnxValue {
  if (value.kind === "sizes") return value; // one axis at most
  return { ...value, axes: order.map((axis) => value.axes[axis]) };
}

/** With new axes of size 1 at these places of the result. */
export function expanded(value: OnnxValue, places: readonly number[]): OnnxValue {
  if (value.kind === "sizes" && value.scalar && places.length === 1) return sizesOf(value.sizes);
  if (value.kind === "sizes" && places.length === 0) return value;
  const wide = value.kind === "sizes" ? valueOf(tensorOf(value)) : value;
  const rest = [...wide.axes];
  const all = Array.from(
    { length: wide.axes.length + places.length },
    (_, axis) => places.includes(axis) ? undefined : rest.shift(),
  );
  return { ...wide, axes: all };
}

/** Without these axes, which have size 1. */
export function squeezed(value: OnnxValue, gone: readonly number[]): OnnxValue {
  const shape = shapeOf(value);
  const wrong = gone.find((axis) => shape[axis] !== 1);
  if (wrong !== undefined) {
    throw new TypeError(`it squeezes axis ${wrong} of ${printShape(shape)}, whose size is not 1`);
  }
  if (gone.length === 0) return value;
  if (value.kind === "sizes") return scalarSize(value.sizes[0]);
  if (value.integers) {
    return changed(value, (x) => reshape(x, shape.filter((_, axis) => !gone.includes(axis))));
  }
  if (gone.every((axis) => value.axes[axis] === undefined)) {
    return { ...value, axes: value.axes.filter((_, axis) => !gone.includes(axis)) };
  }
  // Axes of the base are removed: it is reshaped, in its own order.
  const dropped = gone.map((axis) => value.axes[axis]).filter((axis): axis is number => axis !== undefined);
  const base = reshape(value.base, value.base.shape.filter((_, axis) => !dropped.includes(axis)));
  const moved = (axis: number) => axis - dropped.filter((other) => other < axis).length;
  const kept = value.axes.filter((_, axis) => !gone.includes(axis));
  return { kind: "tensor", base, axes: kept.map((axis) => axis === undefined ? undefined : moved(axis)) };
}

/** A value as another dtype. */
export function castValue(value: OnnxValue, dtype: DType): OnnxValue {
  if (value.kind === "sizes") {
    return dtype === "int32" ? value : withSizes(valueOf(cast(tensorOf(value), dtype)), value);
  }
  if (value.integers && dtype === "int32") return value;
  const { kind, base, axes, integers } = value;
  return (dtype === "int32" ? behind.get(base) : undefined) ??
    { kind, base: cast(integers && dtype === "bool" ? integers() : base, dtype), axes };
}

/** The sizes that traced floats were made from: exporters compare and add sizes as floats. */
const behind = new WeakMap<Tensor, SizesValue>();

/** Floats that are these sizes, if they are known only with the sizes. */
export function withSizes(value: TensorValue, sizes: SizesValue): OnnxValue {
  if (value.base.kind === "traced" && value.base.dtype !== "bool") behind.set(value.base, sizes);
  return value;
}

/** The sizes that a value consists of; undefined if it is others, or not whole numbers. */
export function sizesBehind(value: OnnxValue): SizesValue | undefined {
  if (value.kind === "sizes") return value;
  const { base, axes } = value;
  if (base.kind !== "host" || axes.length > 1 || base.data.length > MOST_SIZES || base.dtype === "bool") {
    return behind.get(base);
  }
  const sizes = Array.from(base.data);
  return sizes.every(Number.isSafeInteger) ? { kind: "sizes", sizes, scalar: axes.length === 0 } : undefined;
}

/** An index from the start of an axis; negative numbers count from the end. */
export function fromEnd(index: Dim, size: Dim): Dim {
  return typeof index === "number" && index < 0 ? addDims(size, index) : index;
}
