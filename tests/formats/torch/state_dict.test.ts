import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  add,
  apply,
  batchNormalization,
  bidirectional,
  call,
  cast,
  dense,
  dropout,
  embedding,
  gru,
  gruCell,
  init,
  input,
  key,
  type Layer,
  layerNormalization,
  layerNormLstm,
  lstm,
  lstmCell,
  mapTree,
  model,
  normal,
  rnn,
  sequential,
  simpleRnn,
  type Spec,
  spec,
  stackedCells,
  sum,
  type Tensor,
  tensor,
  timeDistributed,
  toNested,
  type Tree,
  treeLeaves,
  valueAndGrad,
  type Variables,
  zeros,
} from "@cellfold/cellfold";
import { fromTorch, type StateDict, type TorchOptions, toTorch } from "@cellfold/cellfold/torch";

const sequence = spec([null, null, 3]);

/** Variables of which no two numbers are alike. */
function variablesOf(layer: Layer, input: Tree<Spec>): Variables {
  let seed = 1;
  const drawn = <T>(tree: T) => mapTree(tree, ({ shape }: Tensor) => normal(key(seed++), shape));
  const { params, state } = init(layer, key(0), input);
  return { params: drawn(params), state: drawn(state) };
}

const shapesOf = (stateDict: StateDict) =>
  Object.fromEntries(Object.entries(stateDict).map(([name, { shape }]) => [name, shape.join()]));

const cases: Readonly<
  Record<string, { layer: Layer; input?: Spec; options?: TorchOptions; names: Record<string, string> }>
> = {
  "an LSTM": {
    layer: lstm({ units: 2 }),
    names: { weight_ih_l0: "8,3", weight_hh_l0: "8,2", bias_ih_l0: "8", bias_hh_l0: "8" },
  },
  "an LSTM with a projection and without bias": {
    layer: lstm({ units: 4, projection: 2, useBias: false }),
    names: { weight_ih_l0: "16,3", weight_hh_l0: "16,2", weight_hr_l0: "2,4" },
  },
  "a GRU": {
    layer: gru({ units: 2 }),
    names: { weight_ih_l0: "6,3", weight_hh_l0: "6,2", bias_ih_l0: "6", bias_hh_l0: "6" },
  },
  "a GRU without bias": {
    layer: gru({ units: 2, useBias: false }),
    names: { weight_ih_l0: "6,3", weight_hh_l0: "6,2" },
  },
  "an RNN with relu": {
    layer: simpleRnn({ units: 2, activation: "relu" }),
    names: { weight_ih_l0: "2,3", weight_hh_l0: "2,2", bias_ih_l0: "2", bias_hh_l0: "2" },
  },
  "stacked cells": {
    layer: rnn(stackedCells([gruCell({ units: 2, useBias: false }), gruCell({ units: 2, useBias: false })])),
    names: { weight_ih_l0: "6,3", weight_hh_l0: "6,2", weight_ih_l1: "6,2", weight_hh_l1: "6,2" },
  },
  "a bidirectional LSTM": {
    layer: bidirectional(lstm({ units: 2, useBias: false })),
    names: {
      weight_ih_l0: "8,3",
      weight_hh_l0: "8,2",
      weight_ih_l0_reverse: "8,3",
      weight_hh_l0_reverse: "8,2",
    },
  },
  "layers that are one module": {
    layer: sequential([
      bidirectional(lstm({ units: 2, projection: 1, useBias: false, returnSequences: true })),
      dropout({ rate: 0.5 }),
      bidirectional(lstm({ units: 2, projection: 1, useBias: false })),
    ]),
    options: { modules: { bidirectional: "rnn", bidirectional_1: "rnn" } },
    names: {
      "rnn.weight_ih_l0": "8,3",
      "rnn.weight_hh_l0": "8,1",
      "rnn.weight_hr_l0": "1,2",
      "rnn.weight_ih_l0_reverse": "8,3",
      "rnn.weight_hh_l0_reverse": "8,1",
      "rnn.weight_hr_l0_reverse": "1,2",
      "rnn.weight_ih_l1": "8,2",
      "rnn.weight_hh_l1": "8,1",
      "rnn.weight_hr_l1": "1,2",
      "rnn.weight_ih_l1_reverse": "8,2",
      "rnn.weight_hh_l1_reverse": "8,1",
      "rnn.weight_hr_l1_reverse": "1,2",
    },
  },
  "a model of every other layer": {
    layer: sequential([
      embedding({ inputDim: 5, outputDim: 3, name: "table" }),
      layerNormalization({ epsilon: 1e-5 }),
      simpleRnn({ units: 2, useBias: false }),
      batchNormalization({ epsilon: 1e-5, momentum: 0.9 }),
      dense({ units: 4, name: "fc" }),
      dense({ units: 1, useBias: false }),
      batchNormalization({ scale: false, center: false }),
    ]),
    input: spec([null, null], "int32"),
    options: { modules: { dense: "head.0", batchNormalization_1: "last" } },
    names: {
      "table.weight": "5,3",
      "layerNormalization.weight": "3",
      "layerNormalization.bias": "3",
      "simpleRnn.weight_ih_l0": "2,3",
      "simpleRnn.weight_hh_l0": "2,2",
      "batchNormalization.weight": "2",
      "batchNormalization.bias": "2",
      "batchNormalization.running_mean": "2",
      "batchNormalization.running_var": "2",
      "batchNormalization.num_batches_tracked": "",
      "fc.weight": "4,2",
      "fc.bias": "4",
      "head.0.weight": "1,4",
      "last.running_mean": "1",
      "last.running_var": "1",
      "last.num_batches_tracked": "",
    },
  },
  "models within models, below a prefix": {
    layer: sequential([
      sequential([lstm({ units: 2, useBias: false, returnSequences: true, name: "rnn" })], {
        name: "encoder",
      }),
      timeDistributed(dense({ units: 1, name: "ignored" }), { name: "head" }),
    ]),
    options: { prefix: "net", modules: { "encoder.rnn": "encoder.lstm" } },
    names: {
      "net.encoder.lstm.weight_ih_l0": "8,3",
      "net.encoder.lstm.weight_hh_l0": "8,2",
      "net.head.weight": "1,2",
      "net.head.bias": "1",
    },
  },
};

