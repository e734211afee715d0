import { createWebGpu } from "../../../kernels/webgpu/mod.ts";
import { testProducts } from "../products.ts";
import { testSums } from "../sums.ts";

const backend = createWebGpu();
const ignore = !await backend.available();
testSums("webgpu", backend, ignore, 2_000_000);
testProducts("webgpu", backend, ignore, "fixed");
