/** Steps from the caller's arrays into the caller's arrays, states that are written and stored, and forks. */
import * as cf from "@cellfold/cellfold";
import * as internal from "@cellfold/cellfold/internal";
import { decodeSafetensors, encodeSafetensors, restoreTree } from "@cellfold/cellfold/safetensors";
import type { HostTensor, Tensor, Tree } from "@cellfold/cellfold";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { assertClose, random, single } from "./helpers.ts";
import { predict } from "./streamed.ts";

const stack = () =>
  cf.sequential([
    cf.lstm({ units: 5, returnSequences: true }),
    cf.layerNormalization(),
    cf.gru({ units: 3, returnSequences: true }),
  ]);

/** The values of a step of a sequence. */
const at = (x: Tensor, step: number) => (cf.at(x, step, { axis: 1 }) as HostTensor).data;

for (const device of ["wasm", "reference"] as const) {
  Deno.test(`steps into arrays give what predict gives, among pushes and steps: ${device}`, async () => {
    const model = stack();
    const input = cf.spec([2, null, 4]);
    const variables = cf.init(model, cf.key(1), input);
    const x = random(5, [2, 8, 4]);
    const whole = await predict(model, variables, x);
    using stream = cf.streaming(model, variables, { batch: 2, input, device });
    await stream.ready();
    const output = new Float32Array(2 * 3);
    const check = (step: number) => {
      stream.step(at(x, step), output);
      assertClose(cf.tensor([...output]), cf.tensor([...at(whole, step)]), 1e-6);
    };
    check(0);
    check(1);
    await stream.push(cf.concat([2, 3].map((t) => cf.expandDims(cf.at(x, t, { axis: 1 }), 1)), { axis: 1 }));
    check(4);
    await stream.step(cf.at(x, 5, { axis: 1 }));
    check(6);
    const { state } = stream;
    check(7);
    stream.state = state;
    check(7);
    stream.reset();
    check(0);
  });
}

Deno.test("arrays have the tree of the tensors, and dtypes of their own; tokens are looked at", async () => {
  const token = cf.input([null], { dtype: "int32" });
  const level = cf.input([null, 2]);
  const embedded = cf.call(cf.embedding({ inputDim: 5, outputDim: 3 }), token);
  const both = cf.apply((a, b) => cf.concat([a, b], { axis: 2 }), embedded, level);
  const h = cf.call(cf.gru({ units: 4, returnSequences: true }), both);
  const model = cf.model({
    inputs: { token, level },
    outputs: { h, is: cf.apply((h) => cf.greater(h, 0), h) },
  });
  const input = { token: cf.spec([1, null], "int32"), level: cf.spec([1, null, 2]) };
  using stream = cf.streaming(model, cf.init(model, cf.key(2), input), { input, device: "wasm" });
  await stream.ready();
  const output = { h: new Float32Array(4), is: new Uint8Array(4) };
  using other = stream.fork();
  stream.step({ token: Int32Array.of(3), level: Float32Array.of(0.5, -1) }, output);
  const given = { token: cf.tensor([3], { dtype: "int32" }), level: cf.tensor([[0.5, -1]]) };
  const expected = await other.step(given);
  assertEquals(output.h, (expected.h as HostTensor).data);
  assertEquals([...output.is], [...output.h].map((value) => value > 0 ? 1 : 0));
  assertThrows(
    () => stream.step({ token: Int32Array.of(5), level: new Float32Array(2) }, output),
    RangeError,
    "5",
  );
});

/** The same cells by themselves, in a list, in a list in a list, and in a graph with a function. */
const containers: Readonly<Record<string, () => cf.Layer>> = {
  "a layer": () => cf.gru({ units: 4, returnSequences: true }),
  "a model": () => cf.sequential([cf.gru({ units: 4, returnSequences: true }), cf.dense({ units: 4 })]),
  "a model in a model": () =>
    cf.sequential([cf.sequential([cf.gru({ units: 4, returnSequences: true })]), cf.dense({ units: 4 })]),
  "a graph": () => {
    const x = cf.input([null, 4]);
    const scaled = cf.apply((x) => cf.mul(x, 2), x);
    const h = cf.call(cf.gru({ units: 4, returnSequences: true }), scaled);
    return cf.model({ inputs: x, outputs: cf.apply((h) => cf.tanh(h), h) });
  },
  "tokens, which are checked": () =>
    cf.sequential([
      cf.embedding({ inputDim: 9, outputDim: 3 }),
      cf.gru({ units: 4, returnSequences: true }),
    ]),
};

