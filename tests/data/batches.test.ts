import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { batches, sampleCount, shuffledOrder, splitRows, takeRows } from "../../src/data/batches.ts";
import { host, type HostTensor, tensor, toNested } from "../../src/tensor/tensor.ts";
import {
  add,
  compile,
  createTrainer,
  dense,
  init,
  type Logs,
  lstm,
  normal,
  sequential,
  sparseCategoricalCrossentropy,
  sum,
  type Tensor,
  type TrainingState,
} from "../../mod.ts";

const KEY = tensor([1, 2], { dtype: "int32" });

function samples(count: number): { x: HostTensor; y: HostTensor[] } {
  const rows = Array.from({ length: count }, (_, i) => i);
  return {
    x: tensor(rows.flatMap((i) => [i, i + 0.5]), { shape: [count, 2] }),
    y: [tensor(rows, { dtype: "int32", shape: [count] })],
  };
}

Deno.test("batches cuts every leaf of a tree, the last batch smaller", () => {
  const cut = [...batches(samples(5), { batchSize: 2 })];
  assertEquals(cut.map(({ x }) => toNested(x)), [[[0, 0.5], [1, 1.5]], [[2, 2.5], [3, 3.5]], [[4, 4.5]]]);
  assertEquals(cut.map(({ y }) => toNested(y[0])), [[0, 1], [2, 3], [4]]);
  assertEquals(cut[0].y[0].dtype, "int32");
});

Deno.test("batches drops the remainder when asked", () => {
  const count = (size: number, batchSize: number) =>
    [...batches(samples(size), { batchSize, dropRemainder: true })].length;
  assertEquals([count(5, 2), count(4, 2), count(1, 2)], [2, 2, 0]);
});

Deno.test("batches are views in stored order, copies in another", () => {
  const data = samples(4);
  for (const { x } of batches(data, { batchSize: 2 })) assert(x.data.buffer === data.x.data.buffer);
  const order = new Int32Array([3, 1, 0]);
  const cut = [...batches(data, { batchSize: 2, order })];
  assertEquals(cut.map(({ y }) => toNested(y[0])), [[3, 1], [0]]);
  assert(cut.every(({ x }) => x.data.buffer !== data.x.data.buffer));
});

Deno.test("batches go on from the first that is asked for", () => {
  const data = samples(5);
  for (const order of [undefined, new Int32Array([3, 1, 0, 4, 2])]) {
    const all = [...batches(data, { batchSize: 2, order })];
    for (let first = 0; first <= 4; first++) {
      assertEquals([...batches(data, { batchSize: 2, order, first })], all.slice(first));
    }
  }
  assertThrows(() => batches(data, { batchSize: 2, first: -1 }), RangeError, "first is -1");
});

Deno.test("batches keeps the dtype, as takeRows and splitRows do", () => {
  for (const dtype of ["float32", "int32", "bool", "float64"] as const) {
    const data = tensor([1, 0, 1], { dtype });
    const [first, rest] = splitRows(data, 1);
    const [batch] = batches(data, { batchSize: 3, order: new Int32Array([0, 1, 2]) });
    assertEquals([takeRows(data, [2]), first, rest, batch].map((part) => part.dtype), Array(4).fill(dtype));
  }
});

Deno.test("batches refuses what it cannot cut, before the first batch is asked for", () => {
  assertThrows(
    () => batches(samples(0), { batchSize: 2 }),
    RangeError,
    "Cannot batch data: it has 0 samples",
  );
  for (const batchSize of [0, -1, 1.5, NaN, Infinity]) {
    assertThrows(() => batches(samples(3), { batchSize }), RangeError, `batchSize is ${batchSize}`);
  }
  const order = new Int32Array([0, 3]);
  assertThrows(() => batches(samples(3), { batchSize: 2, order }), RangeError, "index 1 is 3");
});

Deno.test("sampleCount names the paths whose sizes differ", () => {
  const uneven = { x: samples(3).x, y: samples(4).y };
  assertEquals(sampleCount(samples(3)), 3);
  assertThrows(() => sampleCount(uneven), TypeError, "data.x has 3, data.y[0] has 4");
  assertThrows(() => sampleCount(uneven, "validation"), TypeError, "validation.x has 3");
  assertThrows(() => sampleCount({ x: tensor(1) }), TypeError, "data.x: it is float32[]");
  assertThrows(() => sampleCount({}), TypeError, "holds no tensor");
});

Deno.test("batches that are reused have the values of those that are not, in one memory", () => {
  const data = {
    x: tensor(Array.from({ length: 7 }, (_, i) => [i, 10 * i])),
    y: tensor([0, 1, 2, 3, 4, 5, 6]),
  };
  const order = shuffledOrder(KEY, 7);
  const fresh = [...batches(data, { batchSize: 3, order })].map(({ x }) => [...x.data].join());
  const memories = new Set<unknown>();
  const reused: string[] = [];
  for (const { x } of batches(data, { batchSize: 3, order, reuse: true })) {
    reused.push([...x.data].join());
    memories.add(x.data);
  }
  assertEquals(reused, fresh);
  assertEquals(memories.size, 2); // the last batch is smaller
});

