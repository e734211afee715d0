/**
 * How the kernels of a Program become dispatches. There are four ways:
 *
 * - **together**: several small kernels in a row run in one workgroup, as a dispatch costs more than they do;
 * - **spread**: one kernel runs over the whole device, with as many invocations as it has items;
 * - **rows**: a scan is one dispatch, in which every workgroup owns rows of the batch and iterates over the
 *   steps;
 * - **steps**: a scan is a series of dispatches for every step, each over the whole device.
 *
 * How a scan runs: **rows** needs rows that are independent of each other, uses only the workgroups that own
 * rows, and has each of them read all weights at every step; **steps** uses the whole device for each kernel,
 * reads the weights once, and pays for a dispatch per kernel and step. The one with the lower estimated time
 * per step is chosen: with few rows or large weights (a batch of 1, or 1,024 units) that is **steps**.
 */
import { everyKernel, type Kernel, type ScanKernel } from "../lowering/kernels.ts";
import { type Situation, workOf } from "./work.ts";
import { togetherOf, workgroupOf } from "./invocation_groups.ts";
import type { DeviceShape, ScanSchedule } from "./device_shape.ts";
import { allIterations, splitTerms, stepsAtOnce } from "./iterations.ts";
import type { Repeat } from "./wgsl/module.ts";

/** The most kernels that run together: compilers take long over large functions. */
const MOST_TOGETHER = 8;

/** Kernels that cost less than this run together. */
const SMALL = 80_000;

/** The sums that the products of a Program share, and how many more per multiply-add. */
const SHARED_SUMS = 128, SUMS_PER_WORK = 1 / 4e6;

/** Kernels that run as one dispatch. */
export type PlannedDispatch =
  /** In order; each kernel ends before the next begins. */
  | { readonly kind: "together"; readonly kernels: readonly Kernel[] }
  | { readonly kind: "spread"; readonly kernel: Kernel }
  /** `steps` is present if one dispatch may run fewer than all steps: it is then repeated until all are done. */
  | { readonly kind: "rows"; readonly scan: ScanKernel; readonly steps?: number };

/** A planned dispatch of the given kind. */
export type PlannedOf<K extends PlannedDispatch["kind"]> = Extract<PlannedDispatch, { readonly kind: K }>;

/**
 * The device shape for these kernels. If the compiler does not unroll loops, each sum of a product takes
 * about 0.5 ms to compile, which many cheap products would never recover: all products share a number of sums
 * that grows with their total work.
 */
export function shapeFor(kernels: readonly Kernel[], { device, sizes }: Situation): DeviceShape {
  if (!device.hidesLoopBounds) return device;
  const costs = everyKernel(kernels).flatMap(({ kernel, times }) =>
    kernel.kind === "matmul" ? [workOf(kernel, { sizes }).cost * sizes.of(times)] : []
  ).filter((cost) => cost >= SMALL);
  const work = costs.reduce((sum, cost) => sum + cost, 0);
  const share = (SHARED_SUMS + work * SUMS_PER_WORK) / Math.max(1, costs.length);
  return { ...device, tiles: { ...device.tiles, sums: Math.max(4, Math.min(device.tiles.sums, share)) } };
}

/** The cost of a kernel, over all steps if it is a scan. */
function costOf(kernel: Kernel, situation: Situation): number {
  const { cost, times } = workOf(kernel, situation);
  return cost * times;
}

/** Bytes of the right operands of products in a step. */
function weightBytes(body: readonly Kernel[], { sizes: { of } }: Situation): number {
  return everyKernel(body).reduce(
    (sum, { kernel, times }) =>
      kernel.kind === "matmul"
        ? sum + of(times) * 4 * of(kernel.k) * of(kernel.output.shape.at(-1) ?? 1)
        : sum,
    0,
  );
}

