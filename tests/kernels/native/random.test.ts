import { testRandomPrograms } from "../random_programs.ts";
import { testRandomScans } from "../random_scans.ts";
import { backends, missing } from "./backends.ts";

if (missing === undefined) {
  testRandomPrograms("native", backends);
  testRandomScans("native", backends);
} else Deno.test.ignore("native: random Programs are right", () => {});
