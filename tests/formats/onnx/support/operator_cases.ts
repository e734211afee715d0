/** Small graphs, one or more for each operator that can be imported. */
import { tensor } from "@cellfold/cellfold";
import { operators } from "../../../../formats/onnx/import/operators/mod.ts";
import { node, signed, type Value } from "./graphs.ts";
import { controlCases } from "./control_cases.ts";
import { type OperatorCase, recurrentCases, scanCases } from "./fold_cases.ts";
import { fusedCases } from "./fused_cases.ts";
import type { Named } from "./runtime.ts";

type Attributes = { readonly [name: string]: Value };

const x = signed([2, 3, 4], 1);
const y = signed([2, 3, 4], 2);
const row = signed([4], 3);
const positive = tensor(signed([2, 3, 4], 4).data.map((value) => Math.abs(value) + 0.1), {
  shape: [2, 3, 4],
});
const whole = tensor([3, -1, 2, 0, 5, -4], { shape: [2, 3], dtype: "int32" });
const yes = tensor([1, 0, 0, 1, 1, 0], { shape: [2, 3], dtype: "bool" });
const no = tensor([1, 1, 0, 0, 1, 0], { shape: [2, 3], dtype: "bool" });

/** One node with all its inputs from outside. */
function one(
  operator: string,
  inputs: Named,
  attributes: Attributes = {},
  more: Partial<OperatorCase> = {},
): OperatorCase {
  const label = Object.keys(attributes).length === 0 ? operator : `${operator} ${JSON.stringify(attributes)}`;
  return {
    name: more.opset === undefined ? label : `${label}, version ${more.opset}`,
    nodes: [node(operator, [...Object.keys(inputs), ...Object.keys(more.ints ?? {})], ["out"], attributes)],
    inputs,
    outputs: { out: "float32" },
    ...more,
  };
}

const int32: Partial<OperatorCase> = { outputs: { out: "int32" } };
const bool: Partial<OperatorCase> = { outputs: { out: "bool" } };
const int64: Partial<OperatorCase> = { outputs: { out: "int64" } };

const unary = [
  "Neg",
  "Abs",
  "Sign",
  "Floor",
  "Ceil",
  "Exp",
  "Sin",
  "Cos",
  "Erf",
  "Sigmoid",
  "Tanh",
  "Relu",
  "Softplus",
  "Softsign",
  "Elu",
  "Selu",
  "LeakyRelu",
  "ThresholdedRelu",
  "HardSigmoid",
  "HardSwish",
  "Identity",
  "Reciprocal",
  "Celu",
].filter((name) => name in operators);

const elementwise: OperatorCase[] = [
  ...unary.map((name) => one(name, { x })),
  one("Round", { x: tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.4, 2.6]) }),
  one("Mish", { x }, {}, { opset: 18 }),
  one("Gelu", { x }, {}, { opset: 20 }),
  one("Gelu", { x }, { approximate: "tanh" }, { opset: 20 }),
  one("Log", { x: positive }),
  one("Sqrt", { x: positive }),
  ...["Add", "Sub", "Mul", "Div", "Max", "Min"].map((name) => one(name, { x, row })),
  ...["Sum", "Mean"].map((name) => one(name, { x, y, row })),
  one("Pow", { x: positive, row }),
  one("PRelu", { x, row }),
  ...["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"].map((name) =>
    one(name, { a: whole, b: tensor([3, 0, 2], { dtype: "int32" }) }, {}, bool)
  ),
  ...["And", "Or", "Xor"].map((name) => one(name, { yes, no }, {}, bool)),
  one("Not", { yes }, {}, bool),
  one("Where", { c: yes, a: signed([2, 3]), b: signed([3], 2) }),
  one("Elu", { x }, { alpha: { float: 0.3 } }),
  one("LeakyRelu", { x }, { alpha: { float: 0.2 } }),
  one("HardSigmoid", { x }, { alpha: { float: 0.7 }, beta: { float: 0.1 } }),
  one("Clip", { x, low: tensor(-0.25), high: tensor(0.5) }),
  one("Clip", { x }, { min: { float: -0.25 } }, { opset: 10 }),
  one("Cast", { x: signed([6], 5) }, { to: 6 }, int32),
  one("Cast", { whole }, { to: 9 }, bool),
  one("CastLike", { x, whole }, {}, int32),
  { ...one("Dropout", { x }), nodes: [node("Dropout", ["x"], ["out"])] },
];

