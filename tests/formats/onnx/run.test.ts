/** How imported models run: whole graphs by name, batches on any axis, inputs that are bound, and states as streams. */
import {
  fit,
  host,
  type HostTensor,
  key,
  type Layer,
  normal,
  predict,
  reshape,
  sequential,
  slice,
  spec,
  streaming,
  streams,
  type Tensor,
  tensor,
  transpose,
  type Tree,
} from "@cellfold/cellfold";
import { fromOnnx } from "@cellfold/cellfold/onnx";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { dataTypes, valueInfo } from "../../../formats/onnx/tensors.ts";
import { encodeModel } from "../../../formats/onnx/protos.ts";
import { inner } from "./support/control_cases.ts";
import { graphOf, type GraphParts, node, signed } from "./support/graphs.ts";

/** A file whose inputs have these sizes and names of sizes. */
function fileWith(parts: GraphParts, shapes: { readonly [name: string]: readonly (number | string)[] }) {
  const graph = graphOf(parts);
  const input = Object.entries(shapes).map(([name, shape]) =>
    valueInfo(name, dataTypes[parts.inputs[name]?.dtype === "int32" ? "int64" : "float"], shape)
  );
  return encodeModel({
    irVersion: 8n,
    opsetImport: [{ domain: "", version: 17n }],
    graph: { ...graph, input },
  });
}

const WASM = { device: "wasm" } as const;

const weights = { W: signed([1, 16, 3], 1), R: signed([1, 16, 4], 2) };

/** PyTorch's default: `[time, batch, features]`. */
const timeMajor = fileWith({
  nodes: [
    node("LSTM", ["x", "W", "R"], ["Y"], { hidden_size: 4 }),
    node("Squeeze", ["Y", "directions"], ["y"]),
  ],
  inputs: { x: signed([5, 2, 3]) },
  weights,
  ints: { directions: [1] },
  outputs: { y: "float32" },
}, { x: ["time", "batch", 3] });

/** A step of frames with a state `[2, batch, 4]`, twice as fast at another rate. */
const framewise: GraphParts = {
  nodes: [
    node("Equal", ["rate", "high"], ["isHigh"]),
    node("If", ["isHigh"], ["factor"], {
      then_branch: { graph: inner({}, { a: "float" }, [node("Identity", ["two"], ["a"])]) },
      else_branch: { graph: inner({}, { b: "float" }, [node("Identity", ["one"], ["b"])]) },
    }),
    node("Mul", ["x", "factor"], ["scaled"]),
    node("MatMul", ["scaled", "kernel"], ["added"]),
    node("Unsqueeze", ["added", "first"], ["wide"]),
    node("Mul", ["h", "half"], ["left"]),
    node("Add", ["left", "wide"], ["sum"]),
    node("Tanh", ["sum"], ["hn"]),
    node("ReduceSum", ["hn", "parts"], ["out"], { keepdims: 0 }),
  ],
  inputs: { x: signed([3, 5]), h: signed([2, 3, 4]), rate: tensor(8000, { dtype: "int32" }) },
  weights: { kernel: signed([5, 4], 4), half: tensor(0.5), two: tensor(2), one: tensor(1) },
  ints: { high: 16000, first: [0], parts: [0] },
  outputs: { out: "float32", hn: "float32" },
};
const frames = fileWith(framewise, { x: ["batch", 5], h: [2, "batch", 4], rate: [] });

function largestDifference(a: HostTensor, b: HostTensor): number {
  assertEquals(a.shape, b.shape);
  return Math.max(...a.data.map((value, index) => Math.abs(value - b.data[index])));
}

Deno.test("OnnxModel.run: any order of axes, and no batch of 32", async () => {
  const { run, model, variables } = fromOnnx(timeMajor);
  const x = normal(key(1), [50, 2, 3]);
  const { y } = await run({ x }, WASM);
  const { output } = model.apply(variables, x, { training: false });
  assert(largestDifference(y, host(output as Tensor)) < 1e-6); // one output
  assertEquals((await run({ x: normal(key(1), [7, 1, 3]) }, { device: "reference" })).y.shape, [7, 1, 4]);
});

Deno.test("OnnxModel.run: compiled once for a device, however its options are given", async () => {
  const { run } = fromOnnx(timeMajor);
  const x = normal(key(1), [50, 2, 3]);
  const { compile } = WebAssembly;
  let compiled = 0;
  WebAssembly.compile = (bytes) => {
    compiled++;
    return compile(bytes);
  };
  try {
    await run({ x }, { device: { name: "wasm", threads: 1 } });
    const first = compiled;
    assert(first > 0);
    for (let call = 0; call < 3; call++) await run({ x }, { device: { threads: 1, name: "wasm" } });
    assertEquals(compiled, first);
  } finally {
    WebAssembly.compile = compile;
  }
});