/** The rows of each workgroup if a scan runs by rows. */
export function rowsPerWorkgroup({ rows }: ScanKernel, { device: { workgroups }, sizes }: Situation): number {
  return Math.ceil(sizes.of(rows) / workgroups);
}

/** How a scan runs, and why. */
export function scheduleOf(
  scan: ScanKernel,
  situation: Situation,
): { readonly schedule: ScanSchedule | "together"; readonly why: string } {
  const { device, sizes } = situation;
  const together = { ...togetherOf(situation), sizes };
  const canRows = scan.rows !== 0 && atOnce(scan, situation) > 0;
  const canLoop = scan.rows === 0 && allIterations(scan, together) <= device.mostIterations;
  if (!canRows && !canLoop) {
    return { schedule: "steps", why: "a step takes more loop iterations than the adapter allows" };
  }
  if (device.forced === "steps") return { schedule: "steps", why: "as asked for" };
  if (device.forced === "rows" && canRows) return { schedule: "rows", why: "as asked for" };
  const { speed, workgroups } = device;
  const { cost } = workOf(scan, situation), bytes = weightBytes(scan.body, situation);
  const groups = canRows ? Math.ceil(sizes.of(scan.rows) / rowsPerWorkgroup(scan, situation)) : 1;
  const apart = Math.max(cost / (groups * speed.work), bytes / speed.bytes);
  const dispatches = planDispatches(scan.body, situation).length;
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

/** How many steps a scan by rows runs per dispatch. */
function atOnce(scan: ScanKernel, situation: Situation): number {
  const group = workgroupOf(situation, rowsPerWorkgroup(scan, situation));
  return stepsAtOnce(scan, { ...group, sizes: situation.sizes }, situation.device.mostIterations);
}

/**
 * The dispatches of kernels that contain no scan by steps; a scan among them runs as a loop in its dispatch.
 */
function planDispatches(kernels: readonly Kernel[], situation: Situation): PlannedDispatch[] {
  return planSteps(kernels, situation, () => "together") as PlannedDispatch[]; // no scan runs by steps
}

/** The dispatches of kernels, in order. */
export function planSteps(
  kernels: readonly Kernel[],
  situation: Situation,
  choose: (scan: ScanKernel) => ScanSchedule | "together" = (scan) => scheduleOf(scan, situation).schedule,
): (PlannedDispatch | Repeat<PlannedDispatch>)[] {
  const planned: (PlannedDispatch | Repeat<PlannedDispatch>)[] = [];
  const { device, sizes } = situation, { mostIterations } = device;
  const together = { ...togetherOf(situation), sizes };
  let small: Kernel[] = [], iterations = 0;
  const flush = () => {
    if (small.length > 0) planned.push({ kind: "together", kernels: small });
    small = [];
    iterations = 0;
  };
  const parts = kernels.flatMap((kernel): readonly Kernel[] =>
    kernel.kind === "matmul" ? splitTerms(kernel, device) : [kernel]
  );
  for (const kernel of parts) {
    const own = allIterations(kernel, together);
    const isSmall = costOf(kernel, situation) < SMALL && own <= mostIterations;
    const way = kernel.kind === "scan" ? choose(kernel) : isSmall ? "together" : "spread";
    if (way === "together") {
      if (small.length === MOST_TOGETHER || iterations + own > mostIterations) flush();
      small.push(kernel);
      iterations += own;
      continue;
    }
    flush();
    if (kernel.kind === "scan" && way === "steps") {
      planned.push({ kind: "steps", scan: kernel, dispatches: planDispatches(kernel.body, situation) });
    } else if (kernel.kind === "scan") {
      const steps = atOnce(kernel, situation);
      const isLonger = typeof kernel.length === "number" ? steps < kernel.length : steps < Infinity;
      planned.push({ kind: "rows", scan: kernel, ...(isLonger && { steps }) });
    } else {
      planned.push({ kind: "spread", kernel });
    }
  }
  flush();
  return planned;
}
