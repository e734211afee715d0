/** What cannot be exported, and what a loader refuses: every error says what was given and what is expected. */
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  activation,
  apply,
  bidirectional,
  call,
  cast,
  compile,
  concat,
  dense,
  embedding,
  gru,
  host,
  type HostTensor,
  init,
  input as graphInput,
  key,
  type Layer,
  lstm,
  mapTree,
  model as graph,
  mul,
  reshapeLayer,
  sequential,
  slice,
  type Spec,
  spec,
  streaming,
  symbol,
  type Tensor,
  toHost,
  type Tree,
  treeLeaves,
  type Variables,
} from "@cellfold/cellfold";
import { multiplyDims } from "@cellfold/cellfold/internal";
import { type StandaloneOptions, toC, toWasm } from "@cellfold/cellfold/standalone";
import { maskedModels } from "./masked_models.ts";
import { DEVICE, type LoadedStream, moduleOf, variablesOf } from "./support.ts";

const input = spec([null, null, 3]);
const model = sequential([lstm({ units: 4, returnSequences: true }), dense({ units: 2 })]);
const variables = init(model, key(0), input);

const tokens = graphInput([null], { dtype: "int32" });

/** A model of two sequences whose output is a function of them. */
function graphOf(fn: (x: Tensor, y: Tensor) => Tensor): Layer {
  const x = graphInput([null, 3], { name: "x" }), y = graphInput([null, 3], { name: "y" });
  return graph({ inputs: { x, y }, outputs: apply(fn, x, y) });
}

/** Variables with a value at the end of the first weight, a bias. */
function spoiled(value: number): Variables {
  let isFirst = true;
  return mapTree({ ...variables }, (leaf: HostTensor): HostTensor => {
    const data = leaf.data.slice();
    if (isFirst) data[data.length - 1] = value;
    isFirst = false;
    return { ...leaf, data };
  }) as unknown as Variables; // of the same structure
}

interface Refusal {
  readonly model?: Layer;
  /** What its variables are made for; default: the options' input. */
  readonly made?: Spec;
  readonly variables?: Variables;
  readonly options: object;
  readonly says: readonly string[];
}