for (const [name, { layer, input = sequence, options, names }] of Object.entries(cases)) {
  Deno.test(`${name}: names and shapes are PyTorch's, and the variables come back`, () => {
    const variables = variablesOf(layer, input);
    const stateDict = toTorch(layer, variables, options);
    assertEquals(shapesOf(stateDict), names);
    const other = init(layer, key(5), input);
    assertEquals(fromTorch(layer, other, stateDict, options), variables);
    const { num_batches_tracked: _, ...rest } = Object.fromEntries(
      Object.entries(stateDict).filter(([name]) => !name.endsWith("num_batches_tracked")),
    );
    assertEquals(fromTorch(layer, other, rest, options), variables);
  });
}

Deno.test("a graph's layers are converted by their names, one that is called twice once", () => {
  const x = input([null, 3]);
  const shared = lstm({ units: 2, name: "shared" });
  const both = apply(add, call(shared, x), call(shared, x));
  const layer = model({ inputs: x, outputs: call(dense({ units: 1, name: "out" }), both) });
  const variables = variablesOf(layer, sequence);
  const stateDict = toTorch(layer, variables);
  assertEquals(Object.keys(stateDict).length, 6);
  assertEquals(fromTorch(layer, init(layer, key(1), sequence), stateDict), variables);
});

Deno.test("gates are put into the other order, and two biases into one", () => {
  const numbers = (count: number) =>
    tensor(Array.from({ length: count }, (_, i) => [i]), { shape: [count, 1] });
  const one = spec([null, null, 1]);
  const ofGru = gru({ units: 1 });
  const row = (...values: number[]) => tensor(values);
  const stateDict = {
    weight_ih_l0: numbers(3), // r, z, n
    weight_hh_l0: numbers(3),
    bias_ih_l0: row(10, 11, 12),
    bias_hh_l0: row(20, 21, 22),
  };
  const { params } = fromTorch(ofGru, init(ofGru, key(0), one), stateDict);
  assertEquals(treeLeaves<Tensor>(params).map(toNested), [[[11, 10, 12], [21, 20, 22]], [[1, 0, 2]], [[
    1,
    0,
    2,
  ]]]);
  const ofLstm = lstm({ units: 1 });
  const four = {
    weight_ih_l0: numbers(4), // i, f, g, o
    weight_hh_l0: numbers(4),
    bias_ih_l0: row(1, 2, 3, 4),
    bias_hh_l0: row(10, 20, 30, 40),
  };
  const lstmVariables = fromTorch(ofLstm, init(ofLstm, key(0), one), four);
  assertEquals(treeLeaves<Tensor>(lstmVariables.params).map(toNested), [[11, 22, 33, 44], [[0, 1, 2, 3]], [[
    0,
    1,
    2,
    3,
  ]]]);
  const again = toTorch(ofLstm, lstmVariables);
  assertEquals([again.bias_ih_l0, again.bias_hh_l0].map(toNested), [[11, 22, 33, 44], [0, 0, 0, 0]]);
});

