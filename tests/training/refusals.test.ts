/** Variables, callbacks and keys that are none are refused by name, before anything runs. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  type Callback,
  dense,
  evaluate,
  fit,
  gather,
  init,
  key,
  lstm,
  normal,
  predict,
  sequential,
  sparseCategoricalCrossentropy,
  spec,
  type Tensor,
  tensor,
  type Variables,
  zeros,
} from "@cellfold/cellfold";

/** A value of any type, as JavaScript would pass it. */
// deno-lint-ignore no-explicit-any -- on purpose: what TypeScript would refuse
const loose = (value: unknown): any => value;

const model = dense({ units: 1 });
const data = { x: zeros([4, 2]), y: zeros([4, 1]) };
const variables = init(model, key(0), data.x);
const options = { loss: "mse", optimizer: "sgd", report: "none" } as const;

Deno.test("params where variables are expected are refused", async () => {
  const params: Variables = loose(variables.params);
  const message = "the variables are an object with the keys {bias, kernel}; expected { params, state }";
  await assertRejects(() => fit(model, params, data, options), TypeError, `Cannot fit: ${message}`);
  await assertRejects(() => evaluate(model, params, data, { loss: "mse" }), TypeError, message);
  await assertRejects(() => predict(model, params, data.x), TypeError, message);
  await assertRejects(() => predict(model, loose(undefined), data.x), TypeError, "are undefined");
});

Deno.test("callbacks that fit would never call are refused", async () => {
  const fitWith = (callbacks: Callback[]) => fit(model, variables, data, { ...options, callbacks });
  await assertRejects(
    () => fitWith([loose({ onEpochEnds: () => {} })]),
    RangeError,
    'did you mean "onEpochEnd"?',
  );
  await assertRejects(() => fitWith(loose({})), TypeError, "callbacks is an empty object, expected an array");
  await assertRejects(() => fitWith([loose(() => {})]), TypeError, "callbacks[0] is");
});

Deno.test("a number where a random key is expected is refused with the remedy", () => {
  const seed: Tensor = loose(0);
  assertThrows(() => init(model, seed, data.x), TypeError, "make one with key(seed)");
});

Deno.test("options of other libraries are refused with what does it here", async () => {
  const run = (more: Record<string, unknown>) => fit(model, variables, data, loose({ ...options, ...more }));
  for (const name of ["sampleWeight", "sample_weight"]) {
    await assertRejects(
      () => run({ [name]: [1, 5] }),
      RangeError,
      "give it with the data, { x, y, sampleWeight }",
    );
  }
  await assertRejects(() => run({ class_weight: { 0: 1 } }), RangeError, 'did you mean "classWeight"?');
  await assertRejects(() => run({ validationSteps: 3 }), RangeError, "that ends after as many batches");
  await assertRejects(() => run({ validationData: data }), RangeError, "validation: { x, y }");
  await assertRejects(() => run({ validation_split: 0.2 }), RangeError, "validation: { split: 0.2 }");
  await assertRejects(() => run({ validation: 0.2 }), TypeError, "{ split: 0.2 }");
  await assertRejects(() => run({ verbose: 0 }), RangeError, 'report: "none"');
  await assertRejects(
    () => evaluate(model, variables, data, loose({ loss: "mse", classWeight: {} })),
    RangeError,
    "gather(weights, y)",
  );
});

Deno.test("the recipe for weights of classes weighs each sample by its class", async () => {
  const classes = dense({ units: 3 });
  const x = normal(key(1), [4, 2]), y = tensor([0, 2, 1, 2], { dtype: "int32" });
  const own = init(classes, key(0), x);
  const loss = sparseCategoricalCrossentropy({ fromLogits: true });
  const sampleWeight = gather(tensor([1, 0.5, 3]), y);
  const weighted = await evaluate(classes, own, { x, y, sampleWeight }, { loss });
  const given = await evaluate(classes, own, { x, y, sampleWeight: tensor([1, 3, 0.5, 3]) }, { loss });
  assertEquals(weighted, given);
});

Deno.test("targets without a step are refused, as nothing counts in their loss", async () => {
  const sequences = sequential([lstm({ units: 2, returnSequences: true }), dense({ units: 1 })]);
  const none = { x: zeros([4, 0, 2]), y: zeros([4, 0, 1]) };
  const own = init(sequences, key(0), spec([null, null, 2]));
  const message = "nothing counts in the loss";
  await assertRejects(() => fit(sequences, own, none, options), RangeError, message);
  await assertRejects(() => evaluate(sequences, own, none, { loss: "mse" }), RangeError, message);
  const some = { x: zeros([4, 3, 2]), y: zeros([4, 3, 1]) };
  await assertRejects(() => fit(sequences, own, some, { ...options, validation: none }), RangeError, message);
  assertEquals((await predict(sequences, own, none.x)).shape, [4, 0, 1]);
});
