/**
 * How the kernels of a Program become dispatches. There are four ways:
 *
 * - **together**: several small kernels in a row, done by one workgroup, as a dispatch costs more than they do;
 * - **spread**: one kernel with as many invocations as it has items, over the whole device;
 * - **rows**: a scan as one dispatch, in which every workgroup owns rows of the batch and walks the steps;
 * - **steps**: a scan as dispatches for every step, each over the whole device.
 *
 * Which one a scan gets: **rows** needs rows that can be worked on apart, runs at the speed of the workgroups that own
 * one, and each of them reads all weights at every step; **steps** has the whole device for each kernel, reads weights
 * once, and pays a dispatch for each kernel of each step. The one whose estimated time for a step is less is chosen: with
 * few rows or large weights (a batch of 1, or 1,024 units) that is **steps**.
 */
import type { Kernel, ScanKernel } from "../lowering/kernels.ts";
import { sizeOf } from "../lowering/views.ts";
import { allIterations, type Callers, splitTerms, stepsAtOnce } from "./iterations.ts";
import type { MostTerms } from "../lowering/parts.ts";
import type { TileCosts } from "./wgsl/matmul.ts";
import { isLongReduction } from "./wgsl/reduce.ts";

/** Invocations and bytes of its workgroup's memory that a block of a large product takes. */
export const BLOCK_INVOCATIONS = 256, BLOCK_BYTES = 8192;

/**
 * Invocations of a workgroup on a processor: few of them have larger tiles of a product each, and reads are what takes
 * the time there. Of 64, 32, 16 and 8, a train step of the guide's model was fastest with 16 and 8, and compiled fastest
 * with 16.
 */
const SOFTWARE_INVOCATIONS = 16;

/** Less than the 65,535 after which llvmpipe ends the loops of an invocation. */
const SOFTWARE_ITERATIONS = 60_000;

/**
 * Terms of a part of a long product, and the parts up to which each is added to those before where they lie; more are
 * computed side by side, and summed in blocks.
 */
const PART_TERMS = 4096, PARTS_IN_PLACE = 32;

/** What a scan is run as; `auto` chooses by the rule above. */
export type ScanSchedule = "rows" | "steps";

/** About how fast a device is; what a schedule is estimated by. */
export interface Speed {
  /** Multiply-adds that a workgroup does in a microsecond on rows of its own. */
  readonly work: number;
  /** The same where all work on one product, and share what they read. */
  readonly spread: number;
  /** Bytes of weights that a workgroup reads in a microsecond. */
  readonly bytes: number;
  /** Microseconds that a dispatch takes beside its work. */
  readonly dispatch: number;
}

/** What the schedule depends on. */
export interface DeviceShape {
  /** Invocations of a workgroup. */
  readonly workgroupSize: number;
  /** How many workgroups fill the device: rows of a scan are shared out among as many. */
  readonly workgroups: number;
  /** Workgroups that a dispatch may have: `maxComputeWorkgroupsPerDimension`. */
  readonly mostWorkgroups: number;
  readonly speed: Speed;
  /** Whether large products go in blocks through the memory of workgroups: on a processor that is memory like any. */
  readonly blocks: boolean;
  /** How often an invocation may go round loops in a dispatch. */
  readonly mostIterations: number;
  /** What tiles of products cost. */
  readonly tiles: TileCosts;
  /** How many elements each invocation of a team has at least. */
  readonly teamElements: number;
  /** Whether invocations are in subgroups that combine what they have: the feature `subgroups`. */
  readonly subgroups: boolean;
  /** Whether compilers must find out for themselves how often a loop goes round, and so do not write it out. */
  readonly keepsLoops: boolean;
  /** The way of every scan that can go it, where it is not left to the rule. */
  readonly forced?: ScanSchedule;
}

/**
 * The shape of a device. Its speed is not measured: a device that computes on the processor has a workgroup for each of
 * its threads, and a graphics processor is taken to run 64 workgroups at once.
 */
export function shapeOf(
  limits: Pick<
    GPUSupportedLimits,
    | "maxComputeInvocationsPerWorkgroup"
    | "maxComputeWorkgroupSizeX"
    | "maxComputeWorkgroupsPerDimension"
    | "maxComputeWorkgroupStorageSize"
  >,
  { isSoftware, threads, subgroups = false, forced }: {
    readonly isSoftware: boolean;
    readonly threads: number;
    readonly subgroups?: boolean;
    readonly forced?: ScanSchedule;
  },
): DeviceShape {
  const most = Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX);
  return {
    workgroupSize: Math.min(most, isSoftware ? SOFTWARE_INVOCATIONS : 256),
    workgroups: isSoftware ? 2 * threads : 64,
    mostWorkgroups: limits.maxComputeWorkgroupsPerDimension,
    speed: isSoftware
      ? { work: 500, spread: 500, bytes: 4_000, dispatch: 30 }
      : { work: 10_000, spread: 40_000, bytes: 80_000, dispatch: 4 },
    blocks: !isSoftware && most >= BLOCK_INVOCATIONS && limits.maxComputeWorkgroupStorageSize >= BLOCK_BYTES,
    mostIterations: isSoftware ? SOFTWARE_ITERATIONS : Infinity,
    teamElements: isSoftware ? 512 : 8,
    subgroups,
    keepsLoops: isSoftware,
    tiles: isSoftware ? { read: 30, sums: 256 } : { read: 4, sums: 32 },
    forced,
  };
}

