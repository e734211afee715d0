import { allExamples, exampleCount } from "../../support/examples.ts";
import { createWebGpu } from "../../../kernels/webgpu/mod.ts";
import { testRandomPrograms } from "../random_programs.ts";
import { testRandomScans } from "../random_scans.ts";

const backend = createWebGpu();
// An adapter on the processor takes seconds to compile each example: a part of the examples, others in every run.
const runs = allExamples ? exampleCount(8) : Math.min(3, exampleCount(8));
const options = { ignore: !await backend.available(), runs };
testRandomPrograms("webgpu", [backend], options);
testRandomScans("webgpu", [backend], options);
