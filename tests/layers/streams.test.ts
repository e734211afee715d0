/** What streams give besides chunks of a sequence: outputs without time, masks, states to go on from, and errors. */
import * as cf from "@cellfold/cellfold";
import * as internal from "@cellfold/cellfold/internal";
import type { Layer, Tensor, Tree } from "@cellfold/cellfold";
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { assertClose, random, single } from "./helpers.ts";
import { drawer, predict, streamed } from "./streamed.ts";

Deno.test("the reason names the layer or function that mixes steps", async () => {
  const x = cf.input([null, 4]);
  const centered = (x: Tensor) => cf.sub(x, cf.mean(x, { axes: 1, keepDims: true }));
  const inner = cf.model({ inputs: x, outputs: cf.apply(centered, x), name: "inner" });
  const outer = cf.sequential([cf.dense({ units: 4 }), inner, cf.flatten()].slice(0, 2), { name: "outer" });
  const variables = cf.init(outer, cf.key(0), cf.spec([null, null, 4]));
  using stream = cf.streaming(outer, variables);
  const { message } = await assertRejects(() => stream.push(random(1, [1, 3, 4])), TypeError);
  assertStringIncludes(message, "in centered of model inner, in inner of sequential outer");
});

Deno.test("the reason is what mixes steps first, not the recurrent layer behind it", () => {
  const attention = (x: Tensor) => cf.matmul(cf.softmax(cf.matmul(x, x, { transposeRight: true })), x);
  const backwards = (x: Tensor) => cf.reverse(x, 1);
  const running = (x: Tensor) => cf.cumsum(x, { axis: 1 });
  for (const mix of [attention, backwards, running]) {
    const x = cf.input([null, 4]);
    const behind = cf.call(cf.lstm({ units: 2, returnSequences: true }), cf.apply(mix, x));
    const ahead = cf.call(cf.gru({ units: 4, returnSequences: true }), x);
    const between = cf.call(cf.gru({ units: 2 }), cf.apply(mix, ahead));
    for (const outputs of [behind, between]) {
      const model = cf.model({ inputs: x, outputs });
      const input = cf.spec([1, null, 4]);
      const variables = cf.init(model, cf.key(0), input);
      const { message } = assertThrows(() => cf.streaming(model, variables, { input }), TypeError);
      assertStringIncludes(message, `in ${mix.name} of model)`);
    }
  }
});

Deno.test("layers that are made for a number of steps are refused; what is wrong anyway is said as it is", async () => {
  const flat = cf.sequential([
    cf.lstm({ units: 2, returnSequences: true }),
    cf.flatten(),
    cf.dense({ units: 1 }),
  ]);
  const variables = cf.init(flat, cf.key(0), cf.spec([null, 3, 4]));
  using stream = cf.streaming(flat, variables);
  const { message } = await assertRejects(() => stream.push(random(1, [1, 3, 4])), TypeError);
  assertStringIncludes(message, "Cannot feed sequential in chunks: it takes sequences of this length alone");
  await assertRejects(
    () => stream.push(random(1, [1, 3, 5])),
    TypeError,
    "Cannot use lstm with an input of shape",
  );
  const overTime = cf.sequential([cf.batchNormalization({ axis: 1 })]);
  using other = cf.streaming(overTime, cf.init(overTime, cf.key(0), cf.spec([null, 3, 4])));
  await assertRejects(() => other.push(random(1, [1, 3, 4])), TypeError, "sequences of this length alone");
});

