/** What a device is to a schedule: how large its workgroups are, how many run at once, and about how fast they are. */
import { BLOCK_BYTES, BLOCK_INVOCATIONS } from "./wgsl/tiled.ts";

/**
 * Invocations of a workgroup on a processor: few of them have larger tiles of a product each, and reads are what takes
 * the time there. Of 64, 32, 16 and 8, a train step of the guide's model was fastest with 16 and 8, and compiled fastest
 * with 16.
 */
const SOFTWARE_INVOCATIONS = 16;

/** Less than the 65,535 after which llvmpipe ends the loops of an invocation. */
const SOFTWARE_ITERATIONS = 60_000;

/** What a scan is run as; `auto` chooses by the rule of `schedule.ts`. */
export type ScanSchedule = "rows" | "steps";

/** What the tiles of products are chosen by. */
export interface TileCosts {
  /** What the read of an element takes, beside a multiply-add. */
  readonly read: number;
  /** How many sums an invocation may have. */
  readonly sums: number;
}

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
