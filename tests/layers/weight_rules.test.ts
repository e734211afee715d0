/** Rules of weights in layers of one's own, constraints, and what is refused of either. */
import * as cf from "@cellfold/cellfold";
import type { Layer, Tensor, Tree } from "@cellfold/cellfold";
import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { single, variablesOf } from "./helpers.ts";
import { near, valuesOf } from "./weight_rules.ts";

const training = { training: false };

Deno.test("a layer of one's own adds a penalty and constrains its params", async () => {
  const scale = cf.defineLayer({
    type: "scale",
    options: {},
    initParams: () => ({ factor: cf.tensor(2) }),
    apply: ({ params: { factor }, state }, input) => {
      const output = cf.mul(single(input), factor);
      return { output, state, penalty: cf.mean(output) };
    },
    penalty: ({ factor }) => cf.square(factor),
    constrain: ({ factor }) => ({ factor: cf.clip(factor, { max: 1 }) }),
  });
  const x = cf.ones([4, 1]);
  const variables = cf.init(scale, cf.key(0), x);
  assertEquals(cf.item(cf.penaltyOf(scale, variables.params, scale.apply(variables, x, training))), 6);
  const logs = await cf.evaluate(scale, variables, { x, y: x }, { loss: "mse" });
  near(logs.loss, 1 + 6);
  const data = { x, y: x };
  const trained = await cf.fit(scale, variables, data, {
    loss: "mse",
    optimizer: "sgd",
    epochs: 1,
    report: "none",
  });
  assertEquals(cf.item((trained.variables.params as { factor: cf.HostTensor }).factor), 1);
});

Deno.test("a penalty that is no scalar, or of training alone, is refused", async () => {
  const layer = (penalty: (x: Tensor, training: boolean) => Tensor | undefined) =>
    cf.defineLayer({
      type: "own",
      options: {},
      initParams: () => ({ factor: cf.tensor(2) }),
      apply: ({ params: { factor }, state }, input, { training }) => {
        const output = cf.mul(single(input), factor);
        return { output, state, penalty: penalty(output, training) };
      },
    });
  const x = cf.ones([4, 1]);
  const loss = async (own: Layer) => {
    const options = { loss: "mse", optimizer: "sgd", epochs: 1, report: "none" } as const;
    return (await cf.fit(own, cf.init(own, cf.key(0), x), { x, y: x }, options)).history.loss[0];
  };
  const wide = layer((x) => x);
  for (const model of [wide, cf.sequential([wide]), cf.timeDistributed(wide)]) {
    const input = model.type === "timeDistributed" ? cf.ones([4, 2, 1]) : x;
    const use = () => {
      const variables = cf.init(model, cf.key(0), input);
      return cf.penaltyOf(model, variables.params, model.apply(variables, input, training));
    };
    assertStringIncludes(assertThrows(use, TypeError).message, "the penalty of own to the loss");
  }
  const { message } = await assertRejects(
    () => loss(layer((x, training) => training ? cf.sum(x) : undefined)),
    TypeError,
  );
  assertStringIncludes(message, "a penalty in training and none in evaluations");
  near(await loss(layer((x, training) => training ? undefined : cf.sum(x))), 1);
});

Deno.test("a layer of one's own that changes the form of its params is refused by name", async () => {
  const layer = (constrain: (factor: Tensor) => Tree<Tensor>) =>
    cf.defineLayer({
      type: "own",
      options: {},
      initParams: () => ({ factor: cf.ones([2]) }),
      apply: ({ params: { factor }, state }, input) => ({ output: cf.mul(single(input), factor), state }),
      constrain: ({ factor }) => constrain(factor),
    });
  const x = cf.ones([4, 2]);
  const cases: [Layer, string][] = [
    [
      layer((factor) => ({ factor, more: factor })),
      "its constrain gives has an object with the keys {factor, more}",
    ],
    [layer((factor) => ({ factor: cf.sum(factor) })), "params.factor becomes float32[], expected float32[2]"],
    [
      layer((factor) => ({ factor: cf.cast(factor, "int32") })),
      "params.factor becomes int32[2], expected float32[2]",
    ],
  ];
  for (const [own, expected] of cases) {
    for (const model of [own, cf.sequential([own])]) {
      const options = { loss: "mse", optimizer: "sgd", epochs: 1, report: "none" } as const;
      const { message } = await assertRejects(
        () => cf.fit(model, cf.init(model, cf.key(0), x), { x, y: x }, options),
        TypeError,
      );
      assertStringIncludes(message, expected);
      assertStringIncludes(message, "the params of own");
    }
  }
});

