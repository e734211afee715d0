import { exampleCount, fewExamples } from "../../support/examples.ts";
import { testRandomLoops } from "../random_loops.ts";
import { testRandomPrograms } from "../random_programs.ts";
import { testRandomScans } from "../random_scans.ts";
import { backends, missing } from "./backends.ts";

if (missing === undefined) {
  // A C compiler takes a second for each.
  const runs = fewExamples ? 3 : exampleCount(200);
  testRandomPrograms("native", backends, { runs });
  testRandomScans("native", backends, { runs });
  testRandomLoops("native", backends, { runs: exampleCount(25) });
} else Deno.test.ignore("native: random Programs are right", () => {});
