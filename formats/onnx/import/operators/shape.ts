/** Operators that move elements, change shapes, or compute them. */
import { add, broadcastShapes, cast, mul } from "../../../../src/operations/elementwise.ts";
import { iota } from "../../../../src/operations/indexing.ts";
import { broadcastTo, concat, reshape, sliceAxis, split } from "../../../../src/operations/structure.ts";
import {
  addDims,
  type Dim,
  divideDims,
  fixedDim,
  multiplyDims,
  printShape,
  type Shape,
  sizeOfShape,
} from "../../../../src/tensor/dims.ts";
import { hostTensor, type Tensor, tensor } from "../../../../src/tensor/tensor.ts";
import { attribute, axesOf, axisOf, flag, type Node } from "../node.ts";
import { given, type Inputs, type Operators } from "../operator.ts";
import { readAttributeTensor } from "../graph.ts";
import { hostTensorOf } from "../../tensors.ts";
import {
  changed,
  constantValue,
  expanded,
  knownNumbers,
  knownSizes,
  type OnnxValue,
  permuted,
  scalarSize,
  shapeOf,
  sizesOf,
  squeezed,
  tensorOf,
  valueOf,
} from "../values.ts";

/** A shape computed by a file; its size is checked with the work of the whole call. */
export function reasonable(shape: Shape): Shape {
  const negative = shape.find((dim) => typeof dim === "number" && !(Number.isInteger(dim) && dim >= 0));
  if (negative === undefined) return shape;
  throw new RangeError(`it makes the shape ${printShape(shape)}, of which a size is ${negative}`);
}

/** Axes from an input (new versions) or an attribute (old ones); undefined if there are none. */
function listedAxes(node: Node, input: OnnxValue | undefined): readonly number[] | undefined {
  return input ? knownNumbers(input, "axes") : attribute(node, "axes", "ints");
}

/** The shape requested by Reshape: 0 keeps a size, -1 is inferred. */
function reshaped(x: Shape, wanted: readonly Dim[], allowZero: boolean): Shape {
  const kept = wanted.map((size, axis) => {
    if (size !== 0 || allowZero) return size;
    if (axis < x.length) return x[axis];
    throw new RangeError(`its shape keeps the size of axis ${axis}, which ${printShape(x)} does not have`);
  });
  const open = kept.indexOf(-1);
  if (open < 0) return kept;
  const rest = sizeOfShape(kept.filter((_, axis) => axis !== open));
  const size = divideDims(sizeOfShape(x), rest);
  if (size === undefined || kept.indexOf(-1, open + 1) >= 0 || (typeof size === "number" && size < 0)) {
    throw new RangeError(
      `it reshapes ${printShape(x)} to ${printShape(kept)}: the size for -1 does not come out`,
    );
  }
  return kept.map((dim, axis) => axis === open ? size : dim);
}

function reshapeValue(x: OnnxValue, shape: Shape): OnnxValue {
  if (x.kind === "sizes" && shape.length <= 1 && sizeOfShape(shape) === x.sizes.length) {
    return shape.length === 0 ? scalarSize(x.sizes[0]) : sizesOf(x.sizes);
  }
  return changed(x, (x) => reshape(x, reasonable(shape)));
}

/** The constant of a `Constant` node. */
function constantOf(node: Node): OnnxValue {
  const { place } = node;
  const proto = attribute(node, "value", "tensor");
  if (proto) return constantValue(place, readAttributeTensor(place, proto));
  const int = attribute(node, "value_int", "int");
  if (int !== undefined) return scalarSize(int);
  const ints = attribute(node, "value_ints", "ints");
  if (ints) return sizesOf(ints);
  const float = attribute(node, "value_float", "float");
  if (float !== undefined) return valueOf(tensor(float));
  const floats = attribute(node, "value_floats", "floats");
  if (floats) return valueOf(hostTensor(Float32Array.from(floats), [floats.length]));
  throw new TypeError("it has no value of numbers");
}

function concatenated(node: Node, inputs: Inputs): OnnxValue {
  const axis = attribute(node, "axis", "int");
  if (axis === undefined) throw new TypeError("it has no attribute axis");
  const values = inputs.map((_, index) => given(inputs, index));
  if (values.every((value) => value.kind === "sizes" && !value.scalar)) {
    return sizesOf(values.flatMap((value) => value.kind === "sizes" ? value.sizes : []));
  }
  const tensors = values.map(tensorOf);
  return valueOf(concat(tensors, { axis: axisOf(axis, tensors[0].shape.length) }));
}

