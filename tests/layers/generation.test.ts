/** `generate` and `beamSearch` against loops written by hand with `stream.step`, on every backend. */
import * as cf from "@cellfold/cellfold";
import type { Layer, Stream, Tensor, Variables } from "@cellfold/cellfold";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { reference as backend } from "../../kernels/reference/mod.ts";
import { single } from "./helpers.ts";

const devices = ["reference", "wasm", "webgpu"] as const;
const VOCABULARY = 23;

const tokensOf = (rows: number[][]) => cf.tensor(rows, { dtype: "int32" });

/** Models that give logits of all steps, of the last one, and as probabilities; the last one makes masks. */
const models: Record<string, () => Layer> = {
  "gru": () =>
    cf.sequential([
      cf.embedding({ inputDim: VOCABULARY, outputDim: 6 }),
      cf.gru({ units: 9, returnSequences: true }),
      cf.dense({ units: VOCABULARY }),
    ]),
  "lstm of the last step": () =>
    cf.sequential([
      cf.embedding({ inputDim: VOCABULARY, outputDim: 6 }),
      cf.lstm({ units: 5, returnSequences: true }),
      cf.lstm({ units: 7 }),
      cf.dense({ units: VOCABULARY }),
    ]),
  "probabilities behind masks": () =>
    cf.sequential([
      cf.embedding({ inputDim: VOCABULARY, outputDim: 6, maskZero: true }),
      cf.simpleRnn({ units: 12, returnSequences: true }),
      cf.batchNormalization(),
      cf.dense({ units: VOCABULARY, activation: "softmax" }),
    ]),
};

/** The models for a device: one where compiling takes long. */
function namesOn(device: cf.Device): string[] {
  return Object.keys(models).slice(0, device === "webgpu" ? 1 : undefined);
}

/** Variables with logits that differ more than those of a fresh model, so that draws differ from step to step. */
function made(name: string): { model: Layer; variables: Variables } {
  const model = models[name]();
  const { params, state } = cf.init(model, cf.key(1), cf.spec([null, null], "int32"));
  return { model, variables: { params: cf.mapTree(params, (x: Tensor) => cf.mul(x, 3)), state } };
}

/** The tokens that keep a probability of `topP`, by sorting. */
function cutBySorting(logits: Tensor, topP: number): Tensor {
  const { values, indices } = cf.sort(logits, { descending: true });
  const isKept = cf.less(cf.cumsum(cf.softmax(values), { exclusive: true }), topP);
  const places = cf.sort(indices).indices; // where each token is in the order
  const kept = cf.sum(cf.mul(cf.oneHot(places, VOCABULARY), cf.cast(cf.expandDims(isKept, 1), "float32")), {
    axes: -1,
  });
  return cf.select(cf.greater(kept, 0.5), logits, -Infinity);
}

interface Drawing {
  readonly key?: Tensor;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
}

/** One token per row of logits, with the public functions. */
function draw(key: Tensor, logits: Tensor, { temperature = 1, topK, topP }: Drawing): Tensor {
  if (temperature === 0) return cf.argmax(logits);
  const scaled = (x: Tensor) => cf.div(cf.sub(x, cf.max(x, { axes: -1, keepDims: true })), temperature);
  if (topK === undefined) {
    return cf.categorical(key, topP === undefined ? scaled(logits) : cutBySorting(scaled(logits), topP));
  }
  const { values, indices } = cf.topK(logits, { k: topK });
  const places = cf.toNested(cf.categorical(key, scaled(values))) as number[];
  return cf.stack(places.map((place, row) => cf.at(cf.at(indices, row), place)));
}

const lastStep = (output: Tensor) => output.shape.length === 3 ? cf.at(output, -1, { axis: 1 }) : output;

/** The loop by hand: rows of tokens. */
async function byHand(
  stream: Stream,
  prompt: Tensor,
  steps: number,
  { isLog, ...drawing }: Drawing & { readonly isLog?: boolean },
): Promise<number[][]> {
  const steady = cf.key(0);
  let output = lastStep(single(await stream.push(prompt)));
  const chosen: Tensor[] = [];
  for (let step = 0;; step++) {
    const logits = isLog ? cf.log(output) : output;
    chosen.push(draw(cf.foldIn(drawing.key ?? steady, step), logits, drawing));
    if (chosen.length === steps) return cf.toNested(cf.stack(chosen, { axis: 1 })) as number[][];
    output = single(await stream.step(chosen[step]));
  }
}

