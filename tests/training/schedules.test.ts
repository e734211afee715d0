import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { item, tensor } from "../../src/tensor/tensor.ts";
import {
  cosineDecay,
  exponentialDecay,
  inverseTimeDecay,
  piecewiseConstantDecay,
  polynomialDecay,
  type Schedule,
} from "../../src/training/schedules.ts";

/** float32 rounding of a few operations on numbers up to 1. */
const TOLERANCE = 1e-6;

function assertRates(schedule: Schedule, rates: Readonly<Record<number, number>>): void {
  for (const [step, rate] of Object.entries(rates)) {
    assertAlmostEquals(item(schedule.rate(tensor(Number(step), { dtype: "int32" }))), rate, TOLERANCE);
  }
}

Deno.test("exponentialDecay", () => {
  const options = { initialLearningRate: 0.1, decaySteps: 10, decayRate: 0.5 };
  assertRates(exponentialDecay(options), { 0: 0.1, 5: 0.1 * Math.SQRT1_2, 10: 0.05, 30: 0.0125 });
  assertRates(exponentialDecay({ ...options, staircase: true }), { 0: 0.1, 9: 0.1, 10: 0.05, 19: 0.05 });
});

Deno.test("inverseTimeDecay", () => {
  const options = { initialLearningRate: 0.1, decaySteps: 10, decayRate: 0.5 };
  assertRates(inverseTimeDecay(options), { 0: 0.1, 5: 0.08, 10: 0.1 / 1.5 });
  assertRates(inverseTimeDecay({ ...options, staircase: true }), { 9: 0.1, 10: 0.1 / 1.5 });
});

Deno.test("cosineDecay, with and without a warm-up", () => {
  const options = { initialLearningRate: 0.2, decaySteps: 100, alpha: 0.1 };
  assertRates(cosineDecay(options), { 0: 0.2, 50: 0.11, 100: 0.02, 1000: 0.02 });
  const warmed = cosineDecay({ initialLearningRate: 0, decaySteps: 100, warmupTarget: 0.2, warmupSteps: 10 });
  assertRates(warmed, { 0: 0, 5: 0.1, 10: 0.2, 60: 0.1, 110: 0, 500: 0 });
  assertRates(cosineDecay({ initialLearningRate: 9, decaySteps: 100, warmupTarget: 0.2 }), {
    0: 0.2,
    50: 0.1,
  });
});

Deno.test("piecewiseConstantDecay holds a value up to and with its boundary", () => {
  const schedule = piecewiseConstantDecay({ boundaries: [10, 20], values: [1, 0.5, 0.25] });
  assertRates(schedule, { 0: 1, 10: 1, 11: 0.5, 20: 0.5, 21: 0.25, 999: 0.25 });
  assertRates(piecewiseConstantDecay({ boundaries: [], values: [0.5] }), { 0: 0.5 });
});

Deno.test("polynomialDecay, also in cycles", () => {
  const options = { initialLearningRate: 1, decaySteps: 10, endLearningRate: 0.1 };
  assertRates(polynomialDecay(options), { 0: 1, 5: 0.55, 10: 0.1, 50: 0.1 });
  assertRates(polynomialDecay({ ...options, power: 2 }), { 5: 0.325, 10: 0.1 });
  // Step 15 is three quarters of the way to 20, step 10 and 20 are at the end of theirs.
  assertRates(polynomialDecay({ ...options, cycle: true }), { 0: 1, 5: 0.55, 10: 0.1, 15: 0.325, 20: 0.1 });
});

Deno.test("schedules say what they are, and refuse what they are not", () => {
  const schedule = exponentialDecay({ initialLearningRate: 0.1, decaySteps: 10, decayRate: 0.5 });
  assertEquals(schedule.type, "exponentialDecay");
  assertEquals(schedule.options, {
    initialLearningRate: 0.1,
    decaySteps: 10,
    decayRate: 0.5,
    staircase: false,
  });
  const wrong = (options: object) => options as Parameters<typeof exponentialDecay>[0]; // wrong on purpose
  assertThrows(
    () => exponentialDecay(wrong({ initialLearningRate: 1 })),
    TypeError,
    "decaySteps is undefined",
  );
  assertThrows(
    () => exponentialDecay({ initialLearningRate: 1, decaySteps: 0, decayRate: 1 }),
    RangeError,
    "above 0",
  );
  assertThrows(() => inverseTimeDecay(wrong({ decayStep: 1 })), RangeError, 'did you mean "decaySteps"');
  assertThrows(() => piecewiseConstantDecay({ boundaries: [1], values: [1] }), RangeError, "one value more");
  assertThrows(
    () => piecewiseConstantDecay({ boundaries: [2, 1], values: [1, 2, 3] }),
    RangeError,
    "to rise",
  );
  assertThrows(
    () => cosineDecay({ initialLearningRate: 1, decaySteps: 5, warmupSteps: 3 }),
    RangeError,
    "no warmupTarget",
  );
});