/** The sizes of the parts of a Split: given, or as equal as possible. */
function pieces(node: Node, inputs: Inputs, size: Dim): readonly Dim[] {
  const listed = inputs[1] ? knownSizes(inputs[1], "sizes") : attribute(node, "split", "ints");
  if (listed) return listed;
  const count = node.outputs.length;
  const asked = attribute(node, "num_outputs", "int");
  if (asked !== undefined && asked !== count) {
    throw new RangeError(`it has ${count} outputs, but its num_outputs is ${asked}`);
  }
  const equal = divideDims(size, count);
  if (equal !== undefined) return Array.from({ length: count }, () => equal);
  const each = Math.ceil(fixedDim(size, "A split into pieces of different sizes") / count);
  return Array.from(
    { length: count },
    (_, index) => index < count - 1 ? each : Number(size) - each * (count - 1),
  );
}

function splitValue(node: Node, inputs: Inputs): OnnxValue[] {
  const x = given(inputs, 0);
  const shape = shapeOf(x);
  const axis = axisOf(attribute(node, "axis", "int") ?? 0, shape.length);
  const sizes = pieces(node, inputs, shape[axis]);
  const total = sizes.reduce<Dim>(addDims, 0);
  if (total !== shape[axis] || sizes.some((size) => typeof size === "number" && size < 0)) {
    throw new RangeError(`it splits axis ${axis} of ${printShape(shape)} into [${sizes.join(", ")}]`);
  }
  if (x.kind === "sizes") {
    let start = 0;
    return sizes.map((size) => sizesOf(x.sizes.slice(start, start += Number(size))));
  }
  const whole = tensorOf(x);
  if (sizes.every((size) => size === sizes[0])) return split(whole, sizes.length, { axis }).map(valueOf);
  let from: Dim = 0;
  return sizes.map((size) => {
    const part = sliceAxis(whole, axis, from, size);
    from = addDims(from, size);
    return valueOf(part);
  });
}

/** The number of elements from `start` to `limit`. */
function ranged(start: OnnxValue, limit: OnnxValue, step: OnnxValue): OnnxValue {
  const known = [start, limit, step].map((value) => value.kind === "sizes" ? value.sizes[0] : undefined);
  const [from, to, by] = known;
  if (from !== undefined && to !== undefined && typeof by === "number" && by !== 0) {
    const distance = addDims(to, multiplyDims(from, -1));
    const count = typeof distance === "number"
      ? Math.max(0, Math.ceil(distance / by))
      : divideDims(distance, by);
    if (count === undefined) {
      throw new RangeError(`it counts by ${by} over ${distance}, which is no whole number of steps`);
    }
    const counted = mul(iota(reasonable([count])), by);
    return valueOf(from === 0 ? counted : add(counted, tensorOf(start)));
  }
  const [a, b, c] = [start, limit, step].map(tensorOf);
  if (a.kind !== "host" || b.kind !== "host" || c.kind !== "host" || c.data[0] === 0) {
    throw new TypeError("its start, limit and delta must be known before it runs");
  }
  const count = Math.max(0, Math.ceil((b.data[0] - a.data[0]) / c.data[0]));
  const counted = cast(iota(reasonable([count])), a.dtype);
  return valueOf(add(mul(counted, c), a));
}

/** A tensor repeated along its axes. */
function tiled(x: Tensor, repeats: readonly Dim[]): Tensor {
  if (repeats.length !== x.shape.length) {
    throw new RangeError(`its repeats are ${repeats.length} numbers, expected ${x.shape.length}`);
  }
  const target = reasonable(x.shape.map((dim, axis) => multiplyDims(dim, repeats[axis])));
  const spread = x.shape.flatMap((dim, axis) => [repeats[axis], dim]);
  return reshape(broadcastTo(reshape(x, x.shape.flatMap((dim) => [1, dim])), spread), target);
}

function filled(node: Node, shape: Shape): OnnxValue {
  const proto = attribute(node, "value", "tensor");
  const value = proto && readAttributeTensor(node.place, proto);
  if (value && value.data.length !== 1) {
    throw new RangeError(`its value has ${value.data.length} elements, expected 1`);
  }
  reasonable(shape);
  const isSizes = (value?.type === "int64" || value?.type === "int32") && shape.length === 1 &&
    typeof shape[0] === "number" &&
    shape[0] <= 64;
  if (isSizes) {
    const size = Number(value.data[0]);
    return sizesOf(Array.from({ length: Number(shape[0]) }, () => size));
  }
  const scalar = value ? hostTensorOf(node.place, { ...value, shape: [] }) : tensor(0);
  return valueOf(broadcastTo(scalar, shape));
}