Deno.test("penaltyOf takes what apply gives, not the output alone", () => {
  const layer = cf.dense({ units: 1, activityRegularizer: "l2" });
  const x = cf.ones([2, 3]);
  const variables = variablesOf(layer, x);
  const { output } = layer.apply(variables, x, training);
  const given = output as { penalty?: Tensor }; // as JavaScript may give it
  const { message } = assertThrows(() => cf.penaltyOf(layer, variables.params, given), TypeError);
  assertStringIncludes(message, "the result of the call is a tensor float32[2, 1]");
});

Deno.test("constraints are those of Keras, and a function is one", () => {
  const kernel = cf.tensor([[3, 0.3], [-4, 0.4]]);
  const of = (kernelConstraint: cf.Constraint | object | string) => {
    const options = { units: 2, useBias: false, kernelConstraint: kernelConstraint as cf.Constraint };
    const params = cf.constrained(cf.dense(options), { kernel });
    return valuesOf(params.kernel).map((value) => Number(value.toFixed(4)));
  };
  assertEquals(of("nonNeg"), [3, 0.3, 0, 0.4]);
  assertEquals(of("maxNorm"), [1.2, 0.3, -1.6, 0.4]);
  assertEquals(of({ name: "maxNorm", maxValue: 1 }), [0.6, 0.3, -0.8, 0.4]);
  assertEquals(of("unitNorm"), [0.6, 0.6, -0.8, 0.8]);
  assertEquals(of({ name: "unitNorm", axis: [0, 1] }), [0.597, 0.0597, -0.796, 0.0796]);
  assertEquals(of({ name: "minMaxNorm", minValue: 1, maxValue: 2, rate: 0.5 }), [2.1, 0.45, -2.8, 0.6]);
  assertEquals(of((w: Tensor) => cf.mul(w, 2)), [6, 0.6, -8, 0.8]);
});

