/**
 * Masks travel with what they belong to: padding a sequence changes nothing of what a model gives, whatever lies
 * between what makes the mask and what reads it.
 */
import {
  add,
  apply,
  batchNormalization,
  bidirectional,
  call,
  concat,
  convLstm1d,
  dense,
  embedding,
  flatten,
  fromJson,
  gru,
  init,
  input,
  key,
  type Layer,
  layerNormalization,
  lstm,
  masking,
  merge,
  model,
  mul,
  type Node,
  predict,
  reshape,
  reshapeLayer,
  reverse,
  rnn,
  sequential,
  simpleRnn,
  simpleRnnCell,
  spec,
  square,
  stackedCells,
  sum,
  tanh,
  type Tensor,
  tensor,
  timeDistributed,
  toJson,
  toNested,
  transpose,
  type Tree,
  treeLeaves,
} from "@cellfold/cellfold";
import { sliceAxis } from "@cellfold/cellfold/internal";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { subtractDims } from "../../src/tensor/dims.ts";
import { assertClose, random } from "../layers/helpers.ts";

const tokens = (values: unknown[]) => tensor(values as number[][], { dtype: "int32" });

/** Two sequences of three tokens. */
const ALONE = [[1, 2, 3], [4, 5, 6]];
const PADDED = ALONE.map((row) => [...row, 0, 0]);

/** A graph between tokens and the vector of a recurrent layer; `between` is given vectors of four numbers. */
function readerOf(between: (x: Node) => Tree<Node>): Layer<Tensor> {
  const x = input([null], { dtype: "int32" });
  const vectors = call(embedding({ inputDim: 10, outputDim: 4, maskZero: true }), x);
  const read = call(gru({ units: 3 }), between(vectors));
  return model({ inputs: x, outputs: read });
}

const sequence = lstm({ units: 4, returnSequences: true });

const betweens: Readonly<Record<string, (x: Node) => Tree<Node>>> = {
  "a residual connection": (x) => apply(add, x, call(sequence, x)),
  "residual connections on residual connections": (x) => {
    const first = apply(add, x, call(sequence, x));
    return apply(add, first, call(dense({ units: 4 }), first));
  },
  "a concatenation of features": (x) => apply((a: Tensor, b: Tensor) => concat([a, b]), x, call(sequence, x)),
  scaling: (x) => apply((a: Tensor) => mul(tanh(a), 3), x),
  "a gate of another layer": (x) => apply(mul, x, call(dense({ units: 4, activation: "sigmoid" }), x)),
  "a sum over features": (x) => apply((a: Tensor) => sum(square(a), { axes: -1, keepDims: true }), x),
  "time first and back": (x) =>
    apply((a: Tensor) => transpose(transpose(a, { permutation: [1, 0, 2] }), { permutation: [1, 0, 2] }), x),
  "features in groups": (x) =>
    apply((a: Tensor) => reshape(reshape(a, [...a.shape.slice(0, 2), 2, 2]), a.shape), x),
  "steps without the first": (x) => apply((a: Tensor) => sliceAxis(a, 1, 1, subtractDims(a.shape[1], 1)), x),
  "the other order": (x) => apply((a: Tensor) => reverse(a, 1), x),
  "the same steps twice": (x) => apply((a: Tensor) => concat([a, a], { axis: 1 }), x),
  "a backwards layer": (x) => call(gru({ units: 3, goBackwards: true, returnSequences: true }), x),
  "backwards layers on each other": (x) =>
    call(
      simpleRnn({ units: 3, goBackwards: true, returnSequences: true }),
      call(lstm({ units: 3, goBackwards: true, returnSequences: true }), x),
    ),
  "backwards, put in order again": (x) =>
    apply(
      (a: Tensor, b: Tensor) => add(a, reverse(b, 1)),
      x,
      call(lstm({ units: 4, goBackwards: true, returnSequences: true }), x),
    ),
  "both directions with a residual connection": (x) =>
    apply(add, x, call(bidirectional(lstm({ units: 4, returnSequences: true }), { mergeMode: "ave" }), x)),
  "both directions apart": (x) => {
    const [there, back] = call(
      bidirectional(gru({ units: 2, returnSequences: true }), { mergeMode: null }),
      x,
    );
    return call(merge({ method: "concatenate" }), [back, there]);
  },
  "both directions of a layer that goes backwards": (x) =>
    call(bidirectional(gru({ units: 2, returnSequences: true, goBackwards: true })), x),
  "sequences beside their state": (x) => {
    const [outputs] = call(
      lstm({ units: 4, returnSequences: true, returnState: true, goBackwards: true }),
      x,
    );
    return outputs;
  },
  "stacked cells backwards": (x) =>
    call(
      rnn(stackedCells([simpleRnnCell({ units: 3 }), simpleRnnCell({ units: 2 })]), {
        goBackwards: true,
        returnSequences: true,
      }),
      x,
    ),
  "every step by itself": (x) => call(timeDistributed(dense({ units: 3 })), x),
  "a graph in a graph": (x) => {
    const inner = input([null, 4]);
    return call(model({ inputs: inner, outputs: apply(add, inner, call(sequence, inner)) }), x);
  },
  "layers that add": (x) => call(merge({ method: "add" }), [x, call(sequence, x)]),
  "layers that multiply, of one without a mask": (x) => {
    const bias = apply((a: Tensor) => mul(sum(a, { axes: [0, 1], keepDims: true }), 0), x); // has no steps
    return call(merge({ method: "maximum" }), [x, call(merge({ method: "multiply" }), [x, x]), bias]);
  },
  "layers that join in time": (x) => call(merge({ method: "concatenate", axis: 1 }), [x, call(sequence, x)]),
  "another shape and back": (x) =>
    call(reshapeLayer({ targetShape: [-1, 4] }), call(reshapeLayer({ targetShape: [-1, 2, 2] }), x)),
  "normalization of each step": (x) => call(layerNormalization(), x),
};

