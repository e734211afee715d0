/** Variables, callbacks and keys that are none are refused by name, before anything runs. */
import { assertRejects, assertThrows } from "@std/assert";
import {
  type Callback,
  dense,
  evaluate,
  fit,
  init,
  key,
  predict,
  type Tensor,
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
  const message =
    "what is given as variables is an object with the keys {kernel, bias}, expected { params, state }";
  await assertRejects(() => fit(model, params, data, options), TypeError, `Cannot fit: ${message}`);
  await assertRejects(() => evaluate(model, params, data, { loss: "mse" }), TypeError, message);
  await assertRejects(() => predict(model, params, data.x), TypeError, message);
  await assertRejects(() => predict(model, loose(undefined), data.x), TypeError, "is undefined");
});

Deno.test("callbacks that fit would never call are refused", async () => {
  const fitWith = (callbacks: Callback[]) => fit(model, variables, data, { ...options, callbacks });
  await assertRejects(
    () => fitWith([loose({ onEpochEnds: () => {} })]),
    RangeError,
    'did you mean "onEpochEnd"?',
  );
  await assertRejects(() => fitWith(loose({})), TypeError, "callbacks is no array");
  await assertRejects(() => fitWith([loose(() => {})]), TypeError, "callbacks[0] is");
});

Deno.test("a number where a random key is expected is refused with the remedy", () => {
  const seed: Tensor = loose(0);
  assertThrows(() => init(model, seed, data.x), TypeError, "make one with key(seed)");
});
