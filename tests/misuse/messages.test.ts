/** The commonest mistakes, and the remedies that their errors name. */
import * as cf from "@cellfold/cellfold";
import * as internal from "@cellfold/cellfold/internal";
import { loadCheckpoint, saveCheckpoint } from "@cellfold/cellfold/safetensors";
import { assertRejects, assertThrows } from "@std/assert";

// deno-lint-ignore no-explicit-any -- what JavaScript lets one pass
const any = (value: unknown): any => value;

const model = cf.sequential([cf.dense({ units: 2 })]);
const x = cf.ones([4, 3]);
const y = cf.ones([4, 2]);
const variables = cf.init(model, cf.key(0), x);
const options = { loss: "mse", optimizer: "sgd", report: "none" } as const;

Deno.test("plain numbers in lists are to be made tensors", () => {
  const remedy = "make one with tensor(...)";
  assertThrows(
    () => cf.add(any([1]), any([2])),
    TypeError,
    `compute add: operand 0 is an array of 1, expected a tensor; ${remedy}`,
  );
  assertThrows(() => cf.mul(x, any([2])), TypeError, `compute mul: operand 1 is an array of 1`);
  assertThrows(() => cf.matmul(x, any([[1], [2]])), TypeError, `compute matmul: b is an array of 2`);
  assertThrows(() => cf.sum(any([1, 2])), TypeError, remedy);
  assertThrows(() => cf.concat(any([[1], [2]])), TypeError, `compute concat: tensor 0 is an array of 1`);
  assertThrows(() => cf.tanh(any(new Float32Array(2))), TypeError, "operand 0 is a Float32Array of 2");
  assertThrows(() => cf.relu(any("1")), TypeError, 'operand 1 is the text "1"');
});

Deno.test("a promise is to be awaited, wherever it is given", async () => {
  const soon = (value: unknown) => any(Promise.resolve(value));
  const awaited = "a Promise (you may have forgotten await)";
  assertThrows(() => cf.exp(soon(x)), TypeError, awaited);
  assertThrows(() => cf.init(model, cf.key(0), soon(x)), TypeError, awaited);
  assertThrows(() => cf.init(soon(model), cf.key(0), x), TypeError, awaited);
  assertThrows(() => cf.explain(soon(0)), TypeError, awaited);
  assertThrows(() => cf.explanation(soon(0)), TypeError, awaited);
  assertThrows(() => cf.summary(soon(model), x), TypeError, awaited);
  assertThrows(() => cf.streaming(model, soon(variables)), TypeError, awaited);
  assertThrows(() => cf.getWeights(soon(variables)), TypeError, awaited);
  assertThrows(() => saveCheckpoint({ model, variables: soon(variables) }), TypeError, awaited);
  assertThrows(() => loadCheckpoint(soon(new Uint8Array())), TypeError, awaited);
  await assertRejects(() => cf.fit(soon(model), variables, { x, y }, options), TypeError, awaited);
  await assertRejects(() => cf.fit(model, soon(variables), { x, y }, options), TypeError, awaited);
  await assertRejects(() => cf.fit(model, variables, soon({ x, y }), options), TypeError, awaited);
  await assertRejects(
    () => cf.fit(model, variables, { x: soon(x), y }, options),
    TypeError,
    awaited,
  );
  await assertRejects(() => cf.fit(model, variables, { x, y }, soon(options)), TypeError, awaited);
  await assertRejects(() => cf.predict(model, variables, soon(x)), TypeError, awaited);
  await assertRejects(() => cf.toHost(soon(x)), TypeError, awaited);
  const compiled = await cf.compile((a: cf.Tensor) => cf.exp(a), { device: "reference" });
  await assertRejects(() => compiled(soon(x)), TypeError, awaited);
});

Deno.test("what is left out is named", async () => {
  assertThrows(
    () => any(cf.init)(model, cf.key(0)),
    TypeError,
    "init without an input: expected a spec such as spec([null, 28]) or data",
  );
  assertThrows(
    () => any(cf.init)(model, x),
    TypeError,
    "init: the key is float32[4, 3], expected int32[2]; make one with key(seed)",
  );
  assertThrows(() => any(cf.init)(model), TypeError, "the key is undefined");
  await assertRejects(
    () => any(cf.predict)(model, x),
    TypeError,
    "{ params, state }, as init(model, key, input) gives",
  );
  await assertRejects(() => any(cf.fit)(model, variables, { x, y }), TypeError, "as the options of fit");
});

Deno.test("what stands where something else is expected is named", async () => {
  await assertRejects(
    () => cf.fit(model, any(model), { x, y }, options),
    TypeError,
    "the variables are the layer sequential",
  );
  await assertRejects(
    () => cf.fit(any(variables), variables, { x, y }, options),
    TypeError,
    "the keys {params, state}",
  );
  await assertRejects(
    () => cf.fit(model, variables, { x, y }, { ...options, validation: any(0.2) }),
    TypeError,
    "validation is the number 0.2, expected { x, y } or { split: 0.2 }",
  );
  await assertRejects(
    () => cf.fit(model, variables, any([x, y]), options),
    TypeError,
    "the data is an array of 2",
  );
  await assertRejects(
    () => cf.fit(model, variables, any({ next: pieces().next }), options),
    TypeError,
    "an iterator is read if it has [Symbol.iterator] or [Symbol.asyncIterator]",
  );
});

