/** The primitives of Programs as ONNX operators: one translation each. */
import type { OperationName, Value } from "../../../src/program/types.ts";
import {
  addDims,
  type Dim,
  multiplyDims,
  sameShape,
  type Shape,
  subtractDims,
} from "../../../src/tensor/dims.ts";
import { dataTypes, elementTypes } from "../tensors.ts";
import { type Attributes, FAR, type GraphBuilder } from "./graph_builder.ts";
import { translateScan } from "./scan.ts";
import type { Operands, Translation, Written } from "./translation.ts";

/** Writes an equation. */
type Translate<K extends OperationName> = (translation: Translation, equation: Written<K>) => void;

/** Writes an equation for which only the operands matter. */
type TranslateOperands = (translation: Translation, equation: Operands) => void;

/** A primitive that is one operator on the same operands, which may broadcast. */
function direct(operator: string): TranslateOperands {
  return (t, { inputs, outputs: [output] }) => t.set(output, t.builder.node(operator, t.operands(inputs)));
}

/** A primitive of one operand that is several operators. */
function composed(
  write: (builder: GraphBuilder, x: string, value: Value) => string,
): TranslateOperands {
  return (t, { inputs: [x], outputs: [output] }) => t.set(output, write(t.builder, t.name(x), x));
}

/** How a value is cast. */
function cast(builder: GraphBuilder, x: string, dtype: Value["dtype"]): string {
  return builder.node("Cast", [x], { to: { int: dataTypes[elementTypes[dtype]] } });
}

/** Writes a reshape; sizes known only at run time are copied or inferred where possible. */
export function reshapeNode(builder: GraphBuilder, x: string, from: Shape, to: Shape): string {
  if (sameShape(from, to)) return x;
  const copied = to.map((dim, axis) => typeof dim !== "number" && from[axis] === dim ? 0 : dim);
  const open = copied.filter((dim) => typeof dim !== "number").length;
  const certain = open <= 1 && !to.includes(0);
  const shape = certain
    ? builder.ints(copied.map((dim) => typeof dim === "number" ? dim : -1))
    : builder.shape(to);
  return builder.node("Reshape", [x, shape], certain ? {} : { allowzero: { int: 1 } });
}

/** The last two axes exchanged. */
function swapped(builder: GraphBuilder, x: string, rank: number): string {
  const order = Array.from({ length: rank }, (_, axis) => axis);
  order.push(...order.splice(-2).reverse());
  return builder.node("Transpose", [x], { perm: { ints: order } });
}

const matmul: Translate<"matmul"> = (t, { inputs: [a, b], outputs: [output], attributes }) => {
  const { transposeLeft, transposeRight } = attributes;
  const rank = a.shape.length;
  const [left, right] = [t.name(a), t.name(b)];
  const { builder } = t;
  if (!transposeLeft && !transposeRight) return t.set(output, builder.node("MatMul", [left, right]));
  if (rank === 2) {
    const flags: Attributes = {
      transA: { int: Number(transposeLeft) },
      transB: { int: Number(transposeRight) },
    };
    return t.set(output, builder.node("Gemm", [left, right], flags));
  }
  const operands = [
    transposeLeft ? swapped(builder, left, rank) : left,
    transposeRight ? swapped(builder, right, rank) : right,
  ];
  t.set(output, builder.node("MatMul", operands));
};

/** A bound of a Slice: counted from the end if that makes it a number. */
function bound(at: Dim, size: Dim): Dim {
  if (typeof at === "number") return at;
  const fromEnd = subtractDims(at, size);
  if (fromEnd === 0) return FAR;
  return typeof fromEnd === "number" && fromEnd < 0 ? fromEnd : at;
}