for (const [name, make] of Object.entries(containers)) {
  Deno.test(`a step into arrays allocates nothing: ${name}`, async () => {
    const layer = make();
    const readsTokens = name.startsWith("tokens");
    const input = readsTokens ? cf.spec([1, null], "int32") : cf.spec([1, null, 4]);
    using stream = cf.streaming(layer, cf.init(layer, cf.key(0), input), { input, device: "wasm" });
    await stream.ready();
    const x = readsTokens ? Int32Array.of(8) : Float32Array.of(1, 2, 3, 4), y = new Float32Array(4);
    const growth = (steps: number) => {
      const { heapUsed } = Deno.memoryUsage();
      for (let i = 0; i < steps; i++) stream.step(x, y);
      return Deno.memoryUsage().heapUsed - heapUsed;
    };
    growth(200_000); // until it is optimized
    // Of a few rounds, as the engine's compiler and collector may be at work in one; an object takes 16 bytes at least.
    const rounds = Array.from({ length: 15 }, () => Math.abs(growth(20_000))).sort((a, b) => a - b);
    assert(rounds[7] < 20_000 * 4, `bytes by round: ${rounds}`);
  });
}

Deno.test("a step into arrays that cannot be made is refused by its reason", async () => {
  const layer = cf.gru({ units: 3, returnSequences: true });
  const input = cf.spec([1, null, 2]);
  const variables = cf.init(layer, cf.key(0), input);
  const x = new Float32Array(2), y = new Float32Array(3);
  using stream = cf.streaming(layer, variables, { device: "wasm" });
  assertThrows(() => stream.step(x, y), Error, "no step was compiled; await stream.ready()");
  await assertRejects(() => stream.ready(), Error, "give options.input");
  const first = stream.step(cf.zeros([1, 2]));
  assertThrows(() => stream.step(x, y), Error, "earlier calls are not done");
  await first;
  stream.step(x, y);
  const wrong: readonly [unknown, unknown, new () => Error, string][] = [
    [
      new Float32Array(3),
      y,
      RangeError,
      "input is an array of 3, expected a Float32Array of 2 for float32[1, 2]",
    ],
    [x, new Float32Array(2), RangeError, "output is an array of 2, expected a Float32Array of 3"],
    [new Float64Array(2), y, TypeError, "input is a Float64Array, expected a Float32Array of 2"],
    [[1, 2], y, TypeError, "expected a Float32Array of 2"],
    [x, null, TypeError, "output is null"],
    [cf.zeros([1, 2]), y, TypeError, "expected a Float32Array of 2"],
  ];
  for (const [input, output, type, message] of wrong) {
    assertThrows(() => stream.step(input as Float32Array, output as Float32Array), type, message);
  }
  stream[Symbol.dispose]();
  assertThrows(() => stream.step(x, y), Error, "disposed");
  assertThrows(() => stream.fork(), Error, "disposed");
  await assertRejects(() => stream.ready(), Error, "disposed");
});

Deno.test({
  name: "a device that cannot block refuses a step into arrays",
  ignore: !navigator.gpu,
  fn: async () => {
    const layer = cf.gru({ units: 3, returnSequences: true });
    const input = cf.spec([1, null, 2]);
    using stream = cf.streaming(layer, cf.init(layer, cf.key(0), input), { input, device: "webgpu" });
    await stream.ready();
    assertThrows(
      () => stream.step(new Float32Array(2), new Float32Array(3)),
      Error,
      "its device cannot block",
    );
  },
});

