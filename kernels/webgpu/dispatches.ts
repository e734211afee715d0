/**
 * What each dispatch of a schedule does, and with how many workgroups: everything that is decided before code
 * is written.
 */
import { buffersOf, type Kernel, type ScanKernel, workOf } from "../lowering/kernels.ts";
import type { MatmulKernel } from "../lowering/kinds/product.ts";
import type { ReduceKernel } from "../lowering/kinds/reduction.ts";
import type { Buffer } from "../lowering/views.ts";
import {
  isLongReduction,
  spreadOver,
  tilesOf,
  togetherOf,
  wholeTeam,
  workgroupOf,
} from "./invocation_groups.ts";
import type { DeviceShape } from "./device_shape.ts";
import { checkIterations } from "./iterations.ts";
import { planRowMemory } from "./row_memory.ts";
import { type PlannedDispatch, type PlannedOf, planSteps, rowsPerWorkgroup } from "./schedule.ts";
import { tripCountOf } from "./wgsl/kinds.ts";
import type { Repeat, Task } from "./wgsl/module.ts";
import { groupTripCount } from "./wgsl/reduce.ts";
import { BLOCK, blocksOf, TERMS } from "./wgsl/tiled.ts";
import { sizeOf } from "../shapes.ts";

/** What the dispatches depend on besides the kernels. */
export interface DispatchOptions {
  readonly device: DeviceShape;
  /** Bytes of workgroup memory: `maxComputeWorkgroupStorageSize`. */
  readonly workgroupBytes: number;
  /** Whether a buffer must stay out of workgroup memory. */
  readonly elsewhere: (buffer: Buffer) => boolean;
}

/**
 * The dispatches of kernels, in order.
 *
 * @throws RangeError if an invocation would need more loop iterations than the adapter allows.
 */
export function dispatchesOf(
  kernels: readonly Kernel[],
  options: DispatchOptions,
): (Task | Repeat<Task>)[] {
  const ways: { readonly [K in PlannedDispatch["kind"]]: (planned: PlannedOf<K>) => Task } = {
    together: ({ kernels }) => ({ kind: "together", kernels, group: togetherOf(options.device) }),
    spread: ({ kernel }) => spread(kernel, options.device),
    rows: ({ scan, steps }) => byRows(scan, steps, kernels, options),
  };
  const taskOf = <K extends PlannedDispatch["kind"]>(planned: PlannedOf<K> & { readonly kind: K }) =>
    ways[planned.kind](planned);
  return planSteps(kernels, options.device).map((planned) =>
    planned.kind === "steps"
      ? { ...planned, dispatches: planned.dispatches.map((each) => taskOf(each)) }
      : taskOf(planned)
  );
}

/** A kernel that runs across the whole device. */
function spread(kernel: Kernel, device: DeviceShape): Task {
  if (kernel.kind === "matmul" && device.blocks && isLarge(kernel)) {
    return { kind: "blocks", kernel, workgroups: Math.min(device.mostWorkgroups, blocksOf(kernel)) };
  }
  if (kernel.kind === "reduce" && isLongReduction(kernel, device)) return byTeams(kernel, device);
  const { workgroupSize, mostWorkgroups } = device;
  const all = device.workgroups * workgroupSize;
  const group = spreadOver(device, all);
  const items = kernel.kind === "matmul" ? tilesOf(kernel, group) : workOf(kernel).items;
  const workgroups = Math.max(1, Math.min(mostWorkgroups, Math.ceil(items / workgroupSize)));
  const most = spreadOver(device, Math.max(all, workgroups * workgroupSize));
  checkIterations(kernel, tripCountOf(kernel, most).busy, device);
  return { kind: "spread", kernel, group, workgroups };
}

/** Whether a product is large enough to run in blocks. */
function isLarge({ output, k }: MatmulKernel): boolean {
  const [m, n] = output.shape;
  return output.shape.length === 2 && m >= BLOCK && n >= BLOCK && k >= TERMS;
}

/** A reduction in which each result has a workgroup. */
function byTeams(kernel: ReduceKernel, device: DeviceShape): Task {
  const outputs = sizeOf(kernel.output.shape);
  const workgroups = Math.max(1, Math.min(device.mostWorkgroups, outputs));
  const tripCount = groupTripCount(kernel, device.workgroupSize, Math.ceil(outputs / workgroups));
  checkIterations(kernel, tripCount.busy, device);
  return { kind: "teams", kernel, teams: wholeTeam(device), workgroups };
}

/** A scan by rows; what other kernels read or write is copied in and out. */
function byRows(
  scan: ScanKernel,
  steps: number | undefined,
  kernels: readonly Kernel[],
  { device, workgroupBytes, elsewhere }: DispatchOptions,
): Task {
  const at = kernels.indexOf(scan);
  const rows = rowsPerWorkgroup(scan, device);
  const local = planRowMemory(scan, {
    rows,
    // Teams of a reduction in the scan keep their parts in workgroup memory too.
    bytes: workgroupBytes - 4 * device.workgroupSize,
    elsewhere,
  });
  // A scan in several dispatches hands all of it from one to the next.
  const all = steps === undefined ? [] : [...local.places.keys()];
  return {
    kind: "rows",
    scan,
    rows,
    group: workgroupOf(device, rows),
    workgroups: Math.ceil(scan.rows / rows),
    local,
    enter: new Set([...kernels.slice(0, at).flatMap(buffersOf), ...all]),
    leave: new Set([...kernels.slice(at + 1).flatMap(buffersOf), ...all]),
    ...(steps !== undefined && { steps }),
  };
}
