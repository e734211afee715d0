/** Windows of series, and sequences in batches of similar lengths. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  adam,
  bucketByLength,
  cast,
  dense,
  embedding,
  fit,
  foldIn,
  init,
  key,
  lstm,
  predict,
  sequential,
  spec,
  tensor,
  toNested,
  windows,
} from "@cellfold/cellfold";

/** A series of two features whose step t is [t, 100 + t]. */
const series = (steps: number) =>
  tensor(Array.from({ length: steps }, (_, t) => [t, 100 + t]), { dtype: "float32" });

Deno.test("every window that has its whole target is given once, whatever the sizes", () => {
  let seed = 7;
  const draw = (most: number) => 1 + (seed = (seed * 48271) % 2147483647) % most;
  for (let round = 0; round < 200; round++) {
    const [lookback, horizon, stride, batchSize] = [draw(6), draw(4), draw(5), draw(7)];
    const steps = lookback + horizon + draw(30) - 1;
    const options = { lookback, horizon, stride, batchSize };
    const found = windows(series(steps), options);
    const batches = [...found];
    assertEquals(batches.length, found.length);
    const starts: number[] = [];
    for (let start = 0; start + lookback + horizon <= steps; start += stride) starts.push(start);
    const step = (t: number) => [t, 100 + t];
    const expected = (start: number, length: number) => Array.from({ length }, (_, t) => step(start + t));
    assertEquals(batches.flatMap(({ x }) => toNested(x)), starts.map((start) => expected(start, lookback)));
    assertEquals(
      batches.flatMap(({ y }) => toNested(y)),
      starts.map((start) => expected(start + lookback, horizon)),
    );
    assert(batches.slice(0, -1).every(({ x }) => x.shape[0] === batchSize), JSON.stringify(options));
    const shuffled = windows(series(steps), { ...options, key: key(round) });
    const first = [...shuffled].flatMap(({ x }) => toNested(x) as number[][][]);
    assertEquals([...shuffled].flatMap(({ x }) => toNested(x)), first);
    const byStart = first.toSorted((a, b) => a[0][0] - b[0][0]);
    assertEquals(byStart, starts.map((start) => expected(start, lookback)));
  }
});

Deno.test("targets may be another series, and the next step alone", () => {
  const x = series(6), y = tensor([10, 11, 12, 13, 14, 15], { dtype: "int32" });
  const [batch] = windows({ x, y }, { lookback: 3, stride: 2 });
  assertEquals(toNested(batch.y), [13, 15]);
  assertEquals(batch.y.dtype, "int32");
  assertEquals(batch.x.shape, [2, 3, 2]);
});

Deno.test("windows that cannot be cut are refused", () => {
  assertThrows(() => windows(series(5), { lookback: 5 }), RangeError, "has 5 steps, expected at least 6");
  assertThrows(() => windows(series(5), { lookback: 0 }), RangeError, "lookback");
  assertThrows(() => windows(series(5), { lookback: 2, horizon: 1.5 }), RangeError, "horizon");
  assertThrows(
    () => windows({ x: series(5), y: series(4) }, { lookback: 2 }),
    TypeError,
    "x has 5 steps, y has 4",
  );
  assertThrows(() => windows(tensor(3), { lookback: 2 }), TypeError, "expected a first axis, the time");
  assertThrows(
    () => windows([1, 2, 3] as never, { lookback: 2 }),
    TypeError,
    "the series is an array of 3, expected a tensor",
  );
  assertThrows(() => windows(series(5), { lookback: 2, key: tensor(1) }), TypeError, "the key");
});

Deno.test("a model learns a series from its windows, in another order in each epoch", async () => {
  const wave = tensor(Array.from({ length: 300 }, (_, t) => [Math.sin(t / 4)]));
  const model = sequential([lstm({ units: 8 }), dense({ units: 1 })]);
  const variables = init(model, key(0), spec([null, null, 1]));
  const { history } = await fit(
    model,
    variables,
    (epoch) => windows(wave, { lookback: 12, key: foldIn(key(1), epoch) }),
    {
      loss: "mse",
      optimizer: adam({ learningRate: 0.01 }),
      epochs: 8,
      report: "none",
      validation: windows(wave, { lookback: 12 }),
    },
  );
  assert(history.val_loss[7] < 0.3 * history.val_loss[0], `${history.val_loss}`);
  const outputs = await predict(model, variables, function* () {
    for (const { x } of windows(wave, { lookback: 12 })) yield x;
  });
  assertEquals(outputs.shape, [288, 1]);
});