const refusals: Readonly<Record<string, Refusal>> = {
  "a tensor that cannot be addressed": {
    variables,
    options: { input: spec([2 ** 28, null, 3]) },
    says: ["float32[268435456, length, 3]", "less than 2 GiB"],
  },
  "a step that cannot be addressed": {
    variables,
    options: { input, batch: 1e24, stream: true },
    says: ["float32[1e+24, ", "less than 2 GiB"],
  },
  "a result that cannot be addressed": {
    model: graphOf((x, y) => concat([x, y], { axis: 2 })),
    options: { input: { x: spec([2 ** 27, null, 3]), y: spec([2 ** 27, null, 3]) } },
    says: ["float32[134217728, length, 6]", "less than 2 GiB"],
  },
  "no input": { variables, options: {}, says: ["input is undefined", "spec("] },
  "an input without tensors": { variables, options: { input: {} }, says: ["no tensors"] },
  "an unknown option": { options: { input, steam: true }, says: ["steam", "stream"] },
  "an option of another kind": { options: { input, stream: 1 }, says: ["stream", "true or false"] },
  "a name that is no identifier": {
    options: { input, name: "my-model" },
    says: ['"my-model"', '"my_model"'],
  },
  "a name that begins with a digit": { options: { input, name: "2nd" }, says: ['"2nd"', '"_2nd"'] },
  "a batch of none": { options: { input, batch: 0 }, says: ["batch is 0"] },
  "NaN in a weight": {
    variables: spoiled(NaN),
    options: { input },
    says: ["variables.params[0].bias has NaN at 15", "allowNaN"],
  },
  "a tensor of other sizes than its own": {
    variables: mapTree(
      { ...variables },
      (leaf: HostTensor) => ({ ...leaf, data: leaf.data.slice(1) }),
    ) as never,
    options: { input },
    says: ["variables.params[0].bias has 15 elements, expected 16 for float32[16]"],
  },
  "a size that is a product": {
    made: input,
    options: { input: spec([null, multiplyDims(2, symbol("pairs")), 3]) },
    says: ["axis 1 of input is 2*pairs", "name it"],
  },
  "a layer that reads backwards, step by step": {
    model: sequential([bidirectional(gru({ units: 2 }))]),
    options: { input, stream: true },
    says: ["Cannot feed bidirectional"],
  },
  "another open size, step by step": {
    made: input,
    options: { input: spec([null, null, "features"]), stream: true },
    says: ["sequential", "features"],
  },
  "a layer that needs the length as a number": {
    model: sequential([reshapeLayer({ targetShape: [6] }), dense({ units: 2 })]),
    made: spec([null, 2, 3]),
    options: { input },
    says: ["length"],
  },
  "an input that does not fit": {
    made: input,
    options: { input: spec([null, null, 4]) },
    says: ["the kernel is for 3 features"],
  },
  "an input in float64": {
    model: activation("relu"),
    options: { input: spec([null, 3], "float64") },
    says: ["float64", "expected float32"],
  },
  "a batch that is not that of the input": {
    made: input,
    options: { input: spec([2, null, 3]), batch: 3 },
    says: ["batch is 3", "input is float32[2, "],
  },
  "more steps than the shortest sequence has": {
    model: graphOf((x) => slice(x, { start: [0, 1, 0], size: [x.shape[0], 2, 3] })),
    options: { input: { x: input, y: spec([null, "more", 3]) } },
    says: ["Cannot slice elements 1 to 2 of axis 1: it has 1 here", "sizes from 1"],
  },
  "as many steps as another sequence has, which may be longer": {
    model: graphOf((x, y) => slice(x, { start: [0, 0, 0], size: y.shape })),
    options: { input: { x: input, y: spec([null, "more", 3]) } },
    says: ["Cannot slice elements 0 to", "sizes from 1"],
  },
  "a mask without tensors": { options: { input, mask: {} }, says: ["mask has no tensors", "leave it out"] },
  "a mask that is no spec": { options: { input, mask: true }, says: ["true at mask"] },
  "a mask of numbers": {
    options: { input, mask: spec([null, null]) },
    says: ["mask is float32[batch, time], expected bool", "float32[batch, time, 3]"],
  },
  "a mask of other sizes": {
    options: { input, mask: spec([null, 5], "bool") },
    says: ["mask is bool[batch, 5], expected bool with the first axes of float32[batch, time, 3]"],
  },
  "a mask of more axes than the input has": {
    options: { input, mask: spec([null, null, 3, 1], "bool") },
    says: ["mask is bool[batch, time, 3, 1]"],
  },
  "a mask of a tensor that the input does not have": {
    model: graphOf((x, y) => concat([x, y], { axis: 1 })),
    options: { input: { x: input, y: input }, mask: { z: spec([null, null], "bool") } },
    says: ["mask.z is bool[batch, time]", "float32[batch, time, 3] or float32[batch, time, 3]"],
  },
  "a mask that nothing reads": {
    model: graph({ inputs: tokens, outputs: call(embedding({ inputDim: 5, outputDim: 2 }), tokens) }),
    options: { input: spec([null, null], "int32"), mask: spec([null, null], "bool") },
    says: ["nothing in it reads mask", "leave it out"],
  },
  "a batch that a stateful layer does not have": {
    model: lstm({ units: 4, stateful: true }),
    made: spec([2, null, 3]),
    options: { input, batch: 3 },
    says: ["stateful for a batch of 2"],
  },
};

const exporters = { toWasm, toC } as const;

for (const [exporter, [name, refusal]] of both(Object.entries(refusals))) {
  Deno.test(`${exporter} refuses ${name}`, () => {
    const { model: own = model, options, says } = refusal;
    const made = () => init(own, key(0), refusal.made ?? (options as StandaloneOptions).input);
    const given = refusal.variables ?? made();
    const write = exporters[exporter];
    const { message } = assertThrows(() => write(own, given, options as StandaloneOptions), Error);
    for (const part of ["Cannot", ...says]) assertStringIncludes(message, part);
  });
}

/** Each case for each function that exports. */
function both<Case>(cases: readonly Case[]): (readonly [keyof typeof exporters, Case])[] {
  return (Object.keys(exporters) as (keyof typeof exporters)[]).flatMap((name) =>
    cases.map((each) => [name, each] as const)
  );
}

Deno.test("toWasm refuses a stream with a mask", () => {
  const mask = spec([null, null], "bool");
  const write = () => toWasm(model, variables, { input, mask, stream: true });
  assertStringIncludes(assertThrows(write, TypeError).message, "leave out mask or stream");
});

Deno.test("toC refuses an unknown format of weights", () => {
  const write = (weights: unknown) => () => toC(model, variables, { input, weights: weights as "int8" });
  assertStringIncludes(assertThrows(write("int4"), RangeError).message, '"int4"');
  assertStringIncludes(assertThrows(write(8), TypeError).message, "expected one of float32, float16, int8");
});

Deno.test("toC refuses weights that its format cannot hold", () => {
  const write = (value: number, weights: "float16" | "int8") => () => {
    const params = mapTree(variables.params, (x: HostTensor) => x.shape.length === 2 ? mul(x, value) : x);
    return toC(model, { ...variables, params }, { input, weights, allowNaN: true });
  };
  for (const value of [1e6, -1e6]) {
    assertThrows(write(value, "float16"), RangeError, "expected numbers up to 65504");
    assertStringIncludes(write(value, "int8")().source, "127");
  }
  assertThrows(write(NaN, "int8"), RangeError, "one is NaN, expected finite numbers");
  assertStringIncludes(write(NaN, "float16")().source, "32256"); // a NaN in 16 bits
});

