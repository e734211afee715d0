/** Regularizers of layers: what they add to the loss, and which layers have them and constraints. */
import * as cf from "@cellfold/cellfold";
import type { Layer, Tensor } from "@cellfold/cellfold";
import { assert, assertEquals } from "@std/assert";
import { trace } from "../../src/program/functions.ts";
import { printProgram } from "../../src/program/print.ts";
import { prune } from "../../src/passes/prune.ts";
import { assertSlopes } from "../training/slopes.ts";
import { factories, inputOf } from "./factories.ts";
import { parts, random, variablesOf } from "./helpers.ts";
import { near, valuesOf } from "./weight_rules.ts";

const training = { training: false };

/** The sum of squares times a factor. */
function squares(x: Tensor, factor: number): number {
  return valuesOf(x).reduce((sum, value) => sum + factor * value * value, 0);
}

/** The penalty of one weight, by a dense layer that has it as its kernel. */
function penaltyOfKernel(kernel: Tensor, kernelRegularizer: cf.Regularizer | object | string): Tensor {
  const layer = cf.dense({
    units: 1,
    useBias: false,
    kernelRegularizer: kernelRegularizer as cf.Regularizer,
  });
  return cf.penaltyOf(layer, { kernel });
}

Deno.test("a regularizer is a name, factors, or a function", () => {
  const kernel = cf.tensor([[1, -2], [3, -4]]);
  const of = (regularizer: cf.Regularizer | object | string) => cf.item(penaltyOfKernel(kernel, regularizer));
  near(of("l1"), 0.1);
  near(of("l2"), 0.3);
  near(of({ l1: 2 }), 20);
  near(of({ l1: 1, l2: 0.5 }), 25);
  assertEquals(of({ l1: 0, l2: 0 }), 0);
  assertEquals(of((x: Tensor) => cf.max(x)), 3);
  const cosine = Math.abs(1 * 3 + 2 * 4) / Math.sqrt(5 * 25);
  near(of("orthogonal"), 0.01 * cosine);
  near(of({ name: "orthogonal", factor: 1, mode: "columns" }), 14 / Math.sqrt(10 * 20));
  assertEquals(cf.item(penaltyOfKernel(cf.tensor([[1, 2]]), { name: "orthogonal" })), 0);
});

Deno.test("penalties have their slopes as derivatives, in float64", () => {
  const kernel = random(1, [4, 3]);
  const columns = { name: "orthogonal", factor: 2, mode: "columns" };
  for (const regularizer of [{ l1: 0.3, l2: 0.7 }, { name: "orthogonal", factor: 2 }, columns]) {
    assertSlopes((x) => penaltyOfKernel(x, regularizer), kernel, JSON.stringify(regularizer));
  }
  const activity = cf.dense({
    units: 2,
    activation: "tanh",
    useBias: false,
    activityRegularizer: { l1: 1, l2: 2 },
  });
  const loss = (kernel: Tensor) => {
    const x = cf.cast(random(2, [3, 4]), "float64");
    return cf.penaltyOf(activity, { kernel }, activity.apply({ params: { kernel }, state: [] }, x, training));
  };
  assertSlopes(loss, random(3, [4, 2]), "activity");
});

Deno.test("a row of zeros is orthogonal to all others, with a finite derivative", () => {
  const kernel = cf.tensor([[0, 0], [1, 2]]);
  const [penalty, gradient] = cf.valueAndGrad((x: Tensor) => penaltyOfKernel(x, "orthogonal"))(kernel);
  assertEquals(cf.item(penalty), 0);
  assert(cf.host(gradient).data.every(Number.isFinite));
});