Deno.test("predict, fit: a file whose first axis is time is refused until it is said where the batch is", async () => {
  const { model, variables } = fromOnnx(timeMajor);
  const remedy = "batchAxis: 1, or use run of the imported model";
  const data = { x: signed([50, 2, 3]), y: signed([50, 2, 4]) };
  const options = { loss: "mse", optimizer: "sgd", report: "none" } as const;
  assert((await assertRejects(() => predict(model, variables, data.x), TypeError)).message.includes(remedy));
  assert(
    (await assertRejects(() => fit(model, variables, data, options), TypeError)).message.includes(remedy),
  );
  const inside = { params: [variables.params], state: [variables.state] };
  await assertRejects(
    () => predict(sequential([model]), inside, data.x),
    TypeError,
    "of onnx, the first axis of",
  );
  const batched = fromOnnx(timeMajor, { batchAxis: 1 });
  const turned = transpose(data.x, { permutation: [1, 0, 2] });
  const output = await predict(batched.model as Layer<Tensor>, batched.variables, host(turned), {
    device: "wasm",
  });
  const { y } = await batched.run({ x: data.x }, WASM);
  assert(largestDifference(host(transpose(output, { permutation: [1, 0, 2] })), y) < 1e-6);
  const targets = { x: host(turned), y: signed([2, 50, 4]) };
  const trained = await fit(batched.model, batched.variables, targets, { ...options, ...WASM });
  const after = await batched.run({ x: data.x }, { variables: trained.variables, ...WASM });
  assert(largestDifference(after.y, y) > 1e-6);
});

Deno.test("predict: inputs or outputs without the batch first are refused, named", async () => {
  const states = fromOnnx(frames, { constants: { rate: 8000 } });
  const given: Tree<Tensor> = { x: signed([3, 5]), h: signed([2, 3, 4]) };
  await assertRejects(
    () => predict(states.model, states.variables, given),
    TypeError,
    '"x" is [batch, 5], "h" is [2, batch, 4]',
  );
  const whole = fromOnnx(fileWith({
    nodes: [node("ReduceSum", ["x"], ["out"], { keepdims: 1 })],
    inputs: { x: signed([2, 3]) },
    outputs: { out: "float32" },
  }, { x: ["n", 3] }));
  await assertRejects(
    () => predict(whole.model, whole.variables, signed([2, 3])),
    TypeError,
    'its output "out" is [1, 1]',
  );
  assertEquals((await whole.run({ x: signed([2, 3]) }, WASM)).out.shape, [1, 1]);
});

Deno.test("fromOnnx: constants bind inputs, and decide branches", async () => {
  const given = { x: signed([3, 5]), h: signed([2, 3, 4]) };
  const [low, high] = [8000, 16000].map((rate) => fromOnnx(frames, { constants: { rate } }));
  assertEquals(low.inputs.map(({ name }) => name), ["x", "h"]);
  const whole = await fromOnnx(frames).run({ ...given, rate: tensor(16000, { dtype: "int32" }) }, WASM);
  const [slow, fast] = [await low.run(given, WASM), await high.run(given, WASM)];
  assert(largestDifference(fast.out, whole.out) < 1e-6);
  assert(largestDifference(slow.out, fast.out) > 1e-3);
});

