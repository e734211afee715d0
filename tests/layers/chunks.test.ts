/** What streams give for chunks is what predict gives for the whole sequence; anything else is refused. */
import * as cf from "@cellfold/cellfold";
import * as internal from "@cellfold/cellfold/internal";
import type { Layer, Node, Tensor } from "@cellfold/cellfold";
import { assert, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { assertClose, random, single } from "./helpers.ts";
import { drawer, predict, streamed } from "./streamed.ts";

/** Steps of a random graph over `[batch, time, 4]`: those that a stream can go through, and those that it cannot. */
const through: Readonly<Record<string, (x: Node) => Node>> = {
  lstm: (x) => cf.call(cf.lstm({ units: 4, returnSequences: true }), x),
  gru: (x) => cf.call(cf.gru({ units: 4, returnSequences: true, zeroOutputForMask: true }), x),
  "stacked cells": (x) =>
    cf.call(
      cf.rnn(cf.stackedCells([cf.lstmCell({ units: 3 }), cf.gruCell({ units: 4 })]), {
        returnSequences: true,
      }),
      x,
    ),
  masking: (x) => cf.call(cf.masking(), x),
  dense: (x) => cf.call(cf.dense({ units: 4, activation: "tanh" }), x),
  dropout: (x) => cf.call(cf.dropout({ rate: 0.5 }), x),
  "dropout of channels": (x) => cf.call(cf.spatialDropout1d({ rate: 0.5 }), x),
  "leaky relu": (x) => cf.call(cf.leakyReluLayer(), x),
  "slopes for all steps": (x) => cf.call(cf.prelu({ sharedAxes: [1], alphaInitializer: "ones" }), x),
  "pooling of features": (x) =>
    cf.call(
      cf.timeDistributed(cf.sequential([
        cf.reshapeLayer({ targetShape: [4, 1] }),
        cf.maxPooling1d({ poolSize: 2, strides: 1, padding: "same" }),
        cf.flatten(),
      ])),
      x,
    ),
  "batch normalization": (x) => cf.call(cf.batchNormalization(), x),
  "layer normalization": (x) => cf.call(cf.layerNormalization(), x),
  residual: (x) =>
    cf.apply((a, b) => cf.add(a, b), x, cf.call(cf.lstm({ units: 4, returnSequences: true }), x)),
  features: (x) =>
    cf.call(
      cf.dense({ units: 4 }),
      cf.apply((a, b) => cf.concat([a, b]), x, cf.call(cf.dense({ units: 2 }), x)),
    ),
  "time distributed": (x) =>
    cf.call(
      cf.timeDistributed(cf.sequential([cf.reshapeLayer({ targetShape: [2, 2] }), cf.lstm({ units: 4 })])),
      x,
    ),
  "a model": (x) =>
    cf.call(cf.sequential([cf.simpleRnn({ units: 4, returnSequences: true }), cf.dense({ units: 4 })]), x),
  "softmax over features": (x) => cf.apply((x) => cf.softmax(x), x),
};
const across: Readonly<Record<string, (x: Node) => Node>> = {
  attention: (x) => cf.apply((x) => cf.matmul(cf.softmax(cf.matmul(x, x, { transposeRight: true })), x), x),
  mean: (x) => cf.apply((x) => cf.sub(x, cf.mean(x, { axes: 1, keepDims: true })), x),
  reverse: (x) => cf.apply((x) => cf.reverse(x, 1), x),
  shift: (x) =>
    cf.apply(
      (x) =>
        cf.concat([
          cf.zerosLike(internal.sliceAxis(x, 1, 0, 1)),
          internal.sliceAxis(x, 1, 0, internal.subtractDims(x.shape[1], 1)),
        ], { axis: 1 }),
      x,
    ),
  "running sum": (x) =>
    cf.apply(
      (x) =>
        cf.scan(
          (s: Tensor, x: Tensor) => [cf.add(s, x), cf.add(s, x)],
          cf.zerosLike(cf.at(x, 0, { axis: 1 })),
          x,
        )[0],
      x,
    ),
  "pooling over time": (x) => cf.call(cf.maxPooling1d({ poolSize: 2, strides: 1, padding: "same" }), x),
  "the mean of all steps": (x) =>
    cf.apply((a, b) => cf.add(a, b), x, cf.call(cf.globalAveragePooling1d({ keepdims: true }), x)),
  "padding and cropping": (x) =>
    cf.call(cf.cropping1d({ cropping: [0, 2] }), cf.call(cf.zeroPadding1d({ padding: [2, 0] }), x)),
  positions: (x) => cf.apply((x) => cf.add(x, cf.cast(cf.iota(x.shape, { axis: 1 }), "float32")), x),
  "softmax over time": (x) => cf.apply((x) => cf.softmax(x, { axis: 1 }), x),
  "the last output at every step": (x) =>
    cf.apply((a, b) => cf.add(a, cf.expandDims(b, 1)), x, cf.call(cf.lstm({ units: 4 }), x)),
  "an initial state": (x) =>
    cf.call(cf.gru({ units: 4, returnSequences: true }), x, {
      initialState: cf.call(cf.gru({ units: 4 }), x),
    }),
  "a layer called twice": (x) => {
    const layer = cf.lstm({ units: 4, returnSequences: true });
    return cf.call(layer, cf.call(layer, x));
  },
  "a fold without its state": (x) => cf.call(forgetful(), x),
};

/** A layer of one's own that has a recurrent layer inside and no state. */
function forgetful(): Layer<Tensor> {
  const inner = cf.lstm({ units: 4, returnSequences: true });
  return cf.defineLayer({
    type: "forgetful",
    options: {},
    initParams: (key, input) => inner.initParams(key, input),
    apply: ({ params, state }, x, context) => ({
      output: inner.apply({ params, state: [] }, x, context).output,
      state,
    }),
  });
}

function drawn<T>(table: Readonly<Record<string, T>>, draw: (n: number) => number): [string, T] {
  const entries = Object.entries(table);
  return entries[draw(entries.length)];
}

Deno.test("random graphs: chunks give what predict gives for the whole, or are refused", async () => {
  const seed = 61_128;
  for (let round = 0; round < 24; round++) {
    const draw = drawer(seed + round);
    for (let i = 0; i < 5; i++) draw(7);
    const input = cf.input([null, 4]);
    const names: string[] = [];
    let node: Node = input;
    const bad = draw(3) === 0 ? draw(3) : -1;
    for (let i = 0; i < 3; i++) {
      const [name, step] = drawn(i === bad ? across : through, draw);
      names.push(name);
      node = step(node);
    }
    const what = `seed ${seed}, round ${round}: ${names.join(", ")}`;
    const model = cf.model({ inputs: input, outputs: node });
    const variables = cf.init(model, cf.key(round), cf.spec([null, null, 4]));
    const steps = 3 + draw(8);
    const batch = 1 + draw(2);
    const rows = random(round, [batch, steps, 4]);
    const pads = cf.cast(
      cf.tensor(Array.from({ length: batch }, () => Array.from({ length: steps }, () => [draw(3) > 0]))),
      "float32",
    );
    const x = cf.mul(rows, pads); // some steps are all 0, for masking
    using stream = cf.streaming(model, variables, { batch, device: "wasm" });
    if (bad >= 0) {
      const error = await assertRejects(() => stream.push(x), TypeError, "Cannot feed model in chunks");
      assertStringIncludes(error.message, "depends on other steps", what);
      continue;
    }
    try {
      assertClose(await streamed(stream, x, steps, draw), await predict(model, variables, x), 1e-5);
    } catch (error) {
      throw new Error(what, { cause: error });
    }
  }
});

for (const [name, step] of Object.entries(across)) {
  Deno.test(`a graph with ${name} is refused, at once where the input is known`, () => {
    const x = cf.input([null, 4]);
    const model = cf.model({ inputs: x, outputs: cf.call(cf.dense({ units: 2 }), step(x)), name: "whole" });
    const variables = cf.init(model, cf.key(0), cf.spec([null, null, 4]));
    const options = { input: cf.spec([null, null, 4]) };
    const { message } = assertThrows(() => cf.streaming(model, variables, options), TypeError);
    assertStringIncludes(message, "Cannot feed model whole in chunks");
    assertStringIncludes(message, "use predict with whole sequences");
  });
}

for (const [name, step] of Object.entries(through)) {
  Deno.test(`chunks through ${name} are the whole sequence, masked steps at any place`, async () => {
    const x = cf.input([null, 4]);
    const model = cf.model({ inputs: x, outputs: step(cf.call(cf.masking(), x)) });
    const variables = cf.init(model, cf.key(0), cf.spec([null, null, 4]));
    // The first row is masked at its beginning, the second at its end, both in the middle.
    const counts = cf.tensor([[0, 1, 0, 0, 1, 1], [1, 1, 0, 0, 0, 0]]);
    const sequence = cf.mul(random(2, [2, 6, 4]), cf.expandDims(counts, 2));
    const whole = await predict(model, variables, sequence);
    for (let seed = 1; seed < 4; seed++) {
      using stream = cf.streaming(model, variables, { batch: 2, device: "wasm" });
      assertClose(await streamed(stream, sequence, 6, drawer(seed)), whole, 1e-5);
    }
  });
}

const kernel = random(7, [4, 4]);
const alike: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  "gated units": (x) => cf.concat([cf.glu(x), cf.glu(x)]),
  "the largest feature": (x) => cf.cast(cf.argmax(x), "float32"),
  "running sums of features": (x) => cf.cumsum(x),
  "features turned round": (x) => cf.reverse(x, 2),
  "some features": (x) => internal.sliceAxis(x, 2, 1, 2),
  "features around": (x) => cf.pad(x, { low: [0, 0, 1], high: [0, 0, 1] }),
  "there and back": (x) =>
    cf.transpose(cf.matmul(cf.transpose(x, { permutation: [1, 0, 2] }), kernel), { permutation: [1, 0, 2] }),
  "rows": (x) =>
    cf.reshape(cf.matmul(cf.reshape(x, [internal.multiplyDims(x.shape[0], x.shape[1]), 4]), kernel), x.shape),
  "pairs of features": (x) => cf.einsum("btf,btg->btfg", x, x),
  "a quadratic form": (x) => cf.einsum("btf,fg,btg->bt", x, kernel, x),
  "rows of a table": (x) => cf.gather(kernel, cf.argmax(x)),
  "positions of features": (x) => cf.mul(x, cf.cast(cf.iota([4]), "float32")),
  "the same at every step": (x) => cf.add(x, cf.broadcastTo(cf.tensor([1, 2, 3, 4]), x.shape)),
  "a fold over features": (x) => folded(x, cf.add),
  "folds in a fold over features": (x) =>
    folded(x, (h, s) => {
      const halve = (h: Tensor): [Tensor, Tensor] => [h, cf.mul(h, 0.5)];
      return cf.add(cf.scan(halve, h, [], { length: 2 })[1], s);
    }),
};

