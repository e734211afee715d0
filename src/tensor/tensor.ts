/**
 * Tensors as plain data: a shape, a dtype and row-major values. A tensor is on the host (its values are
 * here), on a device (a handle), or traced (only shape and dtype are known yet). Nothing here computes.
 */
import { checkList, describeValue, wrongKind } from "../describe.ts";
import { checkOptions } from "../option_names.ts";
import { quoted } from "../quoted.ts";
import { checkDim, type Dim, fixedDim, printShape, type Shape, symbol } from "./dims.ts";
import { printable } from "./print.ts";
import { flattenNested, type NestedNumbers, nestedShape } from "./nested.ts";

/** The type of an element. `float64` exists only in the reference backend, for gradient checks. */
export type DType = "float32" | "int32" | "bool" | "float64";

/** Row-major values; `bool` is 0 or 1 in a `Uint8Array`. */
export type Values = Float32Array | Int32Array | Uint8Array | Float64Array;

/** Shape and dtype without values. */
export interface Spec {
  /** The size of each axis, a number or a symbol. */
  readonly shape: Shape;
  /** The type of an element. */
  readonly dtype: DType;
}

/** A tensor whose values are in this process's memory. */
export interface HostTensor extends Spec {
  /** Distinguishes it from other tensors. */
  readonly kind: "host";
  /** The size of each axis. */
  readonly shape: readonly number[];
  /** Row-major; the length is determined by the shape. */
  readonly data: Values;
}

/**
 * A tensor inside a trace: shape and dtype are known, values are not. Made and interpreted by
 * `program/trace.ts`.
 */
export interface TracedTensor extends Spec {
  /** Distinguishes it from other tensors. */
  readonly kind: "traced";
}

/** A tensor in a device's memory; `toHost` reads it, disposing frees it. */
export interface DeviceTensor extends Spec, Disposable {
  /** Distinguishes it from other tensors. */
  readonly kind: "device";
  /** The size of each axis. */
  readonly shape: readonly number[];
  /** The device's name, such as `reference`. */
  readonly device: string;
  /** Copies the values to the host; throws once the tensor is disposed or donated. */
  read(): Promise<HostTensor>;
  /** Whether the memory was freed or given to a later call. */
  readonly disposed: boolean;
}

/** What every operation takes and returns. */
export type Tensor = HostTensor | TracedTensor | DeviceTensor;

/** Whether `value` is a tensor or a spec: a leaf of a tree. */
export function isLeaf(value: unknown): value is Spec {
  return typeof value === "object" && value !== null && "dtype" in value && "shape" in value &&
    Array.isArray(value.shape);
}

/** Whether `value` is a tensor. */
export function isTensor(value: unknown): value is Tensor {
  return isLeaf(value) && "kind" in value;
}

/**
 * Throws a TypeError unless `value` is a tensor.
 *
 * @param what The operation that takes it, such as `transpose`.
 */
export function checkTensor(what: string, value: unknown, name = "x"): asserts value is Tensor {
  if (isTensor(value)) return;
  throw wrongKind(`compute ${what}`, value, name, "a tensor; make one with tensor(...)");
}

/** Throws a TypeError unless `value` is a tensor or a spec. */
export function checkSpec(what: string, value: unknown, name = "the value"): asserts value is Spec {
  if (isLeaf(value)) return;
  throw wrongKind(what, value, name, "a tensor or a spec; make one with tensor(...) or spec([...])");
}

/** A typed array for `size` elements of `dtype`, all zero. */
export function allocateValues(dtype: DType, size: number): Values {
  switch (dtype) {
    case "float32":
      return new Float32Array(size);
    case "float64":
      return new Float64Array(size);
    case "int32":
      return new Int32Array(size);
    case "bool":
      return new Uint8Array(size);
    default:
      throw new TypeError(
        `Cannot make a tensor: dtype is ${quoted(dtype satisfies never)}, ` +
          `expected float32, int32, bool or float64`,
      );
  }
}

/** The number of elements of a shape that is known. */
function elementsOf(shape: readonly number[]): number {
  checkList("make a tensor", shape, "shape", "an array of sizes");
  for (const dim of shape) {
    if (!Number.isInteger(dim) || dim < 0) {
      throw new RangeError(
        `Cannot make a tensor of shape ${printShape(shape)}: sizes are whole numbers from 0`,
      );
    }
  }
  return shape.reduce((size, dim) => size * dim, 1);
}

/**
 * A host tensor over `data`, which is kept, not copied; its length must match `shape`.
 *
 * @throws TypeError for an array of another type, such as `Int8Array`, which `tensor` converts; RangeError
 *   for values of a `Uint8Array` that are not a `bool`, 0 or 1.
 */
