import { createWebGpu } from "../../../kernels/webgpu/mod.ts";
import { testSums } from "../sums.ts";

const backend = createWebGpu();
testSums("webgpu", backend, !await backend.available(), 2_000_000);
