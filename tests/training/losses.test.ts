import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { type ActivationLike, resolveActivation } from "../../src/operations/activations.ts";
import { traceFlat } from "../../src/program/trace.ts";
import { type HostTensor, item, spec, type Tensor, tensor, toNested } from "../../src/tensor/tensor.ts";
import { symbol } from "../../src/tensor/dims.ts";
import { computeLoss } from "../../src/training/compute_loss.ts";
import {
  binaryCrossentropy,
  categoricalCrossentropy,
  huber,
  type Loss,
  lossNames,
  meanAbsoluteError,
  meanSquaredError,
  type Reduction,
  resolveLoss,
  sparseCategoricalCrossentropy,
} from "../../src/training/losses.ts";
import { checkLabels } from "../../src/training/labels.ts";
import { assertClose, mayReadCases, oracleCases, tensorOf } from "../support/oracle.ts";

const labels = (values: number[] | number[][]): HostTensor => tensor(values, { dtype: "int32" });

/** The loss of an oracle's case. */
function lossOf(layer: string, config: Readonly<Record<string, unknown>>): Loss {
  const reduction = config.reduction as Reduction | undefined; // none and sum are spelled alike
  const fromLogits = config.from_logits === true;
  const labelSmoothing = Number(config.label_smoothing ?? 0);
  switch (layer) {
    case "loss:SparseCategoricalCrossentropy":
      return sparseCategoricalCrossentropy({ fromLogits, reduction });
    case "loss:CategoricalCrossentropy":
      return categoricalCrossentropy({ fromLogits, labelSmoothing, reduction });
    case "loss:BinaryCrossentropy":
      return binaryCrossentropy({ fromLogits, labelSmoothing, reduction });
    case "loss:MeanSquaredError":
      return meanSquaredError({ reduction });
    case "loss:MeanAbsoluteError":
      return meanAbsoluteError({ reduction });
    case "loss:Huber":
      return huber({ delta: Number(config.delta), reduction });
    default:
      throw new Error(`No loss for ${layer}`);
  }
}

Deno.test({
  name: "losses agree with Keras, with logits behind a softmax or sigmoid too",
  ignore: !mayReadCases,
  async fn() {
    const cases = (await oracleCases("losses_layers")).filter(({ layer }) => layer.startsWith("loss:"));
    assert(cases.length >= 16);
    for (const { name, layer, config, inputs, outputs } of cases) {
      const activation = resolveActivation(config.preceded_by_activation as ActivationLike); // softmax, sigmoid or none
      const value = computeLoss(
        lossOf(layer, config),
        tensorOf(inputs.y_true),
        activation(tensorOf(inputs.y_pred)),
        {
          sampleWeight: inputs.sample_weight && tensorOf(inputs.sample_weight),
          mask: inputs.mask && tensorOf(inputs.mask),
        },
      );
      assertClose(value as HostTensor, outputs.loss, 1e-5, name); // eager results are on the host
    }
  },
});

Deno.test("crossentropies from logits and probabilities agree, and extreme logits stay exact", () => {
  const logits = tensor([[2, -1, 0.5], [0, 0, 0]]);
  const probabilities = resolveActivation("softmax")(logits);
  const expected = [Math.log(1 + Math.exp(-3) + Math.exp(-1.5)), Math.log(3)];
  for (const prediction of [logits, tensor(toNested(probabilities))]) {
    const loss = sparseCategoricalCrossentropy({ fromLogits: prediction === logits, reduction: "none" });
    const values = computeLoss(loss, labels([0, 2]), prediction) as HostTensor; // eager results are on the host
    values.data.forEach((value, index) => assertAlmostEquals(value, expected[index], 1e-6));
  }
  const extreme = sparseCategoricalCrossentropy({ fromLogits: true });
  assertEquals(item(computeLoss(extreme, labels([1]), tensor([[1e4, 0]]))), 1e4);
  const behind = binaryCrossentropy();
  assertEquals(item(computeLoss(behind, tensor([[0]]), resolveActivation("sigmoid")(tensor([[200]])))), 200);
});

