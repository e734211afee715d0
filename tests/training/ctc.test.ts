import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import * as cf from "@cellfold/cellfold";
import { checkLabels } from "../../src/training/labels.ts";
import { assertSlopes } from "./slopes.ts";

const labels = (values: number[][]) => cf.tensor(values, { dtype: "int32" });
const logSoftmax = (row: readonly number[]) => {
  const total = Math.log(row.reduce((sum, value) => sum + Math.exp(value), 0));
  return row.map((value) => value - total);
};

/** All sequences of classes, with what is read from them. */
function* alignments(classes: number, time: number, blank: number): Generator<[number[], string]> {
  for (let code = 0; code < classes ** time; code++) {
    const path = Array.from({ length: time }, (_, step) => Math.floor(code / classes ** step) % classes);
    const read = path.filter((label, step) => label !== blank && label !== path[step - 1]);
    yield [path, read.join()];
  }
}

/** The probabilities of everything that can be read from a row. */
function allReadings(row: readonly (readonly number[])[], blank: number): Map<string, number> {
  const logs = row.map(logSoftmax);
  const found = new Map<string, number>();
  for (const [path, read] of alignments(row[0].length, row.length, blank)) {
    const p = Math.exp(path.reduce((sum, label, step) => sum + logs[step][label], 0));
    found.set(read, (found.get(read) ?? 0) + p);
  }
  return found;
}

const rows = cf.toNested(cf.normal(cf.key(1), [3, 5, 3])) as number[][][];

Deno.test("ctc: the loss is that of all alignments, wherever the blank is, with lengths of both", () => {
  for (const blank of [0, 1, 2, -1]) {
    const index = (blank + 3) % 3;
    const [a, b] = [0, 1, 2].filter((label) => label !== index);
    const wanted = [[a, b, b], [b], []];
    const steps = [5, 3, 2];
    const mask = cf.tensor(steps.map((length) => rows[0].map((_, step) => step < length)));
    const target = labels(wanted.map((row) => [...row, -1, index, -1].slice(0, 3)));
    const loss = cf.ctc({ blank, reduction: "none" });
    const values = cf.host(cf.computeLoss(loss, target, cf.tensor(rows), { mask })).data;
    wanted.forEach((row, i) => {
      const p = allReadings(rows[i].slice(0, steps[i]), index).get(row.join()) ?? 0;
      assertAlmostEquals(values[i], -Math.log(p), 1e-5);
    });
  }
});

Deno.test("ctc: probabilities, logits and a softmax give one loss", () => {
  const target = labels([[1, 2], [2, -1], [1, 1]]);
  const logits = cf.tensor(rows);
  const value = (loss: cf.Loss, x: cf.Tensor) => cf.item(cf.computeLoss(loss, target, x));
  const expected = value(cf.ctc(), logits);
  assertAlmostEquals(value(cf.ctc(), cf.softmax(logits)), expected, 1e-6);
  assertAlmostEquals(value(cf.ctc(), cf.logSoftmax(logits)), expected, 1e-5);
  const probabilities = cf.tensor(cf.toNested(cf.softmax(logits)) as number[][][]);
  assertAlmostEquals(value(cf.ctc({ fromLogits: false }), probabilities), expected, 1e-5);
  // 1e4 apart, no digit is lost: the labels need the improbable class once.
  const far = cf.tensor([[[1e4, 0, 0], [1e4, 0, 0]]]);
  assertEquals(cf.item(cf.computeLoss(cf.ctc(), labels([[1]]), far)), Math.fround(1e4 - Math.log(2)));
});

