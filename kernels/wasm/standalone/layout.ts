/**
 * Where everything lies in the memory of a module of its own: first what has fixed addresses (the table, the
 * weights, the states), then regions that begin where the sizes of a call put them.
 */
import { type Dim, evaluateDim } from "../../../src/tensor/dims.ts";
import type { Lifetime } from "../../lowering/arena.ts";

/** Addresses are multiples of this. */
export const ALIGNMENT = 64;

/** A place whose address depends on the sizes of a call. */
export interface Piece<Key> extends Lifetime {
  readonly key: Key;
  /** Elements. */
  readonly size: Dim;
}

/** Pieces that are never needed at the same time, and so lie at the same address. */
export type Region<Key> = readonly Piece<Key>[];

/** A size for which pieces are compared: lengths are mostly larger than batches. */
const TYPICAL_SIZE = 32;

/**
 * Pieces as regions. Which of two open sizes is larger is known only at a call, so pieces are compared at a
 * typical size; a region is as large as its largest piece, whichever that is.
 */
export function regionsOf<Key>(pieces: readonly Piece<Key>[], sizes: readonly string[]): Region<Key>[] {
  const typical = Object.fromEntries(sizes.map((name) => [name, TYPICAL_SIZE]));
  const bySize = pieces
    .map((piece) => ({ piece, size: evaluateDim(piece.size, typical) }))
    .sort((a, b) => b.size - a.size);
  const regions: Piece<Key>[][] = [];
  for (const { piece } of bySize) {
    const free = regions.find((region) =>
      region.every(({ first, last }) => last < piece.first || piece.last < first)
    );
    if (free) free.push(piece);
    else regions.push([piece]);
  }
  return regions;
}

/** Gives out fixed addresses, one after another. */
export class FixedAddresses {
  /** The first address that is not given out; 0 is no address of anything. */
  #end = ALIGNMENT;

  /** The address of as many bytes. */
  place(bytes: number): number {
    const address = this.#end;
    this.#end = Math.ceil((address + bytes) / ALIGNMENT) * ALIGNMENT;
    return address;
  }

  /** Where what has no fixed address begins. */
  get end(): number {
    return this.#end;
  }
}