/** A fold over the features `[batch, time]` of a sequence. */
function folded(x: Tensor, step: (h: Tensor, s: Tensor) => Tensor): Tensor {
  const [outputs] = cf.scan(
    (h: Tensor, s: Tensor) => {
      const next = step(h, s);
      return [next, next];
    },
    cf.zerosLike(cf.at(x, 0, { axis: 2 })),
    cf.transpose(x, { permutation: [0, 2, 1] }),
  );
  return cf.transpose(outputs, { permutation: [0, 2, 1] });
}

const unlike: Readonly<Record<string, (x: Tensor) => Tensor>> = {
  "the largest step": (x) => cf.max(x, { axes: 1, keepDims: true }),
  "scores of all pairs": (x) => cf.einsum("btf,bsf->bts", x, x),
  "a running sum of steps": (x) => cf.cumsum(x, { axis: 1 }),
  "the first step": (x) => cf.at(x, 0, { axis: 1 }),
  "differences to the first step": (x) => cf.sub(x, internal.sliceAxis(x, 1, 0, 1)),
  "differences to the last step": (x) => cf.sub(x, internal.sliceAxis(x, 1, -1, 1)),
  "one step later": (x) =>
    internal.sliceAxis(cf.pad(x, { low: [0, 1, 0], high: [0, 0, 0] }), 1, 0, x.shape[1]),
  "the number of steps": (x) => cf.div(x, cf.sum(cf.ones([x.shape[1]]))),
  "a choice by all steps": (x) =>
    cf.select(cf.greater(cf.sum(x, { axes: [1, 2], keepDims: true }), 0), x, cf.neg(x)),
  "noise": (x) => cf.mul(x, cf.normal(cf.key(1), x.shape)),
  "steps of half the size": (x) => cf.reshape(x, [x.shape[0], internal.multiplyDims(x.shape[1], 2), 2]),
  "folds over steps in a fold over features": (x) =>
    folded(x, (h, s) => {
      const total = (h: Tensor, s: Tensor): [Tensor, Tensor] => [cf.add(h, s), cf.add(h, s)];
      return cf.add(h, cf.scan(total, cf.zerosLike(cf.at(s, 0, { axis: 1 })), s)[0]);
    }),
  "features first": (x) => cf.transpose(x, { permutation: [0, 2, 1] }),
};