const l2 = { l2: 0.5 };
/** Layers with a regularizer and a constraint for each of their weights, and an input. */
const weighted: readonly (readonly [Layer, readonly number[], (readonly string[])?])[] = [
  ...[cf.dense, cf.simpleRnn, cf.gru, cf.lstm, cf.layerNormLstm].map((make) =>
    [
      make({
        units: 2,
        kernelRegularizer: l2,
        biasRegularizer: l2,
        kernelConstraint: "nonNeg",
        biasConstraint: "nonNeg",
        ...(make === cf.dense ? {} : { recurrentRegularizer: l2, recurrentConstraint: "nonNeg" }),
      }),
      [2, 3, 4],
      ["kernel", "bias", "recurrentKernel"],
    ] as const
  ),
  [
    cf.convLstm1d({
      filters: 2,
      kernelSize: 2,
      kernelRegularizer: l2,
      recurrentRegularizer: l2,
      biasRegularizer: l2,
      kernelConstraint: "nonNeg",
      recurrentConstraint: "nonNeg",
      biasConstraint: "nonNeg",
    }),
    [2, 3, 4, 1],
  ],
  ...[cf.batchNormalization, cf.layerNormalization].map((make) =>
    [
      make({
        gammaRegularizer: l2,
        betaRegularizer: l2,
        gammaConstraint: "nonNeg",
        betaConstraint: "nonNeg",
      }),
      [2, 3, 4],
    ] as const
  ),
  [cf.prelu({ alphaRegularizer: l2, alphaConstraint: "nonNeg" }), [2, 3, 4]],
  ...[cf.conv1d, cf.conv1dTranspose].map((make) =>
    [
      make({
        filters: 2,
        kernelSize: 2,
        kernelRegularizer: l2,
        biasRegularizer: l2,
        kernelConstraint: "nonNeg",
        biasConstraint: "nonNeg",
      }),
      [2, 3, 4],
    ] as const
  ),
  [
    cf.separableConv1d({
      filters: 2,
      kernelSize: 2,
      depthwiseRegularizer: l2,
      pointwiseRegularizer: l2,
      biasRegularizer: l2,
      depthwiseConstraint: "nonNeg",
      pointwiseConstraint: "nonNeg",
      biasConstraint: "nonNeg",
    }),
    [2, 3, 4],
  ],
  [
    cf.depthwiseConv1d({
      kernelSize: 2,
      depthwiseRegularizer: l2,
      biasRegularizer: l2,
      depthwiseConstraint: "nonNeg",
      biasConstraint: "nonNeg",
    }),
    [2, 3, 4],
  ],
];

Deno.test("every weight that has options in Keras has its own regularizer and constraint", () => {
  for (const [layer, shape, names] of weighted) {
    const params = cf.mapTree(
      variablesOf(layer, random(1, shape)).params,
      (leaf: Tensor) => cf.sub(random(2, cf.host(leaf).shape), 0.2),
    ) as Record<string, Tensor>;
    const of = Object.entries(params).filter(([name]) => names?.includes(name) ?? true);
    near(
      cf.item(cf.penaltyOf(layer, params)),
      of.reduce((sum, [, x]) => sum + squares(x, 0.5), 0),
      layer.type,
    );
    const after = cf.constrained(layer, params);
    for (const [name, leaf] of Object.entries(after)) {
      const before = cf.host(params[name]).data;
      const acts = of.some(([other]) => other === name);
      assertEquals([...cf.host(leaf).data], [...before.map((x: number) => acts ? Math.max(x, 0) : x)], name);
    }
    const again = cf.fromJson(JSON.parse(JSON.stringify(cf.toJson(layer))));
    assertEquals(again.options, layer.options);
    assertEquals(cf.item(cf.penaltyOf(again, params)), cf.item(cf.penaltyOf(layer, params)));
  }
});

Deno.test("embeddings have a regularizer and a constraint", () => {
  const layer = cf.embedding({
    inputDim: 2,
    outputDim: 2,
    embeddingsRegularizer: "l1",
    embeddingsConstraint: { name: "unitNorm", axis: 1 },
  });
  const params = { embeddings: cf.tensor([[3, 4], [0, -2]]) };
  near(cf.item(cf.penaltyOf(layer, params)), 0.09);
  const { embeddings } = cf.constrained(layer, params);
  [0.6, 0.8, 0, -1].forEach((x, index) => near(cf.host(embeddings).data[index], x));
});

Deno.test("attention with several heads: rules of all kernels, and the outputs of all four products", () => {
  const options = { numHeads: 2, keyDim: 3 };
  const layer = cf.multiHeadAttention({
    ...options,
    kernelRegularizer: l2,
    biasConstraint: "nonNeg",
    activityRegularizer: { l2: 0.1 },
  });
  const [query, value] = [random(1, [2, 3, 4]), random(2, [2, 5, 4])];
  const { params } = variablesOf(layer, [query, value]);
  const all = params as unknown as Record<string, { kernel: Tensor; bias: Tensor }>;
  near(
    cf.item(cf.penaltyOf(layer, params)),
    Object.values(all).reduce((sum, { kernel }) => sum + squares(kernel, 0.5), 0),
  );
  for (const { bias } of Object.values(cf.constrained(layer, params) as unknown as typeof all)) {
    assert(cf.host(bias).data.every((x: number) => x >= 0));
  }
  const mask = cf.tensor([[true, true, false, true, false], [true, true, true, true, true]]);
  const applied = layer.apply({ params, state: [] }, [query, value], {
    training: false,
    mask: [undefined, mask],
  });
  const project = (x: Tensor, { kernel, bias }: { kernel: Tensor; bias: Tensor }) =>
    cf.add(cf.einsum("btf,fhs->bths", x, kernel), bias);
  const counted = (x: Tensor) => cf.select(cf.reshape(mask, [2, 5, 1, 1]), x, 0);
  const outputs = [
    project(query, all.query),
    counted(project(value, all.key)),
    counted(project(value, all.value)),
    applied.output,
  ];
  near(cf.item(applied.penalty!), outputs.reduce((sum, x) => sum + squares(x as Tensor, 0.1 / 2), 0));
  assertEquals(cf.fromJson(cf.toJson(layer)).options, layer.options);
});