Deno.test("floats get the dtype of the variables, a stateful layer keeps its state", () => {
  const layer = lstm({ units: 2, stateful: true });
  const fixed = spec([2, null, 3]);
  const variables = variablesOf(layer, fixed);
  const wide = mapTree(toTorch(layer, variables), (leaf: Tensor) => cast(leaf, "float64"));
  assertEquals(fromTorch(layer, variables, wide), variables);
});

Deno.test("it can be differentiated", () => {
  const layer = lstm({ units: 2 });
  const variables = variablesOf(layer, sequence);
  const loss = (stateDict: StateDict) => {
    const { params } = fromTorch(layer, variables, stateDict);
    return sum(treeLeaves<Tensor>(params)[0]); // the bias
  };
  const [, gradient] = valueAndGrad(loss)(toTorch(layer, variables));
  assertEquals([gradient.bias_ih_l0, gradient.bias_hh_l0].map(toNested), [
    new Array(8).fill(1),
    new Array(8).fill(1),
  ]);
});

Deno.test("all names that do not fit are listed at once", () => {
  const layer = sequential([lstm({ units: 2, name: "rnn" }), dense({ units: 1, name: "fc" })]);
  const variables = variablesOf(layer, sequence);
  const { "fc.bias": bias, "rnn.bias_hh_l0": _, ...rest } = toTorch(layer, variables);
  const stateDict = {
    ...rest,
    "fc.bais": bias,
    "rnn.weight_ih_l0": zeros([8, 4]),
    "fc.weight": zeros([1, 2], { dtype: "int32" }),
  };
  assertThrows(
    () => fromTorch(layer, variables, stateDict),
    TypeError,
    'Cannot load the PyTorch state dict: missing "rnn.bias_hh_l0", "fc.bias"; unexpected "fc.bais"; ' +
      'of another shape or dtype "rnn.weight_ih_l0" (float32[8, 4], expected float32[8, 3]), ' +
      '"fc.weight" (int32[1, 2], expected float32[1, 2])',
  );
  const without = lstm({ units: 2, useBias: false });
  assertThrows(
    () =>
      fromTorch(
        without,
        init(without, key(0), sequence),
        toTorch(lstm({ units: 2 }), variablesOf(lstm({ units: 2 }), sequence)),
      ),
    TypeError,
    'unexpected "bias_ih_l0", "bias_hh_l0"',
  );
  const inner = toTorch(lstm({ units: 2 }), variablesOf(lstm({ units: 2 }), sequence), { prefix: "a.rnn" });
  const whole = { ...inner, "b.weight": zeros([1]), "a.rnnx.weight": zeros([1]) };
  fromTorch(lstm({ units: 2 }), init(lstm({ units: 2 }), key(0), sequence), whole, { prefix: "a.rnn." });
});