/** The operators of this file. */
export const shapeOperators: Operators = {
  Constant: {
    attributes: ["value", "value_int", "value_ints", "value_float", "value_floats"],
    inputs: [0, 0],
    compute: (node) => [constantOf(node)],
  },
  ConstantOfShape: {
    attributes: ["value"],
    inputs: [1, 1],
    compute: (node, inputs) => [filled(node, knownSizes(given(inputs, 0), "sizes"))],
  },
  Shape: {
    attributes: ["start", "end"],
    inputs: [1, 1],
    compute: (node, inputs) => {
      const shape = shapeOf(given(inputs, 0));
      const start = attribute(node, "start", "int") ?? 0;
      return [sizesOf(shape.slice(start, attribute(node, "end", "int") ?? shape.length))];
    },
  },
  Size: {
    attributes: [],
    inputs: [1, 1],
    compute: (_, inputs) => [scalarSize(sizeOfShape(shapeOf(given(inputs, 0))))],
  },
  Reshape: {
    attributes: ["allowzero"],
    inputs: [2, 2],
    compute: (node, inputs) => {
      const x = given(inputs, 0);
      const wanted = knownSizes(given(inputs, 1), "sizes");
      return [reshapeValue(x, reshaped(shapeOf(x), wanted, flag(node, "allowzero", false)))];
    },
  },
  Flatten: {
    attributes: ["axis"],
    inputs: [1, 1],
    compute: (node, inputs) => {
      const x = given(inputs, 0);
      const shape = shapeOf(x);
      const given1 = attribute(node, "axis", "int") ?? 1;
      const axis = given1 === shape.length ? given1 : axisOf(given1, shape.length);
      return [reshapeValue(x, [sizeOfShape(shape.slice(0, axis)), sizeOfShape(shape.slice(axis))])];
    },
  },
  Transpose: {
    attributes: ["perm"],
    inputs: [1, 1],
    compute: (node, inputs) => {
      const x = given(inputs, 0);
      const axes = shapeOf(x).map((_, axis) => axis);
      const order = (attribute(node, "perm", "ints") ?? [...axes].reverse()).map((axis) =>
        axis < 0 ? axis + axes.length : axis
      );
      if (order.length !== axes.length || axesOf(order, axes.length).join() !== axes.join()) {
        throw new RangeError(`its perm is [${order.join(", ")}], expected each of ${axes.length} axes once`);
      }
      return [permuted(x, order)];
    },
  },
  Squeeze: {
    attributes: ["axes"],
    inputs: [1, 2],
    compute: (node, inputs) => {
      const x = given(inputs, 0);
      const shape = shapeOf(x);
      const listed = listedAxes(node, inputs[1]);
      const ones = shape.flatMap((dim, axis) => dim === 1 ? [axis] : []);
      return [squeezed(x, listed ? axesOf(listed, shape.length) : ones)];
    },
  },
  Unsqueeze: {
    attributes: ["axes"],
    inputs: [1, 2],
    compute: (node, inputs) => {
      const x = given(inputs, 0);
      const listed = listedAxes(node, inputs[1]);
      if (!listed) throw new TypeError("it has no axes");
      return [expanded(x, axesOf(listed, shapeOf(x).length + listed.length))];
    },
  },
  Concat: {
    attributes: ["axis"],
    inputs: [1, Infinity],
    compute: (node, inputs) => [concatenated(node, inputs)],
  },
  Split: {
    attributes: ["axis", "split", "num_outputs"],
    inputs: [1, 2],
    outputs: Infinity,
    compute: splitValue,
  },
  Expand: {
    attributes: [],
    inputs: [2, 2],
    compute: (_, inputs) => {
      const x = given(inputs, 0);
      const wanted = { shape: knownSizes(given(inputs, 1), "sizes"), dtype: "int32" } as const;
      const shape = broadcastShapes("Expand", [{ shape: shapeOf(x), dtype: "int32" }, wanted]);
      return [valueOf(broadcastTo(tensorOf(x), reasonable(shape)))];
    },
  },
  Tile: {
    attributes: [],
    inputs: [2, 2],
    compute: (_, inputs) => [
      valueOf(tiled(tensorOf(given(inputs, 0)), knownSizes(given(inputs, 1), "repeats"))),
    ],
  },
  Range: {
    attributes: [],
    inputs: [3, 3],
    compute: (_, inputs) => [ranged(given(inputs, 0), given(inputs, 1), given(inputs, 2))],
  },
};