Deno.test("what is no regularizer or constraint is refused by name, with a remedy", () => {
  const error = (options: object, kind: typeof Error = RangeError) =>
    assertThrows(() => cf.dense({ units: 2, ...options }), kind).message;
  assertStringIncludes(error({ kernelRegularizer: "L2" }), 'did you mean "l2"?');
  assertStringIncludes(error({ kernelRegulariser: "l2" }), 'did you mean "kernelRegularizer"?');
  assertStringIncludes(
    error({ biasRegularizer: { l2: NaN } }),
    "biasRegularizer.l2 is NaN, expected a number from 0",
  );
  assertStringIncludes(error({ activityRegularizer: { l1: -1 } }), "activityRegularizer.l1 is -1");
  assertStringIncludes(error({ kernelRegularizer: { L1: 1 } }), 'did you mean "l1"?');
  assertStringIncludes(error({ kernelRegularizer: {} }, TypeError), "an empty object, expected a name");
  assertStringIncludes(error({ kernelRegularizer: 0.01 }, TypeError), "the number 0.01");
  assertStringIncludes(error({ kernelRegularizer: { name: "orthogonal", mode: "row" } }), "rows");
  assertStringIncludes(error({ kernelRegularizer: { name: "orthagonal" } }), "orthogonal");
  assertStringIncludes(error({ kernelRegularizer: { name: "l2" } }), "as in { l2: 0.01 }");
  assertStringIncludes(
    error({ kernelRegularizer: { name: undefined, l2: 1 } }, TypeError),
    "expected one of",
  );
  assertStringIncludes(error({ kernelRegularizer: { l1: undefined } }, TypeError), "factors such as");
  assertStringIncludes(error({ kernelConstraint: "nonneg" }), 'did you mean "nonNeg"?');
  assertStringIncludes(
    error({ kernelConstraint: { name: "maxNorm", maxvalue: 1 } }),
    'did you mean "maxValue"?',
  );
  assertStringIncludes(
    error({ kernelConstraint: { name: "maxNorm", maxValue: -1 } }),
    "kernelConstraint.maxValue is -1",
  );
  assertStringIncludes(error({ kernelConstraint: { name: "minMaxNorm", minValue: 2 } }), "to 1");
  assertStringIncludes(
    error({ kernelConstraint: { name: "minMaxNorm", maxValue: -1 } }),
    "kernelConstraint.maxValue is -1",
  );
  assertStringIncludes(
    error({ kernelConstraint: { name: "unitNorm", axis: 0.5 } }),
    "kernelConstraint.axis is 0.5",
  );
  assertStringIncludes(
    error({ kernelConstraint: { maxValue: 1 } }, TypeError),
    '{ name: "maxNorm", maxValue: 3 }',
  );
  assertStringIncludes(
    assertThrows(() => cf.activityRegularization({ l1: Infinity }), RangeError).message,
    "l1 is Infinity",
  );

  const kernel = cf.ones([2, 2]);
  const used = (options: object, use: (layer: Layer, params: { kernel: Tensor }) => unknown) =>
    assertThrows(() => use(cf.dense({ units: 2, useBias: false, ...options }), { kernel }), TypeError)
      .message;
  const unreduced = used({ kernelRegularizer: (w: Tensor) => w }, cf.penaltyOf);
  assertStringIncludes(
    unreduced,
    "the kernelRegularizer of dense: it gives float32[2, 2], expected a float scalar",
  );
  const reduced = used({ kernelConstraint: (w: Tensor) => cf.sum(w) }, cf.constrained);
  assertStringIncludes(reduced, "the kernelConstraint of dense: it gives float32[], expected float32[2, 2]");
  const axis = 2;
  for (
    const kernelConstraint of [
      { name: "maxNorm", axis },
      { name: "unitNorm", axis },
      { name: "minMaxNorm", axis },
    ] as const
  ) {
    const layer = cf.dense({ units: 2, useBias: false, name: "head", kernelConstraint });
    assertStringIncludes(
      assertThrows(() => cf.constrained(layer, { kernel }), RangeError).message,
      "the kernelConstraint of dense head along axis 2: the tensor has 2 axes",
    );
  }
  const flat = cf.layerNormalization({ gammaRegularizer: "orthogonal" });
  assertStringIncludes(
    assertThrows(() => cf.penaltyOf(flat, { gamma: cf.ones([2]), beta: cf.ones([2]) }), TypeError).message,
    "with 2 axes",
  );
  const int = cf.flatten({ activityRegularizer: "l2" });
  const tokens = cf.tensor([[1, 2]], { dtype: "int32" });
  assertStringIncludes(
    assertThrows(() => int.apply({ params: [], state: [] }, tokens, training), TypeError).message,
    "only floats have a penalty",
  );
  const own = cf.dense({ units: 1, kernelRegularizer: (w) => cf.sum(w) });
  assertStringIncludes(
    assertThrows(() => cf.toJson(own), TypeError).message,
    "kernelRegularizer is a function",
  );
});

Deno.test("rules of weights that a layer goes without have no effect, and stay in its JSON", () => {
  const bias = { useBias: false, biasRegularizer: "l2", biasConstraint: "nonNeg" } as const;
  const scale = { scale: false, gammaRegularizer: "l1", gammaConstraint: "unitNorm" } as const;
  const center = { center: false, betaRegularizer: "l2", betaConstraint: "nonNeg" } as const;
  const sequence = cf.spec([null, 3, 2]);
  for (
    const [layer, input = sequence] of [
      [cf.dense({ units: 2, ...bias })],
      [cf.conv1d({ filters: 2, kernelSize: 2, ...bias })],
      [cf.gru({ units: 2, ...bias })],
      [cf.bidirectional(cf.lstm({ units: 2, ...bias }))],
      [cf.convLstm1d({ filters: 2, kernelSize: 1, ...bias }), cf.spec([null, 3, 4, 2])],
      [cf.layerNormalization(scale)],
      [cf.batchNormalization({ ...scale, ...center })],
    ] as const
  ) {
    const { params } = cf.init(layer, cf.key(0), input);
    assertEquals(cf.item(cf.penaltyOf(layer, params)), 0, layer.type);
    const after = cf.constrained(layer, params);
    assertEquals(after, params, layer.type);
    const read = cf.fromJson(cf.toJson(layer));
    assertEquals(cf.toJson(read), cf.toJson(layer));
  }
});
