/**
 * How the invocations that run a kernel together divide it: the tiles of its products, the teams of its
 * reductions.
 */
import type { MatmulKernel } from "../lowering/kinds/product.ts";
import type { ReduceKernel } from "../lowering/kinds/reduction.ts";
import type { DeviceShape, TileCosts } from "./device_shape.ts";
import { elementsInRows, type InvocationGroup, type Teams, type Tile } from "./wgsl/kind.ts";
import { itemsOf, partsOf } from "./wgsl/matmul.ts";
import { elementsOf } from "./wgsl/reduce.ts";
import type { Situation } from "./work.ts";

/** Sums per invocation in products that run together. */
const SMALL_SUMS = 1;

const TILES: readonly Tile[] = [
  [32, 16],
  [16, 32],
  [16, 16],
  [16, 8],
  [8, 16],
  [8, 8],
  [8, 4],
  [4, 4],
  [4, 2],
  [4, 1],
  [2, 1],
  [1, 1],
].map(([rows, columns]) => ({ rows, columns }));

/**
 * InvocationGroup of `invocations` invocations across the whole device, which get at most `rows` rows of a kernel. How
 * they divide it suits the given sizes, and is right for all.
 */
function groupOf(
  { device, sizes, exact }: Situation,
  { invocations, rows }: Pick<InvocationGroup, "invocations" | "rows">,
): InvocationGroup {
  return {
    invocations,
    rows,
    tileOf: ({ output: { shape } }) => {
      const [m, n] = shape.slice(-2).map(sizes.of);
      const each = invocations / Math.max(1, sizes.elements(shape.slice(0, -2)));
      return tileFor(Math.min(m, rows), n, each, device.tiles);
    },
    partsOf: (kernel) => partsIn(kernel, { device, sizes, exact }),
    teamsOf: (kernel) => {
      // Only the invocations of one workgroup share memory in which to combine their parts.
      const isApart = kernel.input.dtype === "bool" || invocations !== device.workgroupSize;
      return isApart ? ALONE : teamsOf(kernel, { device, sizes, exact, rows });
    },
  };
}

/** The terms of the parts in which a product is summed, and of the blocks in these, from the largest. */
export function partsIn({ k }: MatmulKernel, { sizes, exact = sizes }: Situation): readonly number[] {
  return partsOf(exact.of(k));
}

/** The invocations of one workgroup, for `rows` rows of a scan. */
export function workgroupOf(situation: Situation, rows: number): InvocationGroup {
  return groupOf(situation, { invocations: situation.device.workgroupSize, rows });
}

/** The workgroup that runs small kernels together. */
export function togetherOf({ device, ...sizes }: Situation): InvocationGroup {
  const tiles = { ...device.tiles, sums: SMALL_SUMS };
  return workgroupOf({ device: { ...device, tiles }, ...sizes }, Infinity);
}

/** `invocations` invocations across the whole device. */
export function spreadOver(situation: Situation, invocations: number): InvocationGroup {
  return groupOf(situation, { invocations, rows: Infinity });
}

/** The tile with which this many invocations finish first. */
function tileFor(rows: number, columns: number, invocations: number, { read, sums }: TileCosts): Tile {
  const costOf = (tile: Tile) =>
    Math.max(1, Math.ceil(itemsOf(rows, columns, tile) / invocations)) *
    (read * (tile.rows + tile.columns) + tile.rows * tile.columns);
  return TILES.filter((tile) => tile.rows * tile.columns <= sums).reduce((best, tile) =>
    costOf(tile) < costOf(best) ? tile : best
  );
}

/** How many tiles a product has. */
export function tilesOf(
  kernel: MatmulKernel,
  { tileOf, sizes }: Pick<InvocationGroup, "tileOf"> & Pick<Situation, "sizes">,
): number {
  const { shape } = kernel.output;
  const [m, n] = shape.slice(-2).map(sizes.of);
  return sizes.elements(shape.slice(0, -2)) * itemsOf(m, n, tileOf(kernel));
}

/** Each invocation by itself. */
const ALONE: Teams = { size: 1, count: undefined, subgroups: false };

/**
 * `count` teams of `size` invocations. Halving combines the parts of all teams at once, in log2(size) rounds;
 * subgroups combine one team after the other, and are used if that takes fewer rounds.
 */
function teams(size: number, count: number, { subgroups }: Pick<DeviceShape, "subgroups">): Teams {
  return { size, count, subgroups: subgroups && count < Math.log2(size) };
}

/** The teams of a workgroup that gets at most `rows` rows of a reduction. */
function teamsOf(
  kernel: ReduceKernel,
  { device, sizes, exact = sizes, rows }: Situation & { readonly rows: number },
): Teams {
  const elements = elementsOf(kernel), { shape } = kernel.output;
  if (typeof elements === "number" && shape.every((dim) => typeof dim === "number")) {
    const count = elementsInRows(shape, { rows, sizes });
    return teams(teamSize({ elements, count }, device), count, device);
  }
  // As many as suit the elements alone, so that a sum is rounded alike however many rows there are.
  const sizeFor = (elements: number) => teamSize({ elements, count: 1 }, device);
  if (sizeFor(exact.of(elements)) === 1) return ALONE;
  const size = typeof elements === "number" ? sizeFor(elements) : sizeFor;
  return { size, count: undefined, subgroups: false };
}

/**
 * How many invocations of a workgroup form the team of each of `count` results of so many elements; 1 if each
 * invocation of a team would have too few elements to be worth it.
 */
function teamSize(
  { elements, count }: { readonly elements: number; readonly count: number },
  { workgroupSize, teamElements }: DeviceShape,
): number {
  let size = 1;
  while (size * 2 * count <= workgroupSize && size * 2 * teamElements <= elements) size *= 2;
  return size;
}

/** Whether each element of the result has enough terms to occupy a whole workgroup. */
export function isLongReduction(
  kernel: ReduceKernel,
  { device: { workgroupSize, teamElements }, sizes, exact = sizes }: Situation,
): boolean {
  const isPowerOfTwo = (workgroupSize & (workgroupSize - 1)) === 0;
  return kernel.input.dtype !== "bool" && isPowerOfTwo &&
    exact.of(elementsOf(kernel)) >= workgroupSize * teamElements;
}

/** A workgroup as one team. */
export function wholeTeam(device: DeviceShape): Teams {
  return teams(device.workgroupSize, 1, device);
}