Deno.test("outputs without time are those of the steps so far, also behind other layers", async () => {
  const x = cf.input([null, 4]);
  const summary = cf.call(cf.gru({ units: 3 }), cf.call(cf.masking(), x));
  const last = cf.apply(
    (x) => cf.at(x, -1, { axis: 1 }),
    cf.call(cf.lstm({ units: 3, returnSequences: true }), x),
  );
  const both = cf.apply((a, b) => cf.concat([a, b]), summary, last);
  const model = cf.model({ inputs: x, outputs: cf.call(cf.dense({ units: 2 }), both) });
  const variables = cf.init(model, cf.key(0), cf.spec([null, null, 4]));
  const sequence = cf.mul(random(2, [1, 6, 4]), cf.tensor([[[0], [1], [1], [0], [1], [0]]]));
  using stream = cf.streaming(model, variables, { device: "wasm" });
  for (const [from, size] of [[0, 2], [2, 1], [3, 3]]) {
    const got = await stream.push(internal.sliceAxis(sequence, 1, from, size));
    assertClose(got, await predict(model, variables, internal.sliceAxis(sequence, 1, 0, from + size)), 1e-5);
  }
});

Deno.test("the last output behind masked steps is carried from chunk to chunk", async () => {
  const sequence = cf.mul(
    random(2, [2, 6, 4]),
    cf.tensor([[[0], [1], [1], [0], [0], [0]], [[0], [0], [0], [1], [0], [1]]]),
  );
  for (const options of [{}, { zeroOutputForMask: true }]) {
    const model = cf.sequential([cf.masking(), cf.lstm({ units: 3, ...options })]);
    const variables = cf.init(model, cf.key(0), cf.spec([null, null, 4]));
    using stream = cf.streaming(model, variables, { batch: 2, device: "wasm" });
    for (let t = 0; t < 6; t++) {
      const sofar = await predict(model, variables, internal.sliceAxis(sequence, 1, 0, t + 1));
      assertClose(await stream.step(cf.at(sequence, t, { axis: 1 })), sofar, 1e-5);
    }
  }
});

Deno.test("inputs without time are given with every chunk and every step", async () => {
  const x = cf.input([null, 4], { name: "x" });
  const shift = cf.input([3], { name: "shift" });
  const h = cf.call(cf.lstm({ units: 3, returnSequences: true }), x);
  const model = cf.model({
    inputs: { x, shift },
    outputs: cf.apply((h, s) => cf.add(h, cf.expandDims(s, 1)), h, shift),
  });
  const specs = { x: cf.spec([null, null, 4]), shift: cf.spec([null, 3]) };
  const variables = cf.init(model, cf.key(0), specs);
  const given = { x: random(1, [2, 5, 4]), shift: random(2, [2, 3]) };
  const whole = await predict(model, variables, given);
  using stream = cf.streaming(model, variables, { batch: 2, device: "wasm" });
  const part = (from: number, size: number) => ({ ...given, x: internal.sliceAxis(given.x, 1, from, size) });
  const first = single(await stream.push(part(0, 3)));
  const second = cf.expandDims(single(await stream.step({ ...given, x: cf.at(given.x, 3, { axis: 1 }) })), 1);
  const third = single(await stream.push(part(4, 1)));
  assertClose(cf.concat([first, second, third], { axis: 1 }), whole, 1e-5);
});

Deno.test("padding tokens in a stream are skipped as in the whole sequence", async () => {
  const model = cf.sequential([
    cf.embedding({ inputDim: 6, outputDim: 3, maskZero: true }),
    cf.lstm({ units: 3, returnSequences: true }),
    cf.layerNormLstm({ units: 2, returnSequences: true }),
  ]);
  const tokens = cf.tensor([[0, 0, 3, 5, 0, 1, 0, 0]], { dtype: "int32" });
  const variables = cf.init(model, cf.key(0), cf.spec([null, null], "int32"));
  const whole = await predict(model, variables, tokens);
  for (let seed = 1; seed < 5; seed++) {
    using stream = cf.streaming(model, variables, { device: "wasm" });
    assertClose(await streamed(stream, tokens, 8, drawer(seed)), whole, 1e-5);
  }
});

const body = () =>
  cf.sequential([
    cf.masking(),
    cf.lstm({ units: 3, returnSequences: true }),
    cf.batchNormalization(),
    cf.gru({ units: 2, returnSequences: true }),
  ]);

