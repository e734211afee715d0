/**
 * What does not count in value does not count in the derivative: gradients with NaN, infinities and numbers that
 * overflow at masked steps are those with ordinary numbers there, and those of the sequence without these steps.
 */
import {
  activation,
  add,
  apply,
  batchNormalization,
  bidirectional,
  call,
  convLstm1d,
  dense,
  dropout,
  grad,
  gru,
  host,
  input,
  key,
  type Layer,
  layerNormalization,
  layerNormLstm,
  lstm,
  lstmCell,
  merge,
  model,
  mul,
  type Program,
  reshape,
  rnn,
  select,
  sequential,
  simpleRnn,
  simpleRnnCell,
  spec,
  square,
  stackedCells,
  sum,
  tanh,
  type Tensor,
  tensor,
  timeDistributed,
  type Tree,
  treeLeaves,
  type Variables,
} from "@cellfold/cellfold";
import { flattenTree, sliceAxis, unflattenTree } from "@cellfold/cellfold/internal";
import { assert, assertEquals } from "@std/assert";
import { traceFlat } from "../../src/program/trace.ts";
import type { Attributes } from "../../src/program/types.ts";
import { runPasses } from "../../src/passes/mod.ts";
import { assertClose, assertGradient, doubled, random, variablesOf } from "./helpers.ts";

const [BATCH, TIME, FEATURES] = [3, 5, 2];

/** A row of whole length, one with a hole and padding, one that does not count at all. */
const COUNTED = [[1, 1, 1, 1, 1], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0]];
const mask = tensor(COUNTED.map((row) => row.map((step) => step === 1)));

const sequences: Readonly<Record<string, Layer>> = {
  lstm: lstm({ units: 3, returnSequences: true }),
  gru: gru({ units: 3, returnSequences: true }),
  "gru that resets before": gru({ units: 3, resetAfter: false, returnSequences: true }),
  simpleRnn: simpleRnn({ units: 3, returnSequences: true }),
  "simpleRnn of relu": simpleRnn({ units: 3, activation: "relu", returnSequences: true }),
  layerNormLstm: layerNormLstm({ units: 3, returnSequences: true }),
  "zeros where masked": gru({ units: 3, returnSequences: true, zeroOutputForMask: true }),
  segments: lstm({ units: 3, returnSequences: true, checkpointEvery: 2 }),
  backwards: lstm({ units: 3, returnSequences: true, goBackwards: true }),
  "the last output": lstm({ units: 3 }),
  "the last output, backwards": gru({ units: 3, goBackwards: true }),
  "stacked cells": rnn(stackedCells([lstmCell({ units: 3 }), simpleRnnCell({ units: 2 })]), {
    returnSequences: true,
  }),
  "both directions": bidirectional(lstm({ units: 3, returnSequences: true })),
  "both directions, a product": bidirectional(gru({ units: 3, returnSequences: true }), { mergeMode: "mul" }),
  "both directions, the last outputs": bidirectional(gru({ units: 3 })),
  "layers on layers": sequential([
    gru({ units: 3, returnSequences: true, goBackwards: true }),
    bidirectional(lstm({ units: 2, returnSequences: true })),
    simpleRnn({ units: 2, goBackwards: true }),
  ]),
  dense: dense({ units: 3, activation: "tanh" }),
  "dense with softmax": dense({ units: 3, activation: "softmax" }),
  layerNormalization: layerNormalization(),
  batchNormalization: batchNormalization(),
  activation: sequential([dense({ units: 2 }), activation("sigmoid")]),
  dropout: sequential([dropout({ rate: 0.5 }), dense({ units: 2 })]),
  "dense before a layer that skips": sequential([
    dense({ units: 3, activation: "relu" }),
    layerNormalization(),
    batchNormalization(),
    lstm({ units: 2 }),
  ]),
  "every step by itself": sequential([timeDistributed(dense({ units: 3 })), gru({ units: 2 })]),
  "every step normalized by itself": timeDistributed(sequential([batchNormalization(), dense({ units: 2 })])),
};

function residual(): Layer {
  const x = input([null, FEATURES]);
  const h = call(dense({ units: FEATURES }), x);
  const both = apply((a: Tensor, b: Tensor) => add(mul(a, 0.5), tanh(b)), x, h);
  const wide = call(merge({ method: "concatenate" }), [both, call(merge({ method: "multiply" }), [x, h])]);
  return model({ inputs: x, outputs: call(gru({ units: 2, returnSequences: true }), wide) });
}

/** `values` where it counts, and `other` elsewhere. */
function withOther(values: Tensor, other: number): Tensor {
  const steps = reshape(mask, [BATCH, TIME, ...values.shape.slice(2).map(() => 1)]);
  return select(steps, values, other);
}

/** A loss of what counts. */
function lossOf(layer: Layer, state: Tree<Tensor>) {
  return ({ params, x }: Point): Tensor => {
    const applied = layer.apply({ params, state }, x, { training: true, mask, key: key(4) });
    const [y] = treeLeaves<Tensor>(applied.output);
    const [counted] = treeLeaves<Tensor>(applied.mask as Tensor ?? []);
    const shown = counted && counted.shape.length > 1
      ? select(reshape(counted, [...counted.shape, ...y.shape.slice(2).map(() => 1)]), y, 0)
      : y;
    return sum(square(shown));
  };
}