const slice: Translate<"slice"> = (
  t,
  { inputs: [x], outputs: [output], attributes: { start, size, stride } },
) => {
  const axes = x.shape.map((_, axis) => axis).filter((axis) =>
    start[axis] !== 0 || size[axis] !== x.shape[axis] || stride[axis] !== 1
  );
  if (axes.length === 0) return t.set(output, t.name(x));
  const ends = x.shape.map((dim, axis) => {
    const last = multiplyDims(subtractDims(size[axis], 1), stride[axis]);
    const end = size[axis] === 0 ? start[axis] : addDims(addDims(start[axis], last), 1);
    return bound(end, dim);
  });
  const { builder } = t;
  t.set(
    output,
    builder.node("Slice", [
      t.name(x),
      builder.shape(axes.map((axis) => bound(start[axis], x.shape[axis]))),
      builder.shape(axes.map((axis) => ends[axis])),
      builder.ints(axes),
      builder.ints(axes.map((axis) => stride[axis])),
    ]),
  );
};

/** The windows are gathered: each of their positions is a range of places, taken at the stride. */
const windows: Translate<"windows"> = (t, { inputs: [x], outputs: [output], attributes }) => {
  const { axis, size, window, stride, dilation } = attributes;
  const { builder } = t;
  const positions = Array.from({ length: window }, (_, position) => {
    const start = position * dilation;
    const end = addDims(multiplyDims(subtractDims(size, 1), stride), start + 1);
    const shown = builder.node("Slice", [
      t.name(x),
      builder.ints([start]),
      builder.shape([bound(end, x.shape[axis])]),
      builder.ints([axis]),
      builder.ints([stride]),
    ]);
    return builder.node("Unsqueeze", [shown, builder.ints([axis + 1])]);
  });
  t.set(output, builder.node("Concat", positions, { axis: { int: axis + 1 } }));
};

/** ONNX has channels before space. */
const convolve: Translate<"convolve"> = (
  t,
  { inputs: [x, kernel], outputs: [output], attributes: { sizes, window, strides, dilation, groups } },
) => {
  const { builder } = t, axes = sizes.length;
  const turn = (name: string, permutation: readonly number[]) =>
    builder.node("Transpose", [name], { perm: { ints: permutation } });
  const space = Array.from({ length: axes }, (_, axis) => axis);
  // Windows that end before an axis does: what is behind them is left out.
  const ends = sizes.map((size, axis) =>
    addDims(multiplyDims(subtractDims(size, 1), strides[axis]), (window[axis] - 1) * dilation[axis] + 1)
  );
  const cut = space.filter((axis) => strides[axis] > 1 && ends[axis] !== x.shape[axis + 1]);
  const shown = cut.length === 0 ? t.name(x) : builder.node("Slice", [
    t.name(x),
    builder.ints(cut.map(() => 0)),
    builder.shape(cut.map((axis) => ends[axis])),
    builder.ints(cut.map((axis) => axis + 1)),
  ]);
  const product = builder.node("Conv", [
    turn(shown, [0, axes + 1, ...space.map((axis) => axis + 1)]),
    turn(t.name(kernel), [axes + 1, axes, ...space]),
  ], {
    kernel_shape: { ints: window },
    strides: { ints: strides },
    dilations: { ints: dilation },
    group: { int: groups },
  });
  t.set(output, turn(product, [0, ...space.map((axis) => axis + 2), 1]));
};

const pad: Translate<"pad"> = (
  t,
  { inputs: [x], outputs: [output], attributes: { low, high, interior } },
) => {
  const { builder } = t;
  const isBool = x.dtype === "bool";
  let name = isBool ? cast(builder, t.name(x), "int32") : t.name(x);
  let shape: Shape = x.shape;
  interior.forEach((zeros, axis) => {
    if (zeros === 0) return;
    // Each element is followed by zeros; those after the last one are cut.
    const wide = builder.node("Unsqueeze", [name, builder.ints([axis + 1])]);
    const around = Array.from(
      { length: 2 * (shape.length + 1) },
      (_, at) => at === shape.length + 1 + axis + 1 ? zeros : 0,
    );
    const padded = builder.node("Pad", [wide, builder.ints(around)]);
    const apart = [...shape.slice(0, axis + 1), zeros + 1, ...shape.slice(axis + 1)];
    const merged = shape.map((dim, at) => at === axis ? multiplyDims(dim, zeros + 1) : dim);
    const joined = reshapeNode(builder, padded, apart, merged);
    name = builder.node("Slice", [joined, builder.ints([0]), builder.ints([-zeros]), builder.ints([axis])]);
    shape = merged.map((dim, at) => at === axis ? subtractDims(dim, zeros) : dim);
  });
  const around = [...low, ...high];
  if (around.some((amount) => amount !== 0)) name = builder.node("Pad", [name, builder.shape(around)]);
  t.set(output, isBool ? cast(builder, name, "bool") : name);
};