for (const device of ["reference", "wasm", "webgpu"] as const) {
  Deno.test({
    name: `a stream goes on from the state of another, to the last bit: ${device}`,
    ignore: device === "webgpu" && !navigator.gpu,
    fn: async () => {
      const model = body();
      const variables = cf.init(model, cf.key(0), cf.spec([null, null, 4]));
      const x = cf.mul(random(3, [2, 7, 4]), cf.tensor([[[1], [0], [1], [0], [0], [1], [1]]]));
      const options = { batch: 2, device };
      using first = cf.streaming(model, variables, options);
      await first.push(internal.sliceAxis(x, 1, 0, 3));
      const kept = structuredClone(first.state);
      const expected = await first.push(internal.sliceAxis(x, 1, 3, 4));
      for (const input of [undefined, cf.spec([null, null, 4])]) {
        using second = cf.streaming(model, { ...variables, state: kept }, { ...options, input });
        if (input) assertClose(second.state, kept);
        assertClose(await second.push(internal.sliceAxis(x, 1, 3, 4)), expected);
        assertClose(second.state, first.state);
        second.reset();
        using fresh = cf.streaming(model, variables, options);
        assertClose(await second.push(x), await fresh.push(x));
      }
    },
  });
}

Deno.test("the carry of a stateful layer begins a stream; states of other models, batches and dtypes are refused", async () => {
  const layer = cf.lstm({ units: 3, stateful: true, returnSequences: true });
  const x = random(1, [1, 6, 2]);
  const { params, state } = cf.init(layer, cf.key(0), cf.spec([1, null, 2]));
  const { state: carried } = layer.apply({ params, state }, internal.sliceAxis(x, 1, 0, 4), {
    training: false,
  });
  using stream = cf.streaming(layer, { params, state: carried }, { device: "wasm" });
  const whole = await predict(cf.lstm({ units: 3, returnSequences: true }), { params, state: [] }, x);
  assertClose(await stream.push(internal.sliceAxis(x, 1, 4, 2)), internal.sliceAxis(whole, 1, 4, 2), 1e-6);

  const wrong: readonly [Tree<Tensor>, string][] = [
    [
      { carry: [cf.zeros([2, 3]), cf.zeros([2, 3])] },
      "state.carry.0: current value is float32[2, 3], expected float32[1, 3]",
    ],
    [{ carry: [cf.zeros([1, 3]), cf.zeros([1, 4])] }, "state.carry.1: current value is float32[1, 4]"],
    [{ carry: [cf.zeros([1, 3]), cf.cast(cf.zeros([1, 3]), "float64")] }, "float64[1, 3]"],
    [{ carry: cf.zeros([1, 3]) }, "expected an array of 2"],
    [{ carry: [cf.zeros([1, 3])] }, "state.carry.1: current value is missing"],
    [{ movingMean: cf.zeros([3]) }, "expected {carry}"],
    [[cf.zeros([1, 3])], "expected {carry}"],
  ];
  for (const [state, message] of wrong) {
    const error = assertThrows(
      () => cf.streaming(layer, { params, state }, { input: cf.spec([null, null, 2]) }),
      TypeError,
    );
    assertStringIncludes(error.message, message);
    assertStringIncludes(error.message, "resetStates");
    using late = cf.streaming(layer, { params, state }, { device: "wasm" });
    await assertRejects(() => late.push(x), TypeError, message);
  }
  const model = body();
  const variables = cf.init(model, cf.key(0), cf.spec([null, null, 4]));
  const input = cf.spec([null, null, 4]);
  for (const state of [[], [[], [], [], []]]) { // without the statistics
    assertThrows(
      () => cf.streaming(model, { ...variables, state }, { input }),
      TypeError,
      "movingMean: current value is missing",
    );
  }
  const more = [...variables.state as Tree<Tensor>[], []];
  assertThrows(
    () => cf.streaming(model, { ...variables, state: more }, { input }),
    TypeError,
    "expected an array of 4",
  );
  assert(cf.treeLeaves(cf.streaming(model, variables, { input }).state).length > 4);
});

