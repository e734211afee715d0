import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as cf from "@cellfold/cellfold";
import { assertSlopes } from "./slopes.ts";

const TAGS = 3;
const params = {
  start: cf.normal(cf.key(1), [TAGS]),
  transitions: cf.normal(cf.key(2), [TAGS, TAGS]),
  end: cf.normal(cf.key(3), [TAGS]),
};
const scores = cf.normal(cf.key(4), [4, 5, TAGS]);
/** Whole, shorter, with holes at the beginning and inside, and a single step. */
const steps = [[0, 1, 2, 3, 4], [0, 1, 2], [1, 3, 4], [2]];
const mask = cf.tensor(steps.map((counted) => [0, 1, 2, 3, 4].map((step) => counted.includes(step))));
const layer = cf.crf();

const chain = (x: cf.Tensor, mask?: cf.Tensor) =>
  layer.apply({ params: cf.mapTree(params, (p: cf.Tensor) => cf.cast(p, x.dtype)), state: [] }, x, {
    training: true,
    mask,
  }).output;

/** Every sequence of tags of a row with its score, by the definition. */
function sequences(row: number, counted: readonly number[]): [tags: number[], score: number][] {
  const values = cf.toNested(scores) as number[][][];
  const [start, end] = [params.start, params.end].map((t) => cf.toNested(t) as number[]);
  const transitions = cf.toNested(params.transitions) as number[][];
  return Array.from({ length: TAGS ** counted.length }, (_, code) => {
    const tags = counted.map((_, place) => Math.floor(code / TAGS ** place) % TAGS);
    const score = tags.reduce(
      (sum, tag, place) =>
        sum + values[row][counted[place]][tag] + (place > 0 ? transitions[tags[place - 1]][tag] : 0),
      start[tags[0]] + end[tags[tags.length - 1]],
    );
    return [tags, score];
  });
}

Deno.test("crf: the loss is that of all sequences of tags, with masks that have holes", () => {
  const y = cf.tensor([[0, 1, 2, 2, 1], [1, 0, 2, -1, -1], [-1, 2, 7, 0, 1], [-1, -1, 1, -1, -1]], {
    dtype: "int32",
  });
  const loss = cf.crfLoss({ reduction: "none" });
  const values = cf.host(cf.computeLoss(loss, y, chain(scores, mask), { mask })).data;
  steps.forEach((counted, row) => {
    const all = sequences(row, counted);
    const wanted = counted.map((step) => y.data[row * 5 + step]).join();
    const [, score] = all.find(([tags]) => tags.join() === wanted)!; // all sequences are there
    assertAlmostEquals(values[row], Math.log(all.reduce((sum, [, s]) => sum + Math.exp(s), 0)) - score, 1e-5);
  });
  assertSlopes(
    (x) => cf.computeLoss(cf.crfLoss(), y, chain(x, mask), { mask }),
    cf.tensor(cf.toNested(scores) as number[][][]),
    "crf",
    2,
  );
});

Deno.test("viterbi: the tags with the best score of all sequences", () => {
  for (const given of [mask, undefined]) {
    const { tags, scores: best } = cf.viterbi(chain(scores, given), { mask: given });
    const found = cf.toNested(tags) as number[][];
    (given ? steps : steps.map(() => [0, 1, 2, 3, 4])).forEach((counted, row) => {
      const [wanted, score] = sequences(row, counted).reduce((a, b) => b[1] > a[1] ? b : a);
      assertEquals(counted.map((step) => found[row][step]), wanted);
      assertAlmostEquals(cf.host(best).data[row], score, 1e-5);
      assert(found[row].every((tag, step) => counted.includes(step) ? tag >= 0 : tag === -1));
    });
  }
  const lengths = cf.tensor([5, 3, 0, 1], { dtype: "int32" });
  assertEquals((cf.toNested(cf.viterbi(chain(scores), { lengths }).tags) as number[][])[2], [
    -1,
    -1,
    -1,
    -1,
    -1,
  ]);
  assertThrows(() => cf.viterbi(scores), TypeError, "expected floats [batch, time, tags, tags]");
});

Deno.test("crf: masked steps may be anything, NaN too, in loss and gradient", () => {
  const y = cf.tensor([[0, 1, 2, 2, 1], [1, 0, 2, 0, 0], [0, 2, 0, 0, 1], [0, 0, 1, 0, 0]], {
    dtype: "int32",
  });
  const run = cf.valueAndGrad((x: cf.Tensor) => cf.computeLoss(cf.crfLoss(), y, chain(x, mask), { mask }));
  const [value, gradient] = run(scores);
  const [other, slopes] = run(cf.select(cf.expandDims(mask, 2), scores, NaN));
  assertEquals(cf.item(other), cf.item(value));
  assertEquals(cf.toNested(slopes), cf.toNested(gradient));
  const accuracy = cf.crfAccuracy();
  const result = (y: cf.Tensor, x: cf.Tensor) =>
    accuracy.result(accuracy.update(accuracy.initState(), y, chain(x, mask), { mask }));
  const poisoned = cf.select(mask, y, -7);
  assertEquals(result(poisoned, cf.select(cf.expandDims(mask, 2), scores, NaN)), result(y, scores));
  assert(result(y, scores) < 1);
  const { tags } = cf.viterbi(chain(scores, mask), { mask });
  assertEquals(result(tags, scores), 1);
});

Deno.test("crf: learns which tag follows which, and its accuracy is that of the best tags", async () => {
  // The tag is that of the step before, which one step of scores cannot show.
  const x = cf.tensor(
    Array.from({ length: 12 }, (_, row) => [0, 1, 2, 3].map((step) => (row * 5 + step * step) % 3)),
    {
      dtype: "int32",
    },
  );
  const y = cf.tensor(
    (cf.toNested(x) as number[][]).map((row) => row.map((token, step) => step % 2 ? row[step - 1] : token)),
    {
      dtype: "int32",
    },
  );
  const model = cf.sequential([
    cf.embedding({ inputDim: 3, outputDim: 4 }),
    cf.gru({ units: 8, returnSequences: true }),
    cf.dense({ units: 3 }),
    cf.crf(),
  ]);
  const variables = cf.init(model, cf.key(5), cf.spec([null, null], "int32"));
  const { variables: trained, history } = await cf.fit(model, variables, { x, y }, {
    loss: "crf",
    optimizer: cf.adam({ learningRate: 0.05 }),
    metrics: ["accuracy"],
    epochs: 25,
    batchSize: 12,
    device: "reference",
    report: "none",
  });
  assert(history.accuracy[24] > 0.95, `${history.accuracy}`);
  assert(history.loss[24] < 0.5 * history.loss[0]);
  const { tags } = cf.viterbi(await cf.predict(model, trained, x));
  const right = cf.host(tags).data.filter((tag, place) => tag === y.data[place]).length;
  assert(right >= 0.95 * 48);
  const again = cf.fromJson(cf.toJson(model));
  assertEquals(again.options, model.options);
  assertThrows(
    () => cf.streaming(model, trained, { device: "reference", input: cf.spec([1, 1], "int32") }),
    TypeError,
    "in chunks",
  );
});