Deno.test("toWasm refuses weights on a device, and weights in float64", async () => {
  using copy = compile((given: Variables) => mapTree({ ...given }, (x: HostTensor) => cast(x, x.dtype)), {
    device: "wasm",
    keep: true,
  });
  const onDevice = await copy(variables) as unknown as Variables; // of the same structure
  const elsewhere = assertThrows(() => toWasm(model, onDevice, { input }), TypeError);
  assertStringIncludes(elsewhere.message, "is not on the host; give await toHost(variables)");
  const wide = mapTree({ ...variables }, (x: HostTensor) => cast(x, "float64")) as unknown as Variables;
  assertStringIncludes(
    assertThrows(() => toWasm(model, wide, { input }), TypeError).message,
    "variables.params[0].bias is float64, expected float32",
  );
});

Deno.test("toWasm: NaN in a weight goes into the file if that is asked for, and so does an infinity", async () => {
  const outputs = async (given: Variables, options: StandaloneOptions) => {
    const { wasm, loader } = toWasm(model, given, options);
    const predict = await (await moduleOf<(x: unknown) => HostTensor>(loader)).load(wasm);
    return [...predict({ data: Float32Array.of(0, 0, 1), shape: [1, 1, 3] }).data];
  };
  // The last bias is that of an output gate.
  assertEquals(await outputs(spoiled(NaN), { input, allowNaN: true }), [NaN, NaN]);
  const open = await outputs(spoiled(Infinity), { input });
  assert(open.every(Number.isFinite), String(open));
});

Deno.test("toWasm: the name is that of the options, or the model's as an identifier", () => {
  const named = sequential([dense({ units: 1 })], { name: "2 digits" });
  const own = init(named, key(0), spec([null, 3]));
  assertEquals(toWasm(named, own, { input: spec([null, 3]) }).name, "_2_digits");
  assertEquals(toWasm(named, own, { input: spec([null, 3]), name: "digits" }).name, "digits");
  assertEquals(toWasm(model, variables, { input }).name, "model");
});

Deno.test("toWasm: a stream begins anew, whatever the state of the variables carries", async () => {
  const layer = gru({ units: 3, stateful: true });
  const made = init(layer, key(1), spec([1, null, 3]));
  const carried: Variables = {
    params: made.params,
    state: mapTree(
      made.state,
      (leaf: HostTensor): HostTensor => ({ ...leaf, data: leaf.data.map(() => 0.5) }),
    ),
  };
  const { wasm, loader } = toWasm(layer, carried, { input, stream: true });
  const stream = await (await moduleOf<LoadedStream>(loader)).load(wasm);
  using fresh = streaming(layer, made, { device: DEVICE });
  const x = Float32Array.of(1, -1, 0.5);
  const expected = await fresh.step({ kind: "host", dtype: "float32", shape: [1, 3], data: x });
  assertEquals(stream.step(x), host(expected).data);
});

/** A stream of a batch of two, and a prediction. */
async function loaded() {
  const stepping = toWasm(model, variables, { input, stream: true, batch: 2 });
  const whole = toWasm(model, variables, { input });
  const { load: loadStream } = await moduleOf<LoadedStream>(stepping.loader);
  const { load } = await moduleOf<(x: unknown, mask?: unknown) => Tree<HostTensor>>(whole.loader);
  return {
    stepping,
    whole,
    load,
    loadStream,
    stream: await loadStream(stepping.wasm),
    predict: await load(whole.wasm),
  };
}

Deno.test("a loader refuses what does not fit its model, and goes on with what does", async () => {
  const { stream, predict } = await loaded();
  const data = new Float32Array(30);
  const wrong: readonly (readonly [x: unknown, says: readonly string[]])[] = [
    [undefined, ["input is no tensor", "shape: [batch,time,3]"]],
    [data, ["input is no tensor", "data: Float32Array"]],
    [{ data, shape: [2, 5, 4] }, ["shape [2,5,4]", "[batch,time,3]"]],
    [{ data, shape: [10, 3] }, ["shape [10,3]"]],
    [{ data, shape: [3, 5, 3] }, ["Float32Array of 30, shape [3,5,3]"]],
    [{ data, shape: [2.5, 4, 3] }, ["shape [2.5,4,3]"]],
    [{ data: new Float64Array(30), shape: [2, 5, 3] }, ["Float64Array of 30", "Float32Array"]],
    [{ data: new Float32Array(0), shape: [0, 5, 3] }, ['"batch":0', "from 1"]],
  ];
  for (const [x, says] of wrong) {
    const { message } = assertThrows(() => predict(x), Error);
    for (const part of ["Cannot predict", ...says]) assertStringIncludes(message, part);
  }
  assertEquals(treeLeaves<HostTensor>(predict({ data, shape: [2, 5, 3] }))[0].shape, [2, 5, 2]);
  for (
    const [x, says] of [
      [undefined, ["input is undefined", "Float32Array of 6 with shape [2, 3]"]],
      [new Float32Array(5), ["Float32Array of 5"]],
      [new Int32Array(6), ["Int32Array of 6"]],
    ] as const
  ) {
    const { message } = assertThrows(() => stream.step(x), TypeError);
    for (const part of ["Cannot step", ...says]) assertStringIncludes(message, part);
  }
  assertEquals((stream.step(new Float32Array(6)) as Float32Array).length, 4);
});

