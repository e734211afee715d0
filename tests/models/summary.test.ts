import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  batchNormalization,
  bidirectional,
  dense,
  embedding,
  gru,
  type Layer,
  lstm,
  simpleRnn,
} from "../../src/layers/mod.ts";
import { call, countParams, init, input, model, sequential, summary } from "../../src/models/mod.ts";
import { key } from "../../src/operations/random.ts";
import { type Spec, spec } from "../../src/tensor/tensor.ts";
import type { Tree } from "../../src/tree/tree.ts";

function encoderDecoder(): Layer {
  const source = input([null], { name: "encoderInput", dtype: "int32" });
  const target = input([null], { name: "decoderInput", dtype: "int32" });
  const encoded = call(embedding({ inputDim: 1000, outputDim: 64 }), source);
  const [, state] = call(lstm({ units: 64, returnState: true, name: "encoder" }), encoded);
  const decoded = call(embedding({ inputDim: 2000, outputDim: 64 }), target);
  const last = call(lstm({ units: 64, name: "decoder" }), decoded, { initialState: state });
  return model({ inputs: [source, target], outputs: call(dense({ units: 10 }), last) });
}

const tokens = spec([null, null], "int32");

/** The models of Keras's guide on recurrent networks, with the counts that Keras prints. */
const guide: Readonly<
  Record<string, readonly [layer: Layer, input: Tree<Spec>, total: number, nonTrainable: number]>
> = {
  "first model": [
    sequential([embedding({ inputDim: 1000, outputDim: 64 }), lstm({ units: 128 }), dense({ units: 10 })]),
    tokens,
    164_106,
    0,
  ],
  "outputs and states": [
    sequential([
      embedding({ inputDim: 1000, outputDim: 64 }),
      gru({ units: 256, returnSequences: true }),
      simpleRnn({ units: 128 }),
      dense({ units: 10 }),
    ]),
    tokens,
    361_866,
    0,
  ],
  "encoder-decoder": [encoderDecoder(), [tokens, tokens], 258_698, 0],
  "bidirectional stack": [
    sequential([
      bidirectional(lstm({ units: 64, returnSequences: true })),
      bidirectional(lstm({ units: 32 })),
      dense({ units: 10 }),
    ]),
    spec([null, 5, 10]),
    80_266,
    0,
  ],
  "digits": [
    sequential([lstm({ units: 64 }), batchNormalization(), dense({ units: 10 })]),
    spec([null, 28, 28]),
    24_714,
    128,
  ],
};

for (const [name, [layer, input, total, nonTrainable]] of Object.entries(guide)) {
  Deno.test(`the guide's model has Keras's number of parameters: ${name}`, () => {
    const count = { total, trainable: total - nonTrainable, nonTrainable };
    assertEquals(countParams(layer, init(layer, key(0), input)), count);
    const text = summary(layer, input);
    assertStringIncludes(text, `Total params: ${total.toLocaleString("en-US")}\n`);
    assertStringIncludes(text, `Non-trainable params: ${nonTrainable}`);
  });
}

Deno.test("a summary is a table", () => {
  const [layer, input] = guide.digits;
  assertEquals(
    summary(layer, input),
    [
      "Model: sequential",
      "Layer (type)                             Output shape  Params",
      "─────────────────────────────────────────────────────────────",
      "lstm (lstm)                              (batch, 64)   23,808",
      "batchNormalization (batchNormalization)  (batch, 64)      256",
      "dense (dense)                            (batch, 10)      650",
      "─────────────────────────────────────────────────────────────",
      "Total params: 24,714",
      "Trainable params: 24,586",
      "Non-trainable params: 128",
    ].join("\n"),
  );
});

Deno.test("the summary of a graph says what is connected to what, trees of outputs in their brackets", () => {
  const text = summary(encoderDecoder(), [tokens, tokens]);
  assertStringIncludes(text, "Connected to");
  assertStringIncludes(text, "[(batch, 64), [(batch, 64), (batch, 64)]]");
  assertStringIncludes(text, "embedding_1, encoder[1], encoder[2]");
  const x = input([3], { name: "x" });
  const shared = dense({ units: 3 });
  assertStringIncludes(
    summary(model({ inputs: x, outputs: call(shared, call(shared, x)) }), spec([null, 3])),
    "shared",
  );
});

Deno.test("a summary draws no weights and counts no carry", () => {
  const before = performance.now();
  const wide = sequential([lstm({ units: 4096, stateful: true })]);
  assertStringIncludes(summary(wide, spec([1, null, 8])), "Total params: 67,256,320");
  assert(performance.now() - before < 5000, "an orthogonal matrix of 4096 rows would take minutes");
  assertStringIncludes(summary(lstm({ units: 64 }), spec([null, 28, 28])), "lstm (lstm)");
});

Deno.test("frozen layers are not trainable in the counts", () => {
  const layer = sequential([dense({ units: 3, trainable: false }), dense({ units: 1 })]);
  assertEquals(countParams(layer, init(layer, key(0), spec([null, 2]))), {
    total: 13,
    trainable: 4,
    nonTrainable: 9,
  });
});