for (const device of devices) {
  const ignore = device === "webgpu" && !navigator.gpu;
  Deno.test({
    name: `generate gives the tokens of the loop by hand, and its state, on ${device}`,
    ignore,
    fn: async () => {
      for (const name of namesOn(device)) {
        const { model, variables } = made(name);
        const prompt = tokensOf([[1, 2, 3], [4, 5, 6]]);
        const kinds: Drawing[] = [
          { temperature: 0 },
          { key: cf.key(3) },
          { key: cf.key(4), temperature: 0.5, topK: 5 },
          { key: cf.key(5), temperature: 1.7, topP: 0.8 },
        ];
        for (const drawing of kinds) {
          using stream = cf.streaming(model, variables, { batch: 2, device });
          const isLog = name === "probabilities behind masks";
          const expected = await byHand(stream, prompt, 12, { ...drawing, isLog });
          const { tokens, lengths, state } = await cf.generate(model, variables, {
            prompt,
            steps: 12,
            device,
            ...drawing,
          });
          assertEquals(cf.toNested(tokens), expected, `${name} ${JSON.stringify(drawing)}`);
          assertEquals(cf.toNested(lengths), [12, 12]);
          const states = [state, await cf.toHost(stream.state)].map((tree) => cf.treeLeaves<Tensor>(tree));
          assertEquals(states[0].length, states[1].length);
          states[0].forEach((leaf, at) => {
            const [a, b] = [leaf, states[1][at]].map((x) => Array.from(cf.host(x).data));
            assert(a.every((value, i) => Math.abs(value - b[i]) < 1e-5), name);
          });
        }
        assert(new Set((await tokensAt(model, variables, prompt, device)).flat()).size > 4, "tokens differ");
      }
    },
  });

  Deno.test({
    name: `beamSearch finds what a search by hand finds on ${device}`,
    ignore,
    fn: async () => {
      for (const name of namesOn(device).slice(0, 2)) {
        const { model, variables } = made(name);
        const prompts = [[1, 2, 3], [9, 8, 7]];
        for (const stop of [[], [0, 4, 7, 11]]) {
          const found = await cf.beamSearch(model, variables, {
            prompt: tokensOf(prompts),
            steps: 7,
            beams: 3,
            stop,
            device,
          });
          for (const [row, prompt] of prompts.entries()) {
            const expected = await searchByHand(model, variables, prompt, { steps: 7, beams: 3, stop });
            const tokens = (cf.toNested(found.tokens) as number[][][])[row];
            const lengths = (cf.toNested(found.lengths) as number[][])[row];
            assertEquals(
              tokens.map((all, beam) => all.slice(0, lengths[beam])),
              expected.map(({ tokens }) => tokens),
              `${name} ${row} ${stop}`,
            );
            const scores = (cf.toNested(found.scores) as number[][])[row];
            expected.forEach(({ score }, beam) => assert(Math.abs(scores[beam] - score) < 1e-4));
          }
        }
      }
    },
  });
}

async function tokensAt(model: Layer, variables: Variables, prompt: Tensor, device: cf.Device) {
  const { tokens } = await cf.generate(model, variables, { prompt, steps: 12, key: cf.key(3), device });
  return cf.toNested(tokens) as number[][];
}

/** Beams of one prompt, each with a whole sequence that is read anew for each step. */
async function searchByHand(
  model: Layer,
  variables: Variables,
  prompt: number[],
  { steps, beams, stop }: { steps: number; beams: number; stop: readonly number[] },
) {
  let found: { tokens: number[]; score: number }[] = [{ tokens: [], score: 0 }];
  for (let step = 0; step < steps; step++) {
    const next: typeof found = [];
    for (const beam of found) {
      if (beam.tokens.some((token) => stop.includes(token))) {
        next.push(beam);
        continue;
      }
      const output = await cf.predict(model, variables, tokensOf([[...prompt, ...beam.tokens]]), {
        device: "reference",
      });
      const scores = cf.toNested(cf.logSoftmax(lastStep(single(output)))) as number[][];
      scores[0].forEach((score, token) =>
        next.push({ tokens: [...beam.tokens, token], score: beam.score + score })
      );
    }
    found = next.sort((a, b) => b.score - a.score).slice(0, beams);
  }
  return found;
}