const iota: Translate<"iota"> = (t, { outputs: [output], attributes: { shape, axis, dtype } }) => {
  const { builder } = t;
  const scalar = builder.node("Squeeze", [builder.size(shape[axis]), builder.ints([0])]);
  const limit = cast(builder, scalar, dtype);
  const counted = builder.node("Range", [builder.scalar(0, dtype), limit, builder.scalar(1, dtype)]);
  const alone = shape.map((dim, other) => other === axis ? dim : 1);
  const missing = shape.map((_, other) => other).filter((other) => other !== axis);
  const placed = missing.length === 0 ? counted : builder.node("Unsqueeze", [counted, builder.ints(missing)]);
  t.set(output, sameShape(alone, shape) ? placed : builder.node("Expand", [placed, builder.shape(shape)]));
};

/** An index out of range reads the nearest row, unlike ONNX's Gather. */
const gather: Translate<"gather"> = (t, { inputs: [operand, indices], outputs: [output] }) => {
  const { builder } = t;
  const last = subtractDims(operand.shape[0], 1);
  const scalar = builder.node("Squeeze", [builder.size(last), builder.ints([0])]);
  const most = typeof last === "number" ? builder.scalar(last, "int32") : cast(builder, scalar, "int32");
  const inside = builder.node("Min", [
    builder.node("Max", [t.name(indices), builder.scalar(0, "int32")]),
    most,
  ]);
  t.set(output, builder.node("Gather", [t.name(operand), inside], { axis: { int: 0 } }));
};

const scatterAdd: Translate<"scatterAdd"> = (t, { inputs: [indices, updates], outputs: [output] }) => {
  const { builder } = t;
  const zeros = builder.node("Expand", [builder.scalar(0, output.dtype), builder.shape(output.shape)]);
  const rows = builder.node("Unsqueeze", [
    builder.node("Cast", [t.name(indices)], { to: { int: dataTypes.int64 } }),
    builder.ints([indices.shape.length]),
  ]);
  const attributes: Attributes = { reduction: { string: "add" } };
  t.set(output, builder.node("ScatterND", [zeros, rows, t.name(updates)], attributes));
};

/** onnxruntime has no kernel of Where for bools: they are selected by logical operators. */
const select: Translate<"select"> = (t, { inputs: [condition, a, b], outputs: [output] }) => {
  const { builder } = t;
  if (a.dtype !== "bool") {
    return t.set(output, builder.node("Where", t.operands([condition, a, b])));
  }
  const when = t.name(condition);
  const either = [
    builder.node("And", [when, t.name(a)]),
    builder.node("And", [builder.node("Not", [when]), t.name(b)]),
  ];
  t.set(output, builder.node("Or", either));
};

const reverse: Translate<"reverse"> = (t, { inputs: [x], outputs: [output], attributes: { axes } }) => {
  t.set(output, reversedNode(t.builder, t.name(x), axes));
};

/** The elements along some axes in reverse order. */
export function reversedNode(builder: GraphBuilder, x: string, axes: readonly number[]): string {
  const each = (value: number) => builder.ints(axes.map(() => value));
  return builder.node("Slice", [x, each(-1), each(-FAR), builder.ints(axes), each(-1)]);
}

/** What cannot be written: inference draws no random numbers. */
const randomBits: Translate<"randomBits"> = () => {
  throw new TypeError(
    "Cannot export to ONNX: the model draws random bits (randomBits), which ONNX cannot draw alike; " +
      "make the drawing depend on training, as dropout does",
  );
};

