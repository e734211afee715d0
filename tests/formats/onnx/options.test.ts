/** What `toOnnx` can be asked for beside the model. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  bernoulli,
  bidirectional,
  cast,
  concat,
  dense,
  gru,
  host,
  type HostTensor,
  init,
  key,
  type Layer,
  layerNormLstm,
  lstm,
  sequential,
  simpleRnn,
  spec,
  tensor,
  toJson,
  zeros,
} from "@cellfold/cellfold";
import { fromOnnx, toOnnx } from "@cellfold/cellfold/onnx";
import config from "../../../deno.json" with { type: "json" };
import { VERSION } from "../../../formats/onnx/export/to_onnx.ts";
import { decodeModel } from "../../../formats/onnx/protos.ts";
import { noise } from "../../../examples/support/section.ts";
import { assertAgree } from "./support/agree.ts";
import { type Named, python, runInPython, runOnWeb, webMissing, webNeeds } from "./support/runtime.ts";

const input = spec([null, null, 4]);
const variablesOf = (layer: Layer) => init(layer, key(0), input);

/** Steps of a sequence `[batch, time, features]`. */
function steps(x: HostTensor, from: number, to: number): HostTensor {
  const [batch, time, features] = x.shape;
  const rows = Array.from(
    { length: batch },
    (_, row) => [...x.data.subarray((row * time + from) * features, (row * time + to) * features)],
  );
  return tensor(rows.flat(), { shape: [batch, to - from, features] });
}

const stateful: readonly (readonly [string, Layer, string[]])[] = [
  ["lstm", lstm({ units: 3 }), ["lstm.initial_h", "lstm.initial_c"]],
  ["gru", gru({ units: 3, returnSequences: true }), ["gru.initial_h"]],
  ["lstm with peepholes", lstm({ units: 3, peepholes: true, inputForget: true }), [
    "lstm.initial_h",
    "lstm.initial_c",
  ]],
  ["lstm with a projection, a Scan", lstm({ units: 3, projection: 2 }), [
    "lstm.initial_h",
    "lstm.initial_c",
  ]],
  ["layer-norm lstm, a Scan", layerNormLstm({ units: 3 }), [
    "layerNormLstm.initial_h",
    "layerNormLstm.initial_c",
  ]],
];

for (const [name, recurrent, names] of stateful) {
  Deno.test({
    name: `initial and final states are inputs and outputs on request: ${name}${webNeeds}`,
    ignore: webMissing,
    sanitizeResources: false,
    sanitizeOps: false,
    fn: async () => {
      const layer = sequential([recurrent, dense({ units: 2 })]);
      const variables = variablesOf(layer);
      const bytes = toOnnx(layer, variables, { input, states: true });
      const x = noise([2, 6, 4]);
      const { inputs } = fromOnnx(bytes);
      assertEquals(inputs.map(({ name }) => name), ["input", ...names]);
      const begin: Named = Object.fromEntries(
        inputs.slice(1).map(({ name, shape = [] }) => [name, host(zeros([2, shape[1]]))]),
      );
      const first = await runOnWeb(bytes, { input: steps(x, 0, 4), ...begin });
      const between: Named = Object.fromEntries(names.map((name) => {
        const { shape, data } = first[name.replace("initial", "final")];
        return [name, tensor(data as number[], { shape })];
      }));
      const second = await runOnWeb(bytes, { input: steps(x, 4, 6), ...between });
      const { output } = layer.apply(variables, x, { training: false });
      const whole = host(output);
      const expected = whole.shape.length === 3 ? steps(whole, 4, 6) : whole;
      assertAgree(name, { output: second.output }, { output: expected });
    },
  });
}

