/** How the work of a kernel is shared among threads. */
import type { Kernel } from "../lowering/kernels.ts";
import { panelColumns } from "./matmul/mod.ts";
import { sizeOf } from "../lowering/views.ts";

/** Elements from which a kernel is worth sharing among threads; products count four times as many terms. */
export const WORTH_SHARING = 4096;

/** How a kernel's work is cut: so many units in pieces of a multiple of `grain`; one thread does it all if `alone`. */
export interface Share {
  readonly units: number;
  readonly grain: number;
  readonly alone: boolean;
}

/** How threads share a kernel, which is worth it from `shareFrom` elements on. */
export function shareOf(kernel: Kernel, shareFrom: number): Share {
  switch (kernel.kind) {
    case "fused": {
      const units = kernel.shape[0] ?? 1;
      return {
        units,
        grain: kernel.shape.length === 1 ? 16 : 1,
        alone: sizeOf(kernel.shape) < shareFrom,
      };
    }
    case "reduce":
      return {
        units: kernel.output.shape[0] ?? 1,
        grain: kernel.output.shape.length === 1 ? 16 : 1,
        alone: kernel.output.shape.length === 0 || sizeOf(kernel.input.shape) < shareFrom,
      };
    case "argmax":
      return {
        units: kernel.output.shape[0] ?? 1,
        grain: 1,
        alone: kernel.output.shape.length === 0 || sizeOf(kernel.input.shape) < shareFrom,
      };
    case "gather":
      return {
        units: kernel.output.shape[0] ?? 1,
        grain: 1,
        alone: kernel.indices.shape.length === 0 || sizeOf(kernel.output.shape) < shareFrom,
      };
    case "pack": {
      const { shape } = kernel.right;
      if (shape.length > 2) {
        return { units: shape.slice(0, -2).reduce((a, b) => a * b, 1), grain: 1, alone: false };
      }
      return { units: shape[1], grain: panelColumns, alone: sizeOf(shape) < shareFrom };
    }
    case "matmul": {
      const { shape } = kernel.left;
      const work = sizeOf(shape) * kernel.output.shape[kernel.output.shape.length - 1];
      if (shape.length > 2) {
        return {
          units: shape.slice(0, -2).reduce((a, b) => a * b, 1),
          grain: 1,
          alone: work < shareFrom * 4,
        };
      }
      return { units: shape[0], grain: 6, alone: work < shareFrom * 4 };
    }
    case "longProduct": {
      const [k, n] = kernel.right.shape;
      if (kernel.shared === "terms") return { units: k, grain: 16, alone: false };
      const rows = kernel.outputs.reduce((sum, { shape }) => sum + shape[0], 0);
      return { units: n, grain: panelColumns, alone: rows * k * n < shareFrom * 4 };
    }
    case "scan":
      return { units: Math.max(1, kernel.rows), grain: 1, alone: kernel.rows === 0 };
    case "scatterAdd":
    case "randomBits":
      return { units: 1, grain: 1, alone: true };
  }
}

/** Whether one thread does all of it, so that no other need be woken. */
export function isSingleThreaded(kernels: readonly Kernel[], shareFrom = WORTH_SHARING): boolean {
  return kernels.every((kernel) => shareOf(kernel, shareFrom).alone);
}
