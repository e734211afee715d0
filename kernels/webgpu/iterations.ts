/**
 * How often an invocation goes round the loops of a kernel. Mesa's llvmpipe ends every loop of an invocation once it has
 * gone round 65,535 times in all, without a word: on that adapter the work of a dispatch must be less.
 */
import type { Kernel, MatmulKernel, ScanKernel } from "../lowering/kernels.ts";
import { sizeOf } from "../lowering/views.ts";
import { itemsOf, type Tile, tileFor } from "./wgsl/matmul.ts";
import { elementsOf, teamSize } from "./wgsl/reduce.ts";

/** Who calls a kernel's function together. */
export interface Callers {
  /** How many invocations. */
  readonly invocations: number;
  /** The most rows of the kernel that they are given. */
  readonly rows: number;
  /** How many of them are in a workgroup. */
  readonly workgroup: number;
}

/** The tile of a product's invocations. */
export function tileOf({ output }: MatmulKernel, { invocations, rows }: Callers): Tile {
  const [m, n] = output.shape.slice(-2);
  return tileFor(Math.min(m, rows), n, invocations / sizeOf(output.shape.slice(0, -2)));
}

/** How many elements of a result each of so many rows has. */
function outputsOf(
  { output }: { readonly output: { readonly shape: readonly number[] } },
  rows: number,
): number {
  const [first = 1, ...rest] = output.shape;
  return Math.min(first, rows) * sizeOf(rest);
}

/** The team for each element of a reduction's result; 1 where there are none. */
export function teamOf(kernel: Kernel, { invocations, rows, workgroup }: Callers): number {
  if (kernel.kind !== "reduce" || kernel.input.dtype === "bool" || invocations !== workgroup) return 1;
  return teamSize(kernel, outputsOf(kernel, rows), workgroup);
}

/** About how often an invocation goes round loops, for one step if the kernel is a scan. */
export function iterationsOf(kernel: Kernel, callers: Callers): number {
  const { invocations, rows } = callers;
  const rounds = (items: number, each: number) => Math.ceil(items / invocations) * (1 + each);
  switch (kernel.kind) {
    case "fused": {
      const [first = 1, ...rest] = kernel.shape;
      return rounds(Math.min(first, rows) * sizeOf(rest), 0);
    }
    case "gather":
    case "randomBits":
      return rounds(outputsOf(kernel, rows), 0);
    case "reduce": {
      const team = teamOf(kernel, callers);
      return team > 1
        ? Math.ceil(elementsOf(kernel) / team)
        : rounds(outputsOf(kernel, rows), 2 * elementsOf(kernel));
    }
    case "argmax":
      return rounds(outputsOf(kernel, rows), elementsOf(kernel));
    case "scatterAdd":
      return rounds(
        sizeOf(kernel.output.shape.slice(1)),
        (kernel.output.shape[0] ?? 1) + sizeOf(kernel.indices.shape),
      );
    case "matmul": {
      const [m, n] = kernel.output.shape.slice(-2);
      const matrices = sizeOf(kernel.output.shape.slice(0, -2));
      return rounds(matrices * itemsOf(Math.min(m, rows), n, tileOf(kernel, callers)), kernel.k);
    }
    case "scan":
      return 1 + kernel.body.reduce((sum, inner) => sum + allIterations(inner, callers), 0);
    case "pack":
    case "longProduct":
      throw new Error(`The kernel ${kernel.kind} is of another backend`);
  }
}

/** The same, for all steps. */
export function allIterations(kernel: Kernel, callers: Callers): number {
  return iterationsOf(kernel, callers) * (kernel.kind === "scan" ? Math.max(1, kernel.length) : 1);
}

/** How many steps of a scan may be done at once, which may be more than it has; 0 where one is too much. */
export function stepsAtOnce(scan: ScanKernel, callers: Callers, most: number): number {
  return Math.floor(most / iterationsOf(scan, callers));
}

/**
 * A product as products of parts of its terms, in order, each of which adds to the one before, so that no loop goes
 * round more than `most` times.
 */
export function splitTerms(kernel: MatmulKernel, most: number): MatmulKernel[] {
  const { left, right, output, k } = kernel;
  if (k <= most || !("view" in right) || output.shape.length !== 2) return [kernel];
  const parts: MatmulKernel[] = [];
  for (let first = 0; first < k; first += most) {
    const terms = Math.min(most, k - first);
    const [m, n] = output.shape;
    parts.push({
      ...kernel,
      k: terms,
      left: { ...left, shape: [m, terms], offset: left.offset + first * left.strides[1] },
      right: {
        view: { ...right.view, shape: [terms, n], offset: right.view.offset + first * right.view.strides[0] },
      },
      addends: first === 0 ? kernel.addends : [{ first: 0, view: output }],
    });
  }
  return parts;
}