Deno.test("ctc: the gradient is the slope, and finite where nothing is possible or does not count", () => {
  const target = labels([[1, 2], [1, 1], [2, -1]]);
  const mask = cf.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [0, 1, 0, 0, 0]].map((row) => row.map(Boolean)));
  const loss = (x: cf.Tensor) => cf.computeLoss(cf.ctc(), target, x, { mask });
  assertSlopes(loss, cf.tensor(rows), "ctc", 2);

  // Three equal labels need five steps, here are two; the second row has no steps at all.
  const few = cf.tensor([[[0, 1, 2], [2, 1, 0]], [[NaN, NaN, NaN], [NaN, NaN, NaN]]]);
  const counts = cf.tensor([[true, true], [false, false]]);
  const impossible = labels([[1, 1, 1], [1, 2, 1]]);
  for (const zeroInfinity of [false, true]) {
    const [value, gradient] = cf.valueAndGrad((x: cf.Tensor) =>
      cf.computeLoss(cf.ctc({ zeroInfinity }), impossible, x, { mask: counts })
    )(few);
    assertEquals(cf.item(value), zeroInfinity ? 0 : Infinity);
    assert(cf.host(gradient).data.every((slope) => slope === 0));
  }
  // By weights: NaN in a sequence of weight 0, and half of another.
  const x = cf.tensor([rows[0], rows[1].map((row) => row.map(() => NaN)), rows[2]]);
  const weighted = cf.valueAndGrad((x: cf.Tensor) =>
    cf.computeLoss(cf.ctc(), target, x, { sampleWeight: cf.tensor([1, 0, 0.5]) })
  );
  const [half, slopes] = weighted(x);
  const each = cf.host(cf.computeLoss(cf.ctc({ reduction: "none" }), target, cf.tensor(rows))).data;
  assertAlmostEquals(cf.item(half), (each[0] + each[2] / 2) / 3, 1e-5);
  assert(cf.host(slopes).data.slice(15, 30).every((slope: number) => slope === 0));
  // Classes that are impossible at a step.
  const [value, gradient] = cf.valueAndGrad((x: cf.Tensor) => cf.computeLoss(cf.ctc(), labels([[1]]), x))(
    cf.tensor([[[0, -Infinity, 0], [0, 0, -Infinity]]]),
  );
  assertAlmostEquals(cf.item(value), Math.log(4), 1e-6);
  assert(cf.host(gradient).data.every((slope) => Number.isFinite(slope)));
});

Deno.test("ctc: trains with padded labels and a mask, for sizes that differ from call to call", async () => {
  // What is at a step is its label; 0 is masked padding at the end.
  const tokens = labels([[1, 1, 2, 3, 0, 0], [3, 3, 1, 2, 2, 2], [2, 2, 2, 0, 0, 0], [1, 2, 3, 3, 3, 0]]);
  const y = labels([[1, 2, 3], [3, 1, 2], [2, -1, -1], [1, 2, 3]]);
  const model = cf.sequential([
    cf.embedding({ inputDim: 4, outputDim: 8, maskZero: true }),
    cf.gru({ units: 16, returnSequences: true }),
    cf.dense({ units: 4 }),
  ]);
  const variables = cf.init(model, cf.key(3), cf.spec([null, null], "int32"));
  const { variables: trained, history } = await cf.fit(model, variables, { x: tokens, y }, {
    loss: "ctc",
    optimizer: cf.adam({ learningRate: 0.05 }),
    epochs: 40,
    batchSize: 4,
    device: "reference",
    report: "none",
  });
  assert(history.loss[39] < 0.2 && history.loss[0] > 1, `${history.loss}`);
  const mask = cf.notEqual(tokens, 0);
  const read = cf.ctcGreedyDecode(await cf.predict(model, trained, tokens), { mask });
  assertEquals(cf.errorRate(read.map(({ labels }) => labels), [[1, 2, 3], [3, 1, 2], [2], [1, 2, 3]]), 0);
  // Another batch, length and number of labels.
  const logs = await cf.evaluate(model, trained, { x: labels([[1, 1, 3, 3]]), y: labels([[1, 3]]) }, {
    loss: "ctc",
  });
  assert(Number.isFinite(logs.loss));
  const wrong = { x: tokens, y: labels([[1, 2, 3], [3, 1, 2], [2, -1, -1], [1, 2, 4]]) };
  const options = { loss: "ctc", optimizer: "sgd", report: "none" } as const;
  await assertRejects(
    () => cf.fit(model, variables, wrong, options),
    RangeError,
    "label 4 at sample 3, step 2",
  );
  await assertRejects(
    () => cf.fit(model, variables, { x: tokens, y }, { ...options, metrics: ["accuracy"] }),
    TypeError,
    "Cannot compute accuracy of ctc",
  );
  await assertRejects(
    () => cf.fit(model, variables, { x: tokens, y }, { ...options, classWeight: { 1: 2 } }),
    TypeError,
    "give sequences a sampleWeight",
  );
});

