/**
 * Reductions on WebGPU in a headless Chromium, as a graphics processor would do them: its adapter has subgroups, which
 * Deno's lacks.
 */
import { assertEquals } from "@std/assert";
import { assertValues } from "../kernels/rounding.ts";
import { reductionCases, type ReductionResult } from "./reductions.ts";
import type { ReductionResults } from "./reductions_in_page.ts";
import { bundleEntry } from "./support/bundles.ts";
import { browse, missingForPages, servePages } from "./support/pages.ts";
import { testInFolder } from "./support/requirements.ts";

const SCRIPT = `import("/reductions.js").then(({ runReductions }) => runReductions())`;

/** Runs them in Chromium. */
async function resultsInPage(folder: string): Promise<ReductionResults> {
  await bundleEntry("tests/platforms/reductions_in_page.ts", `${folder}/reductions.js`);
  const { at, shutdown } = servePages((path) =>
    path === "/reductions.js" ? Deno.readFile(folder + path) : Promise.resolve(undefined)
  );
  try {
    const [{ value, errors }] = await browse(folder, [{ url: at("/plain"), expression: SCRIPT }], {
      seconds: 240,
    });
    assertEquals(errors, []);
    return value as ReductionResults; // what the script evaluates to
  } finally {
    await shutdown();
  }
}

/** Fails unless all cases gave what they should, the same twice, and combined their parts by this. */
function assertReductions(by: "halves" | "subgroups", results: readonly ReductionResult[]): void {
  assertEquals(results.length, reductionCases.length);
  for (const [index, { name, fn, args, exact, by: most }] of reductionCases.entries()) {
    const { runs, report } = results[index];
    // What comes from a page is JSON, which has null for NaN.
    const [values, again] = runs.map((run) => run.map((output) => output.map((value) => value ?? NaN)));
    assertValues(fn, args, values, { name, exact });
    assertEquals(again, values, `${name}: another run`);
    const bySubgroups = by === "subgroups" && most === "subgroups";
    const found = [/reductions by subgroups/, /enable subgroups;/, /var half/].map((part) =>
      part.test(report)
    );
    assertEquals(found, [bySubgroups, bySubgroups, !bySubgroups], `${name}: ${report}`);
  }
}

testInFolder(
  "teams of invocations reduce in Chromium to the same as the reference",
  missingForPages,
  async (folder, t) => {
    const { halves, subgroups } = await resultsInPage(folder);
    for (const [by, results] of [["halves", halves], ["subgroups", subgroups]] as const) {
      await t.step({
        name: `by ${by}${results ? "" : " (needs the adapter's feature subgroups)"}`,
        ignore: results === undefined,
        fn: () => assertReductions(by, results ?? []),
      });
    }
  },
);
