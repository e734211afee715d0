/** What `explain` says of the code of an executable: its plans, its kernels, and the C that they became. */
import { sizesAt } from "../lowering/kinds/kind.ts";
import type { Bound, Plans } from "./bound.ts";
import type { Code } from "./device.ts";
import { cpuFunctions, type CpuKernel } from "./kernels.ts";
import { costOf } from "./partition.ts";

/** The most lines of code that are shown. */
const MOST_LINES = 400;

/** Lines about the code of an executable on a device of so many threads. */
export function describeCode({ code, kept, threadsNow }: Plans, threads: number): string[] {
  const { kernels } = code;
  const how = (isSingleThreaded: boolean) =>
    isSingleThreaded ? "1 thread, as there is too little work to share" : `${threads} threads` +
      (threadsNow < threads ? ` (${threadsNow} of them in the last call, which is faster here)` : "");
  const [, latest] = kept.entries.at(-1) ?? [];
  return [
    code.describe(),
    ...kept.entries.map(([key, { isSingleThreaded, bytes }]) =>
      `for ${key || "these sizes"}: ${how(isSingleThreaded)}, ${bytes} bytes planned`
    ),
    kept.describe(),
    ...printKernels(kernels, code.functionOf, latest),
  ];
}

/** Kernels, each with its function below; if these are long, those that do the most work have theirs. */
function printKernels(
  kernels: readonly CpuKernel[],
  functionOf: Code["functionOf"],
  latest: Bound | undefined,
): string[] {
  if (!functionOf) return kernels.flatMap((kernel) => cpuFunctions.printKernel(kernel, "  "));
  const shown = heaviest(kernels, latest, (kernel) => linesOf(kernel, functionOf).length);
  const print = (kernel: CpuKernel, indent: string, isShown: boolean): string[] => {
    const { name, text } = functionOf(kernel);
    const inside = "body" in kernel ? kernel.body : [];
    return [
      `${indent}${cpuFunctions.printKernel(kernel)[0]}${isShown ? "" : `: ${name} in that file`}`,
      ...isShown ? text.trimEnd().split("\n").map((line) => `${indent}  | ${line}`) : [],
      ...inside.flatMap((each) => print(each, `${indent}  `, isShown)),
    ];
  };
  return kernels.flatMap((kernel) => print(kernel, "  ", shown.has(kernel)));
}

/** The lines of a kernel's function, and of those inside it. */
function linesOf(kernel: CpuKernel, functionOf: NonNullable<Code["functionOf"]>): string[] {
  const inside = "body" in kernel ? kernel.body : [];
  return [
    ...functionOf(kernel).text.trimEnd().split("\n"),
    ...inside.flatMap((each) => linesOf(each, functionOf)),
  ];
}

/** The kernels that do the most work in the latest call and have room together; at least one. */
function heaviest(
  kernels: readonly CpuKernel[],
  latest: Bound | undefined,
  lengthOf: (kernel: CpuKernel) => number,
): ReadonlySet<CpuKernel> {
  const sizes = latest && sizesAt(latest.bindings);
  const costs = new Map(kernels.map((kernel) => [kernel, sizes ? costOf([kernel], sizes) : 0]));
  const shown = new Set<CpuKernel>();
  let lines = 0;
  for (const kernel of kernels.toSorted((a, b) => (costs.get(b) ?? 0) - (costs.get(a) ?? 0))) {
    lines += lengthOf(kernel);
    if (shown.size > 0 && lines > MOST_LINES) break;
    shown.add(kernel);
  }
  return shown;
}