Deno.test("fromOnnx: states make a stream, in steps, chunks and slots", async () => {
  const constants = { rate: 16000 };
  const { run } = fromOnnx(frames, { constants });
  const { model, variables, inputs } = fromOnnx(frames, { constants, states: { h: "hn" } });
  assertEquals(inputs.map(({ name }) => name), ["x", "h"]);
  const x = normal(key(2), [3, 6, 5]);
  const steps: HostTensor[] = [];
  let h: HostTensor = tensor(new Float32Array(24), { shape: [2, 3, 4] });
  for (let step = 0; step < 6; step++) {
    const frame = reshape(slice(x, { start: [0, step, 0], size: [3, 1, 5] }), [3, 5]);
    const results = await run({ x: frame, h }, WASM);
    h = results.hn;
    steps.push(results.out);
  }
  const input = spec([3, null, 5]);
  const layer = model as Layer<Tensor>; // one output beside the state
  using stream = streaming(layer, variables, { input, ...WASM });
  for (let step = 0; step < 3; step++) {
    const output = await stream.step(
      host(reshape(slice(x, { start: [0, step, 0], size: [3, 1, 5] }), [3, 5])),
    );
    assert(largestDifference(output, steps[step]) < 1e-6);
  }
  const rest = await stream.push(host(slice(x, { start: [0, 3, 0], size: [3, 3, 5] })));
  steps.slice(3).forEach((expected, step) => {
    const part = reshape(slice(rest, { start: [0, step, 0], size: [3, 1, 4] }), [3, 4]);
    assert(largestDifference(host(part), expected) < 1e-6);
  });
  const { carry } = stream.state as { readonly carry: { readonly h: HostTensor } }; // that of a recurrent layer
  assert(largestDifference(host(transpose(carry.h, { permutation: [1, 0, 2] })), h) < 1e-6);
  const all = await predict(layer, variables, host(x), WASM);
  assertEquals(all.shape, [3, 6, 4]);
  using together = streams(layer, variables, { capacity: 2, input: spec([1, null, 5]), ...WASM });
  const session = together.join();
  const frame = slice(x, { start: [0, 0, 0], size: [2, 1, 5] });
  const first = await together.step(host(reshape(frame, [2, 5])), { sessions: [session] });
  assert(
    largestDifference(
      host(slice(first, { start: [0, 0], size: [1, 4] })),
      host(slice(steps[0], { start: [0, 0], size: [1, 4] })),
    ) < 1e-6,
  );
});

Deno.test("fromOnnx: a graph of a single sample and its state, without a batch", async () => {
  const bytes = fileWith({
    nodes: [
      node("Unsqueeze", ["x", "one"], ["wide"]),
      node("Unsqueeze", ["h", "both"], ["before"]),
      node("RNN", ["wide", "W", "R", "", "", "before"], ["Y", "Y_h"], { hidden_size: 4 }),
      node("Squeeze", ["Y", "inside"], ["y"]),
      node("Squeeze", ["Y_h", "both"], ["hn"]),
    ],
    inputs: { x: signed([5, 3]), h: signed([4]) },
    weights: { W: signed([1, 4, 3], 1), R: signed([1, 4, 4], 2) },
    ints: { one: [1], both: [0, 1], inside: [1, 2] },
    outputs: { y: "float32", hn: "float32" },
  }, { x: ["time", 3], h: [4] });
  const states = { h: "hn" };
  assertThrows(
    () => fromOnnx(bytes, { states }),
    TypeError,
    "batchAxis: null for a graph of a single sample",
  );
  const { model, variables, run } = fromOnnx(bytes, { states, batchAxis: null });
  const x = normal(key(3), [4, 3]);
  const { y } = await run({ x, h: tensor([0, 0, 0, 0]) }, WASM);
  const output = await predict(model as Layer<Tensor>, variables, host(reshape(x, [1, 4, 1, 3])), WASM);
  assert(largestDifference(host(reshape(output, [4, 4])), y) < 1e-6);
  // Samples are computed one after another.
  const two = await predict(model as Layer<Tensor>, variables, host(normal(key(4), [2, 4, 1, 3])), WASM);
  assertEquals(two.shape, [2, 4, 1, 4]);
});

Deno.test("fromOnnx: a model of a state trains over its steps", async () => {
  const { model, variables } = fromOnnx(frames, {
    constants: { rate: 8000 },
    states: { h: "hn" },
    trainable: (name) => name === "kernel",
  });
  const data = { x: signed([4, 6, 5], 7), y: signed([4, 6, 4], 8) };
  const options = { loss: "mse", optimizer: "adam", epochs: 30, report: "none", ...WASM } as const;
  const { history } = await fit(
    sequential([model]),
    { params: [variables.params], state: [[]] },
    data,
    options,
  );
  assert(history.loss[29] < history.loss[0]);
});

/** Written for a batch of 1 and rows of 3, which a product and a flattening to `[1, 6]` follow. */
const ofOne = (shape: readonly number[]) =>
  fileWith({
    nodes: [node("MatMul", ["x", "kernel"], ["y"]), node("Reshape", ["y", "flat"], ["z"])],
    inputs: { x: signed([1, 2, 3]) },
    weights: { kernel: signed([3, 4], 5) },
    ints: { flat: shape },
    outputs: { z: "float32" },
  }, { x: [1, 2, 3] });

