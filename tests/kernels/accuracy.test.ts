/** The functions of every backend are as exact as docs/numbers.md says, over all floats. */
import { assert } from "@std/assert";
import { reference } from "../../kernels/reference/mod.ts";
import { hasRelaxedSimd } from "../../kernels/wasm/assembler.ts";
import { createWasm } from "../../kernels/wasm/mod.ts";
import { createNative, native } from "../../kernels/native/mod.ts";
import { createWebGpu } from "../../kernels/webgpu/mod.ts";
import { exampleCount } from "../support/examples.ts";
import { measure, type Measured, measured } from "./accuracy.ts";

const COUNT = exampleCount(1 << 16);

const webgpu = createWebGpu();
const backends = [
  { name: "reference", backend: reference, ignore: false },
  ...[true, false].map((relaxed) => ({
    name: `wasm with ${relaxed ? "relaxed" : "plain"} SIMD`,
    backend: createWasm({ threads: 1, relaxed }),
    ignore: relaxed && !hasRelaxedSimd(),
  })),
  { name: "native", backend: createNative({ threads: 1 }), ignore: await native.missing() !== undefined },
  { name: "webgpu", backend: webgpu, ignore: !await webgpu.available() },
];

for (const { name, backend, ignore } of backends) {
  Deno.test({
    name: `${name} computes functions of all floats to the units in the last place that are promised`,
    ignore,
    // A device outlives a test.
    sanitizeResources: false,
    sanitizeOps: false,
    async fn(t) {
      for (const [of, each] of Object.entries<Measured>(measured)) {
        await t.step(of, async () => {
          const { units, at, actual } = await measure(backend, each, COUNT);
          assert(
            units <= each.bound,
            `${of} of ${at} is ${actual}, not ${each.definition(...at)}: ${units} units`,
          );
        });
      }
    },
  });
}