for (const device of ["reference", "wasm"] as const) {
  Deno.test(`forks go their own ways from one state: ${device}`, async () => {
    const model = stack();
    const variables = cf.init(model, cf.key(4), cf.spec([1, null, 4]));
    const x = random(7, [1, 6, 4]), other = random(8, [1, 3, 4]);
    const step = (t: number) => cf.at(x, t, { axis: 1 });
    const whole = await predict(model, variables, x);
    const first = internal.sliceAxis(x, 1, 0, 3);
    using stream = cf.streaming(model, variables, { device });
    using early = stream.fork(); // from the first step
    await stream.push(first);
    using fork = stream.fork();
    assertEquals(fork.state, stream.state);
    const expected = await predict(model, variables, cf.concat([first, other], { axis: 1 }));
    assertClose(await fork.push(other), internal.sliceAxis(expected, 1, 3, 3), 1e-6);
    assertClose(await stream.step(step(3)), cf.at(whole, 3, { axis: 1 }), 1e-6);
    stream[Symbol.dispose](); // its forks go on
    assertClose(await early.step(step(0)), cf.at(whole, 0, { axis: 1 }), 1e-6);
    using second = early.fork();
    await early.step(step(0));
    assertClose(await second.step(step(1)), cf.at(whole, 1, { axis: 1 }), 1e-6);
    fork.reset();
    assertClose(await fork.step(step(0)), cf.at(whole, 0, { axis: 1 }), 1e-6);
  });
}

Deno.test("a fork of a stream that began with a given state begins there too", async () => {
  const layer = cf.lstm({ units: 2, returnSequences: true });
  const variables = cf.init(layer, cf.key(4), cf.spec([1, null, 3]));
  const x = random(2, [1, 5, 3]);
  using stream = cf.streaming(layer, variables);
  await stream.push(x);
  using later = cf.streaming(layer, { ...variables, state: stream.state });
  using fork = later.fork();
  assertEquals(await fork.push(x), await stream.push(x));
});

Deno.test("a state goes into a file and out of it, and is set where it is right", async () => {
  const model = stack();
  const input = cf.spec([2, null, 4]);
  const variables = cf.init(model, cf.key(4), input);
  const options = { batch: 2, device: "wasm" } as const;
  const x = random(7, [2, 4, 4]);
  using stream = cf.streaming(model, variables, { ...options, input });
  const first = stream.state;
  await stream.push(x);
  const file = encodeSafetensors(stream.state);
  const restored = restoreTree(first, decodeSafetensors(file).tensors);
  assertEquals(restored, stream.state);
  const next = await stream.push(x);
  stream.state = restored;
  assertEquals(stream.state, restored);
  assertEquals(await stream.push(x), next);
  // A call that was made before is not changed by it, nor by what becomes of the caller's arrays.
  const before = stream.state;
  const mine = structuredClone(restored) as Tree<HostTensor>;
  const call = stream.push(cf.concat([x, x], { axis: 1 }));
  stream.state = mine;
  for (const { data } of cf.treeLeaves<HostTensor>(mine)) data.fill(9);
  assertEquals(await stream.push(x), next);
  using again = cf.streaming(model, { ...variables, state: before }, options);
  assertEquals(await call, await again.push(cf.concat([x, x], { axis: 1 })));

  const [lstmState, , gruState] = restored as unknown as [{ carry: HostTensor[] }, [], { carry: HostTensor }];
  const wrong: readonly [unknown, string][] = [
    [[{ carry: lstmState.carry.slice(1) }, [], gruState], "state.0.carry.1: current value is missing"],
    [[lstmState, [], { carry: cf.zeros([1, 3]) }], "state.2.carry: current value is float32[1, 3]"],
    [[lstmState, [], { carry: cf.cast(gruState.carry, "float64") }], "current value is float64[2, 3]"],
    [[lstmState, gruState], "state.1: current value is {carry}, expected an array of 0"],
    [5, "Cannot use the number 5 at state"],
  ];
  using late = cf.streaming(model, variables, options);
  for (const [state, message] of wrong) {
    assertThrows(() => stream.state = state as Tree<Tensor>, TypeError, message);
    if (state === 5) continue;
    late.state = state as Tree<Tensor>; // what it takes is not known yet
    await assertRejects(() => late.push(x), TypeError, message);
  }
  late.state = restored;
  assertEquals(await late.push(x), next);
  assertEquals(single(await stream.push(x)).shape, [2, 4, 3]); // a refused state changes nothing
});