for (const [name, example] of Object.entries(factories)) {
  Deno.test(`${name} takes an activityRegularizer, which acts on what it puts out and on nothing else`, () => {
    if (name === "activityRegularization") return; // it has factors of its own
    const plain = example.make();
    const json = cf.toJson(plain) as { options: object };
    const layer = cf.fromJson(
      { ...json, options: { ...json.options, activityRegularizer: { l2: 3 } } } as never,
    );
    const x = inputOf(example);
    const variables = variablesOf(plain, x);
    const without = plain.apply(variables, x, training);
    const applied = layer.apply(variables, x, training);
    assertEquals(applied.output, without.output);
    assertEquals(without.penalty, undefined);
    const batch = Number(x.shape[0]);
    const expected = cf.treeLeaves<Tensor>(applied.output).reduce((sum, y) => sum + squares(y, 3 / batch), 0);
    near(cf.item(applied.penalty!), expected, name);
    assertEquals(cf.fromJson(cf.toJson(layer)).options, layer.options);
    assertEquals(layer.options.activityRegularizer, { l2: 3 });
  });
}

Deno.test("masked steps have no penalty, and NaN in them no derivative", () => {
  const mask = cf.tensor([[true, false], [true, true]]);
  const layer = cf.activityRegularization({ l2: 1 });
  const x = cf.tensor([[[1], [NaN]], [[2], [3]]]);
  const penalty = (x: Tensor) => layer.apply({ params: [], state: [] }, x, { training: true, mask }).penalty!;
  const [value, gradient] = cf.valueAndGrad(penalty)(x);
  near(cf.item(value), 14 / 2);
  assertEquals(cf.toNested(gradient), [[[1], [0]], [[2], [3]]]);
  const tokens = cf.tensor([[1, 0], [1, 1]], { dtype: "int32" });
  const embedded = cf.embedding({
    inputDim: 2,
    outputDim: 1,
    maskZero: true,
    activityRegularizer: { l1: 1 },
  });
  const params = { embeddings: cf.tensor([[100], [2]]) };
  near(cf.item(embedded.apply({ params, state: [] }, tokens, training).penalty!), 3);
});

Deno.test("timeDistributed penalizes what the layer inside puts out as that layer would by itself", () => {
  const layer = cf.dense({ units: 2, kernelRegularizer: "l2", activityRegularizer: { l1: 0.2, l2: 0.3 } });
  const x = random(1, [3, 4, 5]);
  const variables = variablesOf(layer, x);
  for (const mask of [undefined, cf.greater(random(2, [3, 4]), 0)]) {
    const context = { training: false, mask };
    const expected = cf.item(layer.apply(variables, x, context).penalty!);
    for (const wrapped of [cf.timeDistributed(layer), cf.timeDistributed(cf.sequential([layer]))]) {
      const own = wrapped.layers![0].layers ? { params: [variables.params], state: [[]] } : variables;
      near(cf.item(wrapped.apply(own, x, context).penalty!), expected);
      assertEquals(
        cf.item(cf.penaltyOf(wrapped, own.params)),
        cf.item(cf.penaltyOf(layer, variables.params)),
      );
    }
  }
});

