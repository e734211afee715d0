/** Normalization by the statistics of data, which `adapt` computes, and which are saved with the model. */
import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  adapt,
  dense,
  fit,
  fromJson,
  host,
  init,
  key,
  type Layer,
  lstm,
  normal,
  normalization,
  predict,
  sequential,
  spec,
  type Tensor,
  tensor,
  timeDistributed,
  toJson,
  toNested,
  zeros,
} from "@cellfold/cellfold";
import { readCheckpoint, writeCheckpoint } from "@cellfold/cellfold/safetensors";

const statisticsOf = (layer: Layer, x: Tensor) => {
  const { mean, variance } = init(layer, key(0), x).state as { mean: Tensor; variance: Tensor };
  return { mean: [...host(mean).data], variance: [...host(variance).data], shape: mean.shape };
};

/** The mean and variance of columns, in float64. */
function byHand(rows: readonly (readonly number[])[]) {
  const mean = rows[0].map((_, column) => rows.reduce((sum, row) => sum + row[column], 0) / rows.length);
  const variance = mean.map((m, column) =>
    rows.reduce((sum, row) => sum + (row[column] - m) ** 2, 0) / rows.length
  );
  return { mean: mean.map(Math.fround), variance: variance.map(Math.fround) };
}

Deno.test("adapt finds mean and variance, of all batches together", async () => {
  const x = host(normal(key(3), [60, 4, 3]));
  x.data.forEach((value, at) => x.data[at] = value * [1, 50, 1e-3][at % 3] + [1e4, -7, 0][at % 3]);
  const rows = Array.from({ length: 240 }, (_, row) => [...x.data.slice(row * 3, row * 3 + 3)]);
  const expected = byHand(rows);
  const parts = (sizes: readonly number[]) => {
    let from = 0;
    return sizes.map((size) => {
      const part = tensor(x.data.slice(from * 12, (from + size) * 12), { shape: [size, 4, 3] });
      from += size;
      return part;
    });
  };
  const later = async function* () {
    for (const part of parts([13, 1, 46])) yield await Promise.resolve(part);
  };
  for (const data of [x, parts([60]), parts([1, 2, 57]), new Set(parts([0, 30, 30])), later()]) {
    const { mean, variance, shape } = statisticsOf(
      await adapt(normalization(), data),
      spec([null, null, 3]) as Tensor,
    );
    assertEquals(shape, [3]);
    for (const [found, wanted] of [[mean, expected.mean], [variance, expected.variance]]) {
      // Both are float32 numbers from sums in float64.
      found.forEach((value, at) => assertAlmostEquals(value / wanted[at], 1, 2 ** -22));
    }
  }
});

Deno.test("the kept axes may be any but the first, or none", async () => {
  const x = tensor([[[1, 2], [3, 4]], [[5, 6], [7, 9]]]);
  const of = async (axis: number | readonly number[]) =>
    statisticsOf(await adapt(normalization({ axis }), x), x);
  assertEquals(await of(-1), { mean: [4, 5.25], variance: [5, 6.6875], shape: [2] });
  assertEquals(await of(1), { mean: [3.5, 5.75], variance: [4.25, 5.6875], shape: [2] });
  assertEquals((await of([1, 2])).mean, [3, 4, 5, 6.5]);
  assertEquals((await of([2, 1])).shape, [2, 2]);
  assertEquals(await of([]), { mean: [4.625], variance: [6.234375], shape: [] });
  await assertRejects(() => of(0), RangeError, "the batch");
  await assertRejects(() => of([0, -1]), RangeError, "the batch");
  await assertRejects(() => of(3), RangeError, "axis 3");
});

Deno.test("the layer normalizes, and invert does the opposite", async () => {
  const x = host(normal(key(5), [50, 2]));
  x.data.forEach((value, at) => x.data[at] = 3 * value + 10);
  const forward = await adapt(normalization(), x);
  const backward = await adapt(normalization({ invert: true }), x);
  const normal01 = await predict(forward, init(forward, key(0), x), x);
  const { mean, variance } = statisticsOf(await adapt(normalization(), normal01), x);
  for (const value of mean) assertAlmostEquals(value, 0, 1e-6);
  for (const value of variance) assertAlmostEquals(value, 1, 1e-6);
  const again = await predict(backward, init(backward, key(0), x), normal01);
  again.data.forEach((value, at) => assertAlmostEquals(value, x.data[at], 1e-4));
  const constant = await adapt(normalization(), tensor([[2], [2]]));
  assertEquals(
    toNested(await predict(constant, init(constant, key(0), spec([null, 1])), tensor([[2], [3]]))),
    [
      [0],
      [Math.fround(1 / Math.fround(1e-7))],
    ],
  );
});

Deno.test("statistics are saved with the model, and training leaves them alone", async () => {
  const x = normal(key(6), [12, 5, 2]);
  const model = sequential([
    await adapt(normalization({ name: "scale" }), x),
    lstm({ units: 3 }),
    dense({ units: 1 }),
  ]);
  const variables = init(model, key(0), x);
  const outputs = await predict(model, variables, x);
  const again = fromJson(JSON.parse(JSON.stringify(toJson(model))));
  assertEquals(await predict(again, init(again, key(0), x), x), outputs);
  const plain = sequential([normalization(), lstm({ units: 3 }), dense({ units: 1 })]);
  assertEquals(await predict(plain, variables, x), outputs); // they are in the variables, too
  const saved = await readCheckpoint(await writeCheckpoint({ model, variables }));
  assertEquals(await predict(saved.model, saved.variables, x), outputs);
  const { variables: trained } = await fit(model, variables, { x, y: zeros([12, 1]) }, {
    loss: "mse",
    optimizer: "sgd",
    epochs: 2,
    report: "none",
  });
  assertEquals(trained.state, variables.state);
  const steps = timeDistributed(await adapt(normalization(), x));
  assertEquals((await predict(steps, init(steps, key(0), x), x)).shape, [12, 5, 2]);
});

Deno.test("data without statistics, and other layers, are refused", async () => {
  const layer = normalization({ name: "scale" });
  const refused = (data: unknown, error: typeof TypeError | typeof RangeError, text: string, of = layer) =>
    assertRejects(() => adapt(of, data as Tensor), error, text);
  await refused(tensor([[1], [NaN]]), RangeError, "batch 0 has NaN at sample 1");
  await refused([tensor([[1]]), tensor([[2], [Infinity]])], RangeError, "batch 1 has Infinity at sample 1");
  await refused([], RangeError, "the data holds no value");
  await refused(zeros([0, 2]), RangeError, "the data holds no value");
  await refused([tensor([[1, 2]]), tensor([[1]])], TypeError, "batch 1 has the sizes [1]");
  await refused([3], TypeError, "batch 0 is the number 3");
  await refused(3, TypeError, "the data is the number 3");
  await refused(tensor([[1]]), TypeError, "Cannot adapt dense", dense({ units: 1 }));
  assertThrows(() => normalization({ variance: [1, -1] }), RangeError, "its variance is -1 at 1");
  assertThrows(() => normalization({ axis: 0.5 }), RangeError, "axis is 0.5");
  const wrong = normalization({ mean: [1, 2, 3] });
  assertThrows(() => init(wrong, key(0), spec([null, 2])), TypeError, "its mean has shape [3]");
  const own = init(layer, key(0), spec([null, 2]));
  await assertRejects(
    () => predict(layer, own, zeros([1, 3])),
    TypeError,
    "its mean has shape [2], expected [3]",
  );
  assert(normalization({ trainable: false }).trainable === false);
});