Deno.test("a stream that was disposed answers what was asked before and refuses what comes after", async () => {
  const layer = cf.gru({ units: 3, returnSequences: true });
  const variables = cf.init(layer, cf.key(0), cf.spec([null, null, 2]));
  const x = random(1, [1, 4, 2]);
  const stream = cf.streaming(layer, variables, { device: "wasm" });
  const pushes = [stream.push(internal.sliceAxis(x, 1, 0, 2)), stream.push(internal.sliceAxis(x, 1, 2, 2))];
  stream[Symbol.dispose]();
  stream[Symbol.dispose]();
  const [first, second] = (await Promise.all(pushes)).map(single);
  assertClose(cf.concat([first, second], { axis: 1 }), await predict(layer, variables, x), 1e-6);
  for (const use of [() => stream.push(x), () => stream.step(cf.at(x, 0, { axis: 1 }))]) {
    await assertRejects(use, Error, "a stream through gru that was disposed");
  }
  assertThrows(() => stream.state, Error, "disposed");
  assertThrows(() => stream.reset(), Error, "disposed");
  assertEquals(typeof stream.push, "function");
});

/** A layer of one's own: each step is the mean of it and the two before; stateful, it keeps two steps. */
function smoothing(stateful: boolean, then: (x: Tensor) => Tensor = (x) => x): Layer {
  return cf.defineLayer({
    type: "smoothing",
    options: {},
    initParams: () => [],
    initState: (_, input) => {
      const { shape: [batch, , features] } = cf.treeLeaves<Tensor>(input)[0];
      return stateful ? { carry: cf.zeros([batch, 2, features]) } : [];
    },
    apply: ({ state }, input) => {
      const x = single(input);
      const [batch, time, features] = x.shape;
      const before = stateful ? single(state) : cf.zeros([batch, 2, features]);
      const longer = cf.concat([before, x], { axis: 1 });
      const shifted = [0, 1, 2].map((by) => internal.sliceAxis(longer, 1, by, time));
      const last = internal.sliceAxis(longer, 1, time, 2);
      return {
        output: then(cf.div(shifted.reduce((a, b) => cf.add(a, b)), 3)),
        state: stateful ? { carry: last } : state,
      };
    },
    withStateful: () => smoothing(true, then),
  });
}

Deno.test("a layer of one's own that keeps a state streams; what it does beside its state is looked at", async () => {
  const x = cf.input([null, 3]);
  const h = cf.call(smoothing(false), cf.call(cf.gru({ units: 3, returnSequences: true }), x));
  const model = cf.model({ inputs: x, outputs: cf.call(cf.lstm({ units: 2, returnSequences: true }), h) });
  const variables = cf.init(model, cf.key(0), cf.spec([null, null, 3]));
  const sequence = random(1, [1, 9, 3]);
  const whole = await predict(model, variables, sequence);
  for (let seed = 1; seed < 4; seed++) {
    using stream = cf.streaming(model, variables, { device: "wasm" });
    assertClose(await streamed(stream, sequence, 9, drawer(seed)), whole, 1e-5);
  }
  const centered = (x: Tensor) => cf.sub(x, cf.mean(x, { axes: 1, keepDims: true }));
  const behind = cf.sequential([
    smoothing(false),
    cf.defineLayer({
      type: "centering",
      options: {},
      initParams: () => [],
      apply: ({ state }, x) => ({ output: centered(single(x)), state }),
    }),
  ]);
  using stream = cf.streaming(behind, cf.init(behind, cf.key(0), cf.spec([null, null, 3])));
  await assertRejects(() => stream.push(sequence), TypeError, "in centering of sequential");
  // Without a promise, what depends on the state is refused.
  const { withStateful: _, ...silent } = smoothing(true);
  const unknown = cf.sequential([silent]);
  using other = cf.streaming(unknown, cf.init(unknown, cf.key(0), cf.spec([1, null, 3])));
  await assertRejects(() => other.push(sequence), TypeError, "in smoothing of sequential");
});