Deno.test("states of both directions have names of their own", () => {
  const layer = bidirectional(lstm({ units: 3 }));
  const { inputs, outputs } = fromOnnx(toOnnx(layer, variablesOf(layer), { input, states: true }));
  const names = ["forward_h", "forward_c", "backward_h", "backward_c"];
  assertEquals(inputs.map(({ name }) => name), [
    "input",
    ...names.map((name) => `bidirectional.initial_${name}`),
  ]);
  assertEquals(outputs, ["output", ...names.map((name) => `bidirectional.final_${name}`)]);
  const own = bidirectional(lstm({ units: 3 }), { mergeMode: (a, b) => concat([a, b]) });
  assertThrows(() => toOnnx(own, variablesOf(own), { input, states: true }), TypeError, "merge mode");
});

for (const goBackwards of [false, true]) {
  Deno.test({
    name: `lengths are an input on request, backwards ${goBackwards}${webNeeds}`,
    ignore: webMissing,
    sanitizeResources: false,
    sanitizeOps: false,
    fn: async () => {
      const layer = sequential([lstm({ units: 3, returnSequences: true, goBackwards }), gru({ units: 2 })]);
      // Backwards the padding comes first in what the second layer reads, and in its mask.
      const variables = variablesOf(layer);
      const bytes = toOnnx(layer, variables, { input, lengths: "lengths" });
      const graph = decodeModel(bytes).graph;
      assert(graph?.node.some(({ opType, input }) => opType === "LSTM" && input[4] === "lengths"));
      const x = noise([3, 5, 4]);
      const lengths = tensor([5, 0, 2], { dtype: "int32" });
      const mask = tensor([5, 0, 2].map((length) => [0, 1, 2, 3, 4].map((step) => step < length)));
      const { output } = layer.apply(variables, x, { training: false, mask });
      const results = await runOnWeb(bytes, { input: x, lengths });
      assertAgree("lengths", results, { output: host(output) });
    },
  });
}

Deno.test("options of cells are attributes and inputs of the operators", () => {
  const nodeOf = (layer: Layer) => {
    const graph = decodeModel(toOnnx(layer, variablesOf(layer), { input })).graph;
    const node = graph?.node.find(({ opType }) => ["LSTM", "GRU", "RNN"].includes(opType));
    assert(graph && node);
    const attributes = Object.fromEntries(node.attribute.map(({ name, f, i }) => [name, f || Number(i)]));
    const weights = node.input.map((name) => graph.initializer.find((tensor) => tensor.name === name));
    return { attributes, weights, inputs: node.input };
  };
  const plain = nodeOf(lstm({ units: 3 }));
  assertEquals([plain.attributes.clip, plain.attributes.input_forget], [undefined, undefined]);
  const whole = nodeOf(lstm({ units: 3, peepholes: true, inputForget: true, clip: 0.5 }));
  assertEquals([whole.attributes.clip, whole.attributes.input_forget], [0.5, 1]);
  const [, W, R, B, lengths, h, c, P] = whole.weights;
  assertEquals([lengths, h, c], [undefined, undefined, undefined]);
  assertEquals([W, R, B, P].map((weight) => weight?.dims.map(Number)), [[1, 12, 4], [1, 12, 3], [1, 24], [
    1,
    9,
  ]]);
  // Rows i, o, f, c: those of f, which nothing reads, are zeros.
  const floats = new Float32Array(W?.rawData.slice().buffer ?? new ArrayBuffer());
  assertEquals(
    [0, 1, 2, 3].map((gate) => floats.subarray(gate * 12, gate * 12 + 12).every((value) => value === 0)),
    [false, false, true, false],
  );
  assertEquals(nodeOf(lstm({ units: 3, clip: 1e300 })).attributes.clip, undefined); // infinity as a float32
  assertEquals(nodeOf(gru({ units: 3, clip: 0.5 })).attributes.clip, 0.5);
  assertEquals(nodeOf(simpleRnn({ units: 3, clip: 0.5 })).attributes.clip, 0.5);
});