async function* pieces() {
  yield await Promise.resolve({ x, y });
}

Deno.test("options are refused where they would be ignored", () => {
  assertThrows(() => cf.sgd(any(new Map([["learningRate", 0.1]]))), TypeError, "Map");
  assertThrows(() => cf.lstm({ units: 2, returnSequences: any("false") }), TypeError, "returnSequences");
  assertThrows(
    () => cf.dense({ units: 2, name: any(7) }),
    TypeError,
    "name is the number 7, expected a text",
  );
  assertThrows(() => cf.sum(x, { keepDims: any(1) }), TypeError, "keepDims");
});

Deno.test("losses that are given for no output, and weights for none, are named", async () => {
  const input = cf.input([3]);
  const two = cf.model({
    inputs: input,
    outputs: {
      wanted: cf.call(cf.dense({ units: 1 }), input),
      constructor: cf.call(cf.dense({ units: 1 }), input),
    },
  });
  const made = cf.init(two, cf.key(0), x);
  const target = cf.ones([4, 1]);
  const data = { x, y: { wanted: target, constructor: target } };
  const run = (loss: unknown, more: object = {}) =>
    cf.fit(two, made, data, { ...options, ...more, loss: any(loss) });
  await assertRejects(
    () => run({ wanted: null }),
    TypeError,
    "Cannot train or evaluate: no output has a loss, expected one for at least one output",
  );
  await assertRejects(
    () => run({ wanted: "mse" }, { lossWeights: { constructor: 2 } }),
    RangeError,
    "Cannot use lossWeights for the output constructor: current value is 2, but the output has no loss",
  );
  await cf.fit(two, made, data, { ...options, lossWeights: { wanted: 1 } as const });
});

Deno.test("trees and lists that hold themselves end", () => {
  const tree: Record<string, unknown> = {};
  tree.inner = [tree];
  const list: unknown[] = [];
  list.push(list);
  assertThrows(() => internal.flattenTree(tree), TypeError, "nested more than 500 deep, or refers to itself");
  assertThrows(() => internal.checkSameStructure(tree, tree), TypeError, "or refers to itself");
  assertThrows(() => cf.tensor(any(list)), RangeError, "one of them may hold itself");
  assertThrows(() => cf.padSequences(any([list])), RangeError, "one of them may hold itself");
});

Deno.test("what was once taken in silence is refused", () => {
  assertThrows(
    () => cf.split(x, 0.5),
    RangeError,
    "the number of parts is 0.5, expected a whole number from 1",
  );
  assertThrows(() => cf.split(x, -1), RangeError, "the number of parts is -1");
  assertThrows(() => cf.transpose(x, { permutation: [0] }), RangeError, "expected every axis once");
  assertThrows(() => cf.zeros([0.5]), TypeError, "shape[0] is the number 0.5, expected a whole number");
  assertThrows(
    () => internal.addDims(NaN, 1),
    TypeError,
    "a size is the number NaN, expected a whole number",
  );
  assertThrows(() => cf.full([2], any([1, 2])), TypeError, "the value is an array of 2, expected a number");
  assertThrows(
    () => cf.cast(any(cf.spec([2])), "float32"),
    TypeError,
    "x is a spec float32[2], expected a tensor",
  );
  assertThrows(() => cf.cast(x, any("int8")), TypeError, 'dtype is "int8", expected float32');
  assertThrows(() => cf.tensor(any([[1], 2]), { shape: [2] }), RangeError, "ragged nesting");
  assertThrows(() => cf.streaming(model, variables, { device: any("gpu") }), RangeError, "did you mean");
  assertThrows(() => cf.gru({ units: 2 }).withFlags(any({ units: 3 })), RangeError, "withFlags of gru");
  assertThrows(() => cf.predictStep(any(variables)), TypeError, "expected a layer such as dense(...)");
  assertThrows(() => cf.trainStep(model, any({}), cf.sgd()), TypeError, "the objective is an empty object");
  assertThrows(
    () => internal.resolveMetric(any(cf.sgd()), undefined, y, y),
    TypeError,
    "expected a name or a loss such as huber()",
  );
});

Deno.test("what may hold more than one thing is checked in all of them", async () => {
  await assertRejects(
    () => cf.fit(model, variables, { x, y }, { ...options, callbacks: any([[]]) }),
    TypeError,
    "callbacks[0] is an array of 0, expected an object",
  );
  await assertRejects(
    () => cf.fit(model, variables, { x, y }, { ...options, lossWeights: any("1") }),
    TypeError,
    'it is the text "1", expected a number, as the output is one tensor',
  );
  await assertRejects(
    () => cf.predict(model, any({ params: 3, state: [] }), x),
    TypeError,
    "params of the variables is the number 3; expected",
  );
  assertThrows(
    () => cf.convolve(cf.ones([1, 4, 1]), cf.ones([2, 1, 1]), { strides: any([0.5]) }),
    RangeError,
  );
});
