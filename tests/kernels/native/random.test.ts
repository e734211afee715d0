import { exampleCount } from "../../support/examples.ts";
import { testRandomLoops } from "../random_loops.ts";
import { testRandomPrograms } from "../random_programs.ts";
import { testRandomScans } from "../random_scans.ts";
import { backends, missing } from "./backends.ts";

if (missing === undefined) {
  testRandomPrograms("native", backends);
  testRandomScans("native", backends);
  testRandomLoops("native", backends, { runs: exampleCount(25) }); // a C compiler takes a second for each
} else Deno.test.ignore("native: random Programs are right", () => {});
