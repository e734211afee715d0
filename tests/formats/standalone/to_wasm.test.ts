/** Models as WebAssembly files give what the device gives, to the bit, for any sizes and step by step. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import * as cf from "@cellfold/cellfold";
import { type HostTensor, type Spec, streaming, toHost, type Tree, treeLeaves } from "@cellfold/cellfold";
import { toWasm } from "@cellfold/cellfold/standalone";
import { maskedModels, maskOf, predictionOf } from "./masked_models.ts";
import { models } from "./models.ts";
import {
  arraysOf,
  assertSame,
  DEVICE,
  inputOf,
  type LoadedStream,
  moduleOf,
  stepOf,
  variablesOf,
} from "./support.ts";

/** Bytes that a loader may have. */
const MOST_OF_LOADER = 3000;

type Predict = (input: unknown, mask?: unknown) => unknown;

for (const [name, exported] of Object.entries({ ...models, ...maskedModels })) {
  const { model, input, mask, sizes } = exported;

  Deno.test(`toWasm: ${name}, whole sequences of any length`, async () => {
    const variables = variablesOf(exported);
    const { wasm, loader } = toWasm(model, variables, { input, mask });
    assert(loader.length <= MOST_OF_LOADER, `${loader.length} bytes`);
    const { load } = await moduleOf<Predict>(loader);
    const predictAlone = await load(wasm);
    for (const [seed, some] of [...sizes, ...sizes].entries()) {
      const x = inputOf(exported, some, seed), mask = maskOf(exported, some, seed);
      const expected = await predictionOf(exported, variables, x, mask);
      assertSame(predictAlone(x, mask), expected, JSON.stringify(some));
    }
  });

  Deno.test(`toWasm: ${name}, step by step`, async () => {
    const variables = variablesOf(exported);
    const options = { input, stream: true } as const;
    if (exported.refused !== undefined) {
      const error = assertThrows(() => toWasm(model, variables, options), TypeError);
      assertStringIncludes(error.message, exported.refused);
      return;
    }
    const { wasm, loader } = toWasm(model, variables, options);
    assert(loader.length <= MOST_OF_LOADER, `${loader.length} bytes`);
    const { load } = await moduleOf<LoadedStream>(loader);
    const stream = await load(wasm);
    const [{ shape: [first] }] = treeLeaves<Spec>(input);
    const batch = typeof first === "number" ? first : 1;
    using expected = streaming(model, variables, { device: DEVICE, batch });
    const step = (seed: number) => stepOf(exported, seed);
    const other = await stream.createStream();
    const follow = async (seeds: readonly number[], of: LoadedStream) => {
      for (const seed of seeds) {
        const output = await toHost(await expected.step(step(seed)));
        assertEquals(of.step(arraysOf(step(seed))), arraysOf(output as Tree<HostTensor>), `step ${seed}`);
      }
    };
    await follow([1, 2, 3], stream);
    expected.reset();
    await follow([4, 2, 5], other); // which has a state of its own
    stream.reset();
    expected.reset();
    await follow([6, 1], stream);
  });
}

Deno.test("toWasm: a sequence of one step is that of predict to the bit if its length is fixed, else but for rounding", async () => {
  const x = cf.input([null, 3]);
  const [, state] = cf.call(cf.layerNormLstm({ units: 4, returnState: true }), x);
  const output = cf.call(cf.layerNormLstm({ units: 4, useBias: false }), x, { initialState: state });
  const model = cf.model({ inputs: x, outputs: output });
  for (let seed = 0; seed < 8; seed++) {
    const variables = cf.init(model, cf.key(seed), cf.spec([null, null, 3]));
    const given = cf.host(cf.normal(cf.key(100 + seed), [4, 1, 3]));
    const expected = await cf.predict(model, variables, given, { device: DEVICE }) as HostTensor;
    for (const steps of [1, "steps"]) {
      const { wasm, loader } = toWasm(model, variables, { input: cf.spec([null, steps, 3]) });
      const { load } = await moduleOf<(x: HostTensor) => HostTensor>(loader);
      const got = (await load(wasm))(given);
      if (steps === 1) assertSame(got, expected, `seed ${seed}`);
      // Two sums of a dozen terms of at most 1, and what functions make of them.
      got.data.forEach((value, index) => assert(Math.abs(value - expected.data[index]) <= 2 ** -19));
    }
  }
});
