/** Data of another dtype than the model computes with is converted on the host, or refused by its path. */
import { assertEquals, assertRejects } from "@std/assert";
import {
  call,
  createTrainer,
  defineLayer,
  dense,
  embedding,
  evaluate,
  fit,
  host,
  type HostTensor,
  init,
  input,
  key,
  lstm,
  model,
  predict,
  sequential,
  spec,
  streaming,
  type Tensor,
  tensor,
  type Tree,
  type Variables,
} from "@cellfold/cellfold";
import { valuesOf } from "./models.ts";

const doubles = (values: number[], shape: number[]) => tensor(new Float64Array(values), { shape });
const floats = (values: number[], shape: number[]) => tensor(new Float32Array(values), { shape });

const layer = sequential([lstm({ units: 3 }), dense({ units: 1 })]);
const variables = init(layer, key(0), spec([null, null, 2]));
const values = [1, 2, 3, 4, 5, 6, 7, 8];
const options = { loss: "mse", optimizer: "sgd", report: "none", shuffle: false } as const;

Deno.test("float64 inputs, targets and weights are converted to the dtype of the parameters", async () => {
  const make = (of: typeof doubles) => ({
    x: of(values, [2, 2, 2]),
    y: of([1, 0], [2, 1]),
    sampleWeight: of([1, 0.5], [2]),
  });
  const [given, expected] = [make(doubles), make(floats)];
  const predicted = await predict(layer, variables, given.x);
  assertEquals(predicted.dtype, "float32");
  assertEquals(predicted, await predict(layer, variables, expected.x));
  assertEquals(
    await evaluate(layer, variables, given, { loss: "mse" }),
    await evaluate(layer, variables, expected, { loss: "mse" }),
  );
  const trained = await fit(layer, variables, given, { ...options, validation: given });
  assertEquals(trained, await fit(layer, variables, expected, { ...options, validation: expected }));
  using trainer = createTrainer(layer, { loss: "mse", optimizer: "sgd" });
  const { logs } = await trainer.trainOnBatch({ variables }, given);
  assertEquals(logs, await trainer.testOnBatch(variables, expected));
  assertEquals(await trainer.predictOnBatch(variables, given.x), predicted);
});

Deno.test("whole numbers of 8 and 64 bits are floats to a model that takes floats", async () => {
  const expected = await predict(layer, variables, floats(values, [2, 2, 2]));
  const bytes = tensor(new Uint8Array(values), { shape: [2, 2, 2] });
  const longs = tensor(new BigInt64Array(values.map(BigInt)), { shape: [2, 2, 2] });
  assertEquals(await predict(layer, variables, bytes), expected);
  assertEquals(await predict(layer, variables, longs), expected);
});

Deno.test("whole numbers stay tokens to an embedding, also beside floats", async () => {
  const ids = input([2], { name: "ids", dtype: "int32" });
  const x = input([2], { name: "x" });
  const both = model({
    inputs: { ids, x },
    outputs: { tokens: call(embedding({ inputDim: 9, outputDim: 2 }), ids), y: call(dense({ units: 1 }), x) },
  });
  const given = (x: Tensor): Tree<Tensor> => ({ ids: tensor([[1, 2]], { dtype: "int32" }), x });
  const variables = init(both, key(0), { ids: spec([null, 2], "int32"), x: spec([null, 2]) });
  const run = (x: HostTensor) => predict(both, variables, given(x));
  assertEquals(await run(doubles([1, 2], [1, 2])), await run(floats([1, 2], [1, 2])));
});

Deno.test("streams convert too", async () => {
  const sequence = lstm({ units: 3, returnSequences: true });
  const ofSequence = init(sequence, key(0), spec([null, null, 2]));
  using given = streaming(sequence, ofSequence);
  using expected = streaming(sequence, ofSequence);
  for (let again = 0; again < 2; again++) {
    assertEquals(
      await given.push(doubles(values, [1, 4, 2])),
      await expected.push(floats(values, [1, 4, 2])),
    );
    assertEquals(await given.step(doubles([1, 2], [1, 2])), await expected.step(floats([1, 2], [1, 2])));
  }
  assertEquals(given.state, expected.state);
});

Deno.test("what cannot be converted is refused by its path and value", async () => {
  const large = doubles([1, 2, 1e300, 4], [1, 2, 2]);
  await assertRejects(
    () => predict(layer, variables, large),
    RangeError,
    "Cannot convert x from float64 to float32: it has the value 1e+300",
  );
  const odd = tensor([[[2 ** 24 + 1, 0]]], { dtype: "int32" });
  await assertRejects(() => predict(layer, variables, odd), RangeError, "it has the value 16777217");
  await assertRejects(
    () =>
      evaluate(layer, variables, { x: floats(values, [2, 2, 2]), y: doubles([1, 1e39], [2, 1]) }, {
        loss: "mse",
      }),
    RangeError,
    "Cannot convert y from float64",
  );
  const tokens = sequential([embedding({ inputDim: 9, outputDim: 2 }), lstm({ units: 1 })]);
  const ofTokens = init(tokens, key(0), spec([null, null], "int32"));
  await assertRejects(
    () => predict(tokens, ofTokens, doubles([1, 2], [1, 2])),
    TypeError,
    "tokens are int32",
  );
  await assertRejects(() => predict(tokens, ofTokens, doubles([1, 2], [1, 2])), TypeError, "given x float64");
});

Deno.test("a value that is not finite stays as it is", async () => {
  const output = await predict(
    dense({ units: 1 }),
    init(dense({ units: 1 }), key(0), spec([null, 1])),
    doubles([NaN], [1, 1]),
  );
  assertEquals(valuesOf(host(output)), [NaN]);
});

Deno.test("the dtypes that a model takes are found once for sequences of all lengths", async () => {
  let calls = 0;
  const words = embedding({ inputDim: 9, outputDim: 2 });
  const counted = defineLayer({
    type: "counted",
    options: {},
    initParams: words.initParams,
    apply: (variables: Variables, x: Tree<Tensor>, options) => {
      calls++;
      return words.apply(variables, x, options);
    },
  });
  const tokens = (batch: number, time: number) =>
    tensor(new Int32Array(batch * time).fill(3), { shape: [batch, time] });
  const variables = init(counted, key(0), spec([null, null], "int32"));
  using trainer = createTrainer(counted, { device: "wasm" });
  await trainer.predictOnBatch(variables, tokens(2, 4));
  const before = calls;
  for (let time = 8; time < 20; time++) await trainer.predictOnBatch(variables, tokens(1 + time % 3, time));
  assertEquals(calls, before);
});
