import { assert, assertEquals } from "@std/assert";
import { activation } from "../../src/layers/activation.ts";
import { batchNormalization } from "../../src/layers/batch_normalization.ts";
import { dense, type DenseOptions } from "../../src/layers/dense.ts";
import { embedding, type EmbeddingOptions } from "../../src/layers/embedding.ts";
import { layerNormalization } from "../../src/layers/layer_normalization.ts";
import type { Layer } from "../../src/layers/layer.ts";
import { masking } from "../../src/layers/masking.ts";
import type { ActivationName } from "../../src/operations/activations.ts";
import { mul } from "../../src/operations/elementwise.ts";
import { sum } from "../../src/operations/structure.ts";
import { host, type HostTensor, isTensor, type Tensor } from "../../src/tensor/tensor.ts";
import { valueAndGrad } from "../../src/transforms/grad.ts";
import {
  assertClose,
  camelCase,
  mayReadCases,
  type OracleCase,
  oracleCases,
  type OracleTensors,
  tensorOf,
} from "../support/oracle.ts";

interface GradientCase extends OracleCase {
  readonly cotangents: OracleTensors;
  readonly grads: OracleTensors;
}

/** Keras's options in our words: names, and the names of activations. */
function optionsOf(config: OracleCase["config"]): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).map(([name, value]) => [
      camelCase(name),
      name === "activation" ? camelCase(String(value)) : value,
    ]),
  );
}

const layers: Readonly<Record<string, (options: Record<string, unknown>) => Layer>> = {
  Embedding: (options) => embedding(options as unknown as EmbeddingOptions), // a factory checks its options
  Dense: (options) => dense(options as unknown as DenseOptions),
  BatchNormalization: (options) => batchNormalization(options),
  LayerNormalization: (options) => layerNormalization(options),
  Masking: (options) => masking(options),
  activation: ({ activation: name }) => activation(name as ActivationName),
};

const isState = (name: string) => name.startsWith("moving");

function tensorsOf(tensors: OracleTensors, kept: (name: string) => boolean): Record<string, HostTensor> {
  const entries = Object.entries(tensors).map(([name, value]) => [camelCase(name), tensorOf(value)] as const);
  return Object.fromEntries(entries.filter(([name]) => kept(name)));
}

/** Applies the layer of a case, compares what it puts out, then the gradients. */
function checkCase(test: GradientCase): void {
  const layer = layers[test.layer](optionsOf(test.config));
  const params = tensorsOf(test.weights, (name) => !isState(name));
  const state = tensorsOf(test.weights, isState);
  const x = tensorOf(test.inputs.x);
  const mask = test.inputs.mask && tensorOf(test.inputs.mask);
  const context = { training: test.name.startsWith("bn_train"), mask };
  const forward = layer.apply({ params, state }, x, context);
  const given: Record<string, unknown> = { output: forward.output, mask: forward.mask };
  for (const [name, value] of Object.entries(forward.state)) given[`${name}After`] = value;
  for (const [name, expected] of Object.entries(test.outputs)) {
    const actual = given[camelCase(name)];
    assert(isTensor(actual), `${test.name}: there is no ${name}`);
    assertClose(host(actual), expected, 1e-5, `${test.name}: ${name}`);
  }
  if (Object.keys(test.grads).length === 0) return;
  const cotangent = tensorOf(test.cotangents.output);
  const loss = (leaves: Readonly<Record<string, Tensor>>, whole: Readonly<Record<string, Tensor>>) => {
    const { x, ...params } = { ...leaves, ...whole };
    const { output } = layer.apply({ params, state }, x, context);
    return sum(mul(output as Tensor, cotangent)); // these layers put out one tensor
  };
  const isFloat = x.dtype === "float32";
  const [, gradients] = valueAndGrad(loss)(isFloat ? { ...params, x } : params, isFloat ? {} : { x });
  for (const [name, expected] of Object.entries(test.grads)) {
    assertClose(host(gradients[camelCase(name)]), expected, 1e-4, `${test.name}: gradient of ${name}`);
  }
}

Deno.test({
  name: "layers without recurrence agree with Keras: values, masks, statistics and gradients",
  ignore: !mayReadCases,
  async fn() {
    const cases = (await oracleCases("losses_layers")) as GradientCase[]; // every case of a layer has them
    const known = cases.filter(({ layer }) => layer in layers);
    assertEquals(known.filter(({ layer }) => layer !== "activation").length, 13);
    known.forEach(checkCase);
  },
});
