/** The model and data of the tests of data in parts. */
import { assertEquals } from "@std/assert";
import {
  adam,
  type Data,
  dense,
  dropout,
  type FitOptions,
  gru,
  type HostTensor,
  init,
  key,
  normal,
  sequential,
  spec,
  tensor,
  type Variables,
} from "@cellfold/cellfold";
import { valuesOf } from "./models.ts";

export const features = 3;
export const model = sequential([
  gru({ units: 4 }),
  dropout({ rate: 0.3 }),
  dense({ units: 2, activation: "softmax" }),
]);
export const variables = init(model, key(0), spec([null, null, features]));
export const classes = (count: number, shift = 0) =>
  tensor(Array.from({ length: count }, (_, i) => (i * 7 + shift) % 3 % 2), { dtype: "int32" });
export const data = { x: normal(key(1), [22, 5, features]) as HostTensor, y: classes(22) };
export const options = {
  loss: "sparseCategoricalCrossentropy",
  metrics: ["accuracy"],
  optimizer: adam({ learningRate: 0.01 }),
  report: "none",
} satisfies FitOptions;

/** A batch of random sequences. */
export function made(samples: number, steps: number, seed: number): Data & { x: HostTensor; y: HostTensor } {
  return { x: normal(key(seed), [samples, steps, features]) as HostTensor, y: classes(samples, seed) };
}

/** An async iterable that counts what is asked of it. */
export function watched<T>(items: Iterable<T>, wait = () => Promise.resolve()) {
  const seen = { asked: 0, opened: 0, closed: 0 };
  const source = {
    async *[Symbol.asyncIterator]() {
      seen.opened++;
      try {
        for (const item of items) {
          seen.asked++;
          await wait();
          yield item;
        }
      } finally {
        seen.closed++;
      }
    },
  };
  return { seen, source };
}

export function same(a: Variables, b: Variables): void {
  assertEquals(valuesOf(a.params), valuesOf(b.params));
}