Deno.test("reductions are Keras's", () => {
  const target = tensor([[0], [0], [0], [0]]);
  const prediction = tensor([[1], [2], [3], [4]]); // values 1, 4, 9, 16
  const sampleWeight = tensor([1, 0, 2, 1]);
  const value = (reduction: Reduction, weighting = {}) =>
    toNested(computeLoss(meanSquaredError({ reduction }), target, prediction, weighting));
  assertEquals(value("sumOverBatchSize"), 7.5);
  assertEquals(value("mean"), 7.5);
  assertEquals(value("meanWithSampleWeight"), 7.5);
  assertEquals(value("sum"), 30);
  assertEquals(value("none"), [1, 4, 9, 16]);
  assertEquals(value("sumOverBatchSize", { sampleWeight }), 35 / 4);
  assertEquals(value("mean", { sampleWeight }), 35 / 4);
  assertEquals(value("meanWithSampleWeight", { sampleWeight }), 35 / 4); // the weights sum to 4
  assertEquals(value("meanWithSampleWeight", { sampleWeight: tensor([1, 0, 0, 1]) }), 8.5);
  assertEquals(value("sum", { sampleWeight }), 35);
  assertEquals(value("none", { sampleWeight }), [1, 0, 18, 16]);
  assertEquals(value("sum", { sampleWeight: tensor([[1], [0], [2], [1]]) }), 35);
});

Deno.test("a mask takes steps out of sum and count, whatever their values are", () => {
  const target = tensor([[[0], [0]], [[0], [0]]]);
  const prediction = tensor([[[1], [NaN]], [[3], [5]]]);
  const mask = tensor([[true, false], [true, true]]);
  const value = (weighting: { sampleWeight?: Tensor; mask: Tensor }, reduction?: Reduction) =>
    toNested(computeLoss(meanSquaredError({ reduction }), target, prediction, weighting));
  assertAlmostEquals(Number(value({ mask })), 35 / 3, 1e-5);
  assertEquals(value({ mask }, "sum"), 35);
  assertEquals(value({ mask }, "none"), [[1, 0], [9, 25]]);
  assertAlmostEquals(Number(value({ mask, sampleWeight: tensor([1, 0.5]) })), 18 / 3, 1e-5);
  assertAlmostEquals(
    Number(value({ mask, sampleWeight: tensor([1, 0.5]) }, "meanWithSampleWeight")),
    18 / 2,
    1e-5,
  );
  assertEquals(value({ mask: tensor([[false, false], [false, false]]) }), 0);
});

Deno.test("ignoreClass takes labels out of sum and count", () => {
  const loss = sparseCategoricalCrossentropy({ fromLogits: true, ignoreClass: -1 });
  const value = item(computeLoss(loss, labels([[0, -1]]), tensor([[[0, 0], [50, 0]]])));
  assertAlmostEquals(value, Math.LN2, 1e-6);
});

Deno.test("label smoothing spreads targets", () => {
  const [p, q] = [0.7, 0.3];
  const categorical = categoricalCrossentropy({ labelSmoothing: 0.2 });
  const expected = -(0.9 * Math.log(p) + 0.1 * Math.log(q));
  assertAlmostEquals(item(computeLoss(categorical, tensor([[1, 0]]), tensor([[p, q]]))), expected, 1e-6);
  const binary = binaryCrossentropy({ labelSmoothing: 0.2 });
  assertAlmostEquals(item(computeLoss(binary, tensor([[1]]), tensor([[p]]))), expected, 1e-6);
});

Deno.test("targets may lack or have a last axis of size 1, and be int32 or bool", () => {
  const prediction = tensor([[0.5], [0.25]]);
  const expected = item(computeLoss(binaryCrossentropy(), tensor([[1], [0]]), prediction));
  for (const target of [tensor([1, 0]), labels([1, 0]), tensor([true, false])]) {
    assertEquals(item(computeLoss(binaryCrossentropy(), target, prediction)), expected);
  }
  const sparse = sparseCategoricalCrossentropy();
  const probabilities = tensor([[0.5, 0.5], [0.25, 0.75]]);
  assertEquals(
    toNested(computeLoss(sparse, labels([[1], [0]]), probabilities)),
    toNested(computeLoss(sparse, labels([1, 0]), probabilities)),
  );
  assertEquals(item(computeLoss(meanSquaredError(), tensor([1, 3]), tensor([0, 0]))), 5);
});