Deno.test("batches that are reused are tensors like others: printed, compared, cloned and listed", () => {
  const data = { x: tensor([[1, 2], [3, 4], [5, 6]]), y: tensor([1, 2, 3]) };
  const [{ x }] = batches(data, { batchSize: 2, order: Int32Array.of(2, 0), reuse: true });
  const taken = takeRows(data, [2, 0]).x;
  assertEquals(x, taken);
  assertEquals(structuredClone(x), structuredClone(taken));
  assertEquals({ ...x }, { ...taken });
  assertEquals(Deno.inspect(x), Deno.inspect(taken));
  assertEquals(toNested(add(x, 1)), [[6, 7], [2, 3]]);
});

Deno.test("what is written to a batch that is reused counts", async () => {
  const data = { x: tensor([[1, 2], [3, 4], [5, 6]]) }, order = Int32Array.of(2, 0, 1);
  for (const device of ["reference", "wasm"] as const) {
    using total = compile((x: Tensor) => sum(x, { axes: 1 }), { device });
    const found: unknown[] = [];
    for (const { x } of batches(data, { batchSize: 2, order, reuse: true })) {
      x.data[0] = 100;
      found.push(toNested(await total(x)));
    }
    assertEquals(found, [[106, 3], [104]], device);
  }
});

Deno.test("a tensor with too few values is named as it was given, also if a batch of it is used", async () => {
  const x: HostTensor = { kind: "host", shape: [3, 4], dtype: "float32", data: new Float32Array(8) };
  using total = compile((x: Tensor) => sum(x), { device: "wasm" });
  const [batch] = batches({ x }, { batchSize: 2, order: Int32Array.of(0, 1), reuse: true });
  await assertRejects(() => total(batch.x), RangeError, "float32[3, 4], but its data has 8 values");
});

Deno.test("training on batches that are reused is training on copies of them", async () => {
  const model = sequential([lstm({ units: 4 }), dense({ units: 3 })]);
  const data = {
    x: host(normal(KEY, [10, 6, 50])),
    y: tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 0], { dtype: "int32" }),
  };
  const order = shuffledOrder(KEY, 10), loss = sparseCategoricalCrossentropy({ fromLogits: true });
  for (const device of ["reference", "wasm"] as const) {
    const [copied, reused] = await Promise.all([false, true].map(async (reuse) => {
      using trainer = createTrainer(model, { loss, optimizer: "sgd", device });
      let state: TrainingState = { variables: init(model, KEY, data.x) };
      const losses: Logs[] = [];
      for (const batch of batches(data, { batchSize: 4, order, reuse })) {
        const trained = await trainer.trainOnBatch(state, batch);
        losses.push(trained.logs);
        state = trained;
      }
      return losses;
    }));
    assertEquals(reused, copied);
  }
});

Deno.test("takeRows copies rows, which may repeat", () => {
  const data = samples(3);
  const taken = takeRows(data, [2, 0, 2]);
  assertEquals(toNested(taken.x), [[2, 2.5], [0, 0.5], [2, 2.5]]);
  assertEquals(takeRows(data, []).x.shape, [0, 2]);
  assertThrows(() => takeRows(data, [0, -1]), RangeError, "index 1 is -1");
  assertThrows(() => takeRows(data, [0.5]), RangeError, "index 0 is 0.5");
});

Deno.test("splitRows gives the first samples and the others", () => {
  const [first, rest] = splitRows(samples(3), 2);
  assertEquals([toNested(first.y[0]), toNested(rest.y[0])], [[0, 1], [2]]);
  assertEquals(splitRows(samples(3), 3)[1].x.shape, [0, 2]);
  for (const count of [-1, 4, 0.5]) {
    assertThrows(() => splitRows(samples(3), count), RangeError, `count is ${count}`);
  }
});

Deno.test("shuffledOrder is a permutation that its key decides", () => {
  const order = shuffledOrder(KEY, 1000);
  assertEquals([...order].sort((a, b) => a - b), Array.from({ length: 1000 }, (_, i) => i));
  assertEquals(order, shuffledOrder(KEY, 1000));
  const other = shuffledOrder(tensor([1, 3], { dtype: "int32" }), 1000);
  const same = order.filter((value, i) => value === other[i]).length;
  assert(same < 12, `expected about one coincidence, got ${same}`); // Poisson(1): 12 or more in 1 of 10^9 keys
  assertEquals([...shuffledOrder(KEY, 0)], []);
  assertEquals([...shuffledOrder(KEY, 1)], [0]);
});

Deno.test("shuffledOrder gives every order of three equally often", () => {
  const counts = new Map<string, number>();
  const runs = 6000;
  for (let i = 0; i < runs; i++) {
    const order = shuffledOrder(tensor([7, i], { dtype: "int32" }), 3).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assertEquals(counts.size, 6);
  const deviation = Math.sqrt(runs * (1 / 6) * (5 / 6)); // binomial
  for (const [order, count] of counts) {
    assert(Math.abs(count - runs / 6) < 5 * deviation, `${order}: ${count} of ${runs}`);
  }
});

Deno.test("shuffledOrder refuses what is no key or no count", () => {
  assertThrows(() => shuffledOrder(tensor([1, 2]), 3), TypeError, "the key is float32[2], expected int32[2]");
  assertThrows(() => shuffledOrder(tensor([1, 2, 3], { dtype: "int32" }), 3), TypeError, "int32[3]");
  assertThrows(() => shuffledOrder(KEY, -1), RangeError, "their number is -1");
  assertThrows(() => shuffledOrder(KEY, 2.5), RangeError, "their number is 2.5");
});