for (const [name, between] of Object.entries(betweens)) {
  Deno.test(`padding changes nothing: ${name}`, async () => {
    const layer = readerOf(between);
    const variables = init(layer, key(0), spec([null, null], "int32"));
    const alone = await predict(layer, variables, tokens(ALONE));
    assertClose(await predict(layer, variables, tokens(PADDED)), alone, 1e-6); // of numbers below 1, in another order
  });
}

/** Documents of sentences of words, and the same with padding of both kinds. */
const DOCUMENTS = [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [1, 3, 5]]];
const PADDED_DOCUMENTS = DOCUMENTS.map((document) => [
  ...document.map((sentence) => [...sentence, 0]),
  [0, 0, 0, 0],
]);

const words = embedding({ inputDim: 10, outputDim: 4, maskZero: true });

const readers: Readonly<Record<string, () => Layer>> = {
  "words, sentences, document": () =>
    sequential([words, timeDistributed(gru({ units: 3 })), lstm({ units: 2 })]),
  "words made inside": () =>
    sequential([timeDistributed(words), timeDistributed(gru({ units: 3 })), lstm({ units: 2 })]),
  "a reader of sentences inside": () =>
    sequential([timeDistributed(sequential([words, lstm({ units: 3 })])), gru({ units: 2 })]),
  "a graph inside": () => {
    const x = input([null], { dtype: "int32" });
    const vectors = call(words, x);
    const [there, back] = [false, true].map((goBackwards) => call(gru({ units: 2, goBackwards }), vectors));
    const both = call(merge({ method: "concatenate" }), [there, back]);
    const read = model({ inputs: x, outputs: apply((a: Tensor) => mul(a, 2), both) });
    return sequential([timeDistributed(read), timeDistributed(dense({ units: 3 })), gru({ units: 2 })]);
  },
  "a reader with layers behind it inside": () => {
    const read = sequential([words, bidirectional(gru({ units: 2 })), dense({ units: 3 }), flatten()]);
    return sequential([timeDistributed(read), gru({ units: 2, goBackwards: true })]);
  },
  "sums of words inside": () => {
    const x = input([null], { dtype: "int32" });
    const outputs = call(gru({ units: 3, returnSequences: true, zeroOutputForMask: true }), call(words, x));
    const summed = apply((a: Tensor) => sum(a, { axes: 1 }), outputs); // what is masked adds 0
    return sequential([timeDistributed(model({ inputs: x, outputs: summed })), lstm({ units: 2 })]);
  },
  "all words of all sentences": () =>
    sequential([words, reshapeLayer({ targetShape: [-1, 4] }), gru({ units: 3 })]),
  "sentences that see each other": () =>
    sequential([
      words,
      timeDistributed(lstm({ units: 3 })),
      lstm({ units: 3, returnSequences: true, goBackwards: true }),
      bidirectional(gru({ units: 2 })),
    ]),
  "words again, behind their sentences": () =>
    sequential([
      words,
      timeDistributed(lstm({ units: 3, returnSequences: true })),
      timeDistributed(gru({ units: 3 })),
      simpleRnn({ units: 2 }),
    ]),
  "the first word of each sentence": () => {
    const x = input([null, "words"], { dtype: "int32" });
    const outputs = call(timeDistributed(gru({ units: 3, returnSequences: true })), call(words, x));
    const first = apply((a: Tensor) => sliceAxis(a, 2, 0, 1), outputs);
    return model({
      inputs: x,
      outputs: call(gru({ units: 2 }), apply((a: Tensor) => sum(a, { axes: 2 }), first)),
    });
  },
};

