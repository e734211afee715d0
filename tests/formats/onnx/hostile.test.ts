/** Files that are damaged, or mean harm: an OnnxError that names the place, at once. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { init, key, lstm, outputSpecs, sequential, spec, type Tensor, tensor } from "@cellfold/cellfold";
import { fromOnnx, OnnxError, toOnnx } from "@cellfold/cellfold/onnx";
import { encodeModel, type GraphProto, type ModelProto, type Partly } from "../../../formats/onnx/protos.ts";
import { dataTypes, tensorProto, valueInfo } from "../../../formats/onnx/tensors.ts";
import { fileOf, graphOf, type GraphParts, node, signed } from "./support/graphs.ts";

const x = signed([2, 3]);

function modelOf(graph: Partly<GraphProto>, more: Partly<ModelProto> = {}): Uint8Array {
  return encodeModel({ irVersion: 8n, opsetImport: [{ domain: "", version: 17n }], graph, ...more });
}

/** A graph from `x` to `out`. */
function graph(nodes: GraphParts["nodes"], more: Partial<GraphParts> = {}): Partly<GraphProto> {
  return graphOf({ nodes, inputs: { x }, outputs: { out: "float32" }, ...more });
}

const identity = graph([node("Identity", ["x"], ["out"])]);

function refusal(bytes: Uint8Array, options: Parameters<typeof fromOnnx>[1] = {}): string {
  return assertThrows(() => fromOnnx(bytes, options), OnnxError).message;
}

/** A tensor that says of itself what is not so. */
function lying(more: Partly<Partly<GraphProto>["initializer"] & object>[number]): Uint8Array {
  const weight = { ...tensorProto("w", tensor([1, 2])), ...more };
  return modelOf({ ...graph([node("Add", ["x", "w"], ["out"])]), initializer: [weight] });
}

