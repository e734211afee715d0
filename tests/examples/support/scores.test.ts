import { assertAlmostEquals, assertEquals } from "@std/assert";
import { alarmsOf, finds } from "../../../examples/support/alarms.ts";
import { partsOf } from "../../../examples/support/messages.ts";
import { meanF1, scoresOf } from "../../../examples/support/scores.ts";

Deno.test("scoresOf gives precision, recall and F1 of each class", () => {
  const [first, second, third] = scoresOf([0, 0, 0, 1], [0, 0, 1, 1], 3);
  assertEquals([first.precision, first.recall], [1, 2 / 3]);
  assertAlmostEquals(first.f1, 0.8, 1e-12);
  assertEquals([second.precision, second.recall], [1 / 2, 1]);
  assertEquals(third, { precision: 0, recall: 0, f1: 0 });
  assertAlmostEquals(meanF1([first, second]), (0.8 + 2 / 3) / 2, 1e-12);
});

Deno.test("partsOf finds runs of a tag, up to the end", () => {
  assertEquals(partsOf([1, 1, 0, 2, 3]), ["name 0 2", "street 3 4", "date 4 5"]);
  assertEquals(partsOf([0, 0]), []);
});

Deno.test("alarmsOf joins alarms that follow another within two seconds", () => {
  const surprise = new Float32Array(400);
  for (const at of [10, 11, 90, 300]) surprise[at] = 2;
  assertEquals(alarmsOf(surprise, 1), [10, 300]);
  assertEquals(alarmsOf(surprise, 2), []);
  assertEquals([99, 100, 174, 175].map((alarm) => finds(alarm, { kind: "", from: 100, to: 150 })), [
    false,
    true,
    true,
    false,
  ]);
});
