import {
  batchNormalization,
  bidirectional,
  convLstm1d,
  dense,
  embedding,
  gru,
  key,
  type Layer,
  layerNormLstm,
  lstm,
  lstmCell,
  resetStates,
  reshape,
  rnn,
  simpleRnn,
  spec,
  stackedCells,
  type Tensor,
  tensor,
  timeDistributed,
  zeros,
} from "@cellfold/cellfold";
import { type Json, layerJson, type LayerReviver } from "@cellfold/cellfold/internal";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { cellTypes, layerTypes } from "../../src/models/saved_types.ts";
import { assertClose, random, run, shapesOf, variablesOf } from "./helpers.ts";

const x = random(1, [2, 5, 3]);

Deno.test("the layer inside is applied to every step", () => {
  const inner = dense({ units: 4, activation: "tanh" });
  const layer = timeDistributed(inner);
  const variables = variablesOf(layer, x);
  const rows = run(inner, variables, reshape(x, [10, 3]));
  assertClose(run(layer, variables, x), reshape(rows as Tensor, [2, 5, 4]));
});

Deno.test("sequences of sequences: each step is a sequence for the layer inside", () => {
  const inner = lstm({ units: 4 });
  const layer = timeDistributed(inner);
  const sequences = random(2, [2, 3, 6, 5]);
  const variables = variablesOf(layer, sequences);
  const mask = tensor(new Uint8Array(36).fill(1, 0, 30), { shape: [2, 3, 6], dtype: "bool" });
  const rows = run(inner, variables, reshape(sequences, [6, 6, 5]), { mask: reshape(mask, [6, 6]) });
  assertClose(run(layer, variables, sequences, { mask }), reshape(rows as Tensor, [2, 3, 4]));
});

Deno.test("frozen, it freezes the layer inside: statistics stay as they are", () => {
  const inner = batchNormalization();
  const variables = variablesOf(timeDistributed(inner), x);
  const frozen = timeDistributed(inner, { trainable: false }).apply(variables, x, { training: true });
  assertClose(frozen.state, variables.state);
  assertClose(frozen.output, run(timeDistributed(inner), variables, x));
  const around = timeDistributed(inner).apply(variables, x, { training: true, frozen: true });
  assertClose(around.state, variables.state);
});

Deno.test("state and mask go through it", () => {
  const layer = timeDistributed(batchNormalization());
  const variables = variablesOf(layer, x);
  const mask = tensor(new Uint8Array(10).fill(1), { shape: [2, 5], dtype: "bool" });
  const applied = layer.apply(variables, x, { training: true, mask });
  assert(applied.mask === mask);
  assertEquals(shapesOf(applied.state), shapesOf(variables.state));
  assertClose(resetStates(layer, { params: variables.params, state: applied.state }, x), applied.state);
});

Deno.test("an input without an axis after time is refused", () => {
  const layer = timeDistributed(dense({ units: 4 }));
  assertThrows(
    () => layer.initParams(key(0), spec([null, 3])),
    TypeError,
    "Cannot use timeDistributed with an input of shape [batch, 3]: expected [batch, time, ...]",
  );
  const tokens = timeDistributed(embedding({ inputDim: 3, outputDim: 2 }));
  assertThrows(
    () => tokens.checkInput?.(tensor([[[0, 1], [2, 7]]], { dtype: "int32" })),
    RangeError,
    "7",
  );
});

Deno.test("layers come back from JSON with the same options, params and outputs", () => {
  type Saved = { type: string; name?: string; options: { readonly [key: string]: Json } };
  const revive: Parameters<LayerReviver>[1] = {
    cell: (json) => {
      const { type, options } = json as Saved; // as cellJson wrote it
      return cellTypes[type](options, revive);
    },
    layer: (json) => {
      const { type, options, ...common } = json as Saved; // as layerJson wrote it
      return layerTypes()[type]({ ...options, ...common }, revive);
    },
  };
  const backwardLayer = simpleRnn({ units: 2, goBackwards: true, activation: "relu" });
  const layers: readonly Layer[] = [
    lstm({ units: 4, returnSequences: true, unitForgetBias: false, name: "first", trainable: false }),
    gru({ units: 4, resetAfter: false, goBackwards: true }),
    simpleRnn({ units: 4, kernelInitializer: { name: "constant", value: 0.25 }, unroll: true }),
    layerNormLstm({ units: 4, epsilon: 0.01 }),
    rnn(stackedCells([lstmCell({ units: 4 }), lstmCell({ units: 2, dropout: 0.5 })]), { name: "stack" }),
    bidirectional(lstm({ units: 4 }), { mergeMode: "sum" }),
    bidirectional(simpleRnn({ units: 4 }), { backwardLayer, mergeMode: null, name: "both" }),
    timeDistributed(dense({ units: 4 })),
  ];
  for (const layer of layers) {
    const json = JSON.parse(JSON.stringify(layerJson(layer)));
    const again = revive.layer(json);
    assertEquals(JSON.parse(JSON.stringify(layerJson(again))), json);
    const variables = variablesOf(layer, x);
    assertClose(run(again, variables, x), run(layer, variables, x));
  }
  const conv = convLstm1d({ filters: 2, kernelSize: 3, padding: "same" });
  const images = zeros([1, 2, 4, 1]);
  const again = revive.layer(JSON.parse(JSON.stringify(layerJson(conv))));
  assertEquals(shapesOf(run(again, variablesOf(conv, images), images)), ["1,4,2"]);
});
