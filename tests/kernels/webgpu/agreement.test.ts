import { createWebGpu } from "../../../kernels/webgpu/mod.ts";
import { testAgreement } from "../agree.ts";

const backend = createWebGpu();
testAgreement("webgpu", backend, !await backend.available());