for (const [name, make] of Object.entries(readers)) {
  Deno.test(`padding of words and sentences changes nothing: ${name}`, () => {
    const layer = make();
    const variables = init(layer, key(0), tokens(DOCUMENTS));
    const read = (documents: unknown[]) =>
      layer.apply(variables, tokens(documents), { training: false }).output;
    // Numbers below 1, summed in another order.
    assertClose(read(PADDED_DOCUMENTS), read(DOCUMENTS), 1e-6);
  });
}

Deno.test("sections of sentences of words", () => {
  const layer = sequential([
    timeDistributed(timeDistributed(sequential([words, gru({ units: 3 })]))),
    timeDistributed(gru({ units: 3 })),
    gru({ units: 2 }),
  ]);
  const variables = init(layer, key(0), tokens([DOCUMENTS]));
  const read = (sections: unknown[]) => layer.apply(variables, tokens(sections), { training: false }).output;
  const nothing = PADDED_DOCUMENTS[0].map((sentence) => sentence.map(() => 0));
  assertClose(read([[...PADDED_DOCUMENTS, nothing]]), read([DOCUMENTS]), 1e-6);
});

const context = { training: false };
const masks = (layer: Layer, x: Tensor, mask?: Tensor) => {
  const variables = init(layer, key(0), x);
  const given = layer.apply(variables, x, { ...context, mask }).mask;
  return given === undefined ? undefined : treeLeaves<Tensor>(given).map(toNested);
};

Deno.test("embedding and masking leave out what was left out before", () => {
  const mask = tensor([[true, true, false]]);
  const x = tokens([[1, 0, 2]]);
  assertEquals(masks(embedding({ inputDim: 3, outputDim: 2 }), x, mask), [[[1, 1, 0]]]);
  assertEquals(masks(embedding({ inputDim: 3, outputDim: 2, maskZero: true }), x, mask), [[[1, 0, 0]]]);
  assertEquals(masks(masking({ maskValue: -1 }), tensor([[[1], [-1], [0]]]), mask), [[[1, 0, 0]]]);
  const twice = sequential([masking(), masking({ maskValue: 9 })]);
  assertEquals(masks(twice, tensor([[[1, 2], [0, 0], [9, 9], [0, 9]]])), [[[1, 0, 0, 1]]]);
});

Deno.test("a layer that ends or joins the axes of a mask ends or joins the mask", () => {
  const mask = tensor([[[true, true], [true, false], [false, false]]]);
  const x = random(1, [1, 3, 2, 4]);
  assertEquals(masks(timeDistributed(flatten()), x, mask), [[[1, 1, 0]]]);
  assertEquals(masks(reshapeLayer({ targetShape: [6, 4] }), x, mask), [[[1, 1, 1, 0, 0, 0]]]);
  assertEquals(masks(reshapeLayer({ targetShape: [3, 2, 2, 2] }), x, mask), [toNested(mask)]);
  assertEquals(masks(reshapeLayer({ targetShape: [4, 6] }), x, mask), undefined);
  assertEquals(masks(flatten(), x, mask), undefined);
  const features = tensor([[1, 2, 3]]); // dense over what is masked
  assertEquals(masks(dense({ units: 3 }), features, tensor([[true, true, false]])), undefined);
});

Deno.test("an image counts if any of its pixels does", () => {
  const layer = sequential([masking(), convLstm1d({ filters: 2, kernelSize: 3, padding: "same" })]);
  const images = [[[1], [0], [2]], [[0], [3], [0]]];
  const variables = init(layer, key(0), tensor([images]));
  const read = (images: unknown[]) =>
    layer.apply(variables, tensor([images] as number[][][][]), context).output;
  assertClose(read([...images, [[0], [0], [0]]]), read(images));
});