const products: OperatorCase[] = [
  one("MatMul", { x, b: signed([4, 5], 2) }),
  one("MatMul", { x, b: signed([2, 4, 5], 2) }),
  one("MatMul", { a: signed([4], 1), b: signed([2, 4, 5], 2) }),
  one("MatMul", { x, b: signed([4], 2) }),
  one("MatMul", { a: signed([1, 3, 4], 1), b: signed([2, 1, 4, 5], 2) }),
  one("Gemm", { a: signed([3, 4], 1), b: signed([4, 5], 2), c: signed([5], 3) }),
  one("Gemm", { a: signed([4, 3], 1), b: signed([5, 4], 2), c: signed([3, 1], 3) }, {
    transA: 1,
    transB: 1,
    alpha: { float: 0.5 },
    beta: { float: 2 },
  }),
  one("Gemm", { a: signed([3, 4], 1), b: signed([4, 5], 2) }),
  one("Einsum", { a: signed([2, 3, 4], 1), b: signed([2, 4, 5], 2) }, { equation: "bij, bjk -> bik" }),
  one("Einsum", { a: signed([2, 3, 4], 1), b: signed([4], 2) }, { equation: "...j,j->..." }),
];

const reductions: OperatorCase[] = [
  ...[
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceSumSquare",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSumExp",
  ]
    .flatMap((name) => [
      one(name, { x }, { axes: [1], keepdims: 0 }),
      one(name, { x }, { axes: [-1, 0] }),
      one(name, { x }),
    ]),
  one("ReduceLogSum", { x: positive }, { axes: [2] }),
  one("ReduceSum", { x }, { keepdims: 0 }, { ints: { axes: [1, 2] } }),
  one("ReduceSum", { x }, { noop_with_empty_axes: 1 }),
  one("ReduceMax", { x }, {}, { ints: { axes: [1] }, opset: 18 }),
  one("GlobalAveragePool", { x: signed([2, 3, 4, 5]) }),
  one("GlobalMaxPool", { x }),
  one("Softmax", { x }),
  one("Softmax", { x }, { axis: 1 }),
  one("Softmax", { x }, { axis: 1 }, { opset: 11 }),
  one("LogSoftmax", { x }, { axis: 0 }),
  one("ArgMax", { x }, { axis: 1, keepdims: 0 }, int64),
  one("ArgMin", { x }, { axis: -1 }, int64),
  one("CumSum", { x }, {}, { ints: { axis: [1] } }),
  one("CumSum", { x }, { exclusive: 1, reverse: 1 }, { ints: { axis: [-1] } }),
  one("CumSum", { whole }, { reverse: 1 }, { ...int32, ints: { axis: [0] } }),
];

const line = signed([2, 3, 8], 8), plane = signed([2, 4, 7, 6], 9);