Deno.test("a stream goes on from what was generated, and generates from where it is", async () => {
  const { model, variables } = made("gru");
  const drawing = { key: cf.key(8), temperature: 0.7 };
  using stream = cf.streaming(model, variables, { batch: 2, device: "wasm" });
  using other = cf.streaming(model, variables, { batch: 2, device: "wasm" });
  const before = tokensOf([[1, 2], [3, 4]]);
  await stream.push(before);
  await other.push(before);
  const waiting = cf.generate(stream, { prompt: tokensOf([[5], [6]]), steps: 9, ...drawing });
  const later = stream.step(cf.tensor([7, 8], { dtype: "int32" })); // waits for all of it
  const { tokens } = await waiting;
  assertEquals(cf.toNested(tokens), await byHand(other, tokensOf([[5], [6]]), 9, drawing));
  const expected = single(await other.step(cf.tensor([7, 8], { dtype: "int32" })));
  const got = single(await later);
  cf.host(expected).data.forEach((value, i) => assert(Math.abs(value - cf.host(got).data[i]) < 1e-5));

  // The state can be given to a model, and a run in two parts is the run as a whole.
  using third = cf.streaming(model, variables, { batch: 1, device: "wasm" });
  const prompt = tokensOf([[1, 2, 3]]);
  const whole = cf.toNested(
    (await cf.generate(third, { prompt, steps: 10, temperature: 0 })).tokens,
  ) as number[][];
  const first = await cf.generate(model, variables, { prompt, steps: 4, temperature: 0, device: "wasm" });
  const rest = await cf.generate(model, { ...variables, state: first.state }, {
    prompt: tokensOf([[whole[0][3]]]),
    steps: 6,
    temperature: 0,
    device: "wasm",
  });
  assertEquals(
    (cf.toNested(first.tokens) as number[][])[0].concat((cf.toNested(rest.tokens) as number[][])[0]),
    whole[0],
  );

  // So does beam search: with one beam it takes the largest logit.
  third.reset();
  const searched = await cf.beamSearch(third, { prompt, steps: 4, beams: 1 });
  assertEquals((cf.toNested(searched.tokens) as number[][][])[0][0], whole[0].slice(0, 4));
  const on = await cf.generate(third, { prompt: tokensOf([[whole[0][3]]]), steps: 6, temperature: 0 });
  assertEquals((cf.toNested(on.tokens) as number[][])[0], whole[0].slice(4));
});

Deno.test("a stop token ends a sequence: what comes before is the same, and the state is that of its end", async () => {
  const { model, variables } = made("gru");
  const options = { prompt: tokensOf([[1, 2], [3, 4], [5, 6]]), key: cf.key(2), device: "wasm" as const };
  const steps = 150; // several calls
  const free = await cf.generate(model, variables, { ...options, steps });
  const rows = cf.toNested(free.tokens) as number[][];
  const never = [...Array(VOCABULARY).keys()].find((token) => !rows.flat().includes(token));
  for (const stop of [rows[0][3], [rows[0][80], rows[1][5]], never ?? []]) {
    const stops = [stop].flat();
    const { tokens, lengths, state } = await cf.generate(model, variables, { ...options, steps, stop });
    const ends = rows.map((row) => 1 + row.findIndex((token) => stops.includes(token)) || steps);
    assertEquals(cf.toNested(lengths), ends);
    assertEquals(
      cf.toNested(tokens),
      rows.map((row, at) => row.map((token, step) => step < ends[at] ? token : row[ends[at] - 1])),
    );
    const read = await cf.generate(model, variables, { ...options, steps: ends[1] });
    const [ended, expected] = [state, read.state].map((tree) => cf.host(cf.treeLeaves<Tensor>(tree)[0]));
    const units = ended.shape[1];
    ended.data.subarray(units, 2 * units).forEach((value, i) =>
      assert(Math.abs(value - expected.data[units + i]) < 1e-5)
    );
  }
});

