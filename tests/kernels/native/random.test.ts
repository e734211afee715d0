import { testRandomPrograms } from "../random_programs.ts";
import { testRandomScans } from "../random_scans.ts";
import { backends, missing } from "./backends.ts";

const able = missing === undefined ? backends : [];
testRandomPrograms("native", able);
testRandomScans("native", able);
