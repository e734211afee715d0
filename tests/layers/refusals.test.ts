/** What layers and cells are not made of, and variables that are not theirs, are refused by name before anything runs. */
import { assertRejects, assertThrows } from "@std/assert";
import {
  batchNormalization,
  call,
  dense,
  embedding,
  init,
  input,
  key,
  layerNormalization,
  lstm,
  lstmCell,
  rnn,
  sequential,
  spec,
  stackedCells,
  streaming,
  tensor,
  timeDistributed,
  zeros,
} from "@cellfold/cellfold";

/** A value of any type, as JavaScript would pass it. */
// deno-lint-ignore no-explicit-any -- on purpose: what TypeScript would refuse
const loose = (value: unknown): any => value;

const context = { training: false };

Deno.test("a cell where a layer is expected is refused with the remedy", () => {
  const cell = loose(lstmCell({ units: 2 }));
  const remedy = "the layer is the cell lstmCell, expected a layer such as dense(...); give rnn(cell)";
  assertThrows(() => sequential([dense({ units: 2 }), cell]), TypeError, `entry 1 into sequential`);
  assertThrows(() => sequential([cell]), TypeError, remedy);
  assertThrows(() => timeDistributed(cell), TypeError, remedy);
  assertThrows(() => call(cell, input([2])), TypeError, remedy);
});

Deno.test("a layer or a function where a cell is expected is refused", () => {
  assertThrows(() => rnn(loose(lstm({ units: 2 }))), TypeError, "the cell is the layer lstm");
  assertThrows(() => rnn(loose(() => [])), TypeError, "the cell is a function");
  assertThrows(
    () => rnn(loose(undefined)),
    TypeError,
    "Cannot make rnn: the cell is undefined, expected a cell",
  );
  assertThrows(
    () => stackedCells([lstmCell({ units: 2 }), loose(dense({ units: 2 }))]),
    TypeError,
    "Cannot make stackedCells with entry 1",
  );
});

Deno.test("the variables of another layer are refused with what is expected", () => {
  const x = zeros([2, 3]);
  const other = init(sequential([dense({ units: 2 })]), key(0), x);
  assertThrows(
    () => dense({ units: 2 }).apply(other, x, context),
    TypeError,
    "Cannot use dense with an array of 1 as its params: expected {kernel, bias}",
  );
  assertThrows(
    () => dense({ units: 2, useBias: false }).apply(init(dense({ units: 2 }), key(0), x), x, context),
    TypeError,
    "with {bias, kernel} as its params: expected {kernel}",
  );
  const norm = batchNormalization();
  assertThrows(
    () => norm.apply({ params: norm.initParams(key(0), x), state: [] }, x, context),
    TypeError,
    "as its state: expected {movingMean, movingVariance}",
  );
  assertThrows(() => layerNormalization().apply(other, x, context), TypeError, "expected {gamma, beta}");
});

Deno.test("axes and rates that are no numbers are refused", () => {
  assertThrows(() => layerNormalization({ axis: loose("last") }), RangeError, 'axis is "last"');
  assertThrows(() => batchNormalization({ axis: 0.5 }), RangeError, "axis is 0.5");
  assertThrows(() => lstm({ units: 2, dropout: loose("0.5") }), RangeError, 'dropout is "0.5"');
});

Deno.test("a token outside the vocabulary is refused at once, and in a stream", async () => {
  const layer = sequential([embedding({ inputDim: 5, outputDim: 2 }), lstm({ units: 2 })]);
  const variables = init(layer, key(0), spec([null, null], "int32"));
  const tokens = tensor([[1, 5]], { dtype: "int32" });
  const message = "with the token 5 at [0, 1]";
  assertThrows(() => layer.apply(variables, tokens, context), RangeError, message);
  using stream = streaming(layer, variables);
  await assertRejects(() => stream.push(tokens), RangeError, message);
  await assertRejects(() => stream.step(tensor([7], { dtype: "int32" })), RangeError, "token 7 at [0, 0]");
});
