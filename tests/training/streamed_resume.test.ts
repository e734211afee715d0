/** Runs over iterables that are interrupted anywhere and resumed: bit for bit as without the interruption. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  batches,
  type Callback,
  type Data,
  type DataSource,
  dense,
  dropout,
  fit,
  type FitOptions,
  gru,
  type HostTensor,
  init,
  key,
  normal,
  sequential,
  spec,
  zeros,
} from "@cellfold/cellfold";
import { valuesOf } from "./models.ts";

const model = sequential([gru({ units: 3 }), dropout({ rate: 0.4 }), dense({ units: 1 })]);
const variables = init(model, key(0), spec([null, null, 2]));
const made = (seed: number): Data => ({
  x: normal(key(seed), [2, 3 + seed % 2, 2]) as HostTensor,
  y: zeros([2, 1]),
});
const options = { loss: "mse", optimizer: "adam", report: "none", epochs: 3 } satisfies FitOptions;

const sources: Readonly<Record<string, { source: () => DataSource<Data>; more?: Partial<FitOptions> }>> = {
  "an array": { source: () => [1, 2, 3, 4].map(made) },
  "a function": {
    source: () =>
      async function* (epoch) {
        for (let seed = 0; seed < 4; seed++) yield await Promise.resolve(made(10 * epoch + seed));
      },
  },
  "an endless generator": {
    source: () =>
      (function* () {
        for (let seed = 0;; seed++) yield made(seed);
      })(),
    more: { stepsPerEpoch: 4 },
  },
  "single samples": {
    source: () => () => {
      const data = { x: normal(key(1), [7, 3, 2]), y: zeros([7, 1]) };
      return [...batches(data, { batchSize: 1 })].map(({ x, y }) => ({
        x: { ...x as HostTensor, shape: [3, 2] },
        y: { ...y, shape: [1] },
      }));
    },
    more: { items: "samples", batchSize: 2 },
  },
};

for (const [name, { source, more }] of Object.entries(sources)) {
  Deno.test(`a run over ${name} is resumed bit for bit from everywhere`, async () => {
    const saved: Uint8Array[] = [];
    const saving: Callback = {
      async onSave({ save }) {
        saved.push(await save());
      },
    };
    const whole = await fit(model, variables, source(), { ...options, ...more, callbacks: [saving] });
    for (const resume of saved) {
      const again = await fit(model, variables, source(), { ...options, ...more, resume });
      assertEquals(valuesOf(again.variables.params), valuesOf(whole.variables.params));
      assertEquals(again.history, whole.history);
    }
    assert(saved.length >= 12, `${saved.length} places`);
  });
}

Deno.test("a run that reads its data in another way is not resumed", async () => {
  const saved: Uint8Array[] = [];
  const saving: Callback = {
    async onSave({ save }) {
      saved.push(await save());
    },
  };
  const source = () => [1, 2, 3, 4].map(made);
  await fit(model, variables, source(), { ...options, callbacks: [saving] });
  const resume = saved[2];
  await assertRejects(
    () => fit(model, variables, source(), { ...options, stepsPerEpoch: 2, resume }),
    RangeError,
    "stepsPerEpoch",
  );
  await assertRejects(
    () => fit(model, variables, made(2), { ...options, resume }),
    RangeError,
    "samples",
  );
  await assertRejects(
    () => fit(model, variables, source(), { ...options, classWeight: { 0: 2 }, resume }),
    RangeError,
    "classWeight",
  );
});
