import { createWebGpu } from "../../../kernels/webgpu/mod.ts";
import { allExamples } from "../../support/examples.ts";
import { testAgreement } from "../agree.ts";

const backend = createWebGpu();
testAgreement("webgpu", backend, !await backend.available(), allExamples ? 1 : 3);
