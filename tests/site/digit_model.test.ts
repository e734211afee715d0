/** The parts of the demo "Draw a digit" that need no page: ink, the shipped model, training. */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import * as cf from "@cellfold/cellfold";
import { freshWeights, model, openReader, readModel, UNITS } from "../../site/demos/digit/digit.ts";
import { batchOf, readDigits, SIDE, sliceDigits } from "../../site/demos/digit/digits.ts";
import { pictureOf, type Stroke } from "../../site/demos/digit/ink.ts";
import { train } from "../../site/demos/digit/training.ts";
import { vary } from "../../site/demos/digit/vary.ts";

const PUBLIC = new URL("../../site/public/", import.meta.url);
const mayRead = Deno.permissions.querySync({ name: "read", path: PUBLIC.pathname }).state === "granted";

const seven: Stroke[] = [[[80, 60], [190, 60], [120, 230]]];

function fileTest(name: string, run: () => Promise<void>): void {
  Deno.test({ name: mayRead ? name : `${name} (needs --allow-read)`, ignore: !mayRead, fn: run });
}

async function read(path: string): Promise<Uint8Array> {
  return await Deno.readFile(new URL(path, PUBLIC));
}

async function mnist(count: 50 | 2000) {
  return await readDigits(
    await read(`data/mnist/${count}-images.idx.gz`),
    await read(`data/mnist/${count}-labels.idx.gz`),
  );
}

Deno.test("pictureOf: ink fills 20 of 28 pixels, and its mass is in the middle", () => {
  const picture = pictureOf(seven);
  let [x, y, total] = [0, 0, 0];
  picture.forEach((ink, i) => {
    x += ink * (i % SIDE + 0.5);
    y += ink * (Math.floor(i / SIDE) + 0.5);
    total += ink;
  });
  // Soft edges are sampled at the middle of pixels, so that a shift by a part of a pixel moves the mass a little.
  assertAlmostEquals(x / total, SIDE / 2, 0.1);
  assertAlmostEquals(y / total, SIDE / 2, 0.1);
  const inked = Array.from({ length: SIDE }, (_, row) => picture.slice(row * SIDE, (row + 1) * SIDE))
    .filter((row) => row.some((ink) => ink > 0.5)).length;
  assert(Math.abs(inked - 20) <= 1, `${inked} rows have ink`);
});

Deno.test("pictureOf: where and how large something is drawn does not matter", () => {
  const moved = seven.map((stroke) => stroke.map(([x, y]): [number, number] => [x / 2 + 9, y / 2 + 130]));
  const [a, b] = [pictureOf(seven), pictureOf(moved)];
  a.forEach((ink, i) => assertAlmostEquals(b[i], ink, 1e-4));
});

Deno.test("pictureOf: a dot stays small, and nothing is blank", () => {
  const dot = pictureOf([[[140, 140]]]);
  const total = dot.reduce((sum, ink) => sum + ink, 0);
  assert(total > 1 && total < 12, `the ink of a dot is ${total}`);
  assertEquals(pictureOf([]), new Float32Array(SIDE * SIDE));
});

Deno.test("vary: the same key gives the same pictures, each other than before and no less inked than half", () => {
  const images = cf.hostTensor(Float32Array.from([0, 1, 2].flatMap(() => [...pictureOf(seven)])), [
    3,
    SIDE,
    SIDE,
  ]);
  const varied = vary(images, cf.key(3));
  assertEquals(varied, vary(images, cf.key(3)));
  const ink = (data: ArrayLike<number>) => Array.from(data).reduce((sum, value) => sum + value, 0);
  for (let i = 0; i < 3; i++) {
    const [before, after] = [images, varied].map(({ data }) =>
      data.slice(i * SIDE * SIDE, (i + 1) * SIDE * SIDE)
    );
    assert(after.some((value, pixel) => Math.abs(value - before[pixel]) > 0.1));
    assert(ink(after) > 0.5 * ink(before) && ink(after) < 2 * ink(before));
    assert(after.every((value) => value >= 0 && value <= 1));
  }
});

