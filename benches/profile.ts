import type { BenchOptions } from "./support/options.ts";
import type { Workload } from "./workloads.ts";
export function profile(_workload: Workload | undefined, _options: BenchOptions): Promise<string> {
  throw new Error("not yet");
}