/** Windows over one axis, two and three. */
const windows: OperatorCase[] = [
  one("Conv", { line, w: signed([5, 3, 3], 10) }),
  one("Conv", { line, w: signed([5, 3, 3], 10), b: signed([5], 11) }, { pads: [2, 0], strides: [2] }),
  one("Conv", { line, w: signed([5, 3, 4], 10) }, { auto_pad: "SAME_LOWER", strides: [2] }),
  one("Conv", { line, w: signed([5, 3, 4], 10) }, { auto_pad: "SAME_UPPER", kernel_shape: [4] }),
  one("Conv", { plane, w: signed([6, 2, 3, 2], 10) }, { group: 2, dilations: [2, 1], strides: [1, 2] }),
  one("Conv", { plane, w: signed([8, 1, 3, 3], 10), b: signed([8], 11) }, { group: 4, pads: [1, 1, 1, 1] }),
  one("Conv", { x: signed([1, 2, 4, 3, 5], 12), w: signed([3, 2, 2, 2, 3], 13) }, { auto_pad: "VALID" }),
  one("ConvTranspose", { line, w: signed([3, 2, 3], 10), b: signed([2], 11) }, { strides: [2] }),
  one("ConvTranspose", { plane, w: signed([4, 3, 3, 2], 10) }, {
    group: 2,
    strides: [3, 2],
    pads: [1, 0, 2, 1],
    output_padding: [2, 1],
  }),
  one("ConvTranspose", { line, w: signed([3, 2, 3], 10) }, { auto_pad: "SAME_UPPER", strides: [2] }),
  one("ConvTranspose", { line, w: signed([3, 2, 4], 10) }, { output_shape: [17], strides: [2] }),
  one("ConvTranspose", { line, w: signed([3, 2, 2], 10) }, { dilations: [3], pads: [2, 1] }),
  one("MaxPool", { line }, { kernel_shape: [3] }),
  one("MaxPool", { plane }, { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 1, 1] }),
  one("MaxPool", { plane }, { kernel_shape: [2, 2], strides: [3, 4], ceil_mode: 1 }),
  one("MaxPool", { plane }, { kernel_shape: [2, 3], dilations: [3, 2] }),
  one("MaxPool", { plane }, { kernel_shape: [3, 3], strides: [2, 2], auto_pad: "SAME_LOWER" }),
  one("AveragePool", { line }, { kernel_shape: [3], strides: [2] }),
  one("AveragePool", { plane }, { kernel_shape: [3, 2], pads: [1, 1, 2, 0] }),
  one("AveragePool", { plane }, { kernel_shape: [3, 2], pads: [1, 1, 2, 0], count_include_pad: 1 }),
  one("AveragePool", { plane }, { kernel_shape: [2, 2], strides: [3, 4], ceil_mode: 1 }),
  one("AveragePool", { plane }, { kernel_shape: [3, 3], strides: [2, 2], auto_pad: "SAME_UPPER" }),
];

const weights = {
  scale: signed([3], 5),
  bias: signed([3], 6),
  mean: signed([3], 7),
  variance: tensor([0.5, 1, 2]),
};

const normalizations: OperatorCase[] = [
  {
    name: "BatchNormalization",
    nodes: [
      node("BatchNormalization", ["x", "scale", "bias", "mean", "variance"], ["out"], {
        epsilon: { float: 0.01 },
      }),
    ],
    inputs: { x },
    weights,
    outputs: { out: "float32" },
  },
  {
    name: "LayerNormalization",
    nodes: [node("LayerNormalization", ["x", "scale", "bias"], ["out", "mean", "deviation"], { axis: -2 })],
    inputs: { x },
    weights: { scale: signed([3, 4], 5), bias: signed([3, 4], 6) },
    outputs: { out: "float32", mean: "float32", deviation: "float32" },
  },
];

normalizations.push(
  {
    name: "InstanceNormalization",
    nodes: [node("InstanceNormalization", ["x", "scale", "bias"], ["out"], { epsilon: { float: 0.01 } })],
    inputs: { x },
    weights: { scale: signed([3], 5), bias: signed([3], 6) },
    outputs: { out: "float32" },
  },
  {
    name: "GroupNormalization, version 21",
    nodes: [node("GroupNormalization", ["x", "scale", "bias"], ["out"], { num_groups: 2 })],
    inputs: { x: signed([2, 4, 3]) },
    weights: { scale: signed([4], 5), bias: signed([4], 6) },
    outputs: { out: "float32" },
    opset: 21,
  },
);

