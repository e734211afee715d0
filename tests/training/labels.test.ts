/** What is known of labels before anything runs: which count, and of those whether they are classes. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { dense } from "../../src/layers/dense.ts";
import { defineLayer } from "../../src/layers/define.ts";
import { embedding } from "../../src/layers/embedding.ts";
import type { Layer } from "../../src/layers/layer.ts";
import { lstm } from "../../src/layers/lstm.ts";
import { masking } from "../../src/layers/masking.ts";
import { model as graph } from "../../src/models/graph.ts";
import { init } from "../../src/models/init.ts";
import { call, input } from "../../src/models/nodes.ts";
import { sequential } from "../../src/models/sequential.ts";
import { less, neg } from "../../src/operations/elementwise.ts";
import { key as randomKey, normal } from "../../src/operations/random.ts";
import { at } from "../../src/operations/structure.ts";
import { full } from "../../src/operations/creation.ts";
import { type HostTensor, spec, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { fit } from "../../src/training/fit.ts";
import { ctc } from "../../src/training/ctc.ts";
import { type Loss, sparseCategoricalCrossentropy } from "../../src/training/losses.ts";
import type { Data } from "../../src/training/objective.ts";
import { evaluate } from "../../src/training/predict.ts";
import { createTrainer } from "../../src/training/trainer.ts";
import { knownFunction } from "../../src/transforms/known.ts";

const ints = (rows: readonly number[][]): HostTensor => tensor(rows, { dtype: "int32" });
const tagger = sequential([
  embedding({ inputDim: 9, outputDim: 4, maskZero: true }),
  lstm({ units: 4, returnSequences: true }),
  dense({ units: 3 }),
]);
const variables = init(tagger, randomKey(1), spec([null, null], "int32"));
const loss = sparseCategoricalCrossentropy({ fromLogits: true });
const options = {
  loss,
  metrics: ["accuracy"],
  optimizer: "adam",
  device: "reference",
  report: "none",
} as const;
const tokens = ints([[1, 2, 0, 0], [3, 4, 5, 0], [6, 0, 0, 0]]);

function run(model: Layer, data: Data, given = variables): Promise<Readonly<Record<string, number[]>>> {
  return fit(model, given, data, { ...options, batchSize: 2 }).then(({ history }) => history);
}

Deno.test("labels of masked steps need be no class, and change nothing", async () => {
  const labels = (padding: number) =>
    ints([[0, 1, padding, padding], [2, 1, 0, padding], [2, padding, padding, padding]]);
  const expected = await run(tagger, { x: tokens, y: labels(0) });
  for (const padding of [-1, 3, -100, 255, 2 ** 31 - 1]) {
    assertEquals(await run(tagger, { x: tokens, y: labels(padding) }), expected);
  }
});

Deno.test("a label of no class that counts is refused with its place and the remedy", async () => {
  const y = ints([[0, 1, -1, -1], [2, 3, 0, -1], [2, -1, -1, -1]]);
  const error = await assertRejects(
    () => run(tagger, { x: tokens, y }),
    RangeError,
    "label 3 at sample 1, step 1",
  );
  assert(error.message.includes("ignoreClass: 3"), error.message);
  const valid = { x: tokens, y: ints([[0, 1, 1, 1], [2, 1, 0, 1], [1, 1, 1, 1]]) };
  await assertRejects(
    () => fit(tagger, variables, valid, { ...options, validation: { x: tokens, y } }),
    RangeError,
    "label 3",
  );
  await assertRejects(() => evaluate(tagger, variables, { x: tokens, y }, { loss }), RangeError, "label 3");
});

Deno.test("labels of samples and steps of weight 0 need be no class", async () => {
  const model = dense({ units: 3 });
  const given = init(model, randomKey(2), spec([null, 2]));
  const x = normal(randomKey(3), [3, 2]);
  const y = tensor([1, 7, 0], { dtype: "int32" });
  const weighted = await run(model, { x, y, sampleWeight: tensor([1, 0, 2]) }, given);
  const zero = tensor([1, 0, 0], { dtype: "int32" });
  assertEquals(
    weighted.loss,
    (await run(model, { x, y: zero, sampleWeight: tensor([1, 0, 2]) }, given)).loss,
  );
  await assertRejects(
    () => run(model, { x, y, sampleWeight: tensor([1, 0.5, 2]) }, given),
    RangeError,
    "label 7",
  );
  await assertRejects(() => run(model, { x, y }, given), RangeError, "label 7 at sample 1 is outside 0 … 2");
});

Deno.test("far behind the first samples labels are looked at too", async () => {
  const samples = 3000;
  const x = Int32Array.from({ length: samples * 2 }, (_, i) => i % 2 === 0 ? 1 + i % 8 : 0);
  const y = Int32Array.from({ length: samples * 2 }, (_, i) => i % 2 === 0 ? i % 3 : -1);
  const data = () => ({ x: tensor(x, { shape: [samples, 2] }), y: tensor(y, { shape: [samples, 2] }) });
  using trainer = createTrainer(tagger, { loss });
  trainer.session("evaluate", variables, data());
  y[2 * 2999] = -1;
  const error = await assertRejects(
    () => Promise.resolve().then(() => trainer.session("evaluate", variables, data())),
    RangeError,
  );
  assert(error.message.includes("label -1 at sample 2999, step 0"), error.message);
});

Deno.test("a mask that weights decide is not known beforehand: all labels are looked at", async () => {
  const gated = defineLayer({
    type: "gated",
    options: {},
    initParams: () => [tensor(0)],
    apply: ({ params, state }, x) => {
      const [threshold] = params as readonly Tensor[]; // a list, see above
      return { output: x, state, mask: less(threshold, at(x as Tensor, 0, { axis: -1 })) };
    },
  });
  const data = { x: full([2, 3, 3], -1), y: ints([[-1, -1, -1], [0, 1, -1]]) };
  await assertRejects(
    () => run(gated, data, { params: [tensor(0)], state: [] }),
    RangeError,
    "ignoreClass: -1",
  );
  const known = sequential([masking({ maskValue: -1 }), dense({ units: 3 })]);
  const { loss } = await run(known, data, init(known, randomKey(4), spec([null, null, 3])));
  assertEquals(loss, [0], "nothing counts");
});

Deno.test("knownFunction: what reads the unknown is not computed", () => {
  const known = [spec(["size"])];
  const negative = knownFunction(
    ([a]: readonly Tensor[], [b]: readonly Tensor[]) => [neg(a), less(a, b)][0],
    known,
    [spec([1])],
  );
  for (const values of [[1, 2], [3, 4, 5]]) {
    assertEquals(negative?.([tensor(values)]), tensor(values.map((value) => -value)));
  }
  assertEquals(
    knownFunction(([a]: readonly Tensor[], [b]: readonly Tensor[]) => less(a, b), known, [spec([1])]),
    undefined,
  );
});

/** Sequences of labels; the model gives as many steps as there are tokens, of which 0 is masked. */
const sequences = ints([[1, 2, 3, 4], [3, 4, 5, 0], [6, 1, 0, 0]]);
const ctcOptions = { ...options, loss: "ctc", metrics: [] } as const;