interface Point {
  readonly params: Tree<Tensor>;
  readonly x: Tensor;
}

function gradients(layer: Layer, { params, state }: Variables, x: Tensor) {
  return grad(lossOf(layer, state))({ params, x });
}

const graphs: Readonly<Record<string, Layer>> = { "a graph with a residual connection": residual() };

for (const [name, layer] of Object.entries({ ...sequences, ...graphs })) {
  Deno.test(`gradients do not see what is masked: ${name}`, () => {
    const x = random(1, [BATCH, TIME, FEATURES]);
    const variables = variablesOf(layer, x);
    const expected = gradients(layer, variables, withOther(x, 0));
    for (const other of [NaN, Infinity, -Infinity, 1e38, -3e38]) {
      const found = gradients(layer, variables, withOther(x, other));
      assertClose(found.params, expected.params);
      assertClose(found.x, expected.x);
    }
    const twice = { params: doubled(variables.params), state: doubled(variables.state) };
    if (name in graphs) return; // the inputs of a graph have a dtype
    assertGradient((tree) => {
      const { params, x } = tree as unknown as Point;
      return lossOf(layer, twice.state)({ params, x: withOther(x, NaN) });
    }, { params: twice.params, x });
  });
}

Deno.test("gradients of a ConvLSTM do not see masked images", () => {
  const layer = convLstm1d({ filters: 2, kernelSize: 3, padding: "same", returnSequences: true });
  const x = random(2, [BATCH, TIME, 4, 1]);
  const variables = variablesOf(layer, x);
  const expected = gradients(layer, variables, withOther(x, 0));
  for (const other of [NaN, -Infinity, 1e38]) {
    const found = gradients(layer, variables, withOther(x, other));
    assertClose(found.params, expected.params);
    assertClose(found.x, expected.x);
  }
});

Deno.test("gradients do not see what one more step would make of the state at the end", () => {
  // States that float32 has no exponential function of, once they have been multiplied by the recurrent kernel.
  const ones = { kernelInitializer: "ones", recurrentInitializer: "ones", biasInitializer: "zeros" } as const;
  const options = { ...ones, units: 1, activation: "exponential" } as const;
  const layers: readonly (readonly [Layer, number])[] = [
    [simpleRnn(options), 40],
    [simpleRnn({ ...options, checkpointEvery: 2 }), 40],
    [lstm({ ...options, unitForgetBias: false }), 1],
    [simpleRnn({ ...options, returnSequences: true }), 60],
  ];
  for (const [layer, gain] of layers.slice(2).slice(1)) {
    const x = tensor([[[1.5], [0], [0]]]);
    const counts = tensor([[true, false, false]]);
    const made = layer.initParams(key(0), x) as Readonly<Record<string, Tensor>>;
    const params = { ...made, recurrentKernel: mul(made.recurrentKernel, gain) };
    const of = (steps: number) =>
      grad(({ params, x }: Point) => {
        const [whole, mask] = [sliceAxis(x, 1, 0, steps), sliceAxis(counts, 1, 0, steps)];
        const { output } = layer.apply({ params, state: [] }, whole, { training: true, mask });
        return sum(layer.options.returnSequences ? sliceAxis(output as Tensor, 1, 0, 1) : output as Tensor);
      })({ params, x });
    const [expected, found] = [of(1), of(3)];
    assertClose(found.params, expected.params);
    assertClose(found.x, expected.x);
    for (const leaf of treeLeaves<Tensor>(found.params)) assert(host(leaf).data.every(Number.isFinite));
  }
});

/** The shapes of products in a Program and in the bodies of its scans. */
function productsOf({ equations }: Program): unknown[] {
  return equations.flatMap(({ operation: { name }, attributes, outputs }): unknown[] => {
    if (name === "matmul") return [outputs[0].shape.join()];
    return name === "scan" ? [productsOf((attributes as Attributes["scan"]).body)] : [];
  });
}

Deno.test("a mask leaves the products of inputs and of gradients outside the loop", () => {
  for (const layer of [lstm({ units: 4 }), gru({ units: 4 }), simpleRnn({ units: 4 })]) {
    const x = spec([8, 6, 3]);
    const { leaves, structure } = flattenTree<Tensor>(layer.initParams(key(0), x));
    const products = [false, true].map((isMasked) => {
      const { program } = traceFlat([...leaves, x, spec([8, 6], "bool")], (given) => {
        const [x, mask] = given.slice(leaves.length);
        const gradient = grad((params: Tree<Tensor>) => {
          const context = { training: true, mask: isMasked ? mask : undefined };
          return sum(square(layer.apply({ params, state: [] }, x, context).output));
        })(unflattenTree<Tree<Tensor>>(structure, given.slice(0, leaves.length)));
        return { outputs: treeLeaves<Tensor>(gradient), result: undefined };
      });
      return productsOf(runPasses(program));
    });
    assertEquals(products[1], products[0], layer.type);
  }
});
