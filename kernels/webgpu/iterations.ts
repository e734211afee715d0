/**
 * What keeps the loops of an invocation within what an adapter has: how often it goes round them, how many steps of a
 * scan it does at once, how long sums may be, and products in parts of their terms.
 */
import { type Kernel, type MatmulKernel, printKernel, type ScanKernel, workOf } from "../lowering/kernels.ts";
import type { MostTerms } from "../lowering/parts.ts";
import { isLongReduction } from "./callers.ts";
import type { DeviceShape } from "./device_shape.ts";
import type { Callers } from "./wgsl/kind.ts";
import { roundsOf } from "./wgsl/kinds.ts";

/**
 * Terms of a part of a long product, and the parts up to which each is added to those before where they lie; more are
 * computed side by side, and summed in blocks.
 */
const PART_TERMS = 4096, PARTS_IN_PLACE = 32;

/** Elements of a part of a long running sum: an invocation adds them up one after another. */
const CUMSUM_TERMS = 1024;

/** How often an invocation goes round the loops of a kernel, in all steps if it is a scan. */
export function allIterations(kernel: Kernel, callers: Callers): number {
  return roundsOf(kernel, callers).all * Math.max(1, workOf(kernel).times);
}

/** How many steps of a scan may be done at once, which may be more than it has; 0 where one is too much. */
export function stepsAtOnce(scan: ScanKernel, callers: Callers, most: number): number {
  return Math.floor(most / roundsOf(scan, callers).all);
}

/** @throws RangeError if an invocation would go round the loops of a kernel more often than the adapter has it. */
export function checkIterations(kernel: Kernel, iterations: number, { mostIterations }: DeviceShape): void {
  if (iterations <= mostIterations) return;
  throw new RangeError(
    `Cannot compile ${
      printKernel(kernel)
    } for this adapter: an invocation would go round loops ${iterations} ` +
      `times, and it ends them after ${mostIterations}; use the device wasm`,
  );
}

/**
 * The most terms of what a kernel sums: of a reduction as many as the loops of a team, or where it has none of an
 * invocation, may go round.
 */
export function mostTerms(device: DeviceShape): MostTerms {
  const { workgroupSize, mostIterations } = device;
  // Loops around blocks go round too, and so do those of a team that combine its parts.
  const rounds = Math.floor(mostIterations * 0.8);
  return {
    ofReduction: (kernel) => isLongReduction(kernel, device) ? rounds * workgroupSize : rounds,
    ofCumsum: CUMSUM_TERMS,
    ofScatter: ({ output }) => rounds - output.shape[0],
    ofProducts: { from: PART_TERMS * PARTS_IN_PLACE, most: PART_TERMS },
  };
}

/**
 * A product as products of parts of its terms, in order, each of which adds to the one before, so that no loop goes
 * round more often than the device has it.
 */
export function splitTerms(kernel: MatmulKernel, { mostIterations }: DeviceShape): MatmulKernel[] {
  const { left, right, output, k } = kernel;
  const most = Math.min(PART_TERMS, mostIterations / 4);
  if (k <= most || output.shape.length !== 2) return [kernel];
  const parts: MatmulKernel[] = [];
  for (let first = 0; first < k; first += most) {
    const terms = Math.min(most, k - first);
    const [m, n] = output.shape;
    parts.push({
      ...kernel,
      k: terms,
      left: { ...left, shape: [m, terms], offset: left.offset + first * left.strides[1] },
      right: { ...right, shape: [terms, n], offset: right.offset + first * right.strides[0] },
      addends: first === 0 ? kernel.addends : [{ first: 0, view: output }],
    });
  }
  return parts;
}