/**
 * The device for these kernels. Where loops are kept, a sum of a product takes a compiler about 0.5 ms, which many
 * products of little work would never make up for: they share some sums, and more with more work.
 */
export function shapeFor(kernels: readonly Kernel[], device: DeviceShape): DeviceShape {
  if (!device.keepsLoops) return device;
  const costs = productCosts(kernels).filter((cost) => cost >= SMALL);
  const work = costs.reduce((sum, cost) => sum + cost, 0);
  const share = (SHARED_SUMS + work * SUMS_PER_WORK) / Math.max(1, costs.length);
  return { ...device, tiles: { ...device.tiles, sums: Math.max(4, Math.min(device.tiles.sums, share)) } };
}

/**
 * The most terms of what a kernel sums: of a reduction as many as the loops of a team, or where it has none of an
 * invocation, may go round.
 */
export function mostTerms({ workgroupSize, mostIterations, teamElements }: DeviceShape): MostTerms {
  // Loops around blocks go round too, and so do those of a team that combine its parts.
  const rounds = Math.floor(mostIterations * 0.8);
  return {
    ofReduction: (kernel) =>
      isLongReduction(kernel, workgroupSize, teamElements) ? rounds * workgroupSize : rounds,
    ofScatter: ({ output }) => rounds - output.shape[0],
    ofProducts: { from: PART_TERMS * PARTS_IN_PLACE, most: PART_TERMS },
  };
}

/** The cost of every product among kernels, of all steps. */
function productCosts(kernels: readonly Kernel[]): number[] {
  return kernels.flatMap((kernel) => {
    if (kernel.kind === "scan") return productCosts(kernel.body).map((cost) => cost * kernel.length);
    return kernel.kind === "matmul" ? [workOf(kernel).cost] : [];
  });
}

/** Kernels that run as one dispatch. */
export interface PlannedDispatch {
  readonly kind: "together" | "spread" | "rows";
  /** In order, each ready before the next begins; one, unless they run together. */
  readonly kernels: readonly Kernel[];
  /** Steps that a scan by rows does at once, where it is less than all: it is done again until all are. */
  readonly steps?: number;
}

/** A scan that runs as dispatches for every step. */
export interface PlannedSteps {
  readonly kind: "steps";
  readonly scan: ScanKernel;
  readonly dispatches: readonly PlannedDispatch[];
}

/** Work of a kernel. */
export interface Work {
  /** What the function of the kernel is told to do: rows, or all. */
  readonly units: number;
  /** What invocations can share out. */
  readonly items: number;
  /** About as many multiply-adds as it takes the time of. */
  readonly cost: number;
}

/** So many kernels run together at most: compilers take long over a large function. */
const MOST_TOGETHER = 8;

/** Sums that the products of a Program share, and how many more with each multiply-add. */
const SHARED_SUMS = 128, SUMS_PER_WORK = 1 / 4e6;

/** Sums that an invocation has in products which run together. */
const SMALL_SUMS = 1;

/** Kernels of less cost than this run together. */
const SMALL = 80_000;

/** The work of a kernel, of one step if it is a scan. */
export function workOf(kernel: Kernel): Work {
  const first = (shape: readonly number[]) => shape[0] ?? 1;
  switch (kernel.kind) {
    case "fused":
      return work(
        first(kernel.shape),
        sizeOf(kernel.shape),
        sizeOf(kernel.shape) * Math.max(1, kernel.operations.length / 4),
      );
    case "reduce":
    case "argmax":
      return work(first(kernel.output.shape), sizeOf(kernel.output.shape), sizeOf(kernel.input.shape));
    case "gather":
      return work(first(kernel.output.shape), sizeOf(kernel.output.shape));
    case "scatterAdd":
      return work(1, sizeOf(kernel.output.shape.slice(1)), sizeOf(kernel.updates.shape));
    case "randomBits":
      return work(1, Math.ceil(sizeOf(kernel.output.shape) / 2), 20 * sizeOf(kernel.output.shape));
    case "matmul": {
      const { shape } = kernel.output;
      const units = shape.length === 2 ? shape[0] : sizeOf(shape.slice(0, -2));
      return work(units, sizeOf(shape), sizeOf(shape) * kernel.k);
    }
    case "scan":
      return work(
        Math.max(1, kernel.rows),
        Math.max(1, kernel.rows),
        kernel.body.reduce((sum, inner) => sum + costOf(inner), 0),
      );
  }
}

function work(units: number, items: number, cost = items): Work {
  return { units, items, cost };
}

/** The cost of a kernel, of all steps if it is a scan. */
function costOf(kernel: Kernel): number {
  return workOf(kernel).cost * (kernel.kind === "scan" ? kernel.length : 1);
}

