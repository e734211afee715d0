import { assertEquals, assertMatch } from "@std/assert";
import { passes } from "../../src/passes/mod.ts";
import { goldenText } from "./golden.ts";
import { goldenCases } from "./golden_cases.ts";

const FILE = new URL("./golden.md", import.meta.url);
const ignore = Deno.permissions.querySync({ name: "read" }).state !== "granted";

Deno.test({
  name: "each pass does to its example what golden.md shows" + (ignore ? " (needs --allow-read)" : ""),
  ignore,
  async fn() {
    assertEquals(
      goldenText(),
      await Deno.readTextFile(FILE),
      "if the change is meant, run: deno run --allow-write tests/passes/golden.ts",
    );
  },
});

Deno.test("every pass has an example", () => {
  const shown = new Set(goldenCases.map(({ pass }) => pass));
  // A pass that runs once more is named for what came before, or `again`.
  const repeated = /( again| what was merged| what only sums read)$/;
  const missing = passes.map(({ name }) => name).filter((name) => !shown.has(name) && !repeated.test(name));
  assertEquals(missing, []);
  for (const { shows } of goldenCases) assertMatch(shows, /^[a-z].*[^.]$/);
});