Deno.test("a sequence of labels that is too long for its prediction is refused, with both numbers of steps", async () => {
  const evaluated = (y: HostTensor) =>
    evaluate(tagger, variables, { x: sequences, y }, { loss: "ctc", device: "reference" });
  const refused = async (y: HostTensor, text: string) => {
    const trained = () => fit(tagger, variables, { x: sequences, y }, ctcOptions);
    for (const run of [trained, () => evaluated(y)]) {
      const error = await assertRejects(run, RangeError, text);
      assert(error.message.includes("zeroInfinity: true"), error.message);
    }
  };
  const fits = ints([[1, 2, 1, 2], [1, 1, -1, -1], [1, 2, -1, -1]]);
  assert(Number.isFinite((await evaluated(fits)).loss));
  // More than there are steps; more than count; equal neighbors need a blank between them.
  await refused(
    ints([[1, 2, 1, 2, 1], [1, -1, -1, -1, -1], [1, -1, -1, -1, -1]]),
    "the 5 labels of sample 0 need 5 steps, but its prediction has 4;",
  );
  await refused(
    ints([[1, 2, 1], [1, 2, -1], [2, 1, 2]]),
    "the 3 labels of sample 2 need 3 steps, but its prediction has 2 that count;",
  );
  await refused(
    ints([[1, 2], [1, 2], [2, 2]]),
    "the 2 labels of sample 2 need 3 steps, as equal neighbors take one more, but its prediction has 2 that count;",
  );
});