export function hostTensor(data: Values, shape: readonly number[], dtype?: DType): HostTensor {
  const size = elementsOf(shape);
  if (!ArrayBuffer.isView(data)) {
    throw wrongKind("make a tensor", data, "its data", "a typed array; copy lists with tensor(...)");
  }
  if (data.length !== size) {
    throw new RangeError(
      `Cannot make a tensor of shape ${printShape(shape)}: it has ${size} elements, ` +
        `current value has ${data.length}`,
    );
  }
  const inferred = data instanceof Float32Array
    ? "float32"
    : data instanceof Int32Array
    ? "int32"
    : data instanceof Float64Array
    ? "float64"
    : data instanceof Uint8Array
    ? "bool"
    : undefined;
  if (inferred === undefined) {
    throw new TypeError(
      `Cannot make a tensor over ${
        describeValue(data)
      }: expected a Float32Array, Int32Array, Float64Array, or a ` +
        `Uint8Array of 0 and 1 for bool; tensor(values) converts others`,
    );
  }
  if (dtype !== undefined && dtype !== inferred) {
    throw new TypeError(
      `Cannot make a ${dtype} tensor over a ${data.constructor.name}: it holds ${inferred}`,
    );
  }
  if (inferred === "bool") checkBools(data);
  return printable({ kind: "host", shape, dtype: inferred, data });
}

function checkBools(data: Values): void {
  for (let i = 0; i < data.length; i++) {
    if (data[i] <= 1) continue;
    throw new RangeError(
      `Cannot make a bool tensor over a Uint8Array: value ${i} is ${data[i]}, expected 0 or 1; ` +
        `tensor(values) makes whole numbers int32`,
    );
  }
}

/**
 * A tensor from nested arrays or a flat list of values.
 *
 * @param values Nested arrays, or a typed array or flat array together with `options.shape`.
 * @param options `shape` (default: that of the nesting) and `dtype` (default: `bool` for booleans, else that
 *   of the typed array, else `float32`). Integer types of 8 or 64 bits are converted with range checks.
 * @returns A host tensor; the values are copied.
 * @throws RangeError for ragged nesting, a wrong number of values, or a value outside the range of int32;
 *   floats are rounded.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { tensor } from "@cellfold/cellfold";
 * const x = tensor([[1, 2, 3], [4, 5, 6]]);
 * assertEquals(x.shape[0], 2);
 * assertEquals(x.shape[1], 3);
 * assertEquals(x.dtype, "float32");
 * ```
 */
export function tensor(
  values: NestedNumbers | ArrayLike<number | bigint>,
  options: { readonly shape?: readonly number[]; readonly dtype?: DType } = {},
): HostTensor {
  checkOptions("tensor", options, ["shape", "dtype"]);
  if (!isNumbers(values)) {
    throw new TypeError(
      `Cannot make a tensor of ${
        describeValue(values)
      }: expected numbers, nested arrays of them or a typed array`,
    );
  }
  const typed = ArrayBuffer.isView(values) && !(values instanceof DataView);
  const nested = values as NestedNumbers; // read as nested numbers only if it is not a typed array
  const flat: ArrayLike<number | bigint | boolean> = typed
    ? values as unknown as ArrayLike<number | bigint>
    : flattenNested(nested);
  const shape = options.shape ?? (typed ? [flat.length] : nestedShape("make a tensor", nested));
  const size = elementsOf(shape);
  if (flat.length !== size) {
    throw new RangeError(
      `Cannot make a tensor of shape ${printShape(shape)}: it has ${size} elements, ` +
        `current value has ${flat.length}`,
    );
  }
  const dtype = options.dtype ?? inferDType(values, flat);
  const data = allocateValues(dtype, size);
  for (let i = 0; i < size; i++) data[i] = convert(flat[i], dtype);
  return printable({ kind: "host", shape: [...shape], dtype, data });
}

/** Whether these may be the values of a tensor; single values are checked when they are converted. */
function isNumbers(values: unknown): boolean {
  return typeof values === "number" || typeof values === "boolean" || Array.isArray(values) ||
    (ArrayBuffer.isView(values) && !(values instanceof DataView));
}

function inferDType(values: unknown, flat: ArrayLike<number | bigint | boolean>): DType {
  if (values instanceof Float64Array) return "float64";
  if (values instanceof Float32Array) return "float32";
  if (isHalfFloats(values)) return "float32"; // which can hold every half-precision number
  if (ArrayBuffer.isView(values)) return "int32";
  return flat.length > 0 && typeof flat[0] === "boolean" ? "bool" : "float32";
}

