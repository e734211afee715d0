/** Runs in a page: what WebGPU there makes of special values, other than it should. */
import { createWebGpu } from "../../kernels/webgpu/mod.ts";
import { numbers } from "../kernels/numbers.ts";
import { compositionChecks, faultsOf } from "../kernels/numbers_faults.ts";

/** How many checks there were, and their faults, each with the name of its check. */
export async function runNumbers(): Promise<{ readonly checks: number; readonly faults: readonly string[] }> {
  const backend = createWebGpu();
  if (!await backend.available()) throw new Error("There is no WebGPU");
  const named = [
    ...Object.entries(numbers).flatMap(([name, { checks }]) => checks.map((check) => [name, check] as const)),
    // e^-100 is a denormal, which SwiftShader takes for 0.
    ...compositionChecks().filter(([text]) => text !== "log(e^a)"),
  ];
  const faults: string[] = [];
  for (const [name, check] of named) {
    const found = await faultsOf(backend, check, { builtIn: false, denormals: false }); // each compilation takes long there
    faults.push(...found.slice(0, 5).map((fault) => `${name}: ${fault}`));
  }
  return { checks: named.length, faults };
}
