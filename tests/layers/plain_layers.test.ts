/** Layers without variables: their masks, what they draw, and what they refuse. Their numbers are the oracle's. */
import * as cf from "@cellfold/cellfold";
import type { Layer, Mask, Tensor, Tree } from "@cellfold/cellfold";
import { assert, assertEquals, assertThrows } from "@std/assert";

const counts = cf.tensor([[true, false, true], [false, false, false]]);
const x = cf.tensor([[[1, -2], [NaN, 9], [3, -4]], [[5, 6], [7, 8], [9, 1]]]);

function applied(layer: Layer<Tensor>, input: Tree<Tensor> = x, mask: Mask = counts) {
  return layer.apply(cf.init(layer, cf.key(0), cf.spec([null, 3, 2])), input, { training: false, mask });
}

Deno.test("global pooling leaves masked steps out, NaN among them, and gives 0 where none counts", () => {
  assertEquals(cf.toNested(applied(cf.globalMaxPooling1d()).output), [[3, -2], [0, 0]]);
  assertEquals(cf.toNested(applied(cf.globalAveragePooling1d()).output), [[2, -3], [0, 0]]);
  assertEquals(cf.toNested(applied(cf.globalAveragePooling1d({ keepdims: true })).output), [
    [[2, -3]],
    [[0, 0]],
  ]);
  const all = cf.tensor([[[1, -2], [8, 9], [3, -4]], [[5, 6], [7, 8], [9, 1]]]);
  assertEquals(cf.toNested(applied(cf.globalMaxPooling1d({ countsMasked: true }), all).output), [
    [8, 9],
    [9, 8],
  ]);
  // A mask of the rows of pictures leaves out their pixels.
  const pictures = cf.reshape(all, [2, 3, 2, 1]);
  assertEquals(cf.toNested(applied(cf.globalAveragePooling2d(), pictures).output), [[-0.5], [0]]);
});

Deno.test("layers whose steps are those of their input pass its mask on; others drop it", () => {
  const keeping = [
    cf.reluLayer(),
    cf.leakyReluLayer(),
    cf.eluLayer(),
    cf.prelu(),
    cf.softmaxLayer(),
    cf.unitNormalization(),
    cf.gaussianNoise({ stddev: 1 }),
    cf.spatialDropout1d({ rate: 0.5 }),
  ];
  for (const layer of keeping) assertEquals(applied(layer).mask, counts, layer.type);
  const dropping = [
    cf.zeroPadding1d(),
    cf.cropping1d({ cropping: [0, 1] }),
    cf.upSampling1d(),
    cf.maxPooling1d(),
    cf.averagePooling1d(),
    cf.globalMaxPooling1d(),
    cf.permute({ dims: [2, 1] }),
  ];
  for (const layer of dropping) assertEquals(applied(layer).mask, undefined, layer.type);
});

Deno.test("a softmax over time leaves masked steps out, and is 0 there", () => {
  const { output } = applied(cf.softmaxLayer({ axis: 1 }), cf.zeros([2, 3, 1]));
  assertEquals(cf.toNested(output), [[[0.5], [0], [0.5]], [[0], [0], [0]]]);
});

Deno.test("rectifiers of infinities are no NaN", () => {
  const ends = cf.tensor([[-Infinity, Infinity, NaN]]);
  const of = (layer: Layer<Tensor>) =>
    cf.toNested(layer.apply({ params: [], state: [] }, ends, { training: false }).output);
  assertEquals(of(cf.reluLayer({ threshold: 1 })), [[0, Infinity, NaN]]);
  assertEquals(of(cf.reluLayer({ maxValue: 2, negativeSlope: 0.5, threshold: 1 })), [[-Infinity, 2, NaN]]);
  assertEquals(of(cf.leakyReluLayer()), [[-Infinity, Infinity, NaN]]);
  assertEquals(of(cf.eluLayer({ alpha: 2 })), [[-2, Infinity, NaN]]);
});

Deno.test("noise is drawn by key while training alone; dropout of channels is the same at every step", () => {
  const train = (layer: Layer<Tensor>, key: number) =>
    layer.apply({ params: [], state: [] }, cf.ones([4, 50, 8]), { training: true, key: cf.key(key) }).output;
  const noise = cf.sub(train(cf.gaussianNoise({ stddev: 0.5 }), 1), 1);
  const deviation = Number(cf.toNested(cf.stddev(noise)));
  assert(Math.abs(deviation - 0.5) < 0.05, `the deviation of 1600 draws is ${deviation}`);
  assert(Math.abs(Number(cf.toNested(cf.mean(noise)))) < 0.05);
  assertEquals(noise, cf.sub(train(cf.gaussianNoise({ stddev: 0.5 }), 1), 1));
  const dropped = train(cf.spatialDropout1d({ rate: 0.5 }), 2);
  const firstStep = cf.broadcastTo(cf.expandDims(cf.at(dropped, 0, { axis: 1 }), 1), dropped.shape);
  assertEquals(cf.toNested(dropped), cf.toNested(firstStep));
  const values = new Set(cf.host(dropped).data);
  assertEquals([...values].sort(), [0, 2]);
  const context = { training: true };
  const untrained = cf.gaussianNoise({ stddev: 1, name: "hiss" });
  assertThrows(() => untrained.apply({ params: [], state: [] }, x, context), TypeError, "gaussianNoise hiss");
});

Deno.test("inputs and options that do not fit are refused by name", () => {
  const flat = cf.ones([2, 3]);
  const refused = (layer: Layer<Tensor>, input: Tree<Tensor>, message: string) =>
    assertThrows(() => layer.apply({ params: [], state: [] }, input, { training: false }), Error, message);
  refused(
    cf.maxPooling1d({ name: "pool" }),
    flat,
    "maxPooling1d pool with an input of shape [2, 3]: expected 3 axes",
  );
  refused(cf.zeroPadding2d(), x, "expected 4 axes, [batch, height, width, channels]");
  refused(cf.repeatVector({ n: 2 }), x, "expected 2 axes, [batch, features]");
  refused(cf.permute({ dims: [2, 1] }), flat, "expected 3 axes");
  refused(cf.cropping1d({ cropping: 2 }), x, "nothing is left");
  refused(cf.dot({ axes: 1 }), flat, "expected a list of two float tensors");
  refused(cf.dot({ axes: 1 }), [flat, cf.ones([2, 4])], "the same size along the axes 1 and 1");
  refused(cf.softmaxLayer({ axis: 5 }), flat, "along axis 5");
  assertThrows(() => cf.permute({ dims: [1, 3] }), RangeError, "dims is [1,3]");
  assertThrows(() => cf.zeroPadding2d({ padding: [1, 2, 3] }), RangeError, "padding is [1,2,3]");
  assertThrows(() => cf.cropping1d({ cropping: [1, -1] }), Error, "cropping");
  assertThrows(() => cf.reluLayer({ negativeSlope: -1 }), RangeError, "negativeSlope is -1");
  assertThrows(() => cf.dot({ axes: 0 }), RangeError, "axes is 0");
  assertThrows(() => cf.prelu({ sharedAxes: [0] }), RangeError, "sharedAxes is [0]");
  const slopes = cf.prelu();
  assertThrows(() => slopes.initParams(cf.key(0), cf.spec([null, null, 2])), TypeError, "axis 1");
});
