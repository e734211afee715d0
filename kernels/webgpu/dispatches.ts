/**
 * What each dispatch of a schedule does: everything that is decided before code is written; and with how many
 * workgroups it runs in a call.
 */
import { buffersOf, everyKernel, type Kernel, type ScanKernel } from "../lowering/kernels.ts";
import { type Situation, workOf } from "./work.ts";
import type { MatmulKernel } from "../lowering/kinds/product.ts";
import type { ReduceKernel } from "../lowering/kinds/reduction.ts";
import type { Buffer } from "../lowering/views.ts";
import {
  isLongReduction,
  partsIn,
  spreadOver,
  tilesOf,
  togetherOf,
  wholeTeam,
  workgroupOf,
} from "./invocation_groups.ts";
import { allIterations } from "./iterations.ts";
import { planRowMemory } from "./row_memory.ts";
import { type PlannedDispatch, type PlannedOf, planSteps, rowsPerWorkgroup } from "./schedule.ts";
import { tripCountOf } from "./wgsl/kinds.ts";
import { kernelsOf, type Repeat, type Task, type TaskOf } from "./wgsl/module.ts";
import { groupTripCount } from "./wgsl/reduce.ts";
import { BLOCK, blocksOf, TERMS } from "./wgsl/tiled.ts";

/** What the dispatches depend on besides the kernels. */
export interface DispatchOptions extends Situation {
  /** Bytes of workgroup memory: `maxComputeWorkgroupStorageSize`. */
  readonly workgroupBytes: number;
  /** Whether a buffer must stay out of workgroup memory. */
  readonly elsewhere: (buffer: Buffer) => boolean;
}

/** The dispatches of kernels, in order: such as suit the given sizes. */
export function dispatchesOf(
  kernels: readonly Kernel[],
  options: DispatchOptions,
): (Task | Repeat<Task>)[] {
  const ways: { readonly [K in PlannedDispatch["kind"]]: (planned: PlannedOf<K>) => Task } = {
    together: ({ kernels }) => ({ kind: "together", kernels, group: togetherOf(options) }),
    spread: ({ kernel }) => spread(kernel, options),
    rows: ({ scan, steps }) => byRows(scan, steps, kernels, options),
  };
  const taskOf = <K extends PlannedDispatch["kind"]>(planned: PlannedOf<K> & { readonly kind: K }) =>
    ways[planned.kind](planned);
  return planSteps(kernels, options).map((planned) =>
    planned.kind === "steps"
      ? { ...planned, dispatches: planned.dispatches.map((each) => taskOf(each)) }
      : taskOf(planned)
  );
}

/** A kernel that runs across the whole device. */
function spread(kernel: Kernel, situation: Situation): Task {
  const { device } = situation;
  if (kernel.kind === "matmul" && device.blocks && isLarge(kernel, situation)) {
    return { kind: "blocks", kernel, parts: partsIn(kernel, situation) };
  }
  if (kernel.kind === "reduce" && isLongReduction(kernel, situation)) {
    return { kind: "teams", kernel, teams: wholeTeam(device) };
  }
  return { kind: "spread", kernel, group: spreadOver(situation, device.workgroups * device.workgroupSize) };
}

/** Whether a product is large enough to run in blocks. */
function isLarge({ output, k }: MatmulKernel, { sizes: { of } }: Situation): boolean {
  const [m, n] = output.shape;
  return output.shape.length === 2 && of(m) >= BLOCK && of(n) >= BLOCK && of(k) >= TERMS;
}

/** A scan by rows; what other kernels read or write is copied in and out. */
function byRows(
  scan: ScanKernel,
  steps: number | undefined,
  kernels: readonly Kernel[],
  { workgroupBytes, elsewhere, ...situation }: DispatchOptions,
): Task {
  const at = kernels.indexOf(scan);
  const rows = rowsPerWorkgroup(scan, situation);
  const local = planRowMemory(scan, {
    rows,
    // Teams of a reduction in the scan keep their parts in workgroup memory too.
    bytes: workgroupBytes - 4 * situation.device.workgroupSize,
    elsewhere,
  });
  // A scan in several dispatches hands all of it from one to the next.
  const all = steps === undefined ? [] : [...local.places.keys()];
  return {
    kind: "rows",
    scan,
    rows,
    group: workgroupOf(situation, rows),
    local,
    enter: new Set([...kernels.slice(0, at).flatMap(buffersOf), ...all]),
    leave: new Set([...kernels.slice(at + 1).flatMap(buffersOf), ...all]),
    ...(steps !== undefined && { steps }),
  };
}

/** How much a dispatch runs in a call. */
export interface Extent {
  readonly workgroups: number;
  /** The most loop iterations of an invocation. */
  readonly iterations: number;
}

const extents: { readonly [K in Task["kind"]]: (task: TaskOf<K>, at: Situation) => Extent } = {
  together: ({ kernels, group }, { sizes }) => ({
    workgroups: 1,
    iterations: kernels.reduce((sum, kernel) => sum + allIterations(kernel, { ...group, sizes }), 0),
  }),
  spread: ({ kernel, group }, { device, sizes }) => {
    const { workgroupSize, mostWorkgroups } = device;
    const items = kernel.kind === "matmul"
      ? tilesOf(kernel, { ...group, sizes })
      : workOf(kernel, { sizes }).items;
    const workgroups = Math.max(1, Math.min(mostWorkgroups, Math.ceil(items / workgroupSize)));
    const invocations = Math.max(device.workgroups, workgroups) * workgroupSize;
    return { workgroups, iterations: tripCountOf(kernel, { ...group, sizes, invocations }).all };
  },
  blocks: ({ kernel }, { device, sizes }) => ({
    workgroups: Math.max(1, Math.min(device.mostWorkgroups, blocksOf(kernel, sizes))),
    iterations: 0, // only on devices without a limit
  }),
  teams: ({ kernel }, { device, sizes }) => {
    const outputs = sizes.elements(kernel.output.shape);
    const workgroups = Math.max(1, Math.min(device.mostWorkgroups, outputs));
    const items = Math.ceil(outputs / workgroups);
    return { workgroups, iterations: groupTripCount(kernel, device.workgroupSize, { items, sizes }).all };
  },
  rows: ({ scan, rows, group, steps }, { sizes }) => {
    const all = { ...group, sizes };
    return {
      workgroups: Math.max(1, Math.ceil(sizes.of(scan.rows) / rows)),
      iterations: steps === undefined ? allIterations(scan, all) : steps * tripCountOf(scan, all).all,
    };
  },
};

/** How much a dispatch runs in a call of these sizes. */
export function extentOf(task: Task, situation: Situation): Extent {
  return extentOfKind(task, situation);
}

function extentOfKind<K extends Task["kind"]>(task: TaskOf<K> & { readonly kind: K }, at: Situation): Extent {
  return extents[task.kind](task, at);
}

/**
 * Whether a dispatch that was made for other sizes sums as one for these sizes would, so that results do not
 * depend on the calls before.
 */
export function sumsAlike(task: Task, before: Situation, now: Situation): boolean {
  const teamsAt = (kernel: ReduceKernel, situation: Situation) =>
    task.kind === "together" || task.kind === "rows"
      ? togetherOf(situation).teamsOf(kernel).size !== 1
      : isLongReduction(kernel, situation);
  return everyKernel(kernelsOf(task)).every(({ kernel }) => {
    if (kernel.kind === "reduce") return teamsAt(kernel, before) === teamsAt(kernel, now);
    return kernel.kind !== "matmul" || partsIn(kernel, before).length === partsIn(kernel, now).length;
  });
}