Deno.test("merge counts what counts in all inputs, or in any, and joins masks in time", () => {
  const [a, b] = [tensor([[[1], [2], [3]]]), tensor([[[4], [5], [6]]])];
  const [left, right] = [tensor([[true, true, false]]), tensor([[false, true, false]])];
  const maskOf = (layer: Layer, mask: readonly (Tensor | undefined)[]) => {
    const given = layer.apply({ params: [], state: [] }, [a, b], { ...context, mask }).mask;
    return given === undefined ? undefined : toNested(given as Tensor);
  };
  assertEquals(maskOf(merge({ method: "add" }), [left, right]), [[0, 1, 0]]);
  assertEquals(maskOf(merge({ method: "add" }), [left, undefined]), [[1, 1, 0]]);
  assertEquals(maskOf(merge({ method: "average", counts: "any" }), [left, right]), [[1, 1, 0]]);
  assertEquals(maskOf(merge({ method: "average", counts: "any" }), [left, undefined]), undefined);
  assertEquals(maskOf(merge({ method: "concatenate" }), [left, right]), [[0, 1, 0]]);
  const inTime = merge({ method: "concatenate", axis: 1 });
  assertEquals(maskOf(inTime, [left, right]), [[1, 1, 0, 0, 1, 0]]);
  assertEquals(maskOf(inTime, [undefined, right]), [[1, 1, 1, 0, 1, 0]]);
  assertEquals(maskOf(inTime, [undefined, undefined]), undefined);
  const rows = tensor([true]);
  assertEquals(maskOf(merge({ method: "concatenate" }), [rows, right]), [[0, 1, 0]]);
  assertEquals(maskOf(inTime, [tensor([false]), right]), [[0, 0, 0, 0, 1, 0]]);
  assertEquals(maskOf(merge({ method: "concatenate", axis: 1 }), [rows, rows]), [1]);
});

Deno.test("a model with layers that merge comes back from JSON with its masks", () => {
  const layer = readerOf((x) => call(merge({ method: "subtract" }), [x, call(sequence, x)]));
  const again = fromJson(toJson(layer));
  const variables = init(layer, key(0), tokens(ALONE));
  const [one, two] = [layer, again].map((layer) => layer.apply(variables, tokens(PADDED), context).output);
  assertClose(two, one);
});

Deno.test("a recurrent layer on the last output of another names returnSequences", () => {
  const inTime = spec([null, null, 2]);
  const remedy = "a recurrent layer before it needs returnSequences: true";
  for (
    const second of [
      gru({ units: 2 }),
      bidirectional(lstm({ units: 2 })),
      timeDistributed(dense({ units: 2 })),
    ]
  ) {
    assertThrows(() => init(sequential([lstm({ units: 3 }), second]), key(0), inTime), TypeError, remedy);
  }
  const convolution = () => convLstm1d({ filters: 2, kernelSize: 1 });
  assertThrows(
    () => init(sequential([convolution(), convolution()]), key(0), spec([null, null, 5, 2])),
    TypeError,
    remedy,
  );
  const message =
    assertThrows(() => init(lstm({ units: 3 }), key(0), spec([null, null, 5, 2])), TypeError).message;
  assert(!message.includes(remedy), message);
});

Deno.test("normalization is over what counts", () => {
  const mask = tensor([[true, true, false], [true, false, false]]);
  const x = tensor([[[1], [3], [NaN]], [[5], [Infinity], [7]]]);
  const steps = layerNormalization({ axis: [1, 2], center: false, scale: false, epsilon: 1 });
  const [[first, second], [third]] = toNested(
    steps.apply({ params: {}, state: [] }, x, { ...context, mask }).output,
  ) as number[][][];
  const root = Math.fround(Math.sqrt(2)); // of variance 1 and epsilon 1
  assertClose(tensor([...first, ...second, ...third]), tensor([-1 / root, 1 / root, 0]), 1e-7);
  const batch = batchNormalization({ momentum: 0.5 });
  const { params, state } = init(batch, key(0), x);
  const moving = (mask: Tensor) => batch.apply({ params, state }, x, { training: true, mask }).state;
  assertClose(moving(mask), { movingMean: tensor([1.5]), movingVariance: tensor([0.5 + 4 / 3]) }, 1e-6);
  assertClose(moving(tensor([[false, false, false], [false, false, false]])), state);
  const inside = timeDistributed(batch);
  assertClose(
    inside.apply({ params, state }, x, { training: true, mask }).state,
    { movingMean: tensor([1.5]), movingVariance: tensor([0.5 + 4 / 3]) },
    1e-6,
  );
});

Deno.test("batch normalization takes a mask of steps that have axes of their own", () => {
  const mask = tensor([[true, false], [true, true]]);
  const x = tensor([[[[1], [2]], [[NaN], [9]]], [[[3], [4]], [[5], [6]]]]); // the steps that count: 1 to 6
  const layer = batchNormalization({ momentum: 0.5 });
  const { params, state } = init(layer, key(0), x);
  const moved = { movingMean: tensor([3.5 / 2]), movingVariance: tensor([(1 + 35 / 12) / 2]) };
  for (const batch of [layer, timeDistributed(layer)]) {
    const { state: after, mask: kept } = batch.apply({ params, state }, x, { training: true, mask });
    assertClose(after, moved, 1e-6);
    assertEquals(toNested(kept as Tensor), toNested(mask)); // one tensor
  }
});
