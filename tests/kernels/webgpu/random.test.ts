import { exampleCount } from "../../support/examples.ts";
import { createWebGpu } from "../../../kernels/webgpu/mod.ts";
import { testRandomPrograms } from "../random_programs.ts";
import { testRandomScans } from "../random_scans.ts";

const backend = createWebGpu();
// An adapter on the processor takes seconds to compile each example: a part of the examples, others in every run.
const options = { ignore: !await backend.available(), runs: exampleCount(8) };
testRandomPrograms("webgpu", [backend], options);
testRandomScans("webgpu", [backend], options);