Deno.test("a loop is compiled once, whatever the lengths and the temperature", async () => {
  const { model, variables } = made("gru");

  let compiled = 0;
  const device = {
    ...backend,
    compile: (...args: Parameters<typeof backend.compile>) => {
      compiled++;
      return backend.compile(...args);
    },
  };
  const prompt = (length: number) => tokensOf([Array.from({ length }, (_, i) => i)]);
  for (const [length, steps, temperature] of [[3, 5, 1], [1, 9, 0.5], [8, 1, 2]]) {
    await cf.generate(model, variables, {
      prompt: prompt(length),
      steps,
      temperature,
      key: cf.key(steps),
      device,
    });
  }
  assertEquals(compiled, 1);
  for (const [length, steps] of [[3, 5], [1, 9]]) {
    await cf.beamSearch(model, variables, { prompt: prompt(length), steps, beams: 2, device });
  }
  assertEquals(compiled, 3); // the prompt, and the steps after it
});

Deno.test("what cannot be generated is refused before anything runs", async () => {
  const { model, variables } = made("gru");
  const prompt = tokensOf([[1, 2]]);
  const refused = async (options: object, type: ErrorConstructor, message: string) => {
    const given = { prompt, steps: 3, key: cf.key(0), ...options };
    await assertRejects(
      () => cf.generate(model, variables, given as cf.Tree<never> & typeof given),
      type,
      message,
    );
  };
  await refused(
    { steps: 0 },
    RangeError as ErrorConstructor,
    "options.steps is 0, expected a whole number from 1",
  );
  await refused({ key: undefined }, TypeError as ErrorConstructor, "Cannot generate: the key is null");
  await refused({ temperature: -1 }, RangeError as ErrorConstructor, "options.temperature is -1");
  await refused({ temperature: NaN }, RangeError as ErrorConstructor, "options.temperature is NaN");
  await refused(
    { topP: 0 },
    RangeError as ErrorConstructor,
    "options.topP is 0, expected above 0 and at most 1",
  );
  await refused({ topP: 1.5 }, RangeError as ErrorConstructor, "options.topP is 1.5");
  await refused({ topK: 0 }, RangeError as ErrorConstructor, "options.topK is 0");
  await refused(
    { stop: 23 },
    RangeError as ErrorConstructor,
    "options.stop is 23, expected a whole number from 0 to 22",
  );
  await refused(
    { prompt: cf.zeros([1, 2]) },
    TypeError as ErrorConstructor,
    "Cannot generate from the prompt float32[1, 2]",
  );
  await refused({ prompt: tokensOf([[]]) }, TypeError as ErrorConstructor, "with at least one token");
  await refused({ prompt: tokensOf([[99]]) }, RangeError as ErrorConstructor, "99");
  await refused({ topk: 3 }, RangeError as ErrorConstructor, 'did you mean "topK"?');
  const { tokens } = await cf.generate(model, variables, { prompt, steps: 3, key: cf.key(0), topK: 99 }); // all
  assertEquals(tokens.shape, [1, 3]);
  await assertRejects(
    () => cf.beamSearch(model, variables, { prompt, steps: 3, beams: 24 }),
    RangeError,
    "options.beams is 24, expected a whole number from 1 to 23",
  );
  using stream = cf.streaming(model, variables, { batch: 2 });
  await assertRejects(
    () => cf.generate(stream, { prompt, steps: 3, temperature: 0 }),
    TypeError,
    "int32[2, time]",
  );
  const device = "wasm";
  await assertRejects(
    () => cf.generate(stream, { prompt, steps: 3, temperature: 0, device }),
    TypeError,
    "a stream has its own",
  );
  const wide = cf.sequential([
    cf.embedding({ inputDim: 4, outputDim: 2 }),
    cf.gru({ units: 2, returnSequences: true }),
    cf.dense({ units: 5 }),
  ]);
  await assertRejects(
    () =>
      cf.generate(wide, cf.init(wide, cf.key(0), cf.spec([null, null], "int32")), {
        prompt,
        steps: 2,
        temperature: 0,
      }),
    RangeError,
    "it has 5 logits, so a token may be 4, which it does not accept",
  );
  const both = cf.sequential([
    cf.embedding({ inputDim: 4, outputDim: 2 }),
    cf.bidirectional(cf.gru({ units: 2, returnSequences: true })),
  ]);
  await assertRejects(
    () =>
      cf.generate(both, cf.init(both, cf.key(0), cf.spec([null, null], "int32")), {
        prompt,
        steps: 2,
        temperature: 0,
      }),
    TypeError,
    "bidirectional",
  );
});