Deno.test("every loss can be traced with symbolic sizes, masked and weighted", () => {
  for (const name of lossNames) {
    const loss = resolveLoss(name);
    const batch = symbol("batch"), time = symbol("time");
    const target = {
      sparse: spec([batch, time], "int32"),
      sequence: spec([batch, symbol("labels")], "int32"),
      dense: spec([batch, time, 5]),
    };
    const prediction = spec(name === "crf" ? [batch, time, 5, 5] : [batch, time, 5]);
    const specs = [target[loss.labels], prediction, spec([batch]), spec([batch, time], "bool")];
    traceFlat(specs, ([t, p, sampleWeight, mask]) => {
      const value = computeLoss(loss, t, p, { sampleWeight, mask });
      assertEquals([...value.shape], []);
      return { outputs: [value, computeLoss(loss, t, p)], result: undefined };
    });
  }
});

Deno.test("shapes and dtypes that do not fit are refused, naming both", () => {
  const compute = (loss: Loss, target: Tensor, prediction: Tensor, weighting = {}) => () =>
    computeLoss(loss, target, prediction, weighting);
  const sparse = sparseCategoricalCrossentropy();
  const prediction = tensor([[0.5, 0.5], [0.25, 0.75]]);
  const three = assertThrows(compute(sparse, labels([1, 0, 1]), prediction), TypeError, "int32[3]");
  assert(three.message.includes("float32[2, 2]"));
  assertThrows(compute(sparse, tensor([1, 0]), prediction), TypeError, "expected int32 class numbers");
  assertThrows(compute(meanSquaredError(), tensor([[1, 2, 3]]), prediction), TypeError, "float32[1, 3]");
  assertThrows(
    compute(meanSquaredError(), prediction, prediction, { sampleWeight: tensor([1, 2, 3]) }),
    TypeError,
    "float32[3]",
  );
  assertThrows(
    compute(meanSquaredError(), prediction, prediction, { mask: tensor([[true, true], [true, true]]) }),
    TypeError,
    "mask is bool[2, 2]",
  );
});

Deno.test("labels outside the classes are named with their place", () => {
  const loss = sparseCategoricalCrossentropy();
  checkLabels(loss, labels([0, 9, 3]), 10);
  const error = assertThrows(() => checkLabels(loss, labels([0, 1, 2, 3, 4, 12]), 10), RangeError);
  assertEquals(
    error.message,
    "Cannot compute sparseCategoricalCrossentropy: label 12 at sample 5 is outside 0 … 9; if it marks what does " +
      "not count, give the loss ignoreClass: 12",
  );
  assertThrows(() => checkLabels(loss, labels([[0, 1], [2, -1]]), 3), RangeError, "sample 1, step 1");
  assertThrows(() => checkLabels(loss, tensor([0, 1]), 3), TypeError, "int32");
  checkLabels(sparseCategoricalCrossentropy({ ignoreClass: -1 }), labels([[0, 1], [2, -1]]), 3);
  checkLabels(meanSquaredError(), tensor([77]), 1);
});

Deno.test("unknown names, options and values are refused", () => {
  assertThrows(
    () => resolveLoss("sparse_categorical_crossentropy" as "mse"),
    RangeError,
    "sparseCategorical",
  ); // no name
  assertThrows(() => huber({ detla: 1 } as object), RangeError, 'did you mean "delta"'); // no option
  assertThrows(() => huber({ delta: 0 }), RangeError, "above 0");
  assertThrows(() => binaryCrossentropy({ labelSmoothing: 2 }), RangeError, "expected a number from 0 to 1");
  assertThrows(() => meanSquaredError({ reduction: "men" as "mean" }), RangeError, 'did you mean "mean"'); // wrong
  assertThrows(() => resolveLoss(3 as unknown as Loss), TypeError, "expected a name"); // neither
});
