/** What was compiled, for people to read. */
import { type Kernel, printKernel } from "../lowering/kernels.ts";
import { sizesAt } from "../lowering/kinds/kind.ts";
import type { Bound, Plans } from "./bound.ts";
import { tasksOf } from "./code.ts";
import { scheduleOf } from "./schedule.ts";
import { isRepeat, kernelsOf, localWordsOf } from "./wgsl/module.ts";
import type { Situation } from "./work.ts";

/** The plans of a Program, with the code of their variants. */
export function describePlans(kept: Plans["kept"]): string[] {
  const plans = kept.entries;
  if (plans.length === 0) return [];
  const variants = [...new Set(plans.map(([, { variant }]) => variant))];
  return [
    ...plans.map(([key, bound]) => {
      const { runs, arena, variant } = bound;
      const count = runs.reduce(
        (sum, { dispatches, steps }) => sum + dispatches.length * Math.ceil(steps.count / steps.stride),
        0,
      );
      const which = variants.length > 1 ? `, variant ${variants.indexOf(variant) + 1}` : "";
      return `for ${key || "these sizes"}: ${count} dispatches, ${arena.bytes} bytes planned${which}`;
    }),
    kept.describe(),
    ...variants.flatMap((variant, index) => {
      const [, bound] = plans.findLast(([, { variant: of }]) => of === variant) ?? plans[0];
      return [...(variants.length > 1 ? [`variant ${index + 1}`] : []), ...describeVariant(bound)];
    }),
  ];
}

/** A variant as the last sizes use it. */
function describeVariant({ variant, runs, code, bindings }: Bound): string[] {
  const situation = { ...variant.situation, sizes: sizesAt(bindings) };
  const codes = new Map(tasksOf(variant.dispatches).map(({ name, code }) => [name, code]));
  const line = ({ ready, workgroups }: Bound["runs"][number]["dispatches"][number]) => {
    const { name, task, subgroups } = ready;
    const bytes = 4 * localWordsOf(task);
    return `${name}: ${workgroups} workgroups, ${kernelsOf(task).length} kernels` +
      (bytes > 0 ? `, ${bytes} bytes of their memory` : "") +
      (subgroups ? ", reductions by subgroups" : "");
  };
  return [
    ...variant.dispatches.flatMap((each, index) => {
      const { dispatches, steps } = runs[index];
      if (!isRepeat(each)) {
        const [first, ...more] = kernelsOf(each.task);
        return [`  ${line(dispatches[0])}${more.length === 0 ? why(first, each.task.kind, situation) : ""}`];
      }
      return [
        `  ${steps.count} times${why(each.scan, each.kind, situation)}`,
        ...dispatches.map((inner) => `    ${line(inner)}`),
      ];
    }),
    ...code.kernels.flatMap((kernel) => printKernel(kernel, "  ")),
    `${
      [...codes.values()].reduce((sum, { length }) => sum + length, 0)
    } characters of WGSL in ${codes.size} modules`,
    ...[...codes].map(([name, code]) => `module of ${name}\n${code}`),
  ];
}

/** Why a scan runs as it does. */
function why(scan: Kernel, way: string, situation: Situation): string {
  return scan.kind === "scan" ? `; by ${way}: ${scheduleOf(scan, situation).why}` : "";
}