for (const [name, fn] of Object.entries({ ...alike, ...unlike })) {
  Deno.test(`a function of each step streams, one of several is refused: ${name}`, async () => {
    const x = cf.input([null, 4]);
    const model = cf.model({
      inputs: x,
      outputs: cf.apply(fn, cf.call(cf.gru({ units: 4, returnSequences: true }), x)),
    });
    const variables = cf.init(model, cf.key(0), cf.spec([null, null, 4]));
    for (const batch of [1, 2]) {
      const sequence = random(1, [batch, 5, 4]);
      using stream = cf.streaming(model, variables, { batch, device: "reference" });
      if (name in unlike) {
        await assertRejects(() => stream.push(sequence), TypeError, "Cannot feed model in chunks");
        continue;
      }
      const whole = single(
        await cf.predict(model, variables, sequence, { device: "reference" }),
      );
      assertClose(await streamed(stream, sequence, 5, drawer(batch)), whole, 1e-5);
    }
  });
}

Deno.test("later streams through a layer are not checked again; a new batch is", async () => {
  let calls = 0;
  const double = (x: Tensor) => {
    calls++;
    return cf.mul(x, 2);
  };
  const x = cf.input([null, 4]);
  const model = cf.model({
    inputs: x,
    outputs: cf.apply(double, cf.call(cf.gru({ units: 2, returnSequences: true }), x)),
  });
  const variables = cf.init(model, cf.key(0), cf.spec([null, null, 4]));
  const open = async (batch: number) => {
    const before = calls;
    using stream = cf.streaming(model, variables, { batch, device: "reference" });
    await stream.push(random(1, [batch, 3, 4]));
    return calls - before;
  };
  using kept = cf.streaming(model, variables, { device: "reference" }); // what it compiles is there for the others
  await kept.push(random(1, [1, 3, 4]));
  const [again, other] = [await open(1), await open(2)];
  assert(again <= 2, `${again}`); // the first state is made twice, and for it the layer is looked at
  assert(other > again, `${other}`);
});
