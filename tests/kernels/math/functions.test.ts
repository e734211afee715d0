/**
 * The functions of `kernels/math` as they are defined, without a device: exact to what docs/numbers.md promises, with
 * products and sums rounded once or twice, and with the special values of its table.
 */
import { assert } from "@std/assert";
import { mathFunctions } from "../../../kernels/math/mod.ts";
import { type Measured, measured, operandsFor, unitsApart, worstOf } from "../accuracy.ts";
import { exampleCount } from "../../support/examples.ts";
import { numbers } from "../numbers.ts";
import { inJavaScript } from "./javascript.ts";

const COUNT = exampleCount(1 << 17);
const NAMES = Object.keys(mathFunctions) as (keyof typeof mathFunctions)[];

for (const fused of [true, false]) {
  Deno.test(`functions are as exact as promised, with ${fused ? "one rounding" : "two roundings"} of a product and a sum`, async (t) => {
    for (const name of NAMES) {
      await t.step(name, () => {
        const { definition, ranges, bound }: Measured = measured[name];
        const run = inJavaScript(mathFunctions[name], { fused });
        const results = new Float32Array(COUNT);
        for (const operands of operandsFor(ranges, COUNT)) {
          run(operands, results);
          const { units, at, actual } = worstOf(definition, operands, results);
          assert(units <= bound, `${name} of ${at} is ${actual}, not ${definition(...at)}: ${units} units`);
        }
      });
    }
  });
}

Deno.test("functions have the special values of the table", async (t) => {
  for (const name of NAMES) {
    await t.step(name, () => {
      const run = inJavaScript(mathFunctions[name], { fused: true });
      for (const { inputs, pairsOf, expected } of numbers[name].checks) {
        const given = pairsOf?.data;
        const operands = given
          ? [
            Float32Array.from({ length: given.length ** 2 }, (_, i) => given[Math.floor(i / given.length)]),
            Float32Array.from({ length: given.length ** 2 }, (_, i) => given[i % given.length]),
          ]
          : inputs.map(({ data }) => Float32Array.from(data));
        const results = new Float32Array(operands[0].length);
        run(operands, results);
        results.forEach((result, i) => {
          const isSame = expected[i] === 0
            ? Object.is(result, expected[i])
            : unitsApart(result, expected[i]) <= 4;
          assert(isSame, `${name} of ${operands.map((each) => each[i])} is ${result}, not ${expected[i]}`);
        });
      }
    });
  }
});
