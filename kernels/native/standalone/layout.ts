/** Where intermediate results lie in the workspace of a call: pieces that never live at the same time share a place. */
import { addDims, type Dim, evaluateDim, isAtMost } from "../../../src/tensor/dims.ts";
import type { Lifetime } from "../../lowering/arena.ts";

/** A piece of the workspace. */
export interface Piece<Key> extends Lifetime {
  readonly key: Key;
  /** Elements. */
  readonly size: Dim;
  /** The type of the elements: places are shared by pieces of one type, as C compilers may assume. */
  readonly type: string;
}

/** The places of the pieces, in elements, and the size of the workspace. */
export interface Workspace<Key> {
  readonly offsets: ReadonlyMap<Key, Dim>;
  readonly size: Dim;
}

/**
 * Places the pieces one after another. A piece shares the place of others only where it is known for all sizes
 * which of them is largest.
 */
export function workspaceOf<Key>(pieces: readonly Piece<Key>[], sizes: readonly string[]): Workspace<Key> {
  const regions: { size: Dim; readonly pieces: Piece<Key>[] }[] = [];
  for (const piece of largestFirst(pieces, sizes)) {
    const free = regions.find(({ size, pieces }) =>
      pieces.every(({ first, last, type }) =>
        type === piece.type && (last < piece.first || piece.last < first)
      ) &&
      (isAtMost(piece.size, size) || isAtMost(size, piece.size))
    );
    if (!free) {
      regions.push({ size: piece.size, pieces: [piece] });
      continue;
    }
    free.pieces.push(piece);
    if (isAtMost(free.size, piece.size)) free.size = piece.size;
  }
  const offsets = new Map<Key, Dim>();
  let end: Dim = 0;
  for (const { size, pieces } of regions) {
    for (const { key } of pieces) offsets.set(key, end);
    end = addDims(end, size);
  }
  return { offsets, size: end };
}

/** A size at which pieces are compared that depend on different sizes. */
const TYPICAL = 32;

function largestFirst<Key>(pieces: readonly Piece<Key>[], sizes: readonly string[]): readonly Piece<Key>[] {
  const typical = Object.fromEntries(sizes.map((name) => [name, TYPICAL]));
  const sizeOf = ({ size }: Piece<Key>) => evaluateDim(size, typical);
  return [...pieces].sort((a, b) => sizeOf(b) - sizeOf(a));
}
