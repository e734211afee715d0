/** Modules of PyTorch, from files that torch.save wrote, give here what they give there. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  bidirectional,
  conv1d,
  conv1dTranspose,
  conv2d,
  conv2dTranspose,
  dense,
  gru,
  gruCell,
  init,
  key,
  type Layer,
  lstm,
  multiHeadAttention,
  predict,
  rnn,
  sequential,
  simpleRnn,
  spec,
  stackedCells,
  type Tensor,
  tensor,
  zeros,
} from "@cellfold/cellfold";
import { decodeTorchFile, fromTorch, type StateDict, toTorch } from "@cellfold/cellfold/torch";
import { expectedFiles, fixture, numbersOf, type Printed } from "./fixtures.ts";

const sequence = spec([null, null, 2]);
const sequence4 = spec([null, null, 4]);

function tensorOf(printed: Printed): Tensor {
  return tensor(numbersOf(printed), { shape: [...printed.shape] });
}

/** Fails unless the values differ by at most 1e-6 of the largest, or of 1. */
function assertClose(actual: Tensor, printed: Printed): void {
  assertEquals(actual.shape, printed.shape);
  const expected = numbersOf(printed);
  const largest = Math.max(1, ...expected.map(Math.abs));
  assert(actual.kind === "host");
  actual.data.forEach((value, index) => {
    assert(
      Math.abs(value - expected[index]) <= 1e-6 * largest,
      `element ${index}: ${value}, ${expected[index]}`,
    );
  });
}

/** The tensors of a file, and inputs and outputs of its module. */
async function moduleOf(name: string) {
  return { ...await decodeTorchFile(await fixture(name)), outputs: expectedFiles[name].outputs ?? {} };
}

for (const name of ["checkpoint", "checkpoint, before 1.6"]) {
  Deno.test(`${name}: a model predicts the same from a checkpoint in the middle of training`, async () => {
    const { tensors, path, outputs } = await moduleOf(name);
    assertEquals(path, "model_state");
    const model = sequential([
      lstm({ units: 2, returnSequences: true, name: "lower" }),
      lstm({ units: 2, name: "upper" }),
      dense({ units: 2, name: "fc" }),
    ]);
    const modules = { lower: "rnn", upper: "rnn" };
    const variables = fromTorch(model, init(model, key(0), sequence), tensors, { modules });
    assertClose(await predict(model, variables, tensorOf(outputs.x)) as Tensor, outputs.y);
  });
}

const cells = ["lstm", "gru", "rnn"];
const ofCells = sequential([
  lstm({ units: 3, returnSequences: true, name: "lstm" }),
  gru({ units: 3, returnSequences: true, name: "gru" }),
  simpleRnn({ units: 2, name: "rnn" }),
]);

Deno.test("cells: nn.LSTMCell, GRUCell and RNNCell are layers with their names", async () => {
  const { tensors, outputs } = await moduleOf("cells");
  const variables = fromTorch(ofCells, init(ofCells, key(0), sequence), tensors, { cells });
  assertClose(await predict(ofCells, variables, tensorOf(outputs.x)) as Tensor, outputs.y);
  const back = toTorch(ofCells, variables, { cells });
  assertEquals(Object.keys(back).sort(), Object.keys(tensors).sort());
  assertEquals(back["gru.weight_hh"], tensors["gru.weight_hh"]);
  const again = fromTorch(ofCells, init(ofCells, key(1), sequence), back, { cells });
  assertEquals(again, variables);
});

Deno.test("cells: one that is not listed is suggested, what cannot be one is refused", async () => {
  const { tensors } = await moduleOf("cells");
  const fresh = init(ofCells, key(0), sequence);
  assertThrows(
    () => fromTorch(ofCells, fresh, tensors),
    TypeError,
    "; if the module is an nn.LSTMCell, GRUCell or RNNCell, list its layer in cells",
  );
  assertThrows(() => toTorch(ofCells, fresh, { cells: ["lsmt"] }), RangeError, 'Cannot use the layer "lsmt"');
  assertThrows(
    () => toTorch(ofCells, fresh, { cells: ["lstm", "gru"], modules: { gru: "lstm" } }),
    RangeError,
    'lstm is the module "lstm" too',
  );
  const refused: readonly (readonly [Layer, string])[] = [
    [bidirectional(lstm({ units: 2 })), "a cell goes in one direction"],
    [rnn(stackedCells([gruCell({ units: 2 }), gruCell({ units: 2 })])), "its cells are stacked"],
    [lstm({ units: 3, projection: 2 }), "its projection is 2, but nn.LSTMCell has none"],
    [dense({ units: 2 }), "it is in cells, expected a recurrent layer"],
  ];
  for (const [layer, reason] of refused) {
    const variables = init(layer, key(0), sequence);
    assertThrows(() => toTorch(layer, variables, { cells: [""] }), TypeError, reason);
  }
  const alone = lstm({ units: 2 });
  const { weight_ih } = toTorch(alone, init(alone, key(0), sequence), { cells: [""] });
  assertEquals(weight_ih.shape, [8, 2]);
});

