/** Files of Keras 2, and whole-model HDF5 files of both, as Keras wrote them. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { fromKeras, KerasFileError, loadKerasWeights, toKeras } from "../../../formats/keras/mod.ts";
import { toOnnx } from "../../../formats/onnx/mod.ts";
import type { Layer } from "../../../src/layers/mod.ts";
import { dense, gru, lstm } from "../../../src/layers/mod.ts";
import { init, sequential } from "../../../src/models/mod.ts";
import { zeros } from "../../../src/operations/creation.ts";
import { key } from "../../../src/operations/random.ts";
import { spec } from "../../../src/tensor/tensor.ts";
import { evaluate, fit } from "../../../src/training/mod.ts";
import {
  assertNear,
  cases,
  errorOf,
  mayRead,
  oldFixture,
  oldFixtures,
  predictions,
  tensors,
} from "./support.ts";

const ignore = !mayRead;
const files = [
  "old_sequential.h5.gz",
  "old_sequential.keras",
  "old_graph.h5.gz",
  "old_graph.keras",
  "operations.h5.gz",
  "many.h5.gz",
  "cudnn.h5.gz",
  "keras3_sequential.h5.gz",
  "keras3_graph.h5.gz",
];

for (const file of files) {
  Deno.test({
    name: `an old file is read and predicts the same: ${file}`,
    ignore,
    fn: async () => {
      const [name] = file.split(".");
      const { inputs, outputs } = cases(oldFixtures)[name];
      const { model, variables } = await fromKeras(await oldFixture(file));
      assertNear(await predictions(model, variables, tensors(inputs)), tensors(outputs), 1e-6, name);
    },
  });
}

for (const name of ["old_sequential", "old_graph"]) {
  Deno.test({
    name: `weights of all old files are read into a model that is there: ${name}`,
    ignore,
    fn: async () => {
      const { model, variables, input } = await fromKeras(await oldFixture(`${name}.h5.gz`));
      const fresh = init(model, key(5), input);
      for (const end of ["h5.gz", "only.h5.gz", "keras", "weights.h5.gz"]) {
        assertEquals(
          await loadKerasWeights(model, fresh, await oldFixture(`${name}.${end}`)),
          variables,
          end,
        );
      }
    },
  });
}

Deno.test({
  name: "regularizers and constraints of Keras 2 are read",
  ignore,
  fn: async () => {
    const { notes, model } = await fromKeras(await oldFixture("old_sequential.h5.gz"));
    assertEquals(notes, []);
    assertEquals(settings(model, "kernelRegularizer"), [{ l2: Math.fround(0.01) }]);
    assertEquals(settings(model, "recurrentConstraint"), [{ name: "maxNorm", maxValue: 2, axis: 0 }]);
  },
});

/** All values of an option in a model. */
function settings(layer: Layer, option: string): unknown[] {
  const own = layer.options[option];
  return [
    ...(own === undefined ? [] : [own]),
    ...(layer.layers ?? []).flatMap((inner) => settings(inner, option)),
  ];
}

Deno.test({
  name: "the hard sigmoid is that of the Keras that wrote the file",
  ignore,
  fn: async () => {
    const old = await fromKeras(await oldFixture("old_sequential.h5.gz"));
    assertEquals(settings(old.model, "recurrentActivation")[0], "hardSigmoidKeras2");
    assert(settings(old.model, "activation").includes("hardSigmoidKeras2"));
    const present = await fromKeras(await oldFixture("keras3_sequential.h5.gz"));
    assert(settings(present.model, "activation").includes("hardSigmoid"));
    const words = ["hardSigmoidKeras2", "Keras 3 does not have", "toTfjs or toOnnx"];
    const error = await errorOf(toKeras(old.model, old.variables, { input: old.input }));
    for (const word of words) assertStringIncludes(error.message, word);
  },
});

Deno.test({
  name: "weights of Keras 2 are refused for a layer with the hard sigmoid of Keras 3",
  ignore,
  fn: async () => {
    const layer = sequential([lstm({ units: 3, recurrentActivation: "hardSigmoid", name: "lstm" })]);
    const variables = init(layer, key(0), spec([null, null, 4]));
    for (const end of ["h5.gz", "only.h5.gz", "keras"]) {
      const error = await errorOf(
        loadKerasWeights(layer, variables, await oldFixture(`old_sequential.${end}`)),
      );
      assert(error instanceof KerasFileError, String(error));
      assertStringIncludes(error.message, "make it with hardSigmoidKeras2");
      assertStringIncludes(error.message, "of Keras 2.21.0");
    }
  },
});

Deno.test("the hard sigmoid of Keras 2 is an operator in ONNX, with its slope", () => {
  const layer = gru({ units: 2, recurrentActivation: "hardSigmoidKeras2", resetAfter: true });
  const input = spec([null, null, 3]);
  const text = new TextDecoder("latin1").decode(toOnnx(layer, init(layer, key(0), input), { input }));
  assertStringIncludes(text, "HardSigmoid");
  const alpha = String.fromCharCode(...new Uint8Array(new Float32Array([0.2]).buffer));
  assertStringIncludes(
    text,
    new TextDecoder("latin1").decode(Uint8Array.from(alpha, (c) => c.charCodeAt(0))),
  );
});

Deno.test({
  name: "a model of Keras 2 that was read goes on training",
  ignore,
  fn: async () => {
    const read = await fromKeras(await oldFixture("old_sequential.h5.gz"));
    const x = tensors(cases(oldFixtures).old_sequential.inputs);
    const data = { x, y: zeros([3, 6, 3]) };
    const options = { loss: "mse", device: "reference" } as const;
    const { loss: before } = await evaluate(read.model, read.variables, data, options);
    const { variables } = await fit(read.model, read.variables, data, {
      ...options,
      optimizer: "adam",
      epochs: 5,
      report: "none",
    });
    const { loss: after } = await evaluate(read.model, variables, data, options);
    assert(after < before, `the loss goes from ${before} to ${after}`);
  },
});

Deno.test({
  name: "weights are placed by name where the names agree, else by order",
  ignore,
  fn: async () => {
    const bytes = await oldFixture("keras3_sequential.h5.gz");
    const { model, variables, input } = await fromKeras(bytes);
    const unnamed = sequential((model.layers ?? []).map((layer) => ({ ...layer, name: undefined })));
    assertEquals(await loadKerasWeights(unnamed, init(unnamed, key(1), input), bytes), variables);
    const longer = sequential([...model.layers ?? [], dense({ units: 2 })]);
    const error = await errorOf(loadKerasWeights(longer, init(longer, key(1), input), bytes));
    assertStringIncludes(error.message, "it has no weights for the layer dense");
    assertStringIncludes(error.message, "whole-model HDF5 of Keras 3.15.1");
  },
});