/** Whether this is a Float16Array, which not every runtime has. */
function isHalfFloats(values: unknown): boolean {
  return Object.prototype.toString.call(values) === "[object Float16Array]";
}

function convert(given: number | bigint | boolean, dtype: DType): number {
  if (typeof given !== "number" && typeof given !== "bigint" && typeof given !== "boolean") {
    throw new TypeError(
      `Cannot make a tensor: a value is ${describeValue(given)}, expected numbers or booleans`,
    );
  }
  const value = Number(given);
  if (dtype === "bool") return value === 0 ? 0 : 1;
  if (dtype === "int32" && value !== (value | 0)) {
    throw new RangeError(
      `Cannot make an int32 tensor: current value is ${value}, ` +
        `expected whole numbers from -2147483648 to 2147483647`,
    );
  }
  return value;
}

/**
 * Shape and dtype of an input, for `init`, `summary` and tracing. A `null` in first place is the symbolic
 * size `batch`, in second place `time`, and elsewhere it is refused; a size may also be given by its name.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { spec } from "@cellfold/cellfold";
 * assertEquals(String(spec([null, null, 28]).shape), "batch,time,28");
 * ```
 */
export function spec(shape: readonly (Dim | null | string)[], dtype: DType = "float32"): Spec {
  checkList("make a spec", shape, "shape", "an array of sizes");
  allocateValues(dtype, 0); // throws if it is not a dtype
  return {
    shape: shape.map((dim, axis) => {
      if (typeof dim === "string") return symbol(dim);
      if (typeof dim === "number" && !(Number.isInteger(dim) && dim >= 0)) {
        throw new RangeError(
          `Cannot make a spec: the size of axis ${axis} is ${dim}, expected a whole number from 0`,
        );
      }
      if (dim !== null) {
        checkDim("make a spec", dim, `the size of axis ${axis}`);
        return dim;
      }
      if (axis > 1) {
        throw new RangeError(
          `Cannot make a spec: null at axis ${axis}, but only batch (0) and time (1) may be open`,
        );
      }
      return symbol(axis === 0 ? "batch" : "time");
    }),
    dtype,
  };
}

/** Shape and dtype of a tensor, without its values. */
export function specOf(value: Spec): Spec {
  checkSpec("take shape and dtype", value);
  return { shape: value.shape, dtype: value.dtype };
}

/** Shape and dtype as text: `float32[batch, 28]`. */
export function printSpec(value: Spec): string {
  checkSpec("print shape and dtype", value);
  return `${value.dtype}${printShape(value.shape)}`;
}

/**
 * The values of a host tensor as nested arrays; a scalar gives a number, `bool` gives 0 and 1.
 *
 * @throws TypeError for a traced tensor, whose values are not known, or a device tensor, which `toHost`
 * reads.
 */
export function toNested(value: Tensor): NestedNumbers {
  const { data, shape } = host(value);
  let offset = 0;
  const build = (axis: number): NestedNumbers => {
    if (axis === shape.length) return data[offset++];
    return Array.from({ length: shape[axis] }, () => build(axis + 1));
  };
  return build(0);
}

/**
 * The same tensor, known to be on the host.
 *
 * @throws TypeError for a traced tensor, whose values are not known, or a device tensor, which `toHost`
 * reads.
 */
export function host(value: Tensor): HostTensor {
  if (!isTensor(value)) {
    throw wrongKind("read values", value, "the value", "a tensor; make one with tensor(...)");
  }
  if (value.kind === "host") return value;
  if (value.kind === "traced") {
    throw new TypeError(
      `Cannot read the values of ${printSpec(value)}: it is being traced, so only its shape and ` +
        `dtype are known; use operations such as select instead of branching on values`,
    );
  }
  throw new TypeError(
    `Cannot read the values of ${printSpec(value)} directly: it is on the device ` +
      `${value.device}; use await toHost(tensor)`,
  );
}

/** The single value of a host tensor with one element. */
export function item(value: Tensor): number {
  const { data, shape } = host(value);
  if (data.length !== 1) {
    throw new RangeError(`Cannot take the single value of a tensor of shape ${printShape(shape)}`);
  }
  return data[0];
}

/** The size of axis `axis`, as a number. */
export function fixedSize(value: Spec, axis: number): number {
  const { shape } = specOf(value);
  if (!Number.isInteger(axis) || axis < 0 || axis >= shape.length) {
    throw new RangeError(
      `Cannot take the size of axis ${quoted(axis)} of ${printSpec(value)}: it has ${shape.length} axes`,
    );
  }
  return fixedDim(shape[axis], `Axis ${axis} of ${printSpec(value)}`);
}
