/** Every imported operator beside onnxruntime-web: small graphs, each output equal. */
import { assert, assertEquals } from "@std/assert";
import { compile, host, spec, type Tensor, tensor, trace, type Tree } from "@cellfold/cellfold";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { operators } from "../../../formats/onnx/import/operators/mod.ts";
import { fileOf, graphOf, type GraphParts, node, signed, type Value } from "./support/graphs.ts";
import { type Named, runOnWeb } from "./support/runtime.ts";

interface OperatorCase extends GraphParts {
  readonly name: string;
}

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
  one("Softmax", { x }),
  one("Softmax", { x }, { axis: 1 }),
  one("Softmax", { x }, { axis: 1 }, { opset: 11 }),
  one("LogSoftmax", { x }, { axis: 0 }),
  one("ArgMax", { x }, { axis: 1, keepdims: 0 }, int64),
  one("ArgMin", { x }, { axis: -1 }, int64),
];

const weights = {
  scale: signed([3], 5),
  bias: signed([3], 6),
  mean: signed([3], 7),
  variance: tensor([0.5, 1, 2]),
};

const normalisations: OperatorCase[] = [
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

/** A Scan that adds up and doubles, over axes and in directions that are asked for. */
function scan(attributes: Attributes, sequences: Named): OperatorCase {
  const names = Object.keys(sequences);
  const step = signed([2, 4]);
  return {
    name: `Scan ${JSON.stringify(attributes)}`,
    nodes: [node("Scan", ["state", ...names], ["last", "sums", "scaled"], {
      ...attributes,
      num_scan_inputs: names.length,
      body: {
        graph: graphOf({
          nodes: [
            node("Add", ["s", ...names.slice(0, 1).map((name) => `${name}_step`)], ["partial"]),
            names.length > 1
              ? node("Sub", ["partial", `${names[1]}_step`], ["next"])
              : node("Identity", ["partial"], ["next"]),
            node("Identity", ["next"], ["sum"]),
            node("Mul", ["next", "weight"], ["twice"]),
          ],
          inputs: { s: step, ...Object.fromEntries(names.map((name) => [`${name}_step`, step])) },
          outputs: { next: "float32", sum: "float32", twice: "float32" },
        }),
      },
    })],
    inputs: { state: signed([2, 4], 9), ...sequences },
    weights: { weight: signed([4], 8) },
    outputs: { last: "float32", sums: "float32", scaled: "float32" },
  };
}

const scans: OperatorCase[] = [
  scan({}, { a: signed([3, 2, 4], 1) }),
  scan({ scan_input_axes: [1], scan_output_axes: [1, 2] }, { a: signed([2, 3, 4], 1) }),
  scan({ scan_input_directions: [1] }, { a: signed([3, 2, 4], 1) }),
  scan({ scan_input_axes: [0, 2], scan_input_directions: [0, 1], scan_output_directions: [1, 0] }, {
    a: signed([3, 2, 4], 1),
    b: signed([2, 4, 3], 2),
  }),
];

/** A recurrent node; every optional input is in `more`, by its place. */
function recurrent(
  operator: "LSTM" | "GRU" | "RNN",
  attributes: Attributes,
  more: {
    readonly bias?: boolean;
    readonly lengths?: readonly number[];
    readonly states?: boolean;
    readonly peepholes?: boolean;
  } = {},
): OperatorCase {
  const [batch, time, features, units] = [3, 5, 2, 4];
  const directions = attributes.direction === "bidirectional" ? 2 : 1;
  const rows = { LSTM: 4, GRU: 3, RNN: 1 }[operator] * units;
  const { bias = true, lengths, states = false, peepholes = false } = more;
  const isLstm = operator === "LSTM";
  const lens = lengths && tensor([...lengths], { dtype: "int32" });
  const inputs: Named = {
    X: signed([time, batch, features], 1),
    ...(lens ? { lens } : {}),
    ...(states ? { h: signed([directions, batch, units], 5) } : {}),
    ...(states && isLstm ? { c: signed([directions, batch, units], 6) } : {}),
  };
  const all = [
    "X",
    "W",
    "R",
    bias ? "B" : "",
    lens ? "lens" : "",
    states ? "h" : "",
    ...(isLstm ? [states ? "c" : "", peepholes ? "P" : ""] : []),
  ];
  const outputs = ["Y", "Y_h", ...(isLstm ? ["Y_c"] : [])];
  return {
    name: `${operator} ${JSON.stringify({ ...attributes, ...more })}`,
    nodes: [node(operator, all, outputs, { hidden_size: units, ...attributes })],
    inputs,
    weights: {
      W: signed([directions, rows, features], 2),
      R: signed([directions, rows, units], 3),
      ...(bias ? { B: signed([directions, 2 * rows], 4) } : {}),
      ...(peepholes ? { P: signed([directions, 3 * units], 7) } : {}),
    },
    outputs: Object.fromEntries(outputs.map((name) => [name, "float32" as const])),
  };
}

const lengths = [5, 0, 2];
const recurrents: OperatorCase[] = (["LSTM", "GRU", "RNN"] as const).flatMap((operator) =>
  (["forward", "reverse", "bidirectional"] as const).flatMap((direction) => [
    recurrent(operator, { direction }),
    recurrent(operator, { direction }, { bias: false, states: true }),
    recurrent(operator, { direction }, { lengths, states: true }),
    recurrent(operator, { direction }, { lengths }),
    recurrent(operator, { direction, clip: { float: 0.4 } }, { states: true }),
    ...(operator === "GRU"
      ? [recurrent(operator, { direction, linear_before_reset: 1 }, { lengths, states: true })]
      : []),
    ...(operator === "LSTM"
      ? [
        recurrent(operator, { direction }, { peepholes: true, states: true, lengths }),
        recurrent(operator, { direction, clip: { float: 0.7 } }, { peepholes: true, states: true }),
        recurrent(operator, { direction, input_forget: 1 }, { states: true }),
      ]
      : []),
  ])
);
const activations: OperatorCase[] = [
  ...[
    "Relu",
    "Tanh",
    "Sigmoid",
    "LeakyRelu",
    "HardSigmoid",
    "Elu",
    "Softsign",
    "Softplus",
  ].map((name) => recurrent("RNN", { activations: [name] })),
  ...["Affine", "ScaledTanh"].map((name) =>
    recurrent("RNN", {
      activations: [name],
      activation_alpha: { floats: [0.8] },
      activation_beta: { floats: [0.6] },
    })
  ),
  recurrent("RNN", { activations: ["ThresholdedRelu"], activation_alpha: { floats: [0.3] } }),
  recurrent("RNN", {
    activations: ["HardSigmoid"],
    activation_alpha: { floats: [0.3] },
    activation_beta: { floats: [0.4] },
  }),
  recurrent("GRU", {
    activations: ["HardSigmoid", "Affine"],
    activation_alpha: { floats: [0.3, 1.5] },
    activation_beta: { floats: [0.4, 0.1] },
  }),
  recurrent("LSTM", { activations: ["Sigmoid", "Relu", "Softsign"] }),
  recurrent("LSTM", {
    direction: "bidirectional",
    activations: ["Sigmoid", "Tanh", "Tanh", "HardSigmoid", "Elu", "LeakyRelu"],
    activation_alpha: { floats: [0.3, 0.5, 0.05] },
    activation_beta: { floats: [0.4] },
  }),
];

const cases = [
  ...elementwise,
  ...products,
  ...reductions,
  ...normalisations,
  ...shapes,
  ...scans,
  ...recurrents,
  ...activations,
];

function outputsOf(names: readonly string[], output: Tree<Tensor>): Named {
  return names.length === 1
    ? { [names[0]]: host(output as Tensor) } // one output is the tensor itself
    : output as unknown as Named;
}

for (const operatorCase of cases) {
  Deno.test({
    name: `imported as onnxruntime-web runs it: ${operatorCase.name}`,
    sanitizeResources: false,
    sanitizeOps: false,
    fn: async () => {
      const bytes = fileOf(operatorCase);
      const expected = await runOnWeb(bytes, operatorCase.inputs);
      const { model, variables, outputs, inputs } = fromOnnx(bytes);
      const given = inputs.length === 1 ? operatorCase.inputs[inputs[0].name] : operatorCase.inputs;
      using compiled = await compile((x: Tree<Tensor>) =>
        model.apply(variables, x, { training: false }).output
      );
      const eager = outputsOf(outputs, model.apply(variables, given, { training: false }).output);
      for (const actual of [eager, outputsOf(outputs, await compiled(given))]) {
        assertEquals(Object.keys(actual).sort(), Object.keys(operatorCase.outputs).sort());
        for (const [name, { shape, data }] of Object.entries(actual)) {
          assertEquals([...shape], [...expected[name].shape]);
          data.forEach((value, index) => {
            const wanted = expected[name].data[index];
            const error = Math.abs(value - wanted);
            assert(
              error <= 1e-5 * Math.max(1, Math.abs(wanted)),
              `${name}[${index}]: ${value}, expected ${wanted}`,
            );
          });
        }
      }
    },
  });
}

Deno.test("every supported operator is among the cases", () => {
  const seen = new Set(cases.flatMap(({ nodes }) => nodes.map(({ opType }) => opType)));
  const known = ["Mod"]; // of sizes only, which a file cannot put out
  assertEquals(Object.keys(operators).filter((name) => !seen.has(name) && !known.includes(name)), []);
});

Deno.test("layout 1 is layout 0 with batch first", () => {
  for (const operator of ["LSTM", "GRU", "RNN"] as const) {
    for (const direction of ["forward", "reverse", "bidirectional"]) {
      const first = recurrent(operator, { direction }, { states: true, lengths });
      const second = recurrent(operator, { direction, layout: 1 }, { states: true, lengths });
      const flipped = (value: Tensor) => {
        const { shape: [a, b, ...rest], data } = host(value);
        const size = rest.reduce((product, dim) => product * dim, 1);
        const turned = Array.from({ length: a * b * size }, (_, index) => {
          const [i, j, k] = [Math.floor(index / size / a), Math.floor(index / size) % a, index % size];
          return data[(j * b + i) * size + k];
        });
        return tensor(turned, { shape: [b, a, ...rest] });
      };
      const run = ({ inputs, ...parts }: OperatorCase, given: Named): Named => {
        const { model, variables } = fromOnnx(fileOf({ inputs, ...parts }));
        return model.apply(variables, given, { training: false }).output as unknown as Named; // several, by name
      };
      const batchFirst = Object.fromEntries(
        Object.entries(first.inputs).map(([name, value]) => [name, name === "lens" ? value : flipped(value)]),
      );
      const [there, here] = [run(first, first.inputs), run(second, batchFirst)];
      assertEquals(here.Y_h.data, flipped(there.Y_h).data);
      // Y is [time, directions, batch, units], and with layout 1 [batch, time, directions, units].
      const [time, directions, batch, units] = there.Y.shape;
      assertEquals([...here.Y.shape], [batch, time, directions, units]);
      here.Y.data.forEach((value, index) => {
        const [b, t, d, u] = [
          Math.floor(index / units / directions / time),
          Math.floor(index / units / directions) % time,
          Math.floor(index / units) % directions,
          index % units,
        ];
        assertEquals(value, there.Y.data[((t * directions + d) * batch + b) * units + u]);
      });
    }
  }
});

Deno.test("sizes that the file leaves open stay open", () => {
  const parts = shapes.find(({ name }) => name === "shapes computed from shapes");
  assert(parts);
  const { model, variables, inputs } = fromOnnx(fileOf(parts));
  assertEquals(String(inputs[0].shape), "x_0,x_1,x_2");
  const { program } = trace(
    (x: Tensor) => model.apply(variables, x, { training: false }).output,
    spec([null, 3, 4]),
  );
  assertEquals(String(program.outputs[0].shape), "batch,3");
});