Deno.test("a loader refuses an input without the mask that belongs to it, and has a type for both", async () => {
  const mask = spec([null, null], "bool");
  const { wasm, loader, types } = toWasm(model, variables, { input, mask });
  const { load } = await moduleOf<(x: unknown, mask?: unknown) => HostTensor>(loader);
  const predict = await load(wasm);
  const x = { data: new Float32Array(30), shape: [2, 5, 3] };
  const wrong: readonly (readonly [mask: unknown, says: readonly string[]])[] = [
    [undefined, ["mask is no tensor", 'data: Uint8Array, shape: [batch,time] }, {"batch":2,"time":5}']],
    [{ data: new Uint8Array(8), shape: [2, 4] }, ["mask is Uint8Array of 8, shape [2,4]"]],
    [{ data: new Float32Array(10), shape: [2, 5] }, ["mask is Float32Array of 10"]],
  ];
  for (const [given, says] of wrong) {
    const { message } = assertThrows(() => predict(x, given), TypeError);
    for (const part of ["Cannot predict", ...says]) assertStringIncludes(message, part);
  }
  assertEquals(predict(x, { data: new Uint8Array(10), shape: [2, 5] }).shape, [2, 5, 2]);
  for (
    const part of [
      "export type Mask = /* bool[batch, time] */ Tensor<Uint8Array>;",
      "Promise<(input: Input, mask: Mask) => Output>",
    ]
  ) assertStringIncludes(types, part);
});

Deno.test("a loader refuses tensors that its model does not take, such as a mask", async () => {
  const { stream, predict } = await loaded();
  const x = { data: new Float32Array(30), shape: [2, 5, 3] };
  const mask = { data: new Uint8Array(10).fill(1), shape: [2, 5] };
  assertThrows(() => predict(x, mask), TypeError, "Cannot take mask: no such input");
  assertThrows(() => stream.step(new Float32Array(6), mask), TypeError, "Cannot take mask: no such input");
  // What is no tensor is none, such as the index that `map` gives.
  assertEquals([x, x].map(predict)[1], predict(x, undefined));
  const exported = maskedModels["a mask of one of two sequences"];
  const { wasm, loader } = toWasm(exported.model, variablesOf(exported), {
    input: exported.input,
    mask: exported.mask,
  });
  const { load } = await moduleOf<(x: unknown, mask: unknown) => HostTensor>(loader);
  const translate = await load(wasm);
  const source = x, target = { data: new Float32Array(12), shape: [2, 3, 2] };
  assertEquals(translate({ source, target }, { source: mask }).shape, [2, 3, 5]);
  const wrong: readonly (readonly [x: unknown, mask: unknown, says: string])[] = [
    [{ source, target, more: x }, { source: mask }, "Cannot take more"],
    [{ source, target }, { source: mask, target: mask }, "Cannot take target"],
    [[source, target], { source: mask }, "Cannot take 0"],
  ];
  for (const [given, masks, says] of wrong) assertThrows(() => translate(given, masks), TypeError, says);
});

Deno.test("a loader refuses files that are not for it", async () => {
  const { stepping, whole, load, loadStream } = await loaded();
  assertStringIncludes((await assertRejects(() => load(stepping.wasm), TypeError)).message, "predict");
  assertStringIncludes((await assertRejects(() => loadStream(whole.wasm), TypeError)).message, "stream");
  const empty = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  await assertRejects(() => load(empty), TypeError, "Cannot load a model");
  await assertRejects(() => load(whole.wasm.subarray(0, 1000)), WebAssembly.CompileError);
});

Deno.test("a loader takes a compiled module, and several instances are apart", async () => {
  const { whole, load, predict } = await loaded();
  const module = await WebAssembly.compile(whole.wasm);
  const [one, other] = [await load(module), await load(module)];
  const x = { data: Float32Array.of(1, 2, 3), shape: [1, 1, 3] };
  const first = await toHost(one(x));
  other({ data: new Float32Array(300).fill(1), shape: [10, 10, 3] });
  assertEquals(one(x), first);
  assertEquals(predict(x), first);
});