Deno.test("both directions, stacked cells and models inside models add up what is inside", () => {
  const options = { kernelRegularizer: l2, kernelConstraint: "nonNeg", activityRegularizer: "l2" } as const;
  const x = random(1, [2, 3, 4]);
  const both = cf.bidirectional(cf.gru({ units: 2, ...options }), { activityRegularizer: { l1: 1 } });
  const { params } = variablesOf(both, x);
  const pair = params as unknown as Record<"forward" | "backward", { kernel: Tensor }>;
  const kernels = squares(pair.forward.kernel, 0.5) + squares(pair.backward.kernel, 0.5);
  near(cf.item(cf.penaltyOf(both, params)), kernels);
  const applied = both.apply({ params, state: { forward: [], backward: [] } }, x, training);
  const l1 = valuesOf(applied.output as Tensor).reduce(
    (sum: number, y: number) => sum + Math.abs(y) / 2,
    0,
  );
  near(cf.item(applied.penalty!), squares(applied.output as Tensor, 0.01 / 2) + l1);
  const { backward } = cf.constrained(both, pair as unknown as typeof params) as unknown as typeof pair;
  assert(valuesOf(backward.kernel).every((value) => value >= 0));

  const cells = cf.rnn(cf.stackedCells([
    cf.lstmCell({ units: 2, kernelRegularizer: l2 }),
    cf.simpleRnnCell({ units: 3, recurrentConstraint: "nonNeg" }),
  ]));
  const stacked = variablesOf(cells, x).params as unknown as [
    { kernel: Tensor },
    { recurrentKernel: Tensor },
  ];
  near(cf.item(cf.penaltyOf(cells, stacked as never)), squares(stacked[0].kernel, 0.5));
  const [first, second] = cf.constrained(cells, stacked as never) as typeof stacked;
  assertEquals(first, stacked[0]);
  assert(cf.host(second.recurrentKernel).data.every((value: number) => value >= 0));

  const model = cf.sequential([cf.sequential([both]), cf.dense({ units: 1 })]);
  const variables = variablesOf(model, x);
  const inner = parts(parts(variables.params)[0])[0];
  assertEquals(cf.item(cf.penaltyOf(model, variables.params)), cf.item(cf.penaltyOf(both, inner)));
});

Deno.test("a layer that is called twice has its weights penalized once, its outputs twice", () => {
  const shared = cf.dense({
    units: 1,
    useBias: false,
    kernelRegularizer: { l2: 1 },
    activityRegularizer: { l1: 1 },
  });
  const [a, b] = [cf.input([1]), cf.input([1])];
  const model = cf.model({
    inputs: [a, b],
    outputs: cf.apply(cf.add, cf.call(shared, a), cf.call(shared, b)),
  });
  const params = [{ kernel: cf.tensor([[3]]) }];
  const applied = model.apply({ params, state: [[]] }, [cf.tensor([[1]]), cf.tensor([[2]])], training);
  assertEquals(cf.item(cf.penaltyOf(model, params)), 9);
  assertEquals(cf.item(cf.penaltyOf(model, params, applied)), 9 + 3 + 6);
});

Deno.test("weights of a layer that is not trainable have no penalty and no constraint, its outputs a penalty", () => {
  const layer = cf.dense({
    units: 1,
    useBias: false,
    kernelRegularizer: { l2: 1 },
    kernelConstraint: "nonNeg",
    activityRegularizer: { l1: 1 },
  });
  const params = { kernel: cf.tensor([[-3]]) };
  const frozen = { ...layer, trainable: false };
  for (const [still, own] of [[frozen, params], [cf.sequential([frozen]), [params]]] as const) {
    assertEquals(cf.item(cf.penaltyOf(still, own)), 0);
    assertEquals(cf.constrained(still as Layer, own), own);
    const state = still === frozen ? [] : [[]];
    assertEquals(cf.item(still.apply({ params: own, state }, cf.tensor([[2]]), training).penalty!), 6);
  }
  assertEquals(cf.item(cf.penaltyOf({ ...cf.sequential([layer]), trainable: false }, [params])), 0);
});

Deno.test("without regularizers nothing is traced for them, and predictions are compiled without them", () => {
  const make = (options: object) =>
    cf.sequential([
      cf.lstm({ units: 2, returnSequences: true, ...options }),
      cf.dense({ units: 1, ...options }),
    ]);
  const x = random(1, [2, 3, 4]);
  const variables = variablesOf(make({}), x);
  const text = (layer: Layer, pruned: boolean) => {
    const { program } = trace((x: Tensor) => layer.apply(variables, x, training).output, x);
    return printProgram(pruned ? prune(program, () => {}) : program);
  };
  const regularized = make({
    kernelRegularizer: "l2",
    activityRegularizer: "l1",
    kernelConstraint: "nonNeg",
  });
  assert(text(regularized, false) !== text(make({}), false));
  assertEquals(text(make({ kernelRegularizer: "l2" }), false), text(make({}), false));
  assertEquals(text(regularized, true), text(make({}), true));
});