Deno.test("ctc: what does not fit is refused", () => {
  const x = cf.zeros([2, 3, 4]);
  const compute = (target: cf.Tensor, x: cf.Tensor, options = {}) => () =>
    cf.computeLoss(cf.ctc(options), target, x);
  assertThrows(compute(cf.zeros([2, 3]), x), TypeError, "expected int32[2, labels]");
  assertThrows(compute(labels([[1]]), x), TypeError, "the labels are int32[1, 1]");
  assertThrows(compute(labels([[1], [1]]), cf.zeros([2, 4])), TypeError, "expected [batch, time, classes]");
  assertThrows(
    compute(labels([[1], [1]]), x, { blank: 4 }),
    RangeError,
    "blank is 4, expected one of 4 classes",
  );
  assertThrows(() => cf.ctc({ blank: 0.5 }), TypeError, "blank is the number 0.5");
  assertThrows(() => checkLabels(cf.ctc(), labels([[1, 9, -1]]), 4), RangeError, "fill rows with -1");
  checkLabels(cf.ctc(), labels([[1, 0, -1], [3, 2, 1]]), 4);
});

Deno.test("ctcGreedyDecode: the best class of each step, merged, without blanks", () => {
  const steps = labels([[2, 2, 0, 2, 1, 1], [0, 0, 1, 0, 0, 1]]);
  const x = cf.oneHot(steps, 3);
  const read = (options = {}) => cf.ctcGreedyDecode(x, options).map(({ labels }) => labels);
  assertEquals(read(), [[2, 2, 1], [1, 1]]);
  assertEquals(read({ blank: -1 }), [[0, 1], [0, 1, 0, 1]]);
  assertEquals(read({ lengths: [2, 5] }), [[2], [1]]);
  assertEquals(read({ lengths: labels([[0, 6]]).data, mask: cf.notEqual(steps, 0) }), [[], [1]]);
  const [{ logProbability }] = cf.ctcGreedyDecode(cf.tensor([[[0.5, 0.5], [0.2, 0.8]]]), {
    fromLogits: false,
  });
  assertAlmostEquals(logProbability, Math.log(0.4), 1e-6);
  assertThrows(() => read({ lengths: [1] }), TypeError, "for each of 2 rows");
  assertThrows(() => read({ lengths: [7, 1] }), RangeError, "lengths");
  assertThrows(() => read({ mask: cf.zeros([2, 6]) }), TypeError, "expected bool[2, 6]");
  assertThrows(
    () => cf.ctcGreedyDecode(cf.zeros([2, 3])),
    TypeError,
    "expected floats [batch, time, classes]",
  );
});

Deno.test("ctcBeamSearch: with a beam for everything, it finds what an exhaustive search finds", () => {
  for (const blank of [0, 2]) {
    const found = cf.ctcBeamSearch(cf.tensor(rows), { beamWidth: 500, topPaths: 4, blank });
    rows.forEach((row, index) => {
      const best = [...allReadings(row, blank)].sort((a, b) => b[1] - a[1]).slice(0, 4);
      assertEquals(found[index].map(({ labels }) => labels.join()), best.map(([read]) => read));
      found[index].forEach(({ logProbability }, place) =>
        assertAlmostEquals(logProbability, Math.log(best[place][1]), 1e-5)
      );
    });
  }
  // A beam of one is not exhaustive: it keeps what is best so far.
  const x = cf.tensor([[[0.6, 0.4], [0.6, 0.4]]]);
  assertEquals(cf.ctcBeamSearch(x, { fromLogits: false })[0][0].labels, [1]);
  assertEquals(cf.ctcBeamSearch(x, { fromLogits: false, beamWidth: 1 })[0][0].labels, []);
  assertThrows(() => cf.ctcBeamSearch(x, { beamWidth: 2, topPaths: 3 }), RangeError, "topPaths");
});

