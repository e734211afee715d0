/** Resets as an input of a graph: trained, predicted, streamed, saved and written to files. */
import {
  apply,
  bidirectional,
  call,
  concat,
  dense,
  type Device,
  fit,
  fromJson,
  getWeights,
  gru,
  host,
  init,
  input,
  key,
  type Layer,
  lstm,
  masking,
  model,
  mul,
  predict,
  reshape,
  sgd,
  spec,
  streaming,
  streams,
  summary,
  type Tensor,
  tensor,
  toJson,
  toNested,
  type Tree,
  type Variables,
} from "@cellfold/cellfold";
import { fromOnnx, toOnnx } from "@cellfold/cellfold/onnx";
import { toKeras } from "@cellfold/cellfold/keras";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { sliceAxis } from "../../src/internal.ts";
import { assertClose, random, single } from "../layers/helpers.ts";
import { drawer, streamed } from "../layers/streamed.ts";

const [BATCH, TIME, FEATURES] = [2, 8, 3];
const bools = (rows: readonly (readonly number[])[]) => tensor(rows.map((row) => row.map(Boolean)));
const data = {
  x: random(1, [BATCH, TIME, FEATURES]),
  resets: bools([[1, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1, 1, 0]]),
};

function packedModel(isBidirectional = false): Layer {
  const x = input([null, FEATURES], { name: "x" });
  const resets = input([null], { name: "resets", dtype: "bool" });
  const layer = lstm({ units: 4, returnSequences: true });
  const first = isBidirectional ? call(bidirectional(layer), x, { resets }) : call(layer, x, { resets });
  const second = call(gru({ units: 4, returnSequences: true }), first, { resets });
  return model({ inputs: { x, resets }, outputs: call(dense({ units: 2 }), second) });
}

const printed = (x: Tensor) => JSON.stringify(toNested(x));
const outputOf = (layer: Layer, variables: Variables, x: Tree<Tensor>) =>
  single(layer.apply(variables, x, { training: false }).output);

const devices: readonly Device[] = [
  "reference",
  { name: "wasm", threads: 1 },
  { name: "wasm", threads: 2, shareFrom: 0 },
  "webgpu",
];
for (const device of devices) {
  const ignore = device === "webgpu" && !navigator.gpu;
  const where = JSON.stringify(device);
  Deno.test({
    name: `training on packed sequences is training on them apart, on ${where}`,
    ignore,
    fn: async () => {
      // Rows of 2 sequences of 4 steps each: the same steps as 4 rows, and the same mean of losses.
      const layer = packedModel(true);
      const packed = { x: data.x, resets: bools([[0, 0, 0, 0, 1, 0, 0, 0], [1, 0, 0, 0, 1, 0, 0, 0]]) };
      const apart = {
        x: reshape(data.x, [2 * BATCH, TIME / 2, FEATURES]),
        resets: bools(Array(4).fill([0, 0, 0, 0])),
      };
      const y = random(2, [BATCH, TIME, 2]);
      const variables = init(layer, key(0), packed);
      const train = async (x: Tree<Tensor>, y: Tensor) => {
        const options = {
          loss: "mse",
          optimizer: sgd({ learningRate: 0.5 }),
          epochs: 3,
          batchSize: 8,
        } as const;
        const { variables: trained } = await fit(layer, variables, { x, y }, {
          ...options,
          device,
          report: "none",
        });
        return getWeights(trained).map(({ tensor }) => tensor);
      };
      const found = await train(packed, y);
      // Three updates by gradients of some 100 float32 terms each.
      assertClose(found, await train(apart, reshape(y, [2 * BATCH, TIME / 2, 2])), 2e-5);
      const untrained = getWeights(variables).map(({ tensor }) => tensor);
      assert(printed(found[0]) !== printed(untrained[0]), "the weights move");
      const plain = await predict(layer, variables, packed, { device });
      assertClose(plain as Tree<Tensor>, outputOf(layer, variables, packed), 1e-5);
    },
  });

  Deno.test({
    name: `chunks with their resets equal the whole sequence, behind masks too, on ${where}`,
    ignore,
    fn: async () => {
      const x = input([null, FEATURES], { name: "x" });
      const resets = input([null], { name: "resets", dtype: "bool" });
      const masked = call(lstm({ units: 4, returnSequences: true }), call(masking(), x), { resets });
      const layer = model({ inputs: { x, resets }, outputs: call(dense({ units: 2 }), masked) });
      // Row 0 resets at a masked step, row 1 at a step behind masked ones.
      const counts = tensor(
        [[1, 1, 0, 0, 1, 0, 1, 1], [0, 1, 1, 0, 0, 1, 0, 0]].map((row) => row.map((x) => [x])),
      );
      const packed = { ...data, x: mul(data.x, counts) };
      for (const model of [layer, packedModel()]) {
        const variables = init(model, key(0), packed);
        const whole = outputOf(model, variables, packed);
        for (const seed of [1, 2, 3]) {
          using stream = streaming(model, variables, { batch: BATCH, device });
          assertClose(await streamed(stream, packed, TIME, drawer(seed)), whole, 1e-5);
        }
      }
    },
  });
}

