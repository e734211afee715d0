/** The reductions in a page: bundled with the WebGPU backend, whose shape is that of a graphics processor. */
import { host, type Tensor, trace } from "../../mod.ts";
import { createWebGpu } from "../../kernels/webgpu/mod.ts";
import { shapeOf } from "../../kernels/webgpu/device_shape.ts";
import { runPasses } from "../../src/passes/mod.ts";
import { reductionCases, type ReductionResult } from "./reductions.ts";

/** What came of all cases. */
export interface ReductionResults {
  readonly halves: readonly ReductionResult[];
  /** Absent where the adapter has no subgroups. */
  readonly subgroups?: readonly ReductionResult[];
}

/** Runs all cases, without subgroups and with them. */
export async function runReductions(): Promise<ReductionResults> {
  const adapter = await navigator.gpu.requestAdapter();
  if (!adapter) throw new Error("There is no adapter");
  const run = async (subgroups: boolean) => {
    const device = shapeOf(adapter.limits, { isSoftware: false, threads: 2, subgroups });
    const results: ReductionResult[] = [];
    for (const { fn, args, shape } of reductionCases) {
      const backend = createWebGpu({ shape: { ...device, ...shape } });
      const program = runPasses(trace(fn, ...args).program);
      using executable = await backend.compile(program, {
        donate: args.map(() => false),
        keep: program.outputs.map(() => false),
      });
      const values = async () => (await executable.run(args)).map((each) => [...host(each as Tensor).data]); // not kept
      results.push({ runs: [await values(), await values()], report: executable.describe() });
    }
    return results;
  };
  return {
    halves: await run(false),
    ...(adapter.features.has("subgroups") && { subgroups: await run(true) }),
  };
}
