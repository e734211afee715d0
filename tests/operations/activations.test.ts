import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import {
  type Activation,
  type ActivationLike,
  type ActivationName,
  activationName,
  activationNames,
  resolveActivation,
} from "../../src/operations/activations.ts";
import { softmax } from "../../src/operations/reduction.ts";
import { traceFlat } from "../../src/program/trace.ts";
import { host, spec, tensor, toNested } from "../../src/tensor/tensor.ts";
import { assertClose, camelCase, mayReadCases, oracleCases, tensorOf } from "../support/oracle.ts";

Deno.test({
  name: "activations agree with Keras, at kinks and extremes too",
  ignore: !mayReadCases,
  async fn() {
    const cases = (await oracleCases("losses_layers")).filter(({ layer }) => layer === "activation");
    assert(cases.length >= 40);
    for (const { name, config, inputs, outputs } of cases) {
      const activation = resolveActivation(camelCase(String(config.activation)) as ActivationName); // Keras's name
      assertClose(host(activation(tensorOf(inputs.x))), outputs.output, 1e-5, name);
    }
  },
});

const values: Readonly<Record<string, readonly [x: number, y: number][]>> = {
  linear: [[-3, -3]],
  relu: [[-2, 0], [0, 0], [3, 3]],
  relu6: [[-1, 0], [4, 4], [9, 6]],
  leakyRelu: [[-5, -1], [2, 2]],
  hardSigmoid: [[-4, 0], [0, 0.5], [1.5, 0.75], [3, 1]],
  hardSigmoidKeras2: [[-2.5, 0], [0, 0.5], [1.5, 0.8], [3, 1]],
  hardSwish: [[-4, 0], [1, 2 / 3], [5, 5]],
  hardTanh: [[-3, -1], [0.5, 0.5], [2, 1]],
  elu: [[-1, Math.exp(-1) - 1], [-90, -1], [90, 90]],
  gelu: [[0, 0], [1, 0.8413447460685429], [-1, -0.15865525393145707]],
  swish: [[1, 0.7310585786300049]],
  softplus: [[0, Math.LN2], [100, 100], [-100, 0], [1e30, 1e30]],
  softsign: [[-1, -0.5], [3, 0.75]],
  logSigmoid: [[0, -Math.LN2], [-200, -200], [200, 0]],
  mish: [[0, 0], [1, 0.8650983882673103], [60, 60], [-200, 0]],
  squareplus: [[0, 1], [-1e4, 1e-4], [1e4, 1e4]],
  softShrink: [[-2, -1.5], [0.25, 0], [1, 0.5]],
  hardShrink: [[-2, -2], [0.5, 0], [0.75, 0.75]],
  sparsePlus: [[-2, 0], [0, 0.25], [3, 3]],
  sparseSigmoid: [[-2, 0], [0, 0.5], [3, 1]],
};

for (const [name, pairs] of Object.entries(values)) {
  Deno.test(`${name} has its values, without overflow`, () => {
    const y = host(resolveActivation(name as ActivationName)(tensor(pairs.map(([x]) => x)))); // a name above
    pairs.forEach(([, expected], index) =>
      assertAlmostEquals(y.data[index], expected, 1e-6 * Math.max(1, Math.abs(expected)))
    );
  });
}

Deno.test("sparsemax keeps its precision far from 0", () => {
  assertEquals(toNested(resolveActivation("sparsemax")(tensor([[1e15, -1e30, 1e15]]))), [[0.5, 0, 0.5]]);
});

Deno.test("sparsemax projects onto the probabilities, and ties share", () => {
  const y = host(resolveActivation("sparsemax")(tensor([[0, 2, 0.5], [0.5, 0.5, -9], [1, 1, 1]])));
  const expected = [0, 1, 0, 0.5, 0.5, 0, 1 / 3, 1 / 3, 1 / 3];
  expected.forEach((value, index) => assertAlmostEquals(y.data[index], value, 2 ** -22)); // two roundings near 1
});

Deno.test("glu halves the last axis and refuses an odd one", () => {
  assertEquals(toNested(resolveActivation("glu")(tensor([[4, 6, 0, 0]]))), [[2, 3]]);
  assertThrows(() => resolveActivation("glu")(tensor([1, 2, 3])), RangeError, "even size");
});

Deno.test("every activation but glu and softmax keeps NaN out of finite inputs and NaN in NaN", () => {
  const finite = tensor([[-1e30, -88, -1, 0, 1, 88]]);
  for (const name of activationNames) {
    if (name === "exponential" || name === "squareplus") continue; // their true values overflow at these inputs
    for (const y of host(resolveActivation(name)(finite)).data) {
      assert(Number.isFinite(y), `${name} gives ${y}`);
    }
  }
  for (const name of ["relu", "relu6", "elu", "gelu", "silu", "softplus", "tanh", "hardSigmoid"] as const) {
    assert(Number.isNaN(host(resolveActivation(name)(tensor([NaN]))).data[0]), name);
  }
});

Deno.test("every activation can be traced with a symbolic batch", () => {
  for (const name of activationNames) {
    traceFlat([spec([null, 6])], ([x]) => {
      const y = resolveActivation(name)(x);
      assertEquals(String(y.shape), name === "glu" ? "batch,3" : "batch,6");
      return { outputs: [y], result: undefined };
    });
  }
});

Deno.test("an activation is a name, a function or nothing", () => {
  const own: Activation = (x) => x;
  assertEquals(resolveActivation(own), own);
  assertEquals(resolveActivation(null), resolveActivation(undefined));
  assertEquals(activationName(undefined), "linear");
  assertEquals(activationName("swish"), "swish");
  assertEquals(activationName(softmax as ActivationLike), "softmax"); // its second parameter is optional
  assertEquals(activationName((x) => x), undefined);
});

Deno.test("an unknown activation is refused with the nearest known one", () => {
  const error = assertThrows(() => resolveActivation("hard_sigmoid" as ActivationName), RangeError); // not a name
  assertEquals(
    error.message,
    'Cannot use the activation "hard_sigmoid": it is unknown; did you mean "hardSigmoid"?',
  );
  assertThrows(() => resolveActivation("toString" as ActivationName), RangeError, "unknown"); // not a name
  assertThrows(() => resolveActivation(3 as unknown as ActivationName), TypeError, "expected a name"); // neither
});