/** Samples whose tokens and target say which one it is. */
const samples = Array.from({ length: 53 }, (_, index) => ({
  x: Array.from({ length: 1 + (index * 7) % 13 }, () => index + 1),
  y: index,
}));

Deno.test("every sample is in one batch, among others of similar lengths", () => {
  const options = { batchSize: 5, padding: "post", targetDtype: "int32" } as const;
  for (const more of [{}, { key: key(3) }, { key: key(4), sorted: 2 }, { multipleOf: 4 }]) {
    const batches = bucketByLength(samples, { ...options, ...more, batch: (padded) => padded });
    const read = [...batches];
    assertEquals(read.length, batches.length);
    assertEquals([...batches], read);
    const seen = read.flatMap(({ y }) => [...y.data]);
    assertEquals(seen.toSorted((a, b) => a - b), samples.map(({ y }) => y));
    for (const { values, mask, lengths, y } of read) {
      const longest = Math.max(...lengths.data);
      const { multipleOf = 1 } = more as { multipleOf?: number };
      assertEquals(values.shape, [y.shape[0], Math.ceil(longest / multipleOf) * multipleOf]);
      y.data.forEach((index, row) => {
        const { x } = samples[index];
        assertEquals(lengths.data[row], x.length);
        const rowOf = (data: ArrayLike<number>) =>
          Array.from(data).slice(row * values.shape[1], (row + 1) * values.shape[1]);
        assertEquals(rowOf(values.data), [...x, ...new Array(values.shape[1] - x.length).fill(0)]);
        assertEquals(rowOf(mask.data), rowOf(values.data).map((value) => value === 0 ? 0 : 1));
      });
    }
  }
  const padding = (sorted: number) =>
    [...bucketByLength(samples, { ...options, key: key(3), sorted })].reduce(
      (sum, { x }) => sum + x.data.filter((token) => token === 0).length,
      0,
    );
  assert(padding(100) < padding(1), `${padding(100)} and ${padding(1)}`);
  const order = (seed: number) =>
    [...bucketByLength(samples, { ...options, key: key(seed) })].flatMap(({ y }) => [...y.data]).join();
  assert(order(1) !== order(2));
});

Deno.test("targets of steps are padded with them", async () => {
  const tagged = [{ x: [3, 4], y: [1, 0] }, { x: [5], y: [1] }, { x: [6, 7, 8], y: [0, 0, 1] }];
  const batches = bucketByLength(tagged, {
    batchSize: 2,
    targets: "steps",
    targetDtype: "int32",
    batch: ({ values, mask, y }) => ({ x: values, y, sampleWeight: cast(mask, "float32") }),
  });
  assertEquals([...batches].map(({ y }) => toNested(y)), [[[0, 1], [1, 0]], [[0, 0, 1]]]);
  const model = sequential([
    embedding({ inputDim: 10, outputDim: 3 }),
    lstm({ units: 3, returnSequences: true }),
    dense({ units: 2, activation: "softmax" }),
  ]);
  const { history } = await fit(model, init(model, key(0), spec([null, null], "int32")), batches, {
    loss: "sparseCategoricalCrossentropy",
    optimizer: "sgd",
    epochs: 2,
    report: "none",
  });
  assertEquals(history.loss.length, 2);
});

Deno.test("samples that do not fit are refused by their number", () => {
  const good = { x: [1, 2], y: 0 };
  assertThrows(() => bucketByLength([]), RangeError, "0 samples");
  assertThrows(() => bucketByLength([good, 3 as never]), TypeError, "sample 1");
  assertThrows(() => bucketByLength([good, { x: 3 as never, y: 0 }]), TypeError, "x of sample 1");
  for (const y of [undefined, tensor(1), "1"]) {
    assertThrows(() => bucketByLength([good, { x: [3], y: y as never }]), TypeError, "y of sample 1 is ");
  }
  assertThrows(
    () => bucketByLength([{ x: [1, 2], y: [1] }], { targets: "steps" }),
    TypeError,
    "sample 0 has 2 steps and 1 targets",
  );
  assertThrows(
    () => bucketByLength([good], { targets: "step" as never }),
    RangeError,
    'did you mean "steps"?',
  );
  assertThrows(() => bucketByLength([good], { batchSize: 0 }), RangeError, "batchSize");
});