/** Bytes of the right operands of products in a step. */
function weightBytes(body: readonly Kernel[]): number {
  return body.reduce((sum, kernel) => {
    if (kernel.kind === "scan") return sum + kernel.length * weightBytes(kernel.body);
    return kernel.kind === "matmul" ? sum + 4 * kernel.k * (kernel.output.shape.at(-1) ?? 1) : sum;
  }, 0);
}

/** Rows of each workgroup where a scan goes by rows. */
export function rowsPerWorkgroup({ rows }: ScanKernel, { workgroups }: DeviceShape): number {
  return Math.ceil(rows / workgroups);
}

/** The way of a scan, and why. */
export function scheduleOf(
  scan: ScanKernel,
  device: DeviceShape,
): { readonly schedule: ScanSchedule | "together"; readonly why: string } {
  const canRows = scan.rows > 0 && atOnce(scan, device) > 0;
  const canLoop = scan.rows === 0 && allIterations(scan, togetherOf(device)) <= device.mostIterations;
  if (!canRows && !canLoop) {
    return { schedule: "steps", why: "the adapter has no loops as long as a step takes" };
  }
  if (device.forced === "steps") return { schedule: "steps", why: "as asked for" };
  if (device.forced === "rows" && canRows) return { schedule: "rows", why: "as asked for" };
  const { speed, workgroups } = device;
  const { cost } = workOf(scan), bytes = weightBytes(scan.body);
  const groups = canRows ? Math.ceil(scan.rows / rowsPerWorkgroup(scan, device)) : 1;
  const apart = Math.max(cost / (groups * speed.work), bytes / speed.bytes);
  const dispatches = planDispatches(scan.body, device).length;
  const whole = Math.max(cost / speed.spread, bytes / speed.bytes) / workgroups + dispatches * speed.dispatch;
  const print = (time: number) => time < 10 ? time.toFixed(1) : time.toFixed(0);
  const times = `about ${print(apart)} µs a step in ${groups} workgroup${groups > 1 ? "s" : ""}, ` +
    `${print(whole)} in ${dispatches} dispatch${dispatches > 1 ? "es" : ""}`;
  if (whole < apart) return { schedule: "steps", why: times };
  return {
    schedule: canRows ? "rows" : "together",
    why: canRows ? times : `${times}; rows depend on each other`,
  };
}

/** The invocations of one workgroup, for so many rows of a scan. */
export function workgroupOf(device: DeviceShape, rows: number): Callers {
  const { workgroupSize, tiles, teamElements, subgroups } = device;
  return { invocations: workgroupSize, workgroup: workgroupSize, rows, tiles, teamElements, subgroups };
}

/** The workgroup that does small kernels together. */
export function togetherOf(device: DeviceShape): Callers {
  const callers = workgroupOf(device, Infinity);
  return { ...callers, tiles: { ...device.tiles, sums: SMALL_SUMS } };
}

/** How many steps a scan by rows does at once. */
function atOnce(scan: ScanKernel, device: DeviceShape): number {
  return stepsAtOnce(scan, workgroupOf(device, rowsPerWorkgroup(scan, device)), device.mostIterations);
}

/** The dispatches of kernels outside of scans that go by steps; a scan among them runs in its loop. */
function planDispatches(kernels: readonly Kernel[], device: DeviceShape): PlannedDispatch[] {
  return planSteps(kernels, device, () => "together") as PlannedDispatch[]; // no scan goes by steps
}

/** The dispatches of kernels, in order. */
export function planSteps(
  kernels: readonly Kernel[],
  device: DeviceShape,
  choose: (scan: ScanKernel) => ScanSchedule | "together" = (scan) => scheduleOf(scan, device).schedule,
): (PlannedDispatch | PlannedSteps)[] {
  const planned: (PlannedDispatch | PlannedSteps)[] = [];
  const { mostIterations } = device;
  let small: Kernel[] = [], iterations = 0;
  const flush = () => {
    if (small.length > 0) planned.push({ kind: "together", kernels: small });
    small = [];
    iterations = 0;
  };
  const parts = kernels.flatMap((kernel): readonly Kernel[] =>
    kernel.kind === "matmul" ? splitTerms(kernel, Math.min(PART_TERMS, mostIterations / 4)) : [kernel]
  );
  for (const kernel of parts) {
    const own = allIterations(kernel, togetherOf(device));
    const isSmall = costOf(kernel) < SMALL && own <= mostIterations;
    const way = kernel.kind === "scan" ? choose(kernel) : isSmall ? "together" : "spread";
    if (way === "together") {
      if (small.length === MOST_TOGETHER || iterations + own > mostIterations) flush();
      small.push(kernel);
      iterations += own;
      continue;
    }
    flush();
    if (kernel.kind === "scan" && way === "steps") {
      planned.push({ kind: "steps", scan: kernel, dispatches: planDispatches(kernel.body, device) });
    } else if (kernel.kind === "scan") {
      const steps = atOnce(kernel, device);
      planned.push({ kind: "rows", kernels: [kernel], ...(steps < kernel.length && { steps }) });
    } else {
      planned.push({ kind: "spread", kernels: [kernel] });
    }
  }
  flush();
  return planned;
}
