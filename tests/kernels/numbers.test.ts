/**
 * Every primitive on every backend against the table of `numbers.ts`: of values that are given at run time, of constants,
 * and of one value that is given with one that is built in.
 */
import { assert } from "@std/assert";
import type { Backend } from "../../kernels/backend.ts";
import { reference } from "../../kernels/reference/mod.ts";
import { hasRelaxedSimd } from "../../kernels/wasm/assembler.ts";
import { createWasm } from "../../kernels/wasm/mod.ts";
import { createNative, native } from "../../kernels/native/mod.ts";
import { createWebGpu } from "../../kernels/webgpu/mod.ts";
import { numbers } from "./numbers.ts";
import type { Check } from "./numbers_checks.ts";
import { compositionChecks, faultsOf } from "./numbers_faults.ts";
import { allExamples } from "../support/examples.ts";

const webgpu = createWebGpu(), noNative = await native.missing() !== undefined;
const backends: readonly { readonly name: string; readonly backend: Backend; readonly ignore?: boolean }[] = [
  { name: "reference", backend: reference },
  ...[1, 2].flatMap((threads) =>
    [true, false].map((relaxed) => ({
      name: `wasm with ${threads} threads and ${relaxed ? "relaxed" : "plain"} SIMD`,
      backend: createWasm({ threads, relaxed, shareFrom: threads > 1 ? 0 : undefined }),
      ignore: relaxed && !hasRelaxedSimd(),
    }))
  ),
  ...[1, 2].map((threads) => ({
    name: `native with ${threads} threads`,
    backend: createNative({ threads, shareFrom: threads > 1 ? 0 : undefined }),
    ignore: noNative,
  })),
  { name: "webgpu", backend: webgpu, ignore: !await webgpu.available() },
];

for (const { name, backend, ignore } of backends) {
  // Workers and a device outlive a test.
  const options = { ignore, sanitizeResources: false, sanitizeOps: false };
  // A Program for each case takes its time on WebGPU: where not all are wanted, a third, drawn each time.
  const each = allExamples || name !== "webgpu" ? 1 : 3, first = Math.floor(Math.random() * each);
  const drawn = <T>(cases: Iterable<T>) => [...cases].filter((_, index) => index % each === first);
  const hold = async (checks: readonly Check[]) => {
    const faults: string[] = [];
    for (const check of checks) faults.push(...await faultsOf(backend, check));
    assert(faults.length === 0, `${faults.length} faults:\n${faults.slice(0, 12).join("\n")}`);
  };
  Deno.test({
    name: `${name} has the special values of every primitive`,
    ...options,
    async fn(t) {
      for (const [operation, { checks }] of drawn(Object.entries(numbers))) {
        await t.step(operation, () => hold(checks));
      }
    },
  });
  Deno.test({
    name: `${name} computes with NaN and infinities as it is written`,
    ...options,
    async fn(t) {
      for (const [text, check] of drawn(compositionChecks())) await t.step(text, () => hold([check]));
    },
  });
}
