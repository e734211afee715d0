import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { dense } from "../../src/layers/dense.ts";
import { embedding } from "../../src/layers/embedding.ts";
import { lstm } from "../../src/layers/lstm.ts";
import { init } from "../../src/models/init.ts";
import { sequential } from "../../src/models/sequential.ts";
import { key as randomKey, uniform } from "../../src/operations/random.ts";
import { spec, type Tensor, tensor } from "../../src/tensor/tensor.ts";
import { fit } from "../../src/training/fit.ts";
import { sparseCategoricalCrossentropy } from "../../src/training/losses.ts";
import type { MetricName } from "../../src/training/resolve_metric.ts";
import { adam } from "../../src/training/optimizers.ts";
import { evaluate, predict } from "../../src/training/predict.ts";
import { line, valuesOf } from "./models.ts";

/** Sequences of 0 and 1 and whether there are more ones than zeros. */
function majority(samples: number) {
  const values = uniform(randomKey(3), [samples, 5, 1]);
  const bits = valuesOf(values).map((value) => value < 0.5 ? 0 : 1);
  const labels = Array.from({ length: samples }, (_, i) => {
    const ones = bits.slice(5 * i, 5 * i + 5).reduce<number>((total, bit) => total + bit, 0);
    return ones > 2 ? 1 : 0;
  });
  return {
    x: tensor(bits, { shape: [samples, 5, 1] }),
    tokens: tensor(bits, { shape: [samples, 5], dtype: "int32" }),
    y: tensor(labels, { dtype: "int32" }),
  };
}

Deno.test("an lstm learns, and a softmax at the end is the same as logits", async () => {
  const { x, y } = majority(60);
  const train = (activation: "softmax" | "linear", metrics: readonly MetricName[]) => {
    const model = sequential([lstm({ units: 8, dropout: 0.1 }), dense({ units: 2, activation })]);
    return fit(model, init(model, randomKey(1), x), { x, y }, {
      loss: sparseCategoricalCrossentropy({ fromLogits: activation === "linear" }),
      metrics,
      optimizer: adam({ learningRate: 0.03 }),
      epochs: 15,
      report: "none",
    });
  };
  const [softmax, logits] = [
    await train("softmax", ["accuracy", "sparseCategoricalCrossentropy"]),
    await train("linear", []),
  ];
  assertEquals(softmax.history.loss, logits.history.loss);
  assert(softmax.history.accuracy[14] > 0.9);
  // A crossentropy as a metric finds the logits too: it is the loss.
  softmax.history.sparseCategoricalCrossentropy.forEach((value, epoch) =>
    assertAlmostEquals(value, softmax.history.loss[epoch], 1e-5)
  );
});

Deno.test("a stateful model is trained in whole batches of its own size, its carry going on", async () => {
  const model = sequential([lstm({ units: 3, stateful: true }), dense({ units: 1 })]);
  const variables = init(model, randomKey(0), spec([4, 5, 1]));
  const { x } = majority(8);
  const data = { x, y: line(8).y };
  const options = { loss: "mse", optimizer: "sgd", report: "none" } as const;
  const { variables: after } = await fit(model, variables, data, { ...options, batchSize: 4 });
  assert(valuesOf(after.state).every((value) => value !== 0));
  assertEquals((await predict(model, after, x, { batchSize: 4 })).shape, [8, 1]);
  assertEquals((await fit(model, variables, data, options)).variables, after);
  await assertRejects(
    () => fit(model, variables, data, { ...options, batchSize: 2 }),
    RangeError,
    "its state is of a batch of 4",
  );
  const odd = { x: majority(6).x, y: line(6).y };
  await assertRejects(
    () => fit(model, variables, odd, { ...options, batchSize: 4 }),
    RangeError,
    "2 samples remain",
  );
});

Deno.test("outputs that are a list are named by their place", async () => {
  const layer = lstm({ units: 2, returnState: true });
  const { x } = majority(6);
  const variables = init(layer, randomKey(0), x);
  const zeros = (): Tensor => tensor(new Float32Array(12), { shape: [6, 2] });
  const data = { x, y: [zeros(), [zeros(), zeros()]] };
  const logs = await evaluate(layer, variables, data, { loss: "mse", lossWeights: [1, 0] });
  assertEquals(Object.keys(logs).sort(), ["loss", "output_0_loss", "output_1_0_loss", "output_1_1_loss"]);
  assertAlmostEquals(logs.loss, logs.output_0_loss, 1e-7);
});

Deno.test("tokens outside the vocabulary are refused by fit, evaluate and predict", async () => {
  const { tokens, y } = majority(6);
  const model = sequential([
    embedding({ inputDim: 2, outputDim: 3 }),
    lstm({ units: 2 }),
    dense({ units: 2 }),
  ]);
  const variables = init(model, randomKey(0), tokens);
  const x = tensor(tokens.data, { shape: [6, 5], dtype: "int32" });
  x.data[7] = 2;
  const loss = "sparseCategoricalCrossentropy";
  await assertRejects(
    () => fit(model, variables, { x, y }, { loss, optimizer: "sgd", report: "none" }),
    RangeError,
    "2",
  );
  await assertRejects(() => evaluate(model, variables, { x, y }, { loss }), RangeError);
  await assertRejects(() => predict(model, variables, x), RangeError);
});
