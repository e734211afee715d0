/**
 * What a schedule needs to know of a device: the size of its workgroups, how many run at once, and roughly
 * how fast they are.
 */
import { BLOCK_BYTES, BLOCK_INVOCATIONS } from "./wgsl/tiled.ts";

/**
 * Invocations of a workgroup on a CPU. With few of them, each has larger tiles of a product, and so fewer
 * reads, which dominate the time there. Of 64, 32, 16 and 8, a train step of the guide's model was fastest
 * with 16 and 8, and compiled fastest with 16.
 */
const SOFTWARE_INVOCATIONS = 16;

/** Less than the 65,535 iterations after which llvmpipe ends the loops of an invocation. */
const SOFTWARE_ITERATIONS = 60_000;

/** How scans run; `auto` applies the rule of `schedule.ts`. */
export type ScanSchedule = "rows" | "steps";

/** The costs by which the tiles of products are chosen. */
export interface TileCosts {
  /** The cost of reading an element, relative to a multiply-add. */
  readonly read: number;
  /** The most sums an invocation may have. */
  readonly sums: number;
}

/** Roughly how fast a device is, for the estimates of a schedule. */
export interface Speed {
  /** Multiply-adds per microsecond of a workgroup that works on its own rows. */
  readonly work: number;
  /** The same if all workgroups work on one product and share what they read. */
  readonly spread: number;
  /** Bytes of weights that a workgroup reads per microsecond. */
  readonly bytes: number;
  /** Microseconds of overhead per dispatch. */
  readonly dispatch: number;
}

/** What the schedule depends on. */
export interface DeviceShape {
  /** Invocations of a workgroup. */
  readonly workgroupSize: number;
  /** How many workgroups fill the device: the rows of a scan are divided among that many. */
  readonly workgroups: number;
  /** The most workgroups of a dispatch: `maxComputeWorkgroupsPerDimension`. */
  readonly mostWorkgroups: number;
  readonly speed: Speed;
  /** Whether large products go in blocks through workgroup memory, which on a CPU is ordinary memory. */
  readonly blocks: boolean;
  /** The most loop iterations of an invocation in a dispatch. */
  readonly mostIterations: number;
  /** The costs of tiles of products. */
  readonly tiles: TileCosts;
  /** The fewest elements for each invocation of a team. */
  readonly teamElements: number;
  /** Whether the invocations of a subgroup can combine their values: the feature `subgroups`. */
  readonly subgroups: boolean;
  /** Whether trip counts are hidden from the shader compiler, so that it does not unroll loops. */
  readonly hidesLoopBounds: boolean;
  /** How every scan that can run this way does; absent if the rule decides. */
  readonly forced?: ScanSchedule;
}

/** The limits of an adapter that say how it computes. */
export type Limits = {
  readonly [
    limit in
      | "maxComputeInvocationsPerWorkgroup"
      | "maxComputeWorkgroupSizeX"
      | "maxComputeWorkgroupsPerDimension"
      | "maxComputeWorkgroupStorageSize"
  ]: number;
};

/**
 * The shape of a device. Its speed is not measured: a device that computes on the CPU is assumed to run one
 * workgroup per thread, and a GPU 64 workgroups at once.
 */
export function shapeOf(
  limits: Limits,
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
    hidesLoopBounds: isSoftware,
    tiles: isSoftware ? { read: 30, sums: 256 } : { read: 4, sums: 32 },
    forced,
  };
}
