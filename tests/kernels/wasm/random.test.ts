import { testRandomLoops } from "../random_loops.ts";
import { testRandomPrograms } from "../random_programs.ts";
import { testRandomScans } from "../random_scans.ts";
import { backends } from "./backends.ts";

testRandomPrograms("wasm", backends);
testRandomScans("wasm", backends);
testRandomLoops("wasm", backends);
