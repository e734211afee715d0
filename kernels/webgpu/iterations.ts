/**
 * Keeps the loops of an invocation within the adapter's limit: counts their iterations, chooses how many
 * steps of a scan run per dispatch and how long sums may be, and splits products by their terms.
 */
import { type Kernel, printKernel, type ScanKernel } from "../lowering/kernels.ts";
import { type Situation, workOf } from "./work.ts";
import { addDims, multiplyDims } from "../../src/tensor/dims.ts";
import type { MatmulKernel } from "../lowering/kinds/product.ts";
import type { MostTerms } from "../lowering/parts.ts";
import { isLongReduction } from "./invocation_groups.ts";
import type { DeviceShape } from "./device_shape.ts";
import type { CallersAt } from "./wgsl/kind.ts";
import { tripCountOf } from "./wgsl/kinds.ts";
import { PART_TERMS } from "./wgsl/matmul.ts";

/**
 * The number of parts of a long product up to which each is added in place to those before it; more are computed
 * side by side and summed in blocks.
 */
const PARTS_IN_PLACE = 32;

/** The elements of a part of a long running sum, which one invocation adds one after another. */
const CUMSUM_TERMS = 1024;

/** The loop iterations of an invocation of a kernel, over all steps if it is a scan. */
export function allIterations(kernel: Kernel, group: CallersAt): number {
  return tripCountOf(kernel, group).all * Math.max(1, workOf(kernel, group).times);
}

/** How many steps of a scan fit into one dispatch, which may be more than it has; 0 if one is too many. */
export function stepsAtOnce(scan: ScanKernel, group: CallersAt, most: number): number {
  return Math.floor(most / tripCountOf(scan, group).all);
}

/** Thrown if an invocation would need more loop iterations than the adapter allows. */
export class TooManyIterations extends RangeError {
  /** The name of the class, as for every error about a value out of range. */
  override readonly name: string = "RangeError";
}

/** @throws TooManyIterations if an invocation of a kernel needs more loop iterations than the adapter allows. */
export function checkIterations(kernel: Kernel, iterations: number, { mostIterations }: DeviceShape): void {
  if (iterations <= mostIterations) return;
  throw new TooManyIterations(
    `Cannot compile ${printKernel(kernel)} for this adapter: an invocation would run ${iterations} ` +
      `loop iterations, and it ends loops after ${mostIterations}; use the device wasm`,
  );
}

/**
 * The most terms that a kernel may sum: for a reduction, as many as fit into the loops of its team, or of a
 * single invocation if it has no team.
 */
export function mostTerms(situation: Situation): MostTerms {
  const { device: { workgroupSize, mostIterations } } = situation;
  // The loops around blocks count too, and so do those in which a team combines its parts.
  const rounds = Math.floor(mostIterations * 0.8);
  return {
    ofReduction: (kernel) => isLongReduction(kernel, situation) ? rounds * workgroupSize : rounds,
    ofCumsum: CUMSUM_TERMS,
    ofScatter: rounds,
    ofProducts: { from: PART_TERMS * PARTS_IN_PLACE, most: PART_TERMS },
  };
}

/**
 * Splits a product by its terms into products that each add to the one before, in order, so that no loop
 * exceeds the device's limit. One of an open number of terms is not split.
 */
export function splitTerms(kernel: MatmulKernel, { mostIterations }: DeviceShape): MatmulKernel[] {
  const { left, right, output, k } = kernel;
  const most = Math.min(PART_TERMS, mostIterations / 4);
  const [m, n] = output.shape;
  if (typeof k !== "number" || typeof n !== "number" || k <= most || output.shape.length !== 2) {
    return [kernel];
  }
  const parts: MatmulKernel[] = [];
  for (let first = 0; first < k; first += most) {
    const terms = Math.min(most, k - first);
    parts.push({
      ...kernel,
      k: terms,
      left: {
        ...left,
        shape: [m, terms],
        offset: addDims(left.offset, multiplyDims(left.strides[1], first)),
      },
      right: {
        ...right,
        shape: [terms, n],
        offset: addDims(right.offset, multiplyDims(right.strides[0], first)),
      },
      addends: first === 0 ? kernel.addends : [{ first: 0, view: { ...output, shape: [m, n] } }],
    });
  }
  return parts;
}
