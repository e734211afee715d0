import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { programOptions, randomFrom } from "../../../examples/support/program.ts";

Deno.test("programOptions takes --small and --picture, and refuses anything else", () => {
  assertEquals({ ...programOptions([]) }, {});
  assertEquals({ ...programOptions(["--small", "--picture", "a.svg"]) }, { small: true, picture: "a.svg" });
  assertThrows(() => programOptions(["--smal"]), TypeError, "--smal");
  assertThrows(() => programOptions(["--picture"]), TypeError, "--picture");
  assertThrows(() => programOptions(["a.svg"]), TypeError, "a.svg");
});

Deno.test("randomFrom gives the same numbers for a seed, and others for another", () => {
  const draw = (seed: number) => Array.from({ length: 5 }, randomFrom(seed).uniform);
  assertEquals(draw(1), draw(1));
  assert(draw(1).every((value, i) => value !== draw(2)[i]));
});

Deno.test("randomFrom draws from the distributions that it says", () => {
  const random = randomFrom(5);
  const count = 20_000;
  const normal = Array.from({ length: count }, random.normal);
  const mean = normal.reduce((sum, value) => sum + value, 0) / count;
  const variance = normal.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count;
  assertAlmostEquals(mean, 0, 5 / Math.sqrt(count)); // five standard deviations of a mean
  assertAlmostEquals(variance, 1, 5 * Math.sqrt(2 / count)); // and of a variance
  const counts = [0, 0, 0];
  for (let i = 0; i < count; i++) counts[random.below(3)]++;
  for (const drawn of counts) assertAlmostEquals(drawn / count, 1 / 3, 5 * Math.sqrt(2 / 9 / count));
  assert(Array.from({ length: 100 }, random.uniform).every((value) => value >= 0 && value < 1));
  assertEquals(new Set(Array.from({ length: 100 }, () => random.pick(["a", "b"]))), new Set(["a", "b"]));
});