const refused: readonly (readonly [name: string, bytes: () => Uint8Array, ...parts: string[]])[] = [
  ["no messages", () => new Uint8Array([1, 2, 3]), "its messages"],
  ["an empty file", () => new Uint8Array(), "it has no graph"],
  ["no operator set", () => modelOf(identity, { opsetImport: [] }), "ai.onnx, is not among them"],
  [
    "a version from the future",
    () => modelOf(identity, { opsetImport: [{ version: 99n }] }),
    "version is 99",
  ],
  [
    "another domain",
    () => modelOf(graph([node("com.example.Gelu", ["x"], ["out"])])),
    'node 0 (Gelu, domain "com.example")',
    "not supported",
  ],
  [
    "a fused operator without its bias",
    () => modelOf(graph([node("com.microsoft.BiasGelu", ["x"], ["out"])])),
    "input 1 is missing",
  ],
  [
    "a fused operator with a bias that it does not take",
    () => modelOf(graph([node("com.microsoft.Gelu", ["x", "x"], ["out"])])),
    "2 inputs, expected at most 1",
  ],
  [
    "an unknown operator",
    () => modelOf(graph([node("Softmux", ["x"], ["out"])])),
    'the operator "Softmux" of the domain "ai.onnx"',
    "Softmux",
  ],
  [
    "an attribute that is not there",
    () => modelOf(graph([node("Relu", ["x"], ["out"], { alpha: 1 })])),
    'attribute "alpha"',
  ],
  [
    "a missing input",
    () => modelOf(graph([node("Add", ["x"], ["out"])])),
    "node 0 (Add)",
    "input 1 is missing",
  ],
  ["too many inputs", () => modelOf(graph([node("Relu", ["x", "x"], ["out"])])), "2 inputs"],
  ["an input that nobody gives", () => modelOf(graph([node("Add", ["x", "y"], ["out"])])), 'it reads "y"'],
  [
    "a cycle",
    () =>
      modelOf(
        graph([node("Add", ["x", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Relu", ["b"], ["out"])]),
      ),
    'reads "b"',
    "cycle",
  ],
  ["a node that reads itself", () => modelOf(graph([node("Add", ["x", "out"], ["out"])])), 'reads "out"'],
  [
    "a name given twice",
    () => modelOf(graph([node("Relu", ["x"], ["out"]), node("Relu", ["x"], ["out"])])),
    'gives "out"',
  ],
  [
    "a name that is none",
    () => modelOf(graph([node("Relu", ["x"], ["__proto__"]), node("Relu", ["__proto__"], ["out"])])),
    "__proto__",
  ],
  ["an output that nobody gives", () => modelOf(graph([node("Relu", ["x"], ["y"])])), 'output "out"'],
  ["a negative size", () => lying({ dims: [-1n] }), 'initializer "w"', "-1"],
  ["a size beyond all memory", () => lying({ dims: [2n ** 40n] }), "1099511627776"],
  [
    "sizes whose product overflows",
    () => lying({ dims: Array.from({ length: 12 }, () => 2n ** 30n) }),
    "too many elements",
  ],
  ["more elements than data", () => lying({ dims: [2n ** 20n, 2n ** 10n] }), "8 bytes, expected 4294967296"],
  ["less elements than data", () => lying({ dims: [1n] }), "8 bytes, expected 4"],
  ["a list of another length", () => {
    const { rawData: _, ...rest } = tensorProto("w", tensor([1, 2]));
    return modelOf({
      ...graph([node("Add", ["x", "w"], ["out"])]),
      initializer: [{ ...rest, floatData: [1] }],
    });
  }, "1 elements, expected 2"],
  ["a type that is none", () => lying({ dataType: 99 }), "99"],
  ["texts as weights", () => lying({ dataType: dataTypes.string }), "string"],
  ["sparse initializers", () => modelOf({ ...identity, sparseInitializer: [{}] }), "sparse"],
  [
    "no inputs",
    () => modelOf(graph([node("Constant", [], ["out"], { value_float: { float: 1 } })], { inputs: {} })),
    "no inputs",
  ],
  [
    "an input that is no tensor",
    () => modelOf({ ...identity, input: [{ name: "x" }] }),
    'input "x"',
    "no tensor",
  ],
  [
    "an input of texts",
    () => modelOf({ ...identity, input: [valueInfo("x", dataTypes.string, [1])] }),
    'input "x"',
    "string",
  ],
  [
    "weights of a wrong rank",
    () =>
      fileOf({
        nodes: [node("LSTM", ["x", "W", "R"], ["", "out"], { hidden_size: 2 })],
        inputs: { x: signed([3, 2, 4]) },
        weights: { W: signed([8, 4]), R: signed([1, 8, 2]) },
        outputs: { out: "float32" },
      }),
    "node 0 (LSTM)",
    "weights W",
    "[1, 8, features]",
  ],
  [
    "weights for other units",
    () =>
      fileOf({
        nodes: [node("GRU", ["x", "W", "R"], ["", "out"], { hidden_size: 3 })],
        inputs: { x: signed([3, 2, 4]) },
        weights: { W: signed([1, 6, 4]), R: signed([1, 6, 2]) },
        outputs: { out: "float32" },
      }),
    "node 0 (GRU)",
    "weights W",
  ],
];

for (const [name, bytes, ...parts] of refused) {
  Deno.test(`an ONNX file is refused: ${name}`, () => {
    const message = refusal(bytes());
    for (const part of parts) assertStringIncludes(message, part);
    assert(message.startsWith("Cannot read the ONNX file: "), message);
    assert(message.length < 600, message);
  });
}

Deno.test("graphs in graphs in graphs are refused before the stack is full", () => {
  const level = (depth: number, inner: Partly<GraphProto> | undefined) => ({
    name: "level",
    input: [valueInfo(`x${depth}`, dataTypes.float, undefined)],
    output: [valueInfo(`y${depth}`, dataTypes.float, undefined)],
    node: [
      inner
        ? node("Scan", [`x${depth}`], [`y${depth}`], { num_scan_inputs: 1, body: { graph: inner } })
        : node("Identity", [`x${depth}`], [`y${depth}`]),
    ],
  });
  let body: Partly<GraphProto> = level(24, undefined);
  for (let depth = 23; depth >= 0; depth--) body = level(depth, body);
  assertStringIncludes(refusal(modelOf(body)), "graph in a graph");
  for (let depth = 0; depth < 200; depth++) {
    body = { name: "g", node: [{ opType: "Scan", attribute: [{ name: "body", type: 5, g: body }] }] };
  }
  assertStringIncludes(refusal(modelOf(body)), "recursion depth");
});

Deno.test("every truncation of a file is refused or complete", () => {
  const model = sequential([lstm({ units: 2 })]);
  const input = spec([null, null, 2]);
  const bytes = toOnnx(model, init(model, key(0), input), { input });
  for (let length = 0; length < bytes.length; length++) {
    try {
      fromOnnx(bytes.subarray(0, length));
    } catch (error) {
      assert(error instanceof OnnxError, `${length} bytes: ${error}`);
    }
  }
});

/** The error of a call, traced: nothing is computed. */
function failure(parts: GraphParts): string {
  const { model, variables, inputs } = fromOnnx(fileOf(parts));
  const specs = Object.values(parts.inputs).map(({ shape, dtype }) => ({ shape, dtype }));
  const input = inputs.length === 1
    ? specs[0]
    : Object.fromEntries(Object.keys(parts.inputs).map((name, index) => [name, specs[index]]));
  const call = (x: Tensor) => model.apply(variables, x, { training: false }).output;
  return assertThrows(() => outputSpecs(call, input), OnnxError).message;
}

const failing: readonly (readonly [name: string, parts: Partial<GraphParts>, ...parts: string[]])[] = [
  [
    "an enormous expansion",
    { nodes: [node("Expand", ["x", "n"], ["out"])], ints: { n: [2 ** 30, 2, 3] } },
    "Expand",
    "at most",
  ],
  ["an enormous constant", {
    nodes: [node("ConstantOfShape", ["n"], ["out"])],
    ints: { n: [2 ** 20, 2 ** 20] },
  }, "ConstantOfShape"],
  ["a negative size", { nodes: [node("ConstantOfShape", ["n"], ["out"])], ints: { n: [-2] } }, "-2"],
  [
    "an enormous padding",
    { nodes: [node("Pad", ["x", "n"], ["out"])], ints: { n: [0, 2 ** 40, 0, 0] } },
    "Pad",
  ],
  ["an enormous range", {
    nodes: [node("Range", ["a", "n", "b"], ["r"]), node("Add", ["x", "r"], ["out"])],
    ints: { a: 0, n: 2 ** 50, b: 1 },
  }, "Range"],
  ["a reshape that does not come out", {
    nodes: [node("Reshape", ["x", "n"], ["out"])],
    ints: { n: [-1, 4] },
  }, "Reshape"],
  ["an index outside", { nodes: [node("Gather", ["x", "n"], ["out"])], ints: { n: 7 } }, "index is 7"],
  ["an axis outside", { nodes: [node("Softmax", ["x"], ["out"], { axis: 5 })] }, "axis is 5"],
  ["shapes that do not fit", { nodes: [node("MatMul", ["x", "x"], ["out"])] }, "MatMul", "inner sizes"],
  ["another rank", {
    nodes: [node("LSTM", ["x", "W", "R"], ["", "out"])],
    weights: { W: signed([1, 8, 3]), R: signed([1, 8, 2]) },
  }, "expected 3"],
  [
    "sizes that double and double",
    {
      nodes: [
        node("Shape", ["x"], ["s0"]),
        ...Array.from(
          { length: 40 },
          (_, i) => node("Concat", [`s${i}`, `s${i}`], [`s${i + 1}`], { axis: 0 }),
        ),
        node("Reshape", ["x", "s40"], ["out"]),
      ],
    },
    "Concat",
    "sizes",
  ],
  ["a shape from values", {
    nodes: [node("Cast", ["x"], ["n"], { to: 7 }), node("Reshape", ["x", "n"], ["out"])],
  }, "known only at run time"],
];

for (const [name, parts, ...expected] of failing) {
  Deno.test(`a call of an ONNX model fails at its node: ${name}`, () => {
    const message = failure({ nodes: [], inputs: { x }, outputs: { out: "float32" }, ...parts });
    for (const part of expected) assertStringIncludes(message, part);
    assert(message.startsWith("Cannot run the ONNX model: node "), message);
  });
}

Deno.test("an input of another type or rank, or under another name, is refused", () => {
  const { model, variables } = fromOnnx(modelOf(identity));
  const call = (x: Parameters<typeof model.apply>[1]) => model.apply(variables, x, { training: false });
  assertThrows(() => call(tensor([1])), TypeError, 'for its input "x"');
  assertThrows(() => call(tensor([[1]], { dtype: "int32" })), TypeError, "expected float32");
  assertThrows(() => call({ y: x }), TypeError, "expected one tensor");
  assertThrows(
    () => model.apply(variables, x, { training: false, mask: tensor([true]) }),
    TypeError,
    "a mask",
  );
  assertThrows(
    () => model.apply({ params: {}, state: { a: x } }, x, { training: false }),
    TypeError,
    "state",
  );
});

const outside = [
  "/etc/passwd",
  "../w.bin",
  "a/../../w",
  "C:\\w.bin",
  "\\\\host\\w",
  "http://x/w",
  "",
  "a\\..\\..\\w",
];

Deno.test("external data is read by the caller, from the model's own folder only", () => {
  const at = (location: string, more: Record<string, string> = {}) =>
    lying({
      rawData: undefined,
      dataLocation: 1,
      externalData: Object.entries({ location, ...more }).map(([key, value]) => ({ key, value })),
    });
  assertStringIncludes(refusal(at("w.bin")), "externalData: (location");
  let asked = 0;
  const never = () => {
    asked++;
    return new Uint8Array(8);
  };
  for (const location of outside) {
    assertStringIncludes(refusal(at(location), { externalData: never }), "own folder");
  }
  assertStringIncludes(refusal(at("w", { offset: "-1" }), { externalData: never }), "offset");
  assertStringIncludes(refusal(at("w", { length: "1e9" }), { externalData: never }), "length");
  assertEquals(asked, 0);
  const asks: unknown[] = [];
  const { variables } = fromOnnx(at("data/w.bin", { offset: "4", length: "8" }), {
    externalData: (...given) => {
      asks.push(given);
      return new Uint8Array(new Float32Array([5, 6]).buffer);
    },
  });
  assertEquals(asks, [["data/w.bin", 4, 8]]);
  assertEquals([...(variables.params as Record<string, { data: Float32Array }>).w.data], [5, 6]);
  assertStringIncludes(refusal(at("w"), { externalData: () => new Uint8Array(7) }), "7 bytes, expected 8");
});

Deno.test("a perm may count axes from the end, as axes elsewhere may", () => {
  const { model, variables } = fromOnnx(
    modelOf(graph([node("Transpose", ["x"], ["out"], { perm: [-1, 0] })])),
  );
  const { output } = model.apply(variables, x, { training: false });
  assertEquals((output as Tensor).shape, [3, 2]);
});
