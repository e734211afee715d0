/** Limits that are zero: which zero, and what NaN and infinities become. */
import { compile, host, maximum, minimum, type Tensor, tensor } from "../../../mod.ts";
import { assertEquals } from "@std/assert";
import { missing } from "./backends.ts";

// Threads outlive a test.
const options = { ignore: missing !== undefined, sanitizeResources: false, sanitizeOps: false };

Deno.test(
  "native: the larger and smaller of a number and a constant zero are those of reference",
  options,
  async () => {
    const x = tensor([-1, -0, 0, 1, NaN, Infinity, -Infinity, 5, -0, 0]);
    const fn = (x: Tensor) =>
      [0, -0].flatMap((zero) => [maximum(x, zero), maximum(zero, x), minimum(x, zero), minimum(zero, x)]);
    const [expected, actual] = await Promise.all((["reference", "native"] as const).map(async (device) => {
      const results = await compile(fn, { device })(x) as Tensor[];
      // As text, in which the two zeros differ.
      return results.map((each) =>
        [...host(each).data].map((value) => Object.is(value, -0) ? "-0" : `${value}`)
      );
    }));
    assertEquals(actual, expected);
  },
);
