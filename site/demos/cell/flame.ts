/** The kernels of a step as spans beside each other, those of a loop below it. */
import type { PicturedKernel } from "./messages.ts";

/** What a kernel is, for its color. */
export type Family = "product" | "elementwise" | "reduction" | "loop" | "other";

const FAMILIES: Readonly<Record<string, Family>> = {
  matmul: "product",
  packedMatmul: "product",
  longProduct: "product",
  fused: "elementwise",
  reduce: "reduction",
  cumsum: "reduction",
  scan: "loop",
};

export function familyOf({ kind }: PicturedKernel): Family {
  return FAMILIES[kind] ?? "other";
}

/** A kernel with its place, in shares of the whole. */
export interface Span {
  readonly kernel: PicturedKernel;
  readonly from: number;
  readonly width: number;
  readonly depth: number;
}

/** What a kernel takes, with what is inside: microseconds where these were measured, else estimated work. */
export function takes(kernel: PicturedKernel): number {
  return kernel.body.reduce((sum, each) => sum + takes(each), kernel.microseconds ?? kernel.work);
}

/** The spans of all kernels, from 0 to 1. */
export function spansOf(kernels: readonly PicturedKernel[]): Span[] {
  const whole = kernels.reduce((sum, kernel) => sum + takes(kernel), 0) || 1;
  const place = (kernels: readonly PicturedKernel[], from: number, depth: number): Span[] =>
    kernels.flatMap((kernel) => {
      const width = takes(kernel) / whole;
      const spans = [{ kernel, from, width, depth }, ...place(kernel.body, from, depth + 1)];
      from += width;
      return spans;
    });
  return place(kernels, 0, 0);
}

/** The deepest loops inside loops. */
export function depthOf(spans: readonly Span[]): number {
  return spans.reduce((most, { depth }) => Math.max(most, depth + 1), 0);
}