/** The same search by texts, which tries every class: what is read from a row, and its logarithm. */
function plainBeamSearch(row: readonly (readonly number[])[], width: number): [read: string, log: number][] {
  const add = (a = -Infinity, b = -Infinity) =>
    a === b && a === -Infinity ? a : Math.log(Math.exp(a) + Math.exp(b));
  let beam = new Map([["", [0, -Infinity]]]); // ending with a blank, class 0, or not
  for (const logs of row.map(logSoftmax)) {
    const next = new Map<string, number[]>();
    const put = (read: string, at: number, log: number) => {
      const scores = next.get(read) ?? [-Infinity, -Infinity];
      next.set(read, scores.with(at, add(scores[at], log)));
    };
    for (const [read, [blank, label]] of beam) {
      const last = read === "" ? 0 : Number(read.split(" ").at(-1));
      put(read, 0, add(blank, label) + logs[0]);
      if (last > 0) put(read, 1, label + logs[last]);
      for (let each = 1; each < logs.length; each++) {
        put(`${read} ${each}`.trim(), 1, (each === last ? blank : add(blank, label)) + logs[each]);
      }
    }
    const order = [...next].sort(([, a], [, b]) => add(...b) - add(...a));
    beam = new Map(order.slice(0, width));
  }
  return [...beam].map(([read, scores]) => [read, add(...scores)]);
}

Deno.test("ctcBeamSearch: with many classes, a narrow beam keeps what a search of all classes keeps", () => {
  for (const [seed, width] of [[1, 1], [2, 2], [3, 3], [4, 5], [5, 12]]) {
    const x = cf.mul(cf.normal(cf.key(seed), [2, 9, 40]), 2);
    const found = cf.ctcBeamSearch(x, { beamWidth: width, topPaths: width });
    (cf.toNested(x) as number[][][]).forEach((row, index) => {
      const expected = plainBeamSearch(row, width);
      assertEquals(
        found[index].map(({ labels }) => labels.join(" ")),
        expected.map(([read]) => read),
        `seed ${seed}`,
      );
      found[index].forEach(({ logProbability }, at) =>
        assertAlmostEquals(logProbability, expected[at][1], 1e-9)
      );
    });
  }
});

Deno.test("ctc: decoders give the same logarithm, NaN included", () => {
  for (const row of [[[NaN, 0]], [[0, 1], [NaN, NaN]], [[-Infinity, -Infinity]], [[0, -Infinity]]]) {
    const x = cf.tensor([row]);
    const [greedy, [best]] = [cf.ctcGreedyDecode(x)[0], cf.ctcBeamSearch(x)[0]];
    assertEquals(best.logProbability, greedy.logProbability);
  }
});

Deno.test("ctc: what stands behind the end of a row's labels may be any number", async () => {
  const model = cf.dense({ units: 3 });
  const variables = cf.init(model, cf.key(0), cf.spec([null, 4, 2]));
  const x = cf.normal(cf.key(1), [2, 4, 2]);
  const lossOf = async (labels: number[][]) =>
    (await cf.evaluate(model, variables, { x, y: cf.tensor(labels, { dtype: "int32" }) }, {
      loss: "ctc",
      device: "reference",
    })).loss;
  assertEquals(await lossOf([[1, -1, 7], [2, 0, 9]]), await lossOf([[1, -1, -1], [2, -1, -1]]));
  await assertRejects(() => lossOf([[1, 2, 7], [2, 1, 1]]), RangeError, "label 7 at sample 0, step 2");
});

Deno.test("editDistance and errorRate", () => {
  assertEquals(cf.editDistance("kitten", "sitting"), 3);
  assertEquals(cf.editDistance([], [1, 2]), 2);
  assertEquals(cf.editDistance(new Int32Array([1, 2, 3]), [1, 2, 3]), 0);
  assertEquals(cf.editDistance("intention", "execution"), 5);
  assertEquals(cf.errorRate([["the", "cat"], []], [["the", "hat"], ["a", "b"]]), 3 / 4);
  assertEquals([cf.errorRate([], []), cf.errorRate(["a"], [""]), cf.errorRate([""], [""])], [0, Infinity, 0]);
  assertThrows(() => cf.errorRate(["a"], []), RangeError, "1 predictions and 0 references");
});