/** Runs `fn` and returns what it warns of. */
function warningsOf(fn: () => void): unknown[] {
  const warn = console.warn;
  const warnings: unknown[] = [];
  console.warn = (...args: unknown[]) => void warnings.push(...args);
  try {
    fn();
  } finally {
    console.warn = warn;
  }
  return warnings;
}

Deno.test("strict: false leaves out what the model has no place for, and says what", () => {
  const layer = dense({ units: 1 });
  const variables = init(layer, key(0), spec([null, 2]));
  const own = toTorch(layer, variables);
  const more = { ...own, similarity_weight: zeros([1]), "other.bias": zeros([2]) };
  assertThrows(() => fromTorch(layer, variables, more), TypeError, 'unexpected "similarity_weight"');
  assertEquals(
    warningsOf(() => assertEquals(fromTorch(layer, variables, more, { strict: false }), variables)),
    ['Cellfold: fromTorch left out "similarity_weight", "other.bias"'],
  );
  assertEquals(warningsOf(() => fromTorch(layer, variables, own, { strict: false })), []);
  const less = Object.fromEntries(Object.entries(more).filter(([name]) => name !== "bias"));
  assertThrows(
    () => warningsOf(() => fromTorch(layer, variables, less, { strict: false })),
    TypeError,
    'missing "bias"',
  );
});

/** The tensors of one module. */
function below(tensors: StateDict, module: string): StateDict {
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(`${module}.`));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(module.length + 1), tensor]));
}

Deno.test("convolutions: kernels are those of PyTorch in the order of axes here", async () => {
  const { tensors, outputs } = await moduleOf("modules");
  const cases: readonly (readonly [layer: Layer, x: Printed])[] = [
    [conv1d({ filters: 6, kernelSize: 3, groups: 2, name: "conv1d" }), outputs.sequence],
    [conv2d({ filters: 3, kernelSize: [2, 3], useBias: false, name: "conv2d" }), outputs.image],
    [conv1dTranspose({ filters: 3, kernelSize: 3, strides: 2, name: "transpose1d" }), outputs.sequence],
    [conv2dTranspose({ filters: 3, kernelSize: [2, 3], name: "transpose2d" }), outputs.image],
  ];
  for (const [layer, printed] of cases) {
    const name = String(layer.name);
    const x = tensorOf(printed);
    const own = below(tensors, name);
    const variables = fromTorch(layer, init(layer, key(0), x), own);
    assertClose(await predict(layer, variables, x) as Tensor, outputs[name]);
    assertEquals(toTorch(layer, variables), own);
  }
});

Deno.test("attention: projections are those of nn.MultiheadAttention, whether in one matrix or three", async () => {
  const { tensors, outputs } = await moduleOf("modules");
  const { sequence, key: keys, value } = outputs;
  const cases = [
    { name: "attention", inputs: [sequence, sequence, sequence], useBias: true },
    { name: "other", inputs: [sequence, value, keys], useBias: false }, // in Keras the key comes last
  ];
  for (const { name, inputs, useBias } of cases) {
    const layer = multiHeadAttention({ numHeads: 2, keyDim: 2, useBias });
    const x = inputs.map(tensorOf);
    const own = below(tensors, name);
    const variables = fromTorch(layer, init(layer, key(0), x), own);
    assertClose(await predict(layer, variables, x) as Tensor, outputs[name]);
    assertEquals(toTorch(layer, variables), own);
  }
});

Deno.test("attention: sizes that nn.MultiheadAttention cannot have are refused", () => {
  const layer = multiHeadAttention({ numHeads: 2, keyDim: 3 });
  assertThrows(
    () => toTorch(layer, init(layer, key(0), [sequence4, sequence4])),
    TypeError,
    "it has 2 heads of 3 features for queries of 4",
  );
});