Deno.test("resets of a call are saved and summarized; what does not fit is refused", () => {
  const layer = packedModel();
  const variables = init(layer, key(0), data);
  const read = fromJson(JSON.parse(JSON.stringify(toJson(layer))));
  assertEquals(toNested(outputOf(read, variables, data)), toNested(outputOf(layer, variables, data)));
  const unreset = { ...data, resets: bools([Array(TIME).fill(0), Array(TIME).fill(0)]) };
  assert(
    printed(outputOf(read, variables, unreset)) !== printed(outputOf(read, variables, data)),
    "resets act",
  );
  assert(/lstm.*x, resets/.test(summary(layer, data)), summary(layer, data));

  const x = input([null, FEATURES]);
  const starts = (x: Tensor) => mul(x, 0);
  assertThrows(
    () => call(lstm({ units: 2 }), x, { resets: apply(starts, x) }),
    TypeError,
    "Cannot use lstm with the resets float32[batch, time, 3]: expected bool[batch, time]",
  );
  assertThrows(
    () => call(dense({ units: 2 }), x, { resets: input([null], { dtype: "bool" }) }),
    TypeError,
    "Cannot use dense with resets",
  );
});

Deno.test("a graph with resets goes to ONNX and back, and is refused for Keras", async () => {
  const open = { x: spec([null, null, FEATURES]), resets: spec([null, null], "bool") };
  for (const layer of [packedModel(), packedModel(true)]) {
    const variables = init(layer, key(0), data);
    const { model, variables: imported } = fromOnnx(toOnnx(layer, variables, { input: open }));
    assertClose(outputOf(model, imported, data), outputOf(layer, variables, data), 1e-6);
    await assertRejects(
      () => toKeras(layer, variables),
      TypeError,
      "is given resets, which no layer in Keras takes",
    );
  }
});

Deno.test("a step with a reset begins a sequence: of a stream, from arrays, and of one session among several", async () => {
  const layer = packedModel();
  const variables = init(layer, key(0), data);
  const options = { batch: 1, device: "wasm" } as const;
  using stream = streaming(layer, variables, options);
  const input = { x: spec([null, null, FEATURES]), resets: spec([null, null], "bool") };
  using inPlace = streaming(layer, variables, { ...options, input });
  using fresh = streaming(layer, variables, options);
  using together = streams(layer, variables, { capacity: 2, device: "wasm" });
  const sessions = [together.join(), together.join()];
  const step = (seed: number) => random(seed, [1, FEATURES]);
  const both = (first: number, reset: boolean, second: number) =>
    together.step({ x: concat([step(first), step(second)], { axis: 0 }), resets: tensor([reset, false]) }, {
      sessions,
    });
  const written = (seed: number, reset: boolean) => {
    const y = new Float32Array(2);
    inPlace.step({ x: host(step(seed)).data, resets: Uint8Array.of(Number(reset)) }, y);
    return tensor(y, { shape: [1, 2] });
  };
  await inPlace.ready();
  for (const seed of [1, 2]) {
    await stream.step({ x: step(seed), resets: tensor([false]) });
    written(seed, false);
    await both(seed, false, 9);
  }
  for (const [seed, reset] of [[3, true], [4, false]] as const) {
    const expected = await fresh.step({ x: step(seed), resets: tensor([false]) }) as Tensor;
    assertClose(await stream.step({ x: step(seed), resets: tensor([reset]) }) as Tensor, expected);
    assertClose(written(seed, reset), expected);
    assertClose(sliceAxis(await both(seed, reset, 9) as Tensor, 0, 0, 1), expected, 1e-6);
  }
});