Deno.test("names are those asked for, sizes keep their names, and the file says where it comes from", () => {
  const layer = sequential([lstm({ units: 3, returnSequences: true }), dense({ units: 2 })], {
    name: "scores",
  });
  const bytes = toOnnx(layer, variablesOf(layer), {
    input: spec(["rows", "steps", 4]),
    inputNames: ["series"],
    outputNames: ["logits"],
  });
  const model = decodeModel(bytes);
  const { inputs, outputs, opset, producer, metadata } = fromOnnx(bytes);
  assertEquals([inputs[0].name, String(inputs[0].shape), outputs], ["series", "rows,steps,4", ["logits"]]);
  assertEquals([opset, producer], [17, `cellfold ${VERSION}`]);
  assertEquals(JSON.parse(metadata["cellfold.model"]), toJson(layer));
  assertEquals(model.graph?.output[0].type?.tensorType?.shape?.dim.map(({ dimParam }) => dimParam), [
    "rows",
    "steps",
    "",
  ]);
  assertEquals(VERSION, config.version);
});

Deno.test("a model with a function among its options is exported without its JSON", () => {
  const layer = dense({ units: 2, activation: (x) => x });
  assertEquals(fromOnnx(toOnnx(layer, variablesOf(layer), { input })).metadata, {});
});

Deno.test("what cannot be exported is refused, with what to change", () => {
  const layer = dense({ units: 2 });
  const variables = variablesOf(layer);
  const refuse = (options: object, part: string) =>
    assertStringIncludes(assertThrows(() => toOnnx(layer, variables, { input, ...options })).message, part);
  refuse({ inputs: 1 }, `did you mean "input"`);
  refuse({ inputNames: ["a", "b"] }, "2 names, expected 1");
  refuse({ outputNames: [""] }, "empty name");
  refuse({ inputNames: ["a"], outputNames: ["a"] }, "taken");
  refuse({ input: [] }, "no tensors");
  const drawing: Layer = {
    ...layer,
    apply: (variables, x, context) => {
      const applied = layer.apply(variables, x, context);
      const drawn = cast(bernoulli(key(1), [2], { probability: 0.5 }), "float32");
      return {
        ...applied,
        output: concat([applied.output, applied.output], { axis: 0 }),
        state: [drawn],
      };
    },
  };
  toOnnx(drawing, variables, { input: spec([3, 4]) }); // what is drawn is not read
  const noisy: Layer = {
    ...layer,
    apply: (_, __, { training }) => ({
      output: cast(bernoulli(key(1), [2], { probability: training ? 0.4 : 0.5 }), "float32"),
      state: [],
    }),
  };
  assertThrows(() => toOnnx(noisy, variables, { input }), TypeError, "random bits");
  const carried = lstm({ units: 3, stateful: true });
  const fixed = init(carried, key(0), spec([2, 5, 4]));
  assertThrows(() => toOnnx(carried, fixed, { input }), RangeError, "states: true");
});

Deno.test({
  name: "ONNX's checker accepts files with states and lengths" +
    (python === undefined ? " (needs CELLFOLD_PYTHON)" : ""),
  ignore: python === undefined,
  fn: async () => {
    const layer = sequential([bidirectional(lstm({ units: 3, returnSequences: true })), gru({ units: 2 })]);
    const bytes = toOnnx(layer, variablesOf(layer), { input, states: true, lengths: "lengths" });
    const { inputs } = fromOnnx(bytes);
    const given: Named = Object.fromEntries(inputs.map(({ name }) => [
      name,
      name === "input"
        ? noise([3, 5, 4])
        : name === "lengths"
        ? tensor([5, 0, 2], { dtype: "int32" })
        : noise([3, name.startsWith("gru") ? 2 : 3], 4),
    ]));
    const [results] = await runInPython([{ bytes, inputs: given }]);
    const { model, variables, outputs } = fromOnnx(bytes);
    const here = model.apply(variables, given, { training: false }).output as unknown as Named; // several, by name
    assertEquals(Object.keys(results).sort(), [...outputs].sort());
    assertAgree("states", results, here);
  },
});