Deno.test("batchOf: the weights of the rows rise, and are 1 on average", () => {
  const images = cf.zeros([2, SIDE, SIDE]);
  const labels = cf.tensor([3, 8], { dtype: "int32" });
  const { y, sampleWeight } = batchOf({ images: cf.host(images), labels });
  assertEquals([...y.probabilities.data.slice(0, SIDE)], Array(SIDE).fill(3));
  const weights = [...sampleWeight.probabilities.data.slice(0, SIDE)];
  assertEquals(weights, weights.toSorted((a, b) => a - b));
  // The mean of (t/28)^4 over t = 1…28 is 1/5 + 1/56 + …, a little more than the integral.
  assertAlmostEquals(weights.reduce((sum, weight) => sum + weight, 0) / SIDE, 1, 0.1);
});

Deno.test("openReader: rows one by one give what the whole picture gives", async () => {
  const variables = freshWeights(cf.key(5));
  const picture = pictureOf(seven);
  const { hidden, probabilities } = (await openReader(variables))(picture);
  const whole = await cf.predict(model, variables, cf.hostTensor(picture, [1, SIDE, SIDE]));
  assertEquals(hidden.length, SIDE * UNITS);
  hidden.forEach((value, i) => assertAlmostEquals(value, whole.hidden.data[i], 1e-5));
  probabilities.forEach((value, i) => assertAlmostEquals(value, whole.probabilities.data[i], 1e-5));
});

fileTest("the shipped model reads what it says it does", async () => {
  const { variables, accuracy } = readModel(await read("models/digit.safetensors"));
  const heldOut = sliceDigits(await mnist(2000), 1600, 2000); // of the test set
  const { probabilities } = await cf.predict(model, variables, heldOut.images);
  const last = cf.argmax(cf.at(probabilities, -1, { axis: 1 }));
  const share = cf.item(cf.mean(cf.cast(cf.equal(last, heldOut.labels), "float32")));
  assert(accuracy > 0.97, `the file says ${accuracy}`);
  // Of 400 digits the share has a deviation of 0.6 percent at most where it is 98.5: four of them.
  assertAlmostEquals(share, accuracy, 0.025);
});

fileTest("the shipped model reads drawings of lines", async () => {
  const { variables } = readModel(await read("models/digit.safetensors"));
  const readPicture = await openReader(variables);
  const circle = Array.from({ length: 33 }, (_, i): [number, number] => {
    const angle = 2 * Math.PI * i / 32;
    return [140 + 55 * Math.sin(angle), 140 - 85 * Math.cos(angle)];
  });
  const drawings: readonly [number, Stroke[]][] = [
    [0, [circle]],
    [1, [[[140, 50], [140, 230]]]],
    [4, [[[100, 50], [80, 150], [200, 150]], [[180, 60], [180, 240]]]],
    [7, seven],
  ];
  for (const [digit, strokes] of drawings) {
    const last = readPicture(pictureOf(strokes)).probabilities.slice(-10);
    assertEquals(last.indexOf(Math.max(...last)), digit);
  }
});

fileTest("the examples are five of each digit", async () => {
  const { labels } = await mnist(50);
  assertEquals([...labels.data], Array.from({ length: 50 }, (_, i) => Math.floor(i / 5)));
});

fileTest("train: the loss falls, a signal ends it, and the accuracy is better than chance", async () => {
  const digits = await mnist(2000);
  const [some, heldOut] = [sliceDigits(digits, 0, 640), sliceDigits(digits, 1600, 1700)];
  const losses: number[] = [];
  const stop = new AbortController();
  const { accuracy } = await train(some, heldOut, {
    device: "wasm",
    epochs: 100,
    signal: stop.signal,
    report(progress) {
      if (!("loss" in progress)) return;
      losses.push(progress.loss);
      if (progress.step === 120) stop.abort();
    },
  });
  assertEquals(losses.length, 120);
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  assert(mean(losses.slice(-10)) < 0.7 * mean(losses.slice(0, 10)), losses.join(" "));
  assert(accuracy > 0.3, `${accuracy}`); // chance is 0.1
});
