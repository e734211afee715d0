/**
 * How the invocations that run a kernel together divide it: the tiles of its products, the teams of its
 * reductions.
 */
import type { MatmulKernel } from "../lowering/kinds/product.ts";
import type { ReduceKernel } from "../lowering/kinds/reduction.ts";
import type { DeviceShape, TileCosts } from "./device_shape.ts";
import { elementsInRows, type InvocationGroup, type Teams, type Tile } from "./wgsl/kind.ts";
import { itemsOf } from "./wgsl/matmul.ts";
import { elementsOf } from "./wgsl/reduce.ts";
import { sizeOf } from "../shapes.ts";

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
 * A group of `invocations` invocations across the whole device, which get at most `rows` rows of a kernel.
 */
function groupOf(
  device: DeviceShape,
  { invocations, rows }: Pick<InvocationGroup, "invocations" | "rows">,
): InvocationGroup {
  return {
    invocations,
    rows,
    tileOf: ({ output: { shape } }) => {
      const [m, n] = shape.slice(-2);
      return tileFor(Math.min(m, rows), n, invocations / sizeOf(shape.slice(0, -2)), device.tiles);
    },
    teamsOf: (kernel) => {
      const count = elementsInRows(kernel.output.shape, rows);
      // Only the invocations of one workgroup share memory in which to combine their parts.
      const isApart = kernel.input.dtype === "bool" || invocations !== device.workgroupSize;
      return teams(isApart ? 1 : teamSize(kernel, count, device), count, device);
    },
  };
}

/** The invocations of one workgroup, for `rows` rows of a scan. */
export function workgroupOf(device: DeviceShape, rows: number): InvocationGroup {
  return groupOf(device, { invocations: device.workgroupSize, rows });
}

/** The workgroup that runs small kernels together. */
export function togetherOf(device: DeviceShape): InvocationGroup {
  return workgroupOf({ ...device, tiles: { ...device.tiles, sums: SMALL_SUMS } }, Infinity);
}

/** `invocations` invocations across the whole device. */
export function spreadOver(device: DeviceShape, invocations: number): InvocationGroup {
  return groupOf(device, { invocations, rows: Infinity });
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
export function tilesOf(kernel: MatmulKernel, { tileOf }: InvocationGroup): number {
  const [m, n] = kernel.output.shape.slice(-2);
  return sizeOf(kernel.output.shape.slice(0, -2)) * itemsOf(m, n, tileOf(kernel));
}

/**
 * `count` teams of `size` invocations. Halving combines the parts of all teams at once, in log2(size) rounds;
 * subgroups combine one team after the other, and are used if that takes fewer rounds.
 */
function teams(size: number, count: number, { subgroups }: Pick<DeviceShape, "subgroups">): Teams {
  return { size, count, subgroups: subgroups && count < Math.log2(size) };
}

/**
 * How many invocations of a workgroup form the team of each element of the result, which has at most
 * `outputs` elements; 1 if each invocation of a team would have too few elements to be worth it.
 */
function teamSize(
  kernel: ReduceKernel,
  outputs: number,
  { workgroupSize, teamElements }: DeviceShape,
): number {
  const each = elementsOf(kernel);
  let size = 1;
  while (size * 2 * outputs <= workgroupSize && size * 2 * teamElements <= each) size *= 2;
  return size;
}

/** Whether each element of the result has enough terms to occupy a whole workgroup. */
export function isLongReduction(
  kernel: ReduceKernel,
  { workgroupSize, teamElements }: DeviceShape,
): boolean {
  const isPowerOfTwo = (workgroupSize & (workgroupSize - 1)) === 0;
  return kernel.input.dtype !== "bool" && isPowerOfTwo &&
    elementsOf(kernel) >= workgroupSize * teamElements;
}

/** A workgroup as one team. */
export function wholeTeam(device: DeviceShape): Teams {
  return teams(device.workgroupSize, 1, device);
}