Deno.test("batches of sequences are checked by a single trace of the model", async () => {
  let traced = 0;
  const counting = defineLayer({
    type: "counting",
    options: {},
    initParams: () => [],
    apply: ({ state }, x, { mask }) => {
      traced++;
      return { output: x, state, mask };
    },
  });
  const model = sequential([
    embedding({ inputDim: 9, outputDim: 4, maskZero: true }),
    counting,
    dense({ units: 3 }),
  ]);
  const given = init(model, randomKey(1), spec([null, null], "int32"));
  const batch = (...lengths: number[]): Data => ({
    x: ints(
      lengths.map((length) => Array.from({ length: Math.max(...lengths) }, (_, at) => at < length ? 1 : 0)),
    ),
    y: ints(lengths.map(() => [1, 2])),
  });
  const tracesOf = async (loss: Loss, ...batches: readonly Data[]) => {
    traced = 0;
    using trainer = createTrainer(model, { loss, device: "reference" });
    for (const data of batches) await trainer.testOnBatch(given, data);
    return traced;
  };
  const batches = [batch(4, 3), batch(4, 2), batch(5, 4, 2), batch(7)];
  assertEquals(
    await tracesOf(ctc(), ...batches),
    1 + await tracesOf(ctc({ zeroInfinity: true }), ...batches),
  );
  await assertRejects(
    () => tracesOf(ctc(), batch(4, 3), batch(5, 1)),
    RangeError,
    "the 2 labels of sample 1 need 2 steps, but its prediction has 1 that count;",
  );
});

Deno.test("masks of inputs that are large are computed sample by sample", async () => {
  const length = 2 ** 22 + 1;
  const tokens = new Int32Array(3 * length).fill(1, 0, 2 * length + 2); // of the last sample, two steps count
  const x = tensor(tokens, { shape: [3, length], dtype: "int32" });
  await assertRejects(
    () => evaluate(tagger, variables, { x, y: ints([[1, 2, 1], [1, 1, 1], [2, 1, 2]]) }, { loss: "ctc" }),
    RangeError,
    "the 3 labels of sample 2 need 3 steps, but its prediction has 2 that count;",
  );
});

Deno.test("labels that are too long are allowed where they do not count, or count as 0", async () => {
  const y = ints([[1, 2, 1], [1, 2, -1], [2, 1, 2]]);
  const evaluated = async (data: Data, loss: Loss = ctc()) =>
    (await evaluate(tagger, variables, data, { loss, device: "reference" })).loss;
  assert(Number.isFinite(await evaluated({ x: sequences, y, sampleWeight: tensor([1, 1, 0]) })));
  assert(Number.isFinite(await evaluated({ x: sequences, y }, ctc({ zeroInfinity: true }))));
  const masked = ints([[1, 2, 3, 4], [3, 4, 5, 0], [0, 0, 0, 0]]);
  assert(Number.isFinite(await evaluated({ x: masked, y })));
  // What stands behind the end of the labels does not count.
  assert(Number.isFinite(await evaluated({ x: sequences, y: ints([[1, 2, 1], [1, -1, 1], [2, 0, 2]]) })));
  // The blank is another class.
  assert(Number.isFinite(
    await evaluated({ x: sequences, y: ints([[1, 0, 1], [1, 0, 1], [0, 2, 1]]) }, ctc({ blank: -1 })),
  ));
});

Deno.test("labels that are too long for an output of weight 0 are no error, as its loss is left out", async () => {
  const x = input([null, 3], { name: "x" });
  const outputs = {
    read: call(dense({ units: 4, name: "read" }), x),
    unused: call(dense({ units: 4, name: "unused" }), x),
  };
  const twice = graph({ inputs: x, outputs });
  const given = init(twice, randomKey(1), spec([null, null, 3]));
  const y = { read: ints([[1, 2, -1], [1, 2, 3]]), unused: ints([[1, 1, 2], [1, 2, 3]]) };
  const evaluated = (unused: number) =>
    evaluate(twice, given, { x: normal(randomKey(2), [2, 3, 3]), y }, {
      loss: "ctc",
      lossWeights: { read: 1, unused },
      device: "reference",
    });
  assert(Number.isFinite((await evaluated(0)).loss));
  await assertRejects(() => evaluated(0.5), RangeError, "the 3 labels of sample 0 need 4 steps");
});

Deno.test("labels that are too long in a batch of an iterable are named with the batch", async () => {
  const good = { x: sequences, y: ints([[1], [2], [1]]) };
  const bad = { x: ints([[1, 2, 0], [3, 4, 5]]), y: ints([[1, 1], [2, 2]]) };
  const error = await assertRejects(
    () => fit(tagger, variables, [good, bad], ctcOptions),
    Error,
    "the 2 labels of sample 0 need 3 steps",
  );
  assert(/batch 1\b|batch 2\b/.test(error.message), error.message);
});