const shapes: OperatorCase[] = [
  one("Transpose", { x }, { perm: [2, 0, 1] }),
  one("Transpose", { x }),
  one("Reshape", { x }, {}, { ints: { shape: [0, -1] } }),
  one("Reshape", { x }, {}, { ints: { shape: [4, 3, 2] } }),
  one("Flatten", { x }, { axis: 2 }),
  one("Flatten", { x }, { axis: 0 }),
  one("Squeeze", { x: signed([1, 3, 1, 2]) }, {}, { ints: { axes: [0, -2] } }),
  one("Squeeze", { x: signed([1, 3, 1, 2]) }),
  one("Squeeze", { x: signed([1, 3, 1, 2]) }, { axes: [2] }, { opset: 11 }),
  one("Unsqueeze", { x }, {}, { ints: { axes: [0, -1] } }),
  one("Concat", { x, y }, { axis: 1 }),
  one("Expand", { row }, {}, { ints: { shape: [2, 3, 1] } }),
  one("Tile", { x: signed([2, 3]) }, {}, { ints: { repeats: [2, 3] } }),
  one("Pad", { x: signed([2, 3]) }, {}, { ints: { pads: [1, 0, 0, 2] } }),
  one("Pad", { x: signed([2, 3]) }, { pads: [0, 1, 1, 0], value: { float: 0.5 } }, { opset: 10 }),
  one("Pad", { x: signed([2, 3]) }, { mode: "reflect" }, { ints: { pads: [1, 2, 0, 1] } }),
  one("Pad", { x: signed([2, 3]) }, { mode: "edge" }, { ints: { pads: [0, 2, 3, 0] } }),
  one("Pad", { x: signed([2, 3]) }, { mode: "wrap" }, { ints: { pads: [1, 2, 0, 1] }, opset: 19 }),
  {
    ...one("GatherElements", { x: signed([3, 4]) }, { axis: 1 }, { ints: { flat: [3, 0, -1, 1, 2, 2] } }),
    nodes: [
      node("Reshape", ["flat", "shape"], ["indices"]),
      node("GatherElements", ["x", "indices"], ["out"], { axis: 1 }),
    ],
    ints: { flat: [3, 0, -1, 1, 2, 2], shape: [2, 3] },
  },
  one("ReverseSequence", { x: signed([3, 2, 2]) }, {}, { ints: { lengths: [3, 2] } }),
  one("ReverseSequence", { x: signed([2, 4]) }, { batch_axis: 0, time_axis: 1 }, {
    ints: { lengths: [1, 4] },
  }),
  ...([{}, { largest: 0 }, { axis: 0 }] as readonly Attributes[]).map((attributes): OperatorCase => ({
    name: `TopK ${JSON.stringify(attributes)}`,
    nodes: [node("TopK", ["x", "k"], ["values", "places"], attributes)],
    inputs: { x: signed([3, 4], 7) },
    ints: { k: [2] },
    outputs: { values: "float32", places: "int64" },
  })),
  one("Shape", { x }, {}, int64),
  one("Shape", { x }, { start: 1, end: -1 }, int64),
  one("Size", { x }, {}, int64),
  {
    name: "Split into two",
    nodes: [node("Split", ["x"], ["a", "b"], { axis: 2 })],
    inputs: { x },
    outputs: { a: "float32", b: "float32" },
  },
  {
    name: "Split into pieces that are given",
    nodes: [node("Split", ["x", "sizes"], ["a", "b"], { axis: 2 })],
    inputs: { x },
    ints: { sizes: [1, 3] },
    outputs: { a: "float32", b: "float32" },
  },
  ...([
    [[1], [3], [1], [1]],
    [[0, 1], [2, -1], [0, 2], [1, 1]],
    [[-1], [-100], [1], [-1]],
    [[3], [0], [2], [-2]],
    [[0], [1000], [2], [3]],
  ] as const).map(([starts, ends, axes, steps]) =>
    one("Slice", { x }, {}, { ints: { starts, ends, axes, steps } })
  ),
  one("Slice", { x }, { starts: [1], ends: [2], axes: [1] }, { opset: 9 }),
  one("Gather", { x }, { axis: 1 }, { ints: { index: 1 } }),
  one("Gather", { x }, { axis: 1 }, { ints: { index: [2, -1, 0, 0] } }),
  one("Gather", { x: signed([6, 2]), whole }),
  one("Gather", { x, indices: tensor([[0, 2], [-1, 1]], { dtype: "int32" }) }, { axis: 1 }),
  {
    name: "OneHot",
    nodes: [
      node("Cast", ["i"], ["j"], { to: 7 }),
      node("OneHot", ["j", "depth", "values"], ["out"], { axis: 1 }),
    ],
    inputs: { i: whole },
    ints: { depth: 5 },
    weights: { values: tensor([0.5, 2]) },
    outputs: { out: "float32" },
  },
  {
    name: "ScatterND that adds",
    nodes: [
      node("Cast", ["i"], ["j"], { to: 7 }),
      node("ScatterND", ["x", "j", "u"], ["out"], { reduction: "add" }),
    ],
    inputs: { x: signed([4, 2]), i: tensor([[0], [3], [0]], { dtype: "int32" }), u: signed([3, 2], 2) },
    outputs: { out: "float32" },
  },
  {
    name: "shapes computed from shapes",
    nodes: [
      node("Shape", ["x"], ["shape"]),
      node("Gather", ["shape", "zero"], ["batch"]),
      node("Gather", ["shape", "one"], ["time"]),
      node("Mul", ["batch", "time"], ["rows"]),
      node("Unsqueeze", ["rows", "axes"], ["rows1"]),
      node("Concat", ["rows1", "open"], ["wanted"], { axis: 0 }),
      node("Reshape", ["x", "wanted"], ["flat"]),
      node("Slice", ["shape", "zeros", "ones"], ["first"]),
      node("ConstantOfShape", ["first"], ["zeroed"]),
      node("ReduceSum", ["flat", "ones"], ["sums"], { keepdims: 0 }),
      node("Reshape", ["sums", "back"], ["rowsums"]),
      node("Unsqueeze", ["zeroed", "ones"], ["column"]),
      node("Add", ["rowsums", "column"], ["out"]),
    ],
    inputs: { x },
    ints: { zero: 0, one: 1, axes: [0], open: [-1], zeros: [0], ones: [1], back: [-1, 3] },
    outputs: { out: "float32" },
  },
  {
    name: "what PyTorch writes for expand",
    nodes: [
      node("Constant", [], ["shape"], { value_ints: [2, -1, 4] }),
      node("ConstantOfShape", ["length"], ["ones"], { value: { tensor: tensor([1], { dtype: "int32" }) } }),
      node("Cast", ["ones"], ["ones64"], { to: 7 }),
      node("Constant", [], ["minus"], { value_int: -1 }),
      node("Mul", ["ones64", "minus"], ["minuses"]),
      node("Equal", ["shape", "minuses"], ["open"]),
      node("Where", ["open", "ones64", "shape"], ["target"]),
      node("Expand", ["x", "target"], ["out"]),
    ],
    inputs: { x: signed([1, 3, 4]) },
    ints: { length: [3] },
    outputs: { out: "float32" },
  },
  {
    name: "Range and Constant",
    nodes: [
      node("Shape", ["x"], ["shape"]),
      node("Gather", ["shape", "one"], ["size"]),
      node("Range", ["zero", "size", "one"], ["counted"]),
      node("Cast", ["counted"], ["floats"], { to: 1 }),
      node("Constant", [], ["factor"], { value_float: { float: 0.5 } }),
      node("Mul", ["floats", "factor"], ["out"]),
    ],
    inputs: { x },
    ints: { zero: 0, one: 1 },
    outputs: { out: "float32" },
  },
];

/** Every case. */
export const operatorCases: readonly OperatorCase[] = [
  ...elementwise,
  ...products,
  ...reductions,
  ...normalizations,
  ...windows,
  ...shapes,
  ...scanCases,
  ...recurrentCases,
  ...controlCases,
  ...fusedCases,
];