/** All translations. */
export const translations: { readonly [K in OperationName]: Translate<K> } = {
  constant: (t, { outputs: [output], attributes: { value } }) => {
    const isScalar = value.shape.length === 0;
    t.set(output, isScalar ? t.builder.scalar(value.data[0], value.dtype) : t.builder.tensor(value));
  },
  iota,
  size: (t, { outputs: [output], attributes: { dim, dtype } }) => {
    const scalar = t.builder.node("Squeeze", [t.builder.size(dim), t.builder.ints([0])]);
    t.set(output, cast(t.builder, scalar, dtype));
  },
  randomBits,
  neg: direct("Neg"),
  abs: direct("Abs"),
  sign: direct("Sign"),
  floor: direct("Floor"),
  exp: direct("Exp"),
  // (e^x + 1)·tanh(x/2), which is e^x - 1 and does not cancel near 0.
  expm1: composed((builder, x, { dtype }) => {
    const half = builder.node("Mul", [x, builder.scalar(0.5, dtype)]);
    const above = builder.node("Add", [builder.node("Exp", [x]), builder.scalar(1, dtype)]);
    return builder.node("Mul", [above, builder.node("Tanh", [half])]);
  }),
  log: direct("Log"),
  // Within 1 ulp of the exact result.
  log1p: composed((builder, x, { dtype }) =>
    builder.node("Log", [builder.node("Add", [x, builder.scalar(1, dtype)])])
  ),
  sqrt: direct("Sqrt"),
  sin: direct("Sin"),
  cos: direct("Cos"),
  tanh: direct("Tanh"),
  sigmoid: direct("Sigmoid"),
  erf: direct("Erf"),
  not: direct("Not"),
  cast: (t, { inputs: [x], outputs: [output], attributes: { dtype } }) =>
    t.set(output, cast(t.builder, t.name(x), dtype)),
  stopGradient: (t, { inputs: [x], outputs: [output] }) => t.set(output, t.name(x)),
  add: direct("Add"),
  sub: direct("Sub"),
  mul: direct("Mul"),
  div: direct("Div"),
  pow: direct("Pow"),
  maximum: direct("Max"),
  minimum: direct("Min"),
  equal: direct("Equal"),
  less: direct("Less"),
  lessEqual: direct("LessOrEqual"),
  and: direct("And"),
  or: direct("Or"),
  select,
  broadcast: (t, { inputs: [x], outputs: [output], attributes: { axes } }) => t.broadcast(output, x, axes),
  reshape: (t, { inputs: [x], outputs: [output], attributes: { shape } }) =>
    t.set(output, reshapeNode(t.builder, t.name(x), x.shape, shape)),
  transpose: (t, { inputs: [x], outputs: [output], attributes: { permutation } }) =>
    t.set(output, t.builder.node("Transpose", [t.name(x)], { perm: { ints: permutation } })),
  reverse,
  slice,
  windows,
  convolve,
  pad,
  concat: (t, { inputs, outputs: [output], attributes: { axis } }) =>
    t.set(output, t.builder.node("Concat", inputs.map((value) => t.name(value)), { axis: { int: axis } })),
  gather,
  scatterAdd,
  sum: (t, { inputs: [x], outputs: [output], attributes: { axes } }) =>
    t.set(output, t.builder.node("ReduceSum", [t.name(x), t.builder.ints(axes)], { keepdims: { int: 0 } })),
  max: (t, { inputs: [x], outputs: [output], attributes: { axes } }) =>
    t.set(output, t.builder.node("ReduceMax", [t.name(x)], { axes: { ints: axes }, keepdims: { int: 0 } })),
  argmax: (t, { inputs: [x], outputs: [output], attributes: { axis } }) => {
    const found = t.builder.node("ArgMax", [t.name(x)], { axis: { int: axis }, keepdims: { int: 0 } });
    t.set(output, cast(t.builder, found, "int32"));
  },
  cumsum: (t, { inputs: [x], outputs: [output], attributes: { axis, exclusive, reverse } }) => {
    const flags: Attributes = { exclusive: { int: Number(exclusive) }, reverse: { int: Number(reverse) } };
    t.set(output, t.builder.node("CumSum", [t.name(x), t.builder.scalar(axis, "int32")], flags));
  },
  matmul,
  scan: translateScan,
};