Deno.test("fromOnnx: shapes opens sizes that the file declares, and fixes open ones", async () => {
  const x = signed([5, 2, 3]);
  const fixed = fromOnnx(ofOne([0, -1]));
  await assertRejects(
    () => fixed.run({ x }),
    TypeError,
    'expected float32[1, 2, 3]; fromOnnx opens sizes of a file, as in shapes: { "x": [null, 2, 3] }',
  );
  await assertRejects(
    () => predict(fixed.model, fixed.variables, x, { batchSize: 5 }),
    RangeError,
    "batch of 1",
  );
  const { run, model, variables, inputs } = fromOnnx(ofOne([0, -1]), { shapes: { x: [null, 2, 3] } });
  assertEquals(String(inputs[0].shape), "x_0,2,3");
  const { z } = await run({ x }, WASM);
  assertEquals(z.shape, [5, 8]);
  const rows = await predict(model as Layer<Tensor>, variables, x, WASM);
  assertEquals(rows.data, z.data);
  for (const row of [0, 4]) {
    const one = await fixed.run({ x: host(slice(x, { start: [row, 0, 0], size: [1, 2, 3] })) }, WASM);
    assertEquals(one.z.data, z.data.slice(8 * row, 8 * row + 8));
  }
  await fit(model, variables, { x, y: signed([5, 8]) }, {
    loss: "mse",
    optimizer: "sgd",
    report: "none",
    ...WASM,
  });
  // A graph that was written for its batch.
  const written = fromOnnx(ofOne([1, 8]), { shapes: { x: [null, 2, 3] } });
  await assertRejects(() => written.run({ x }), Error, "Reshape");
  // A size that is open keeps its name; one that is given is fixed.
  const narrow = fromOnnx(timeMajor, { shapes: { x: [null, 2, 3] } });
  assertEquals(String(narrow.inputs[0].shape), "time,2,3");
  await assertRejects(() => narrow.run({ x: signed([5, 3, 3]) }), TypeError, "expected float32[time, 2, 3]");
});

Deno.test("fromOnnx: a size that the file declares as negative is open", async () => {
  const negative = fileWith({
    nodes: [node("MatMul", ["x", "kernel"], ["y"])],
    inputs: { x: signed([1, 2, 3]) },
    weights: { kernel: signed([3, 4], 5) },
    outputs: { y: "float32" },
  }, { x: [-1, -7, 3] });
  const { run, inputs, model, variables } = fromOnnx(negative);
  assertEquals(String(inputs[0].shape), "x_0,x_1,3");
  for (const shape of [[1, 2, 3], [4, 5, 3]]) {
    const x = signed(shape);
    const { y } = await run({ x }, WASM);
    assertEquals(y.shape, [...shape.slice(0, 2), 4]);
    assertEquals((await predict(model as Layer<Tensor>, variables, x, WASM)).data, y.data);
  }
});

Deno.test("fromOnnx: options that do not fit the graph are refused", () => {
  const wrong = (options: Record<string, unknown>, expected: string) => {
    const error = assertThrows(() => fromOnnx(frames, options), Error);
    assert(error.message.includes(expected), error.message);
  };
  wrong({ constants: { rat: 1 } }, 'constants names "rat", expected one of "x", "h", "rate"');
  wrong({ constants: { rate: 1.5 } }, "expected whole numbers");
  wrong({ constants: { rate: [1, 2] } }, 'for its input "rate": expected int32[]');
  wrong({ constants: 8000 }, "constants is the number 8000");
  wrong({ states: { h: "h2" } }, 'states names "h2", expected one of "out", "hn"');
  wrong({ states: { hh: "hn" } }, 'states names "hh"');
  wrong({ states: {} }, 'an object such as { h: "hn" }');
  wrong({ states: { h: "hn", x: "hn" } }, 'the output "hn" twice');
  wrong({ shapes: { z: [1] } }, 'shapes names "z", expected one of "x", "h", "rate"');
  wrong({ shapes: { x: [1] } }, "shapes.x is an array");
  wrong({ shapes: { x: [1, 0.5] } }, "shapes.x[1] is 0.5");
  wrong({ shapes: [1, 5] }, "shapes is an array");
  wrong({ batchAxis: -1 }, "batchAxis is the number -1");
  wrong({ batchAxis: { z: 1 } }, 'batchAxis names "z"');
  wrong({ batchAxis: { x: 0.5 } }, "batchAxis.x is the number 0.5");
});

Deno.test("OnnxModel.run: inputs that do not fit are refused", async () => {
  const { run } = fromOnnx(timeMajor);
  await assertRejects(() => run({}), TypeError, "expected its inputs by name, {x}");
  await assertRejects(() => run({ x: signed([2, 3]) }), TypeError, "expected float32[time, batch, 3]");
  await assertRejects(() => run({ z: signed([2, 3]) }), TypeError, "{x}");
});