const refused: Readonly<Record<string, { layer: Layer; reason: string }>> = {
  "peepholes": {
    layer: lstm({ units: 2, peepholes: true }),
    reason: "its peepholes is true, but nn.LSTM has false",
  },
  "coupled gates": { layer: lstm({ units: 2, inputForget: true }), reason: "its inputForget is true" },
  "a clip": { layer: gru({ units: 2, clip: 1 }), reason: "its clip is 1, but nn.GRU has null" },
  "another activation": { layer: lstm({ units: 2, activation: "relu" }), reason: 'its activation is "relu"' },
  "an activation that is a function": {
    layer: simpleRnn({ units: 2, activation: (x) => x }),
    reason: 'its activation is a function, but nn.RNN has "tanh" or "relu"',
  },
  "another gate": {
    layer: gru({ units: 2, recurrentActivation: "hardSigmoid" }),
    reason: "its recurrentActivation",
  },
  "a reset before the product": {
    layer: gru({ units: 2, resetAfter: false }),
    reason: "its resetAfter is false",
  },
  "a projection as large as the state": {
    layer: lstm({ units: 2, projection: 2 }),
    reason: "its projection is 2, but nn.LSTM has less than its 2 units",
  },
  "one direction, backwards": { layer: lstm({ units: 2, goBackwards: true }), reason: "it goes backwards" },
  "stacked cells in both directions": {
    layer: bidirectional(rnn(stackedCells([lstmCell({ units: 2 }), lstmCell({ units: 2 })]))),
    reason: "make a bidirectional layer of each",
  },
  "directions that differ": {
    layer: bidirectional(lstm({ units: 2 }), { backwardLayer: lstm({ units: 3, goBackwards: true }) }),
    reason:
      "one module would have to be nn.LSTM of 2 units, with bias, in both directions and nn.LSTM of 3 units",
  },
  "stacked cells that differ": {
    layer: rnn(stackedCells([lstmCell({ units: 2 }), gruCell({ units: 2 })])),
    reason: "and nn.GRU of 2 units",
  },
  "another cell": {
    layer: layerNormLstm({ units: 2 }),
    reason: "there is no module for its layerNormLstmCell",
  },
  "a scale without a centre": {
    layer: layerNormalization({ center: false }),
    reason: "its scale is true and its center false, expected both or none",
  },
  "an axis from the front": {
    layer: layerNormalization({ axis: 2 }),
    reason: "its axis is 2, expected the last axes",
  },
};

for (const [name, { layer, reason }] of Object.entries(refused)) {
  Deno.test(`${name}: refused with the option that PyTorch lacks`, () => {
    const named = sequential([layer]);
    const variables = init(named, key(0), sequence);
    for (const convert of [() => toTorch(named, variables), () => fromTorch(named, variables, {})]) {
      const { message } = assertThrows(convert, TypeError, reason);
      assert(message.startsWith("Cannot convert "), message);
    }
  });
}

Deno.test("layers of one's own with parameters, wrong names and modules that cannot be one are refused", () => {
  const plain = dense({ units: 2 });
  const own: Layer = { ...plain, type: "own", apply: (...args) => plain.apply(...args) };
  const layer = sequential([own]);
  assertThrows(
    () => toTorch(layer, init(layer, key(0), spec([null, 3]))),
    TypeError,
    "Cannot convert own to or from PyTorch",
  );
  const two = (first: Layer, second: Layer) => {
    const layer = sequential([first, second]);
    const variables = init(layer, key(0), sequence);
    const [a, b] = [first.name ?? "", second.name ?? ""];
    return (modules: Record<string, string> = { [a]: "m", [b]: "m" }) =>
      toTorch(layer, variables, { modules });
  };
  const dense2 = two(lstm({ units: 2, name: "a", returnSequences: true }), dense({ units: 2, name: "b" }));
  assertThrows(() => dense2(), RangeError, 'Cannot convert b to or from PyTorch: a is the module "m" too');
  assertThrows(() => dense2({ c: "m" }), RangeError, 'Cannot use the layer "c"');
  const units = two(lstm({ units: 2, name: "a", returnSequences: true }), lstm({ units: 3, name: "b" }));
  assertThrows(
    () => units(),
    RangeError,
    "but that is nn.LSTM of 2 units, with bias, in one direction, and this nn.LSTM of 3",
  );
  const misspelt: object = { module: {} };
  const layer2 = dense({ units: 1 });
  assertThrows(
    () => toTorch(layer2, init(layer2, key(0), sequence), misspelt),
    RangeError,
    'did you mean "modules"?',
  );
  assertThrows(() => toTorch(layer2, { params: [], state: [] }), TypeError, "expected {kernel, bias}");
  const inner = sequential([dense({ units: 1 })]);
  assertThrows(
    () => toTorch(inner, { params: [], state: [] }),
    TypeError,
    "its params are no array, expected an array of 1",
  );
});
