/**
 * How often an invocation goes round the loops of a kernel. Mesa's llvmpipe ends every loop of an invocation once it has
 * gone round 65,535 times in all, without a word: on that adapter the work of a dispatch must be less.
 */
import type { Kernel, MatmulKernel, ReduceKernel, ScanKernel } from "../lowering/kernels.ts";
import { sizeOf } from "../lowering/views.ts";
import { BLOCK_TERMS, isInBlocks, itemsOf, type Tile, type TileCosts, tileFor } from "./wgsl/matmul.ts";
import { blocksOf, elementsOf, type Teams, teamSize, teamsOf } from "./wgsl/reduce.ts";

/** Who calls a kernel's function together. */
export interface Callers {
  /** How many invocations. */
  readonly invocations: number;
  /** The most rows of the kernel that they are given. */
  readonly rows: number;
  /** How many of them are in a workgroup. */
  readonly workgroup: number;
  /** What tiles of products cost them. */
  readonly tiles: TileCosts;
  /** How many elements each of a team has at least that sums them up. */
  readonly teamElements: number;
  /** Whether they are in subgroups that combine what they have. */
  readonly subgroups: boolean;
}

/** The tile of a product's invocations. */
export function tileOf({ output }: MatmulKernel, { invocations, rows, tiles }: Callers): Tile {
  const [m, n] = output.shape.slice(-2);
  return tileFor(Math.min(m, rows), n, invocations / sizeOf(output.shape.slice(0, -2)), tiles);
}

/** How many elements of a result each of so many rows has. */
function outputsOf(
  { output }: { readonly output: { readonly shape: readonly number[] } },
  rows: number,
): number {
  const [first = 1, ...rest] = output.shape;
  return Math.min(first, rows) * sizeOf(rest);
}

/** The teams for a reduction's result. */
export function teamsFor(kernel: ReduceKernel, callers: Callers): Teams {
  const { invocations, rows, workgroup, teamElements } = callers;
  const count = outputsOf(kernel, rows);
  const isApart = kernel.input.dtype === "bool" || invocations !== workgroup;
  return teamsOf(isApart ? 1 : teamSize(kernel, count, workgroup, teamElements), count, callers);
}

/**
 * How often an invocation goes round the loops of some code, and how often where it has nothing to do: invocations go
 * through code together, and one that has left a loop goes round with the others, and through the loops in it, once more.
 */
interface Rounds {
  readonly all: number;
  readonly idle: number;
}

/** A loop, with the loops in it. */
function loop(times: number, ...inside: readonly Rounds[]): Rounds {
  const all = inside.reduce((sum, each) => sum + each.all, 0);
  const idle = 1 + inside.reduce((sum, each) => sum + each.idle, 0);
  return { all: times * (1 + all) + idle, idle };
}

/** Loops inside each other, from the outermost. */
function loops(times: readonly number[]): Rounds[] {
  return times.reduceRight<Rounds[]>((inner, each) => [loop(each, ...inner)], []);
}

/** How often an invocation goes round the loops of a long reduction, of which each workgroup has so many elements. */
export function groupIterations(kernel: ReduceKernel, size: number, items: number): number {
  const all = loops(blocksOf(kernel, Math.ceil(elementsOf(kernel) / size)));
  return loop(items, ...all, loop(Math.log2(size))).all;
}

/** How often an invocation goes round the loops of a kernel, for one step if it is a scan. */
export function iterationsOf(kernel: Kernel, callers: Callers): number {
  return roundsOf(kernel, callers).all;
}

function roundsOf(kernel: Kernel, callers: Callers): Rounds {
  const { invocations, rows } = callers;
  const overItems = (items: number, ...inside: readonly Rounds[]) =>
    loop(Math.ceil(items / invocations), ...inside);
  switch (kernel.kind) {
    case "fused": {
      const [first = 1, ...rest] = kernel.shape;
      return overItems(Math.min(first, rows) * sizeOf(rest));
    }
    case "gather":
    case "randomBits":
      return overItems(outputsOf(kernel, rows));
    case "reduce": {
      const { size, count, subgroups } = teamsFor(kernel, callers);
      if (size > 1) {
        const [elements] = loops(blocksOf(kernel, Math.ceil(elementsOf(kernel) / size)));
        // A subgroup may have a single invocation.
        const parts = subgroups ? loop(count, loop(size)) : loop(Math.log2(size));
        return { all: elements.all + parts.all, idle: elements.idle + parts.idle };
      }
      const overAxes = loops(kernel.axes.flatMap((axis) => blocksOf(kernel, kernel.input.shape[axis])));
      return overItems(outputsOf(kernel, rows), ...overAxes);
    }
    case "argmax":
      return overItems(outputsOf(kernel, rows), loop(elementsOf(kernel)));
    case "scatterAdd":
      return overItems(
        sizeOf(kernel.output.shape.slice(1)),
        loop(kernel.output.shape[0] ?? 1),
        loop(sizeOf(kernel.indices.shape)),
      );
    case "matmul": {
      const [m, n] = kernel.output.shape.slice(-2);
      const matrices = sizeOf(kernel.output.shape.slice(0, -2));
      const tile = tileOf(kernel, callers);
      return overItems(
        matrices * itemsOf(Math.min(m, rows), n, tile),
        ...loops(isInBlocks(kernel.k) ? [Math.ceil(kernel.k / BLOCK_TERMS), BLOCK_TERMS] : [kernel.k]),
        loop(tile.columns, loop(tile.rows)),
      );
    }
    case "scan": {
      const steps = kernel.body.map((inner) =>
        inner.kind === "scan" ? loop(inner.length, roundsOf(inner, callers)) : roundsOf(inner, callers)
      );
      return {
        all: steps.reduce((sum, each) => sum + each.all, 1),
        idle: steps.reduce((sum, each) => sum + each.idle, 1),
      };
    }
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
