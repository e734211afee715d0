/** Digits as data: read from files, cut, and as batches for training. */
import * as cf from "@cellfold/cellfold";
import { vary } from "./vary.ts";

/** Rows of a picture, and pixels of a row. */
export const SIDE = 28;

/** Pictures `float32[n, 28, 28]` from 0 (paper) to 1 (ink), and labels `int32[n]`. */
export interface Digits {
  readonly images: cf.HostTensor;
  readonly labels: cf.HostTensor;
}

/** Digits from IDX files, the format of MNIST, plain or gzipped. */
export async function readDigits(images: Uint8Array, labels: Uint8Array): Promise<Digits> {
  const { data, shape } = await cf.parseIdx(images);
  return {
    images: cf.hostTensor(Float32Array.from(data, (value) => value / 255), shape),
    labels: await cf.parseIdx(labels),
  };
}

/** Some of the digits, as a view. */
export function sliceDigits({ images, labels }: Digits, start: number, end: number): Digits {
  const pixels = images.data.subarray(start * SIDE * SIDE, end * SIDE * SIDE);
  return {
    images: cf.hostTensor(pixels, [end - start, SIDE, SIDE]),
    labels: cf.hostTensor(labels.data.subarray(start, end), [end - start]),
  };
}

/** The digits as a batch: the label is the target of every row, and the later a row, the more it counts. */
export function batchOf({ images, labels }: Digits) {
  const count = images.shape[0];
  const weights = Float32Array.from({ length: count * SIDE }, (_, i) => 5 * ((i % SIDE + 1) / SIDE) ** 4); // 1 on average
  const targets = Int32Array.from({ length: count * SIDE }, (_, i) => labels.data[Math.floor(i / SIDE)]);
  return {
    x: images,
    y: { probabilities: cf.hostTensor(targets, [count, SIDE]) },
    sampleWeight: { probabilities: cf.hostTensor(weights, [count, SIDE]) },
  };
}

/** A random order of digits, as batches; each picture a little different in each epoch. */
export function* variedBatches(
  digits: Digits,
  batchSize: number,
  key: cf.Tensor,
): Generator<ReturnType<typeof batchOf>> {
  const [orderKey, varyKey] = cf.splitKey(key, 2);
  const places = cf.host(cf.uniform(orderKey, [digits.labels.shape[0]])).data;
  const order = Int32Array.from(places.keys()).sort((a, b) => places[a] - places[b]);
  let index = 0;
  for (const { images, labels } of cf.batches({ ...digits }, { batchSize, order })) {
    yield batchOf({ images: vary(images, cf.foldIn(varyKey, index++)), labels });
  }
}
